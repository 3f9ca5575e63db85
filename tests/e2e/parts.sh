#!/bin/bash
# A model whose text encoder, codec and tokenizer lie in folders of their own.
#   parts.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3

# part MODEL KEY FOLDER: KEY's config and tensors of a whole checkpoint as a folder of its own. The prefix of the
# names becomes white space, so that the header keeps its length.
part() {
    mkdir -p "$3"
    sed -n "/^  \"$2\": {/,/^  },\{0,1\}\$/p" "$1/config.json" | sed '1s/.*/{/; $s/.*/}/' >"$3/config.json"
    LC_ALL=C sed "s/\"$2\\./$(printf "%${#2}s") \"/g" "$1/model.safetensors" >"$3/model.safetensors"
}
part "$TINY" text_encoder "$BOX/t5"
part "$TINY" audio_encoder "$BOX/codec"
part "$GOLDEN/checkpoints/tiny-variant" text_encoder "$BOX/other-t5"
part "$GOLDEN/checkpoints/tiny-variant" audio_encoder "$BOX/other-codec"
cp "$GOLDEN/tokenizer/"* "$BOX/t5"

# The model keeps its config, and loses the tensors of both parts.
mkdir "$BOX/lm"
cp "$TINY/config.json" "$BOX/lm"
LC_ALL=C sed 's/"text_encoder\./"lost_encoder./g; s/"audio_encoder\./"waste_encoder./g' "$TINY/model.safetensors" \
    >"$BOX/lm/model.safetensors"

generate() {
    local n=$1
    shift
    ranks "$n" "$MG" generate -q --model "$BOX/lm" --prompt '90s rock song with loud guitars and heavy drums' --frames 60 \
        --greedy --seed 1 --save-codes --format wav-f32 --strategy none --out "$BOX/out" "$@"
}

for n in 1 2; do
    rm -rf "$BOX/out"
    expect 0 '000000.wav' "text encoder, codec and tokenizer of their own ($n ranks)" \
        generate $n --text-encoder "$BOX/t5" --codec "$BOX/codec"
    passes "the clip is the reference's ($n ranks)" "$COMPARE" "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3 0 \
        "$BOX/out/000000.codes.npy" "$BOX/out/000000.wav"
done
passes 'metadata: every weight file has its hash' test "$(grep -c '"sha256"' "$BOX/out/000000.json")" = 3
passes 'metadata: where the parts came from' grep -q "\"text_encoder\":[[:space:]]*\"$BOX/t5\"" "$BOX/out/000000.json"

expect 4 'text_encoder.shared.weight: missing' 'without the text encoder' generate 1 --codec "$BOX/codec" --tokenizer "$TINY"
expect 4 'audio_encoder.* missing' 'without the codec' generate 1 --text-encoder "$BOX/t5"
expect 4 'text encoder: .*: states of width 256, the language model reads 64' 'a text encoder of another width' \
    generate 1 --text-encoder "$BOX/other-t5" --codec "$BOX/codec" --tokenizer "$TINY"
expect 4 'codec: .*: codebooks of 128 entries, the language model writes 64' 'a codec of another size' \
    generate 1 --text-encoder "$BOX/t5" --codec "$BOX/other-codec"
expect 1 'nowhere/config.json: cannot open' 'a part that is not there' generate 1 --text-encoder "$BOX/nowhere"
finish
