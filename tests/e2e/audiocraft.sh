#!/bin/bash
# AudioCraft's own checkpoints, alone and with parts from elsewhere, against what AudioCraft computed.
#   audiocraft.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3
SHARED=$TESTS/../../shared/golden
MONO=$GOLDEN/checkpoints/ac-mono
POP='80s pop track with bassy drums and synth'

# make_case NP CASE options: the clips of one golden case, to $BOX/CASE.
make_case() {
    local n=$1 case=$2 texts
    shift 2
    case $case in
    text_cfg3_alone_0) texts=(--prompt "$POP") ;;
    text_cfg3_alone_1) texts=(--prompt 'slow sad piano') ;;
    uncond) texts=(--unconditional 2) ;;
    esac
    rm -rf "$BOX/$case"
    ranks "$n" "$MG" generate -q --greedy --save-codes --format wav-f32 --strategy none --seed 1 --frames 60 \
        --out "$BOX/$case" "${texts[@]}" "$@"
}
compare() { "$COMPARE" "$1" "$2" "$3" "$BOX/$2/00000$3.codes.npy" "$BOX/$2/00000$3.wav"; }
# check NP GOLDEN-FILE "CASES" options
check() {
    local n=$1 golden=$2 cases=$3 case i name
    name=$(basename "$golden" .safetensors)
    shift 3
    for case in $cases; do
        passes "$name $case on $n rank(s): generate" make_case "$n" "$case" "$@"
        for i in 0 1; do
            [ -e "$BOX/$case/00000$i.wav" ] || [ "$i" = 0 ] || continue
            passes "$name $case on $n rank(s): clip $i is the reference's" compare "$golden" "$case" "$i"
        done
    done
}
ALL='text_cfg3_alone_0 text_cfg3_alone_1 uncond'
T5=(--text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer")

for n in ${MG_TEST_RANKS:-1 2 4}; do check $n "$GOLDEN/audiocraft/ac-mono.safetensors" "$ALL" --model "$MONO" "${T5[@]}"; done
metadata=$BOX/text_cfg3_alone_0/000000.json
passes 'the metadata says which form' grep -q '"form":[[:space:]]*"AudioCraft"' "$metadata"
passes 'the metadata has the hashes of three files' test "$(grep -c '"sha256"' "$metadata")" = 3
passes 'no proposal was applied' grep -q '"applied_proposals":[[:space:]]*\[\]' "$metadata"
fails 'another text is told apart' "$COMPARE" "$GOLDEN/audiocraft/ac-mono.safetensors" text_cfg3_alone_1 0 \
    "$BOX/text_cfg3_alone_0/000000.codes.npy" "$BOX/text_cfg3_alone_0/000000.wav"

# Both texts in one batch, of unequal length: each as if alone.
passes 'two texts in one batch: generate' ranks 1 "$MG" generate -q --greedy --save-codes --format wav-f32 --strategy none \
    --seed 1 --frames 60 --out "$BOX/both" --prompt "$POP" --prompt 'slow sad piano' --model "$MONO" "${T5[@]}"
for i in 0 1; do
    passes "two texts in one batch: clip $i is the reference's" "$COMPARE" "$GOLDEN/audiocraft/ac-mono.safetensors" \
        text_cfg3_alone_$i 0 "$BOX/both/00000$i.codes.npy" "$BOX/both/00000$i.wav"
done
# The same 60 frames as a duration: int(1.2 * 50).
passes 'a duration: generate' make_case 1 uncond --model "$MONO" --frames 60
passes 'the files by themselves' make_case 1 uncond --lm "$MONO/state_dict.bin" --codec "$MONO/compression_state_dict.bin"
passes 'the files by themselves are the reference' compare "$GOLDEN/audiocraft/ac-mono.safetensors" uncond 1
passes 'the language model alone finds the codec beside it' make_case 1 uncond --lm "$MONO/state_dict.bin"

# Three folders put together: AudioCraft's language model, a T5, Hugging Face's EnCodec (which pads by reflection).
for codec in "$GOLDEN/checkpoints/encodec-hf" "$GOLDEN/checkpoints/encodec-hf/pytorch_model.bin"; do
    check 2 "$GOLDEN/mixed.safetensors" uncond --lm "$MONO" --codec "$codec" --text-encoder "$GOLDEN/t5-tiny"
done
fails 'the codecs pad differently' compare "$GOLDEN/audiocraft/ac-mono.safetensors" uncond 0

# A whole MusicGen that gives a part of itself.
rm -rf "$BOX/single_cfg3"
passes 'parts of another whole model: generate' ranks 1 "$MG" generate -q --lm "$GOLDEN/checkpoints/tiny-mono-sharded" \
    --text-encoder "$TINY" --codec "$GOLDEN/checkpoints/tiny-mono-fused-no-positions" --greedy --save-codes --format wav-f32 \
    --strategy none --seed 1 --frames 60 --out "$BOX/single_cfg3" --prompt '90s rock song with loud guitars and heavy drums'
passes 'parts of another whole model: the reference' compare "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3 0

# Whole and sharded torch files of Hugging Face's.
for form in tiny-mono-bin tiny-mono-bin-sharded tiny-mono-legacy-bin; do
    model=$GOLDEN/checkpoints/$form
    [ -d "$model" ] || model=$SHARED/checkpoints/$form
    if [ ! -d "$model" ]; then
        skipped "$model not found"
        continue
    fi
    for n in 1 2; do
        rm -rf "$BOX/single_cfg3"
        passes "$form on $n rank(s): generate" ranks $n "$MG" generate -q --model "$model" --tokenizer "$GOLDEN/tokenizer" \
            --greedy --save-codes --format wav-f32 --strategy none --seed 1 --frames 60 --out "$BOX/single_cfg3" \
            --prompt '90s rock song with loud guitars and heavy drums'
        passes "$form on $n rank(s): the reference's" compare "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3 0
    done
done

# AudioGen: 16 kHz.
for n in 1 2; do
    check $n "$GOLDEN/audiocraft/ac-audiogen.safetensors" "$ALL" --model "$GOLDEN/checkpoints/ac-audiogen" "${T5[@]}"
done
expect 4 'codec: .*: makes sound of 32000 Hz, the language model .* was made for 16000' 'a codec of another rate' \
    make_case 1 uncond --model "$GOLDEN/checkpoints/ac-audiogen" --codec "$MONO/compression_state_dict.bin"

# What is not there.
export HF_HUB_CACHE=$BOX/hub
expect 1 'text encoder: .*asks for t5-base.*or give --text-encoder.*hub/models--t5-base.*hf download google-t5/t5-base' \
    'AudioCraft'"'"'s text encoder is looked for by name' make_case 1 text_cfg3_alone_0 --model "$MONO"
expect 1 'no tokenizer' 'without a tokenizer' make_case 1 text_cfg3_alone_0 --model "$MONO" --text-encoder "$GOLDEN/t5-tiny"
expect 1 'codec: .*compression_state_dict.bin points to facebook/encodec_32khz.*or give --codec.*hub/models--facebook--encodec_32khz' \
    'the codec pointer is looked up' make_case 1 uncond --model "$MONO" --codec "$GOLDEN/checkpoints/ac-pointer"
expect 4 'is a codec, not a language model' 'a codec for a language model' \
    make_case 1 uncond --lm "$MONO/compression_state_dict.bin"
expect 4 'is a language model, not a codec' 'a language model for a codec' \
    make_case 1 uncond --model "$MONO" --codec "$MONO/state_dict.bin"
finish
