#!/bin/bash
# doctor.sh MG-DIST: one verdict a line, exit 0 only if a run would work, and it always ends.
set -u
program=$1
here=$(cd "$(dirname "$0")" && pwd)
model=$here/../golden/checkpoints/tiny-mono
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# look WANTED_CODE WANTED_LINE COMMAND…
look() {
    local want=$1 line=$2 code
    shift 2
    timeout 60 "$@" >"$out" 2>&1
    code=$?
    if [ $code -ne "$want" ] || ! grep -Eq "$line" "$out"; then
        echo "FAILED: $*: code $code, wanted $want and a line '$line'"
        cat "$out"
        exit 1
    fi
}

look 0 '^ok    a run would work$' "$program" doctor --device cpu
[ -z "$(grep -Ev '^(ok  |note|BAD )  ' "$out")" ] || { echo "FAILED: a line without a verdict"; cat "$out"; exit 1; }
look 0 'a clip of 30 s fits in fp32: ' "$program" doctor --device cpu --model "$model"
look 5 '^BAD   .*no-such-model' "$program" doctor --device cpu --model no-such-model
grep -q '^BAD   a run would not work as asked' "$out" || { echo "FAILED: no last verdict"; cat "$out"; exit 1; }
NCCL_P2P_DISABLE=1 look 0 '^ok    environment: .*NCCL_P2P_DISABLE=1' "$program" doctor --device cpu

# A fault of several lines is several verdicts. A group that the model's heads forbid was not asked for, and is none.
bad=$(mktemp -d)
trap 'rm -rf "$out" "$bad"' EXIT
cp "$model"/* "$bad"
sed -i 's/"hidden_size": [0-9]*/"hidden_size": 24/; s/"num_hidden_layers": [0-9]*/"num_hidden_layers": 9/' "$bad/config.json"
look 5 '^BAD  ' "$program" doctor --device cpu --model "$bad"
[ -z "$(grep -Ev '^(ok  |note|BAD )  ' "$out")" ] || { echo "FAILED: a line without a verdict"; cat "$out"; exit 1; }
grep -F '\n' "$out" && { echo "FAILED: lines in one"; exit 1; }
look 0 'a run would work' mpirun --oversubscribe -np 8 "$program" doctor --device cpu --model "$here/../../models/mg-demo"
look 0 'sum of 8 KiB over 2 ranks by [a-z]+: right' mpirun -np 2 "$program" doctor --device cpu --tp 2
if [ "$(nproc)" -gt 1 ]; then # mpirun binds one or two ranks to a core each
    look 0 'threads: [0-9]+ of the [0-9]+ processors of this host stay idle: .*mpirun --bind-to none' \
        mpirun -np 1 --bind-to core "$program" doctor --device cpu
    look 0 'a run would work' mpirun -np 1 --bind-to none "$program" doctor --device cpu
    grep -q 'stay idle' "$out" && { echo "FAILED: idle processors where there are none"; cat "$out"; exit 1; }
else
    echo "SKIPPED: one processor: none can stay idle"
fi
CUDA_VISIBLE_DEVICES= look 5 '(BAD  |error).*cuda' mpirun -np 2 "$program" doctor --device cuda
