#!/bin/sh
# A short generation, sampled and guided, under valgrind: no error, no leak.   under_valgrind.sh MG-DIST GOLDEN
set -eu
if ! command -v valgrind >/dev/null; then
    echo "SKIPPED: valgrind not found (make check installs it)"
    exit 77
fi
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --suppressions="$(dirname "$0")/valgrind.supp" \
    "$1" generate --model "$2/checkpoints/tiny-mono" --prompt "slow sad piano" --unconditional 1 --frames 6 --seed 7 \
    --cpu-level scalar --threads 2 --save-codes --out "$box"
test -s "$box/000000.wav"
test -s "$box/000001.codes.npy"
