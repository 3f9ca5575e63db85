#!/bin/sh
# mute.sh PROGRAM SOURCE WORD: takes out the barriers of the kernel named WORD in SOURCE, one after the other;
# each must be noticed (PROGRAM WORD fails), or it is not needed and should be deleted.
set -eu
program=$1 source=$2 word=$3
lines=$(awk -v word="$word" '$0 ~ "__global__ void " word "\\(" { inside = 1 } /^}/ { inside = 0 }
    inside && /__syncthreads\(\)/ { print FNR }' "$source")
[ -n "$lines" ] || { echo "mute: no barrier in $word of $source"; exit 1; }
CUDA_ON_CPU=asc "$program" "$word" >/dev/null || { echo "mute: fails with all barriers in place"; exit 1; }
for line in $lines; do
    if CUDA_ON_CPU="asc,mute=$(basename "$source"):$line" "$program" "$word" >/dev/null 2>&1; then
        echo "mute: $source:$line: nobody misses this barrier"
        exit 1
    fi
done
