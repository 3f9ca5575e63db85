#!/bin/bash
# The promise: the same model, prompt and seed give the same bytes, however the work is cut.
#   same_bytes.sh MG-DIST TESTS-FOLDER
# One reference run a number format; every other run differs from it in ranks, --tp, --batch, --threads or company.
. "$(dirname "$0")/lib.sh" "$1" "$2"

TEXTS=(--prompt '80s pop track with bassy drums and synth' --prompt 'slow sad piano' --prompt '' --prompt techno
    --unconditional 1)

# make NP FOLDER options …
make_clips() {
    local n=$1 out=$2
    shift 2
    ranks "$n" "$MG" generate -q --model "$TINY" --save-codes --frames 40 --seed 1234567890123 --out "$out" "$@" \
        >/dev/null
}

# variant NAME NP options …: the reference's bytes again.
variant() {
    local name=$1 n=$2
    shift 2
    rm -rf "$BOX/other"
    make_clips "$n" "$BOX/other" "${TEXTS[@]}" "${how[@]}" "$@" 2>"$BOX/said" || sed 's/^/# /' "$BOX/said"
    same "$how_name: $name" "$BOX/reference" "$BOX/other"
}

# alone I SEED options …: clip I without its company.
alone() {
    local i=$1 seed=$2
    shift 2
    rm -rf "$BOX/other"
    make_clips 1 "$BOX/other" "${how[@]}" "$@" --seed "$seed"
    for kind in wav codes.npy; do
        passes "$how_name: clip $i alone, with its own seed: $kind" \
            cmp "$BOX/reference/00000$i.$kind" "$BOX/other/000000.$kind"
    done
}

# up_to_4 NAME options …: the reference, and what a model of 4 heads can be cut into.
up_to_4() {
    how_name=$1
    shift
    how=("$@")
    rm -rf "$BOX/reference"
    passes "$how_name: the reference run" make_clips 1 "$BOX/reference" "${TEXTS[@]}" "${how[@]}" --threads 1
    variant '1 rank, batch 3, 2 threads' 1 --batch 3 --threads 2
    variant '2 ranks, tp 2, batch 1' 2 --batch 1 --threads 1
    variant '2 replicas of 2, batch 2' 4 --tp 2 --batch 2 --threads 1
    variant '4 ranks, tp 4' 4 --threads 1
    alone 1 1234567890124 --prompt 'slow sad piano'
}

# matrix all|some NAME options …: every size of group, batch and threads; in `some` not each with each.
matrix() {
    local which=$1
    shift
    up_to_4 "$@"
    variant '8 ranks, tp 8, batch 3' 8 --batch 3 --threads 1
    alone 4 1234567890127 --prompt ''
    [ "$which" = all ] || [ -n "${MG_TEST_LONG-}" ] || return 0
    for threads in 1 2 4; do variant "1 rank, batch 1, $threads threads" 1 --batch 1 --threads $threads; done
    for threads in 1 4; do variant "1 rank, batch 3, $threads threads" 1 --batch 3 --threads $threads; done
    variant '2 ranks, tp 2, batch 3, 2 threads' 2 --batch 3 --threads 2
    variant '2 replicas' 2 --tp 1 --threads 1
    variant '2 replicas of 4, batch 1' 8 --tp 4 --batch 1 --threads 1
    alone 0 1234567890123 --prompt '80s pop track with bassy drums and synth'
    alone 2 1234567890125 --unconditional 1 # an empty prompt is a clip without text
}

matrix all 'fp32, sampled' --dtype fp32
matrix some 'bf16, sampled' --dtype bf16
matrix some 'int8, sampled' --dtype int8
matrix some 'fp16, top-p, cfg 5' --dtype fp16 --top-p 0.9 --cfg-coef 5 --temperature 1.3

# The test can fail: these must not be the same bytes.
how_name=other
make_clips 1 "$BOX/seed" "${TEXTS[@]}" --dtype fp32 --seed 5
make_clips 1 "$BOX/fp32" "${TEXTS[@]}" --dtype fp32
make_clips 1 "$BOX/bf16" "${TEXTS[@]}" --dtype bf16
fails 'another seed gives other sound' cmp "$BOX/seed/000000.wav" "$BOX/fp32/000000.wav"
make_clips 1 "$BOX/int8" "${TEXTS[@]}" --dtype int8
fails 'int8 gives other sound than bf16' cmp "$BOX/int8/000000.wav" "$BOX/bf16/000000.wav"
fails 'bf16 gives other sound than fp32' cmp "$BOX/bf16/000000.wav" "$BOX/fp32/000000.wav"

# 4 bits need a wider model, which has 4 heads.
TINY=$DEMO
up_to_4 'int4, sampled' --dtype int4
make_clips 1 "$BOX/demo-int8" "${TEXTS[@]}" --dtype int8
fails 'int4 gives other sound than int8' cmp "$BOX/reference/000000.wav" "$BOX/demo-int8/000000.wav"
finish
