#!/bin/bash
# nccl.sh PROGRAM CASE REDUCE: one rank of four goes wrong; the others end in time, with one cause and exit code 6.
set -u
program=$1 case=$2 reduce=$3
out=$(mktemp)
trap 'rm -f "$out"' EXIT
[ "$case" = fail ] && export NCCL_ON_CPU=fail:5
start=$SECONDS
timeout -k 5 40 mpirun -np 4 "$program" "$case" "$reduce" >"$out" 2>&1
code=$?
took=$((SECONDS - start))

fail() {
    echo "FAILED: $case $reduce: $1 (code $code, $took s)"
    cat "$out"
    exit 1
}

[ $took -lt 30 ] || fail "took too long"
case $case in
kill) [ $code -eq 137 ] || [ $code -eq 6 ] || fail "exit code"
    grep -q 'status 6' "$out" || grep -q 'signal 9' "$out" || fail "nobody says why" ;;
freeze) [ $code -eq 6 ] || fail "exit code"
    grep -Eq 'status 6: .*waited 2 s' "$out" || fail "no message of the wait"
    [ "$(grep -c 'status 6: ' "$out")" -eq 1 ] || fail "not one message"
    [ "$reduce" = nccl ] || grep -Eq 'status 6: all_reduce: waited 2 s for rank 1' "$out" || fail "rank or call not named" ;;
fail) [ $code -eq 6 ] || fail "exit code"
    grep -q 'NCCL: remote process exited; is NCCL_SOCKET_IFNAME' "$out" || fail "no message of NCCL's" ;;
esac
