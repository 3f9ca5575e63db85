#!/bin/bash
# The program's greedy clips against what transformers computed, on one rank and several.
#   golden.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3
POP='80s pop track with bassy drums and synth'

# make NP FOLDER CASE MODEL [options]: the clips of one golden case.
make_case() {
    local n=$1 out=$2 case=$3 model=$4
    shift 4
    local texts=(--prompt "$POP" --prompt 'slow sad piano' --prompt techno) how=(--cfg-coef 3 --frames 40)
    case $case in
    text_nocfg) how=(--cfg-coef 1 --frames 40) ;;
    single_cfg3)
        texts=(--prompt '90s rock song with loud guitars and heavy drums')
        how=(--max-new-tokens 63) # as transformers was asked: 60 frames and 3 columns of the delay pattern
        ;;
    uncond) texts=(--unconditional 2) ;;
    esac
    rm -rf "$out"
    ranks "$n" "$MG" generate -q --model "$model" --greedy --save-codes --format wav-f32 --strategy none --seed 1 --dtype fp32 \
        --out "$out" "${texts[@]}" "${how[@]}" "$@"
}

compare() { "$COMPARE" "$GOLDEN/hf/$1.safetensors" "$2" "$3" "$4" "$5"; }

# check NP REFERENCE MODEL [options]: all four cases, or those of MG_TEST_CASES.
check() {
    local n=$1 reference=$2 model=$3 case i
    shift 3
    for case in ${MG_TEST_CASES:-text_cfg3 text_nocfg single_cfg3 uncond}; do
        passes "$(basename "$model") $case on $n ranks: generate" make_case "$n" "$BOX/$case" "$case" "$model" "$@"
        for i in $(seq 0 $(($(ls "$BOX/$case"/*.wav | wc -l) - 1))); do
            passes "$(basename "$model") $case on $n ranks: clip $i is the reference's" \
                compare "$reference" "$case" "$i" "$BOX/$case/00000$i.codes.npy" "$BOX/$case/00000$i.wav"
        done
    done
}

n_ranks=${MG_TEST_RANKS:-1 2 4 8}
for n in $n_ranks; do check $n tiny-mono "$TINY"; done

# The comparison can fail: another item's codes, another item's sound, another case.
fails 'codes of another clip are told apart' \
    compare tiny-mono text_nocfg 0 "$BOX/text_nocfg/000001.codes.npy" "$BOX/text_nocfg/000000.wav"
fails 'sound of another clip is told apart' \
    compare tiny-mono text_nocfg 0 "$BOX/text_nocfg/000000.codes.npy" "$BOX/text_nocfg/000001.wav"
fails 'guidance makes a difference' \
    compare tiny-mono text_cfg3 0 "$BOX/text_nocfg/000000.codes.npy" "$BOX/text_nocfg/000000.wav"

for n in $n_ranks; do
    [ $n -le 2 ] && wanted forms || continue
    check $n tiny-mono "$GOLDEN/checkpoints/tiny-mono-sharded" --tokenizer "$GOLDEN/tokenizer"
    check $n tiny-mono "$GOLDEN/checkpoints/tiny-mono-fused-no-positions" --tokenizer "$GOLDEN/tokenizer/tokenizer.json"
    check $n tiny-variant "$GOLDEN/checkpoints/tiny-variant"
done
for level in scalar avx2; do
    wanted levels && [ -z "${MG_TEST_SANITIZED-}" ] || continue
    if "$MG" generate -q --model "$TINY" --unconditional 1 --frames 1 --cpu-level $level --out "$BOX/level" >/dev/null 2>&1; then
        check 1 tiny-mono "$TINY" --cpu-level $level
    else
        skipped "--cpu-level $level: not on this machine"
    fi
done
names=$TESTS/../../shared/golden/checkpoints/tiny-mono-param-names
if ! wanted names; then
    :
elif [ -d "$names" ]; then
    check 2 tiny-mono "$names" --tokenizer "$GOLDEN/tokenizer/spiece.model"
else
    skipped "$names not found"
fi

finish
