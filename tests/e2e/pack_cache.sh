#!/bin/bash
# Packed weights that are kept: the same sound with and without, and nothing but a whole, fitting pack is used.
#   pack_cache.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"
FAULTY=$5
PACKS=$BOX/packs
MODEL=$BOX/model
cp -rL "$DEMO" "$MODEL"

make() { # FOLDER RANKS options …
    local out=$1 n=$2
    shift 2
    ranks "$n" "$MG" generate --model "$MODEL" --prompt 'happy chiptune, fast' --duration 0.4 --seed 3 --threads 1 \
        --tp "$n" -v --out "$BOX/$out" "$@"
}
kept() { make "$1" "$2" --pack-cache "$PACKS" "${@:3}"; }
sound() { cmp "$BOX/$1/000000.wav" "$BOX/$2/000000.wav"; }
packs() { ls "$PACKS" | grep -c '\.pack$'; }
levels=''
if [ -z "${MG_TEST_SANITIZED-}" ]; then
    levels='scalar avx2 avx512 amx'
    "$MG" bench step --shape tiny --steps 1 --cpu-level avx512 >/dev/null 2>&1 || levels='scalar avx2'
    "$MG" bench step --shape tiny --steps 1 --cpu-level avx2 >/dev/null 2>&1 || levels=scalar
    [ "$(uname -m)" != aarch64 ] || levels='scalar avx2 neon'
fi

# Nothing is written unasked.
expect 0 '' 'without the option' make plain 1 --dtype int8
passes 'the model is as it was' diff -r "$MODEL" "$DEMO"
plan=$(grep '^plan:' "$BOX/said")

sleep 2.1 # a file that has just been written is hashed each time
expect 0 'pack cache: .*/int8-.*-1of1-.*\.pack: .* MB made' 'a pack is made' kept made 1 --dtype int8
passes 'the same sound' sound plain made
passes 'the same plan' test "$plan" = "$(grep '^plan:' "$BOX/said")"
expect 0 'pack cache: .*\.pack: .* MB in ' 'and read' kept read 1 --dtype int8
passes 'the same sound' sound plain read
passes 'the same plan' test "$plan" = "$(grep '^plan:' "$BOX/said")"
passes 'two files: the pack, and a note of the hash' test "$(ls "$PACKS" | wc -l)" = 2
best=$(ls "$PACKS" | sed -n 's/^int8-\(.*\)-1of1-.*/\1/p') # of this machine's levels

# Formats, ranks, levels.
for dtype in $([ "${MG_TEST_SANITIZED-}" ] || echo fp32 bf16 fp16) int4; do
    expect 0 '' "$dtype" make plain 1 --dtype "$dtype"
    expect 0 'made in' "$dtype: made" kept made 1 --dtype "$dtype"
    expect 0 'MB in' "$dtype: read" kept read 1 --dtype "$dtype"
    passes 'the same sound' sound plain read
done
for n in 2 4; do
    [ -z "${MG_TEST_RANKS-}" ] || [[ " $MG_TEST_RANKS " = *" $n "* ]] || continue
    for dtype in int8 $([ $n = 4 ] || [ "${MG_TEST_SANITIZED-}" ] || echo bf16 int4); do
        expect 0 '' "$dtype" make plain 1 --dtype "$dtype"
        expect 0 "of$n-.*made in" "$dtype, $n ranks: made" kept made "$n" --dtype "$dtype"
        expect 0 "1of$n-.*MB in" "$dtype, $n ranks: read" kept read "$n" --dtype "$dtype"
        passes 'the same sound' sound plain read
    done
done
for level in $levels; do
    expect 0 '' "$level" make plain 1 --dtype bf16 --cpu-level "$level"
    expect 0 '' "$level: made" kept made 1 --dtype bf16 --cpu-level "$level"
    expect 0 "bf16-$level-.*MB in" "$level: read" kept read 1 --dtype bf16 --cpu-level "$level"
    passes 'the same sound' sound plain read
done

# What is no good is said and made again.
expect 0 '' 'in 8 bits' make plain 1 --dtype int8
pack=$(ls "$PACKS"/int8-"$best"-1of1-*)
other=$(ls "$PACKS"/int4-"$best"-1of1-*)
bytes=$(stat -c %s "$pack")
again() { # SENTENCE PATTERN, after something was done to the pack
    expect 0 "warning: pack cache: .*$2.*; it is made again" "$1" kept made 1 --dtype int8
    passes 'the same sound' sound plain made
    expect 0 'MB in' 'and is whole again' kept read 1 --dtype int8
    fails 'without a warning' grep -q warning "$BOX/said"
}
poke() { printf '%b' "$2" | dd of="$pack" bs=1 seek="$1" conv=notrunc status=none; }
poke $((bytes - 100000)) 'garbage'
again 'a byte of the weights' 'is damaged: the checksum of its chunk'
poke 386 'garbage'
again 'a byte of the table' 'is damaged: the checksum of its head'
truncate -s $((bytes / 2)) "$pack"
again 'half of it' "has $((bytes / 2)) bytes of $bytes"
poke 8 '\0011'
again 'another version' 'is stale: packs are of version 4 now, this one is of 9'
cp "$other" "$pack"
again 'the pack of other settings' 'is a pack of other weights or settings'
echo 'something else' >"$pack"
again 'another file' 'is no pack of weights'
: >"$pack"
again 'an empty file' 'is no pack of weights'
rm "$pack" && mkfifo "$pack"
again 'a named pipe' 'is no pack of weights'
mv "$pack" "$BOX/away" && mkdir "$pack"
expect 0 'warning: pack cache: .*the run goes on without' 'a folder of that name' kept made 1 --dtype int8
passes 'the same sound' sound plain made
rmdir "$pack"

# Other weights: in place, and with the old time; then another file with the old time.
n=$(packs)
size=$(stat -c %s "$MODEL/model.safetensors")
touch -r "$MODEL/model.safetensors" "$BOX/time"
printf '\001\002' | dd of="$MODEL/model.safetensors" bs=1 seek=$((size / 2)) conv=notrunc status=none
touch -r "$BOX/time" "$MODEL/model.safetensors"
expect 0 'made in' 'weights that were written to' kept made 1 --dtype int8
passes 'of the same size and time' test "$(stat -c '%s %Y' "$MODEL/model.safetensors")" = "$size $(stat -c %Y "$BOX/time")"
expect 0 '' 'without the cache' make plain 1 --dtype int8
passes 'the same sound' sound plain made
cp "$DEMO/model.safetensors" "$BOX/next"
printf '\003\004' | dd of="$BOX/next" bs=1 seek=$((size / 3)) conv=notrunc status=none
touch -r "$BOX/time" "$BOX/next"
mv "$BOX/next" "$MODEL/model.safetensors"
expect 0 'made in' 'a file in their place' kept made 1 --dtype int8
expect 0 '' 'without the cache' make plain 1 --dtype int8
passes 'the same sound' sound plain made
passes 'a pack for each' test "$(packs)" = $((n + 2))

# Of an adapter: what it changes is in the pack, and another one's, or the same one's with another scale, is another.
ADAPTER=$BOX/adapter
cp -rL "$GOLDEN/lora/plain" "$ADAPTER" && chmod -R u+w "$ADAPTER"
adapted() { # FOLDER RANKS options …
    ranks "$2" "$MG" generate --model "$GOLDEN/checkpoints/tiny-mono" --unconditional 1 --frames 20 --seed 3 --threads 1 \
        --tp "$2" -v --out "$BOX/$1" "${@:3}"
}
tuned() { adapted "$1" "$2" --lora "$ADAPTER" --dtype int8 "${@:3}"; }
for n in 1 2; do
    expect 0 '' "no adapter, $n ranks" adapted base "$n" --dtype int8 --pack-cache "$PACKS"
    expect 0 '' "an adapter, $n ranks, without a pack" tuned bare "$n"
    expect 0 'made in' "an adapter, $n ranks: made" tuned kept "$n" --pack-cache "$PACKS"
    expect 0 'MB in ' "an adapter, $n ranks: read" tuned again "$n" --pack-cache "$PACKS"
    passes 'the same sound' sound bare kept
    passes 'the same sound' sound bare again
    fails 'which the adapter changes' sound base again
done
sed -i 's/"lora_alpha": 16/"lora_alpha": 32/' "$ADAPTER/adapter_config.json"
expect 0 'made in' 'another scale' tuned other 1 --pack-cache "$PACKS"
fails 'another sound' sound again other
cp "$GOLDEN/lora/bin"/* "$ADAPTER" && rm "$ADAPTER/adapter_model.safetensors"
expect 0 'made in' 'another adapter in its place' tuned last 1 --pack-cache "$PACKS"
expect 0 '' 'without the cache' tuned bare 1
passes 'the same sound' sound bare last

# Where nothing can be written.
full() { # RANKS
    FAULT_PATH=$BOX/full FAULT_CALLS=write FAULT_ERRNO=28 ranks "$1" env LD_PRELOAD="$FAULTY" "$MG" generate --model "$MODEL" \
        --prompt 'happy chiptune, fast' --duration 0.4 --seed 3 --threads 1 --tp "$1" --dtype int8 --pack-cache "$BOX/full" \
        --out "$BOX/made"
}
once() { passes "$1" test "$(grep -c 'warning: pack cache' "$BOX/said")" = 1; }
for n in 1 2; do
    expect 0 'warning: pack cache: /proc/packs: cannot make the folder: .*; the run goes on without' "no folder, $n ranks" \
        make made "$n" --dtype int8 --pack-cache /proc/packs
    once 'said once'
    passes 'the same sound' sound plain made
    expect 0 'warning: pack cache: .*No space left.*; the run goes on without' "a full disk, $n ranks" full "$n"
    once 'said once'
    passes 'the same sound' sound plain made
    passes 'nothing is left' sh -c "! ls -A '$BOX/full' | grep -q ."
done

expect 0 'pack cache: .* MB made' 'a file system without locks' env LD_PRELOAD="$FAULTY" FAULT_PATH="$BOX/lockless" \
    FAULT_CALLS=lock FAULT_ERRNO=38 "$MG" generate --model "$MODEL" --prompt 'happy chiptune, fast' --duration 0.4 --seed 3 \
    --threads 1 --dtype int8 --pack-cache "$BOX/lockless" --out "$BOX/made"
fails 'without a warning' grep -q warning "$BOX/said"

# Of several replicas of a host one makes the packs, also where no locks say so: the other's disk is full.
expect 0 'pack cache: .* MB made' 'two replicas without locks' ranks 2 bash -c 'export FAULT_PATH=$0 FAULT_CALLS=lock FAULT_ERRNO=38
    [ "${OMPI_COMM_WORLD_RANK:-0}" = 0 ] || export FAULT_CALLS="lock write" FAULT_ERRNO=28
    LD_PRELOAD=$1 exec "${@:2}"' "$BOX/replicas" "$FAULTY" "$MG" generate --model "$MODEL" --prompt x --duration 0.4 --threads 1 \
    --tp 1 --dtype int8 --pack-cache "$BOX/replicas" --out "$BOX/made"
fails 'without a warning' grep -q warning "$BOX/said"

# Another process has made it before this one came to it.
touch "$BOX/hold"
FAULT_PATH=$BOX/late FAULT_CALLS=lock FAULT_HOLD=$BOX/hold LD_PRELOAD=$FAULTY make late 1 --dtype int8 --pack-cache "$BOX/late" \
    >"$BOX/said1" 2>&1 & first=$!
for _ in $(seq 600); do ls "$BOX/late" 2>/dev/null | grep -q 'lock$' && break; sleep 0.1; done
expect 0 'MB made' 'the first to be ready' make made 1 --dtype int8 --pack-cache "$BOX/late"
rm "$BOX/hold"
passes 'the second' wait $first
fails 'makes no pack again' grep -q 'MB made' "$BOX/said1"
passes 'the same sound' sound late made

# A disk that is slow.
slow() { # MILLISECONDS command …
    FAULT_PATH=$BOX/slow FAULT_CALLS=write FAULT_MS=$1 FAULT_COUNT=1 LD_PRELOAD=$FAULTY "${@:2}" --model "$MODEL" --prompt x \
        --duration 0.4 --dtype int8 --threads 1 --pack-cache "$BOX/slow" --out "$BOX/made"
}
expect 0 'made in' 'packs of two ranks' slow 0 ranks 2 "$MG" generate --tp 2
rm "$BOX/slow"/*-1of2-*.pack
expect 0 'made in' 'one that takes longer than ranks wait for each other' slow 8000 ranks 2 "$MG" generate --tp 2 --comm-timeout 4
expect 130 'stopped by SIGTERM' 'a signal ends the writing' slow 60000 timeout --preserve-status 4 "$MG" generate
passes 'and no pack is there' test "$(ls "$BOX/slow" | grep -c '1of1.*\.pack$')" = 0

# Several at once.
rm -rf "$PACKS"
kept one 1 --dtype int8 >"$BOX/said1" 2>&1 & first=$!
kept two 1 --dtype int8 >"$BOX/said2" 2>&1 & second=$!
passes 'two processes: one' wait $first
passes 'two processes: the other' wait $second
passes 'the same sound' sound plain one
passes 'the same sound' sound plain two
passes 'one pack' test "$(packs)" = 1
passes 'nothing half-written' tidy "$PACKS"
passes 'no lock is left' sh -c "! ls '$PACKS' | grep -q lock"

# Other places.
expect 0 'made in' 'in the model itself' make made 1 --dtype int8 --pack-cache model
passes 'a folder in it' test -n "$(ls "$MODEL"/mg-dist-packs/int8-*.pack)"
expect 0 'MB in' 'from there' env MGDIST_PACK_CACHE=model "$MG" generate --model "$MODEL" --prompt 'happy chiptune, fast' \
    --duration 0.4 --seed 3 --threads 1 --dtype int8 -v --out "$BOX/read"
passes 'the same sound' sound plain read
HUB=$BOX/hub/models--me--demo
mkdir -p "$HUB/refs" "$HUB/snapshots/abc"
cp -rL "$DEMO"/. "$HUB/snapshots/abc" && printf abc >"$HUB/refs/main"
expect 0 'made in' 'of a cached model' env HF_HUB_CACHE="$BOX/hub" "$MG" generate --model me/demo --prompt x --duration 0.1 \
    --threads 1 --pack-cache model --out "$BOX/cached"
passes 'beside its snapshots' test -n "$(ls "$HUB"/mg-dist-packs/*.pack)"
expect 0 'me/demo' 'the cache lists it as before' env HF_HUB_CACHE="$BOX/hub" "$MG" models

# What is there, and what is of no use any more.
export MGDIST_MANIFEST=$BOX/manifest.json HF_HUB_CACHE=$BOX/hub
packs_of() { "$MG" models packs "$@"; }
expect 0 'int8-.*-1of1-[0-9a-f]{16}\.pack +[0-9.]+ MB +int8 +.*/model +complete' 'a list of packs' packs_of --pack-cache "$PACKS"
passes 'of all that are there' test "$(grep -c '\.pack ' "$BOX/said")" = $(($(packs) + $(ls "$HUB"/mg-dist-packs/*.pack | wc -l)))
says 'with those of cached models' 'models--me--demo/mg-dist-packs$'
says 'by their ids' '\.pack .* me/demo +complete'
fails 'and no others' grep -q "$MODEL/mg-dist-packs" "$BOX/said"
"$MG" models add mine "$MODEL" 2>"$BOX/note"
expect 0 "$MODEL/mg-dist-packs" 'a key brings those of its model' env MGDIST_PACK_CACHE="$PACKS" "$MG" models packs
expect 0 '^[0-9]+ packs, [0-9.]+ MB$' 'all of use' packs_of
expect 0 'no such folder' 'a folder that is not there' packs_of --pack-cache "$BOX/nowhere"
expect 0 'MB made' 'one more' kept made 1 --dtype fp32
n=$(packs)
pack=$(ls "$PACKS"/int8-"$best"-1of1-*)
cp "$pack" "$PACKS/int8-$best-1of1-0000000000000000.pack"
head -c 5000 "$pack" >"$PACKS/int4-$best-1of2-${pack##*-}"
poke 8 '\0001'
echo mine >"$PACKS/pack-0123456789abcdef0123456789abcdef01234567.pack"
expect 0 'is stale: packs are of version 4 now, this one is of 1$' 'one of another version' packs_of --pack-cache "$PACKS"
says 'one that was cut short' 'int4-.* has 5000 bytes, too few$'
says 'one under a name of another' '-0000000000000000.* is a pack of other weights or settings$'
says 'are counted' '; 3, [0-9.]+ MB, of no use to this build: mg-dist models packs --prune removes them'
expect 0 '"usable": false' 'as JSON' packs_of --pack-cache "$PACKS" --json
passes 'which is whole' python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); f = {x["path"]: x["packs"] for x in d["folders"]}
p = f[sys.argv[2]]; assert [x["usable"] for x in p].count(False) == 3 and all(x["model"] for x in p if x["usable"])' "$BOX/said" "$PACKS"
passes 'nothing is removed unasked' test "$(packs)" = $((n + 3))
expect 0 '; 3, [0-9.]+ MB, removed' 'pruned' packs_of --pack-cache "$PACKS" --prune
passes 'the others stay, and what is not ours' test "$(packs)" = "$n" -a ! -e "$pack"
expect 0 'MB in' 'and are read' kept read 1 --dtype fp32
expect 2 'belongs to: models packs' 'only packs are pruned' "$MG" models list --prune
expect 2 'a word too many' 'packs takes no key' packs_of mine
unset MGDIST_MANIFEST HF_HUB_CACHE

expect 0 'pack cache: not used: layers stay outside' 'layers outside' kept outside 1 --dtype int8 --offload layers=2
passes 'the same sound' sound plain outside
finish
