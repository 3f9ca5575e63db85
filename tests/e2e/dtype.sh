#!/bin/bash
# What --dtype auto chooses: what the checkpoint holds, at each level; the plain level reads fp32 alone. The sound is that of
# the format by its name.   dtype.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

make() { # FOLDER MODEL options …
    local out=$1 model=$2
    shift 2
    "$MG" generate --model "$model" --prompt x --frames 8 --seed 1 --threads 1 --out "$BOX/$out" "$@"
}
levels=scalar
case $(uname -m) in
x86_64) levels+=$(grep -qw avx2 /proc/cpuinfo && echo ' avx2')$(grep -qw avx512bw /proc/cpuinfo && echo ' avx512 amx') ;;
aarch64) levels+=' neon' ;;
esac
for stored in fp32 fp16 bf16; do
    expect 0 '' "a checkpoint in $stored" "$MG" convert "$TINY" "$BOX/$stored" --dtype "$stored"
    for level in $levels; do
        if [ "$level" = scalar ]; then chosen=fp32 as=fp32; else chosen=$stored as="$stored as stored"; fi
        expect 0 "plan: .*; $as on cpu/$level;" "$stored at $level: $as" make "$stored-$level" "$BOX/$stored" --cpu-level "$level"
        expect 0 "plan: .*; $chosen on cpu/$level;" "$chosen by its name" make "$stored-$level-named" "$BOX/$stored" --cpu-level "$level" --dtype "$chosen"
        passes 'the same sound' cmp "$BOX/$stored-$level/000000.wav" "$BOX/$stored-$level-named/000000.wav"
        passes 'its format is recorded' grep -q "\"dtype\":[[:space:]]*\"$chosen\"" "$BOX/$stored-$level/000000.json"
    done
done
finish
