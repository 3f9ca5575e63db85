#!/bin/bash
# A model whose text encoder, codec and tokenizer come from other folders.
#   parts.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3

OTHER=$GOLDEN/checkpoints/tiny-variant

generate() {
    local n=$1
    shift
    ranks "$n" "$MG" generate -q --model "$TINY" --prompt '90s rock song with loud guitars and heavy drums' --frames 60 \
        --greedy --seed 1 --save-codes --format wav-f32 --strategy none --out "$BOX/out" "$@"
}

cp -r "$TINY" "$BOX/whole" # gives its text encoder only

for n in 1 2; do
    rm -rf "$BOX/out"
    expect 0 '000000.wav' "text encoder, codec and tokenizer from elsewhere ($n ranks)" \
        generate $n --text-encoder "$BOX/whole" --codec "$GOLDEN/checkpoints/encodec-hf" --tokenizer "$GOLDEN/tokenizer"
    passes "the clip is the reference's ($n ranks)" "$COMPARE" "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3 0 \
        "$BOX/out/000000.codes.npy" "$BOX/out/000000.wav"
done
passes 'metadata: every weight file has its hash' test "$(grep -c '"sha256"' "$BOX/out/000000.json")" = 3
passes 'metadata: where the parts came from' grep -q "\"text_encoder\":[[:space:]]*\"$BOX/whole\"" "$BOX/out/000000.json"

expect 4 'text encoder: .*: states of width 256, the language model reads 64' 'a text encoder of another width' \
    generate 1 --text-encoder "$OTHER"
expect 4 'codec: .*: codebooks of 128 entries, the language model writes 64' 'a codec of another size' \
    generate 1 --codec "$OTHER"
expect 4 'codec: .*: makes sound of 16000 Hz, the language model .*tiny-mono was made for 32000' 'a codec of another rate' \
    generate 1 --codec "$GOLDEN/checkpoints/ac-audiogen"
expect 1 'nowhere: no such file or folder' 'a part that is not there' generate 1 --text-encoder "$BOX/nowhere"
finish
