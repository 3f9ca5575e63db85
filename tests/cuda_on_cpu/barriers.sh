#!/bin/sh
# barriers.sh SOURCE… -- PROGRAM…: takes out the barriers of the sources, one after the other. Each must be noticed:
# one of the programs fails. What nobody misses is not needed and should be deleted, or is not tested.
# A program that fails with all barriers in place proves nothing, nor does one that is still running after 400 s.
# A __syncthreads() that a source's comment calls "kept: WHY" on its line is passed over.
set -u
sources=
while [ "$1" != -- ]; do sources="$sources $1"; shift; done
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT
n=0 missed=0
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS-}"

for program; do
    CUDA_ON_CPU=asc timeout 400 "$program" >"$out" 2>&1
    code=$?
    if [ $code -ne 0 ] && [ $code -ne 124 ]; then
        echo "barriers: $(basename "$program") fails with all barriers in place"
        cat "$out"
        exit 1
    fi
done

for at in $(grep -nE '^ *__sync(threads|warp)\(\);' $sources /dev/null | grep -v 'kept:' | cut -d: -f1,2); do
    n=$((n + 1)) noticed=
    for order in asc desc; do # what another thread is to read is written before it comes, or behind it
        for program; do
            CUDA_ON_CPU="$order,mute=$(basename "${at%:*}"):${at##*:}" timeout 400 "$program" >"$out" 2>&1
            code=$?
            if [ $code -eq 0 ] || [ $code -eq 124 ]; then continue; fi
            noticed=$(basename "$program")
            break 2
        done
    done
    if [ -n "$noticed" ]; then
        echo "$(basename "$at"): noticed by $noticed: $(grep -m1 -oE 'data race|cuda_on_cpu: .*|FAILED' "$out")"
    else
        missed=$((missed + 1))
        echo "$(basename "$at"): nobody misses this barrier"
    fi
done
echo "barriers: $n taken out, $missed not noticed"
[ $n -gt 0 ] && [ $missed -eq 0 ]
