#!/bin/bash
# Ranks that were told different things stand for two hosts whose environment, folders or model files differ.   ranks.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
for name in OMPI_COMM_WORLD_SIZE PMIX_RANK PMI_RANK PMI_SIZE SLURM_NTASKS SLURM_PROCID SLURM_STEP_NUM_TASKS; do unset $name; done
cd "$BOX" || exit 1

# both OPTIONS-OF-THE-FIRST -- OPTIONS-OF-THE-SECOND -- COMMAND …: what each rank has (-x NAME=VALUE, -wdir FOLDER, -instead
# COMMAND), and what both run. (mpirun can do this itself, but that of Open MPI 5.0.7 crashes on two contexts.)
both() {
    local rank
    for rank in 0 1; do
        : >"$BOX/of.$rank"
        while [ "$1" != -- ]; do
            case $1 in -x) printf 'export %q\n' "$2" ;; -wdir) printf 'cd %q\n' "$2" ;; -instead) echo "set -- $2" ;; esac >>"$BOX/of.$rank"
            shift 2
        done
        shift
    done
    timeout 120 mpirun --oversubscribe --bind-to none -np 2 \
        bash -c '. "$0.$OMPI_COMM_WORLD_RANK"; exec "$@"' "$BOX/of" "$@"
}
clip() { echo generate -q --model "$TINY" --prompt x --seed 1 --frames 20 --save-codes; }
said_once() { test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1; }

# Rank 0's settings hold, whoever lacks the variables.
set_of() { # NAME VARIABLES: rank 0 alone has these variables
    local name=$1 tp x=()
    shift
    for pair; do x+=(-x "MGDIST_$pair"); done
    env "${@/#/MGDIST_}" "$MG" generate -q --model "$TINY" --prompt x --frames 20 --save-codes --tp 1 --out "$BOX/ref.$name" >/dev/null 2>&1
    for tp in 2 1; do
        expect 0 "^$BOX" "rank 0 alone has $*, tp $tp" \
            both "${x[@]}" -- -- "$MG" generate -q --model "$TINY" --prompt x --frames 20 --save-codes --tp $tp --out "$BOX/$name.$tp"
        passes "$name, tp $tp: the same files as one rank makes" sh -c "
            cd '$BOX/ref.$name' && sha256sum -- *.npy *.wav *.flac 2>/dev/null >'$BOX/sums'; cd '$BOX/$name.$tp' &&
            test -s '$BOX/sums' && sha256sum --quiet -c '$BOX/sums' && test \$(ls | wc -l) = \$(ls '$BOX/ref.$name' | wc -l)"
    done
}
set_of sampling TEMPERATURE=0.2 CFG_COEF=1.5 TOP_K=5 SEED=9 NEGATIVE_PROMPT=noise SAMPLER=hf
set_of numbers GREEDY=1 DTYPE=bf16 FORMAT=flac CPU_LEVEL=scalar STRATEGY=rms SEED=1 WINDOW=0.2
set_of counts N=3 BATCH=1 SEED=1
"$MG" $(clip) --out "$BOX/plain" >/dev/null
expect 0 '^/|^'"$BOX" 'a variable on the other rank alone counts for nothing' \
    both -- -x MGDIST_TEMPERATURE=0.2 -x MGDIST_TOP_K=abc -- "$MG" $(clip) --out "$BOX/other"
same 'and leaves no trace' "$BOX/plain" "$BOX/other"
expect 0 "$BOX/here/000001.wav" 'MGDIST_OUT and MGDIST_NAME on rank 0 alone' \
    both -x MGDIST_OUT="$BOX/here" -x MGDIST_NAME=index -- -x MGDIST_NAME=title -- "$MG" $(clip) --prompt y --tp 1
passes 'every path on stdout is there' sh -c "grep '^/' '$BOX/said' | xargs ls"
fails 'and nothing elsewhere' test -e "$BOX/out"

# What is each rank's own.
expect 0 000000.wav 'threads are each rank'"'"'s own' \
    both -x MGDIST_THREADS=1 -- -x MGDIST_THREADS=2 -- "$MG" $(clip) --out "$BOX/own"
passes 'rank 0 has its own' grep -Eq '"threads":[[:space:]]*1,' "$BOX/own/000000.json"
same 'and change nothing' "$BOX/plain" "$BOX/own"
expect 2 'environment MGDIST_THREADS: "x"' 'a wrong value of its own is a rank'"'"'s fault' \
    both -- -x MGDIST_THREADS=x -- "$MG" $(clip) --out "$BOX/no"
passes 'said once' said_once

# What must be the same.
mkdir "$BOX/a" "$BOX/b"
expect 2 "rank 1.*working folder is $BOX/b, and on host .* \(rank 0\) it is $BOX/a" 'two working folders' \
    both -wdir "$BOX/a" -- -wdir "$BOX/b" -- "$MG" $(clip) --out "$BOX/no"
passes 'said once' said_once
expect 2 'rank 1.*command is verify, and .*rank 0.* it is generate' 'two commands' \
    both -- -instead "'$MG' verify '$TINY'" -- "$MG" $(clip) --out "$BOX/no"
cp "$MG" "$BOX/mg-dist"
if objcopy --dump-section .note.gnu.build-id="$BOX/note" "$MG" /dev/null 2>/dev/null &&
    printf '\377\377\377\377' | dd of="$BOX/note" bs=1 seek=20 conv=notrunc 2>/dev/null &&
    objcopy --update-section .note.gnu.build-id="$BOX/note" "$BOX/mg-dist" 2>/dev/null; then
    expect 2 'rank 1.*program build is .*ffffffff.*, and on host' 'two builds' \
        both -- -instead "'$BOX/mg-dist' $(clip)" -- "$MG" $(clip) --out "$BOX/no"
else
    skipped 'two builds: no objcopy'
fi
expect 0 'cpu-level auto: scalar, the best of rank 1 and the lowest' 'under auto the lowest level of all ranks' \
    both -- -x MGDIST_CPU_BEST=scalar -- "$MG" generate --model "$TINY" --prompt x --seed 1 --frames 20 --save-codes --out "$BOX/low"
"$MG" $(clip) --cpu-level scalar --out "$BOX/scalar" >/dev/null
same 'whose bytes they are' "$BOX/scalar" "$BOX/low"
passes 'said once' test "$(grep -c 'cpu-level auto' "$BOX/said")" = 1

# Other weights under the same name: an environment variable leads each rank to its own cache.
other() { # NAME: a cache whose model of the same id is changed by NAME
    local to="$BOX/$1/models--me--tiny"
    mkdir -p "$to/refs" "$to/snapshots/0123"
    echo -n 0123 >"$to/refs/main"
    cp -rL "$TINY"/. "$to/snapshots/0123"
}
byte() { printf '\177' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
for name in first weights tokenizer sampling stereo; do other $name; done
f=weights/models--me--tiny/snapshots/0123/model.safetensors
python3 - "$BOX/$f" <<'P'
import sys, struct, json
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", data[:8])[0]
for name, t in json.loads(data[8:8 + n]).items():
    if not name.endswith("decoder.layers.0.fc1.weight"): continue
    a, b = (8 + n + x for x in t["data_offsets"])
    for i in range(a, b, 4): data[i] ^= 1
open(path, "wb").write(data)
P
printf 'x' >>tokenizer/models--me--tiny/snapshots/0123/spiece.model
echo '{"guidance_scale": 2}' >sampling/models--me--tiny/snapshots/0123/generation_config.json
cp -rL "$GOLDEN/checkpoints/tiny-stereo"/. stereo/models--me--tiny/snapshots/0123
differ() { # CACHE, pattern, sentence, command …
    local cache=$1 pattern=$2 sentence=$3
    shift 3
    expect 4 "rank 1.*$pattern" "$sentence" both -x HF_HUB_CACHE="$BOX/first" -- -x HF_HUB_CACHE="$BOX/$cache" -- "$@"
    passes "$sentence: said once" said_once
}
hub() { echo generate -q --model me/tiny --save-codes --prompt x --seed 1 --frames 20 --out "$BOX/no"; }
expect 0 000000.wav 'the same model in two caches' both -x HF_HUB_CACHE="$BOX/first" -- -x HF_HUB_CACHE="$BOX/first" -- "$MG" $(hub) --out "$BOX/hub"
for tp in 1 2; do
    differ weights 'language model is .*contents .*the hosts have other weights' "an older copy, tp $tp" "$MG" $(hub) --tp $tp
    differ stereo 'language model is' "a stereo model beside a mono one, tp $tp" "$MG" $(hub) --tp $tp --dtype fp32
done
differ tokenizer 'tokenizer is sha256' 'another tokenizer' "$MG" $(hub)
differ sampling 'language model is .*config' 'another generation_config.json' "$MG" $(hub)
differ weights 'language model is' 'verify sees it too' "$MG" verify me/tiny
"$MG" $(clip) --out "$BOX/codes" >/dev/null
cp codes/000000.codes.npy codes/1.codes.npy
cp -r first codec
python3 - "$BOX/codec/models--me--tiny/snapshots/0123/model.safetensors" <<'P'
import sys, struct, json
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", data[:8])[0]
for name, t in json.loads(data[8:8 + n]).items():
    if not name.startswith("audio_encoder.decoder"): continue
    a, b = (8 + n + x for x in t["data_offsets"])
    for i in range(a, b, 4): data[i] ^= 1
open(path, "wb").write(data)
P
differ codec 'codec is' 'decode with two codecs' "$MG" decode "$BOX/codes/000000.codes.npy" "$BOX/codes/1.codes.npy" --model me/tiny --out "$BOX/no"
differ codec 'codec is' 'two replicas with two codecs' "$MG" $(hub) --prompt y --tp 1
expect 0 000000.wav 'one group decodes on rank 0 alone' \
    both -x HF_HUB_CACHE="$BOX/first" -- -x HF_HUB_CACHE="$BOX/codec" -- "$MG" $(hub) --tp 2 --out "$BOX/group"
same 'and no harm is done' "$BOX/hub" "$BOX/group"
passes 'nothing was written where it was refused' test ! -e "$BOX/no"

# A launcher that promised more.
solo() { # variables, pattern, sentence
    expect 2 "$2" "$3" env $1 "$MG" $(clip) --out "$BOX/solo"
}
solo 'SLURM_NTASKS=4' 'SLURM_NTASKS.*srun --mpi=pmix or mpirun; --alone to insist' 'a batch job of four tasks and one rank'
solo 'SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0' 'started 4 times as one rank each.*use srun --mpi=pmix or mpirun, of the MPI that mg-dist --version tells; --alone to insist' 'srun without PMIx'
solo 'PMI_SIZE=4 PMI_RANK=0' 'started 4 times as one rank each' 'a launcher of another MPI'
fails 'its second process is refused too' sh -c "PMI_SIZE=4 PMI_RANK=1 '$MG' $(clip) --out '$BOX/solo' >'$BOX/said' 2>&1"
passes 'and keeps silent' test ! -s "$BOX/said"
passes 'nothing was made' test ! -e "$BOX/solo"
expect 0 000000.wav '--alone insists' env SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0 "$MG" $(clip) --alone --out "$BOX/solo"
expect 0 000000.wav 'mpirun of one rank is believed' env SLURM_NTASKS=4 mpirun -np 1 "$MG" $(clip) --out "$BOX/solo1"
expect 0 '' 'a command of one rank may be alone in a job' env SLURM_NTASKS=4 "$MG" models

# Rank 0 waits for its own input longer than a silent rank would be waited for.
mkfifo "$BOX/pipe"
(sleep 3; echo x) >"$BOX/pipe" &
expect 0 000000.wav 'a pipe that thinks for longer than --comm-timeout' \
    ranks 2 "$MG" generate -q --model "$TINY" --prompts "$BOX/pipe" --seed 1 --frames 20 --comm-timeout 1 --out "$BOX/piped"
wait

# Without --tp: replicas for many clips, groups for few, whatever the number of ranks, and no larger ones than heads allow.
"$MG" generate -q --model "$TINY" --prompt x -n 4 --seed 1 --frames 20 --save-codes --out "$BOX/four" >/dev/null
for case in '3 4 3 replicas of 1' '6 4 3 replicas of 2' '4 4 4 replicas of 1' '4 2 2 replicas of 2' '4 1 1 replica of 4'; do
    read -r np n_clips sentence <<<"$case"
    rm -rf "$BOX/split"
    expect 0 "^ranks: $sentence, .*$n_clips clip.* for $np ranks" "$n_clips clips on $np ranks are made by $sentence" \
        ranks $np "$MG" generate --model "$TINY" --prompt x -n $n_clips --seed 1 --frames 20 --threads 1 --save-codes --out "$BOX/split"
    passes "and are the same" sh -c "cd '$BOX/split' && test \$(ls *.wav | wc -l) = $n_clips && sha256sum *.wav *.npy | (cd '$BOX/four' && sha256sum --quiet -c)"
done
expect 0 "^ranks: 4 replicas of 4, .*1 clip for 16 ranks" 'a model of four heads on 16 ranks: groups of four, not of eight' \
    ranks 16 "$MG" generate --model "$DEMO" --prompt x --seed 1 --frames 4 --threads 1 --out "$BOX/sixteen"

# A mistake is said once.
for n in 1 4; do
    expect 2 'option --tpp: unknown' "a mistyped option on $n ranks" ranks $n "$MG" generate --tpp 3
    passes 'said once' said_once
done
expect 0 'usage' 'help on four ranks' ranks 4 "$MG" generate --help
passes 'printed once' test "$(grep -c '^usage' "$BOX/said")" = 1
finish
