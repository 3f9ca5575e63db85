#!/bin/bash
# Every command that README.md and the pages below print, as printed: it runs, or it is one of those that cannot run here,
# which are named below. README's run one after another in one folder, behind them DATASETS', and GENERATE's each block in
# a folder of its own. SCALING's sweeps are of a tiny shape, few ranks and few steps, one batch; what is long is of two windows.
#   readme.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"
unset MGDIST_OVERWRITE
ROOT=$(cd "$TESTS/.." && pwd)

# The models that the pages name are in a cache; small ones of ours stand for them.
export HF_HUB_CACHE=$BOX/hub
stand_in() { # OWNER--NAME FOLDER …
    local repo=$HF_HUB_CACHE/models--$1 f hash
    shift
    mkdir -p "$repo/blobs" "$repo/refs" "$repo/snapshots/c0ffee"
    printf c0ffee >"$repo/refs/main"
    for f in $(find -L "$@" -maxdepth 1 -type f ! -name README.md); do
        hash=$(sha256sum "$f" | cut -c 1-64)
        cp "$f" "$repo/blobs/$hash"
        ln -sf "../../blobs/$hash" "$repo/snapshots/c0ffee/$(basename "$f")"
    done
}
stand_in facebook--musicgen-small "$DEMO"
stand_in facebook--musicgen-large "$DEMO"
stand_in facebook--musicgen-melody "$GOLDEN/checkpoints/tiny-melody" "$GOLDEN/tokenizer"
mkdir "$BOX/style"
ln -s "$GOLDEN/checkpoints/ac-style/state_dict.bin" "$GOLDEN/checkpoints/ac-melody/compression_state_dict.bin" "$BOX/style"
stand_in facebook--musicgen-style "$BOX/style"
stand_in m-a-p--MERT-v1-95M "$GOLDEN/checkpoints/mert-tiny"
stand_in t5-base "$GOLDEN/t5-tiny" "$GOLDEN/tokenizer"
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none # eight ranks, wherever this is
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none # Open MPI 5
mkdir "$BOX/bin"
ln -s "$(realpath "$MG")" "$BOX/bin/mg-dist"
printf '%s\n' '#!/bin/sh' '[ "$(head -c 4)" = RIFF ] && exec cat >/dev/null' >"$BOX/bin/aplay"
chmod +x "$BOX/bin/aplay"
export PATH=$BOX/bin:$PATH
export M=facebook/musicgen-small

# The commands of a page, a line each: BLOCK<TAB>COMMAND, continued lines joined.
commands() {
    awk '/^ *```sh/ { on = 1; block++; next } /^ *```/ { on = 0 }
         on && NF { line = line $0; if (sub(/\\$/, "", line)) next; print block "\t" line; line = "" }' "$1"
}
# The same of a page whose commands are indented.
indented() { awk '/^    [^ ]/ || line { line = line $0; if (sub(/\\$/, "", line)) next; print NR "\t" line; line = "" }' "$1" | sed 's/\t */\t/'; }
# What needs the network, root or an hour is looked at instead: targets and files that it names are there. Without a
# cluster srun's ranks are mpirun's.
named() { # COMMAND; true: it was looked at
    local command=${1#sudo } file
    case $command in
    './make.sh '* | 'make '*) passes "$1: make knows it" make -n -C "$ROOT" $(sed 's/^[^ ]* //; s/ *[&#].*//; s/PREFIX=[^ ]*//' <<<"$command") ;;
    'podman build '*)
        file=$(sed 's/.* -f \([^ ]*\) .*/\1/' <<<"$command")
        passes "$1: $file is there" test -s "$ROOT/$file"
        ;;
    'cmake --preset '*)
        for file in $(grep -oE -- '--preset [a-z]+' <<<"$command" | cut -d ' ' -f 2); do
            passes "$1: there is a preset $file" grep -q "\"name\": \"$file\"" "$ROOT/CMakePresets.json"
        done
        for file in $(grep -oE -- '-DMG_[A-Z_]+' <<<"$command" | cut -c 3-); do
            passes "$1: there is an option $file" grep -qw "$file" "$ROOT/CMakeLists.txt" "$ROOT/cmake/cuda.cmake"
        done
        ;;
    bench/*) # takes minutes
        file=${command%% *}
        passes "$1: $file is there" test -x "$ROOT/$file"
        for file in $(grep -oE -- ' --[a-z-]+' <<<"${command%%#*}"); do passes "$1: it knows $file" grep -qF -- "$file)" "$ROOT/${command%% *}"; done
        ;;
    sbatch* | OUT=*sbatch* | launch/* | --mca*) # needs a cluster
        for file in $(grep -oE '(launch|hostfiles|examples)/[a-z/.-]+' <<<"$command"); do passes "$1: $file is there" test -s "$ROOT/$file"; done
        ;;
    *) return 1 ;;
    esac
}
# What stands for the reader's own: WHAT and SRC are a model, checkpoint.th is a trainer's, each OUT another one.
ours() {
    sed "s|\bWHAT\b|models/mg-demo|; s|\bSRC\b|models/mg-demo|; s|\bOUT\b|out$n_run|
        s|--np 1,2,4|--np 1,2|; s|--batch 1,[0-9,]*|--batch 1|; s|--duration 120|--duration 40|; s/--shape small\( --repeats 3\)*/--shape tiny --steps 4 --repeats 1/
        s|export checkpoint.th|export $GOLDEN/checkpoints/ac-mono-training/checkpoint.th|" <<<"$1"
}
as_mpirun() { sed 's/^srun --mpi=pmix -N 2 --ntasks-per-node 4 /mpirun -np 8 /' <<<"$1"; }
cannot() { # what no test can do: the network, files of the reader's own
    case $1 in
    *'git clone'* | 'module load '* | *'gdb '* | apptainer* | *'pip install'* | sox* | srun*) return 0 ;;
    'mg-dist generate --lm state_dict.bin'* | *--codec\ encodec_32khz/* | *--lm\ /xps/* | *'--model M '* | *…*) return 0 ;; # the reader's own
    *) return 1 ;;
    esac
}
folder() { # as somebody has it who stands in the source
    mkdir -p "$1"
    ln -s "$ROOT/models" "$ROOT/examples" "$1"
    echo 'localhost slots=8' >"$1/hosts"
    cp "$ROOT/examples/tune.ogg" "$1/stem.wav" # what demucs and sox would have written
}
n_run=0 n_not=0 n_named=0
try() { # PAGE COMMAND, in $here
    if named "$2"; then
        n_named=$((n_named + 1))
        return
    fi
    set -- "$1" "$(ours "$2")"
    [ -n "${SLURM_JOB_ID-}" ] || set -- "$1" "$(as_mpirun "$2")"
    if cannot "$2"; then
        n_not=$((n_not + 1))
        echo "# not run: $2"
        return
    fi
    n_run=$((n_run + 1))
    case $2 in export\ *) eval "$2" && return ;; esac
    expect 0 '' "$1: $2" timeout 300 bash -c "cd '$here' && { $2
        }; code=\$?; echo; exit \$code" </dev/null
}

here=$BOX/readme
folder "$here"
while IFS=$'\t' read -r _ command; do try README "$command"; done < <(commands "$ROOT/README.md")
expect 0 '^the same bytes' 'README: mg-dist replay out/000000.json' bash -c "cd '$here' && mg-dist replay out/000000.json"
unset MGDIST_MODEL
export MGDIST_MANIFEST=$BOX/manifest.json
for i in 0 1 2; do # what the tasks of an array leave
    mg-dist run -q --model "$DEMO" --jobs "$ROOT/examples/captions.csv" --seed 1 --shard $i/3 --out "$here/dataset-$i" || verdict 1 "shard $i"
done
for page in DATASETS CHECKPOINTS LAUNCH; do
    if [ $page = CHECKPOINTS ]; then here=$BOX/checkpoints && folder "$here"; fi
    while IFS=$'\t' read -r _ command; do try $page "$command"; done < <(commands "$ROOT/docs/$page.md")
done
here=$BOX/install
folder "$here"
while IFS=$'\t' read -r _ command; do try INSTALL "$command"; done < <(commands "$ROOT/docs/INSTALL.md")
here=$BOX/debugging
folder "$here"
for seed in 1:a 2:b; do
    (cd "$here" && mg-dist generate -q --model "$DEMO" --prompt x --frames 4 --seed ${seed%:*} --save-codes --out ${seed#*:} >/dev/null) || verdict 1 "clip $seed"
done
while IFS=$'\t' read -r _ command; do try DEBUGGING "$command"; done < <(commands "$ROOT/docs/DEBUGGING.md")
while IFS=$'\t' read -r block command; do
    case $command in
    'mg-dist bench scaling'*) here=$BOX/scaling$block && folder "$here" ;;
    *scaling-before*) cp -r "$here/scaling" "$here/scaling-before" && cp -r "$here/scaling" "$here/scaling-after" ;;
    esac
    try SCALING "$command"
done < <(indented "$ROOT/docs/SCALING.md")
before=''
while IFS=$'\t' read -r block command; do
    here=$BOX/generate$block
    [ "$block" = "$before" ] || folder "$here"
    before=$block
    try GENERATE "$command"
done < <(commands "$ROOT/docs/GENERATE.md")
passes "commands were found: $n_run run, $n_named looked at, $n_not not" test "$n_run" -ge 24 -a "$n_named" -ge 14 -a "$n_not" -le 14

# Files that are named are there.
for page in README.md docs/{GENERATE,DATASETS,LAUNCH}.md; do
    for file in $(grep -oE 'examples/[a-z.]+' "$ROOT/$page" | sort -u); do passes "$page: $file is there" test -s "$ROOT/$file"; done
done
finish
