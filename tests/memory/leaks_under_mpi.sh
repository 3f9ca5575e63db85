#!/bin/sh
# Two ranks make a clip in the AddressSanitizer build, which reports leaks but Open MPI's own (asan_defaults.c); and
# a program that leaks is caught.   leaks_under_mpi.sh MG-DIST LEAKY GOLDEN
set -eu
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
on_two_ranks() { timeout -k 5 90 mpirun --oversubscribe --bind-to none --mca btl self,vader -np 2 "$@"; }

on_two_ranks "$1" generate --model "$3/checkpoints/tiny-mono" --prompt "slow sad piano" --unconditional 1 --frames 6 --seed 7 \
    --out "$box"
test -s "$box/000000.wav"
test -s "$box/000001.wav"

if on_two_ranks "$2" >"$box/said" 2>&1 || ! grep -q '777 byte' "$box/said"; then
    echo "FAILED: a leak of 777 bytes was not seen"
    cat "$box/said"
    exit 1
fi
