#!/bin/bash
# Training checkpoints become what AudioCraft's own exporter made of them.   export.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
unset MGDIST_OVERWRITE
COMPARE=$(dirname "$3")/compare_torch
TRAINING=$GOLDEN/checkpoints/ac-mono-training
MONO=$GOLDEN/checkpoints/ac-mono
POINTER=$GOLDEN/checkpoints/ac-pointer/compression_state_dict.bin

expect 0 'the language model, 36 tensors' 'a language model is exported into a folder, which is made' \
    "$MG" export "$TRAINING/checkpoint.th" "$BOX/model/"
passes 'it holds what AudioCraft exported, bit for bit' "$COMPARE" "$BOX/model/state_dict.bin" "$MONO/state_dict.bin"
expect 0 'the codec, 116 tensors' 'its codec goes beside it' "$MG" export "$TRAINING/codec_checkpoint.th" "$BOX/model"
passes 'and is the same too' "$COMPARE" "$BOX/model/compression_state_dict.bin" "$MONO/compression_state_dict.bin"
fails 'the comparison sees a difference' "$COMPARE" "$BOX/model/state_dict.bin" "$MONO/compression_state_dict.bin"
cp "$BOX/model/state_dict.bin" "$BOX/bent.bin"
printf '\377\377\377\377' | dd of="$BOX/bent.bin" bs=1 seek=500000 conv=notrunc 2>/dev/null
fails 'even one of four bytes' "$COMPARE" "$BOX/bent.bin" "$MONO/state_dict.bin"

expect 0 'a pointer to facebook/encodec_32khz' 'a codec that is only a name' \
    "$MG" export --pointer facebook/encodec_32khz "$BOX/pointer.bin"
passes 'as AudioCraft writes it' "$COMPARE" "$BOX/pointer.bin" "$POINTER"
expect 0 'the language model' 'an export is exported again' "$MG" export "$MONO/state_dict.bin" "$BOX/again.bin"
passes 'and stays what it was' "$COMPARE" "$BOX/again.bin" "$MONO/state_dict.bin"
expect 0 'the language model' 'another version string' \
    "$MG" export --version-string 9.9 "$TRAINING/checkpoint.th" "$BOX/other.bin"
passes 'stands in the file' grep -q '9\.9' "$BOX/other.bin"
passes 'two ranks write one file' ranks 2 "$MG" export "$TRAINING/checkpoint.th" "$BOX/two.bin"
passes 'the same one' cmp "$BOX/two.bin" "$BOX/model/state_dict.bin"

# wrong CODE PATTERN SENTENCE arguments: refused, and nothing is written.
wrong() {
    local code=$1 pattern=$2 sentence=$3
    shift 3
    mkdir -p "$BOX/empty"
    expect "$code" "^mg-dist: error: .*$pattern" "$sentence" "$MG" export "$@"
    passes "$sentence: one line" test "$(wc -l <"$BOX/said")" = 1
    passes "$sentence: nothing is written" test -z "$(ls -A "$BOX/empty")"
}
cp "$TRAINING/checkpoint.th" "$BOX/checkpoint.th.1"
head -c 1000000 "$TRAINING/checkpoint.th" >"$BOX/short.th"
wrong 4 'is a language model and holds no codec, so it cannot become compression_state_dict.bin' \
    'a language model is no codec' "$TRAINING/checkpoint.th" "$BOX/empty/compression_state_dict.bin"
wrong 4 'is a codec, so it cannot become state_dict.bin' 'a codec is no language model' \
    "$TRAINING/codec_checkpoint.th" "$BOX/empty/state_dict.bin"
wrong 4 "is one rank's shard" 'a shard is not the whole' "$BOX/checkpoint.th.1" "$BOX/empty/x.bin"
wrong 4 'has no xp.cfg' 'a Hugging Face file is no training checkpoint' \
    "$GOLDEN/checkpoints/tiny-mono-bin/pytorch_model.bin" "$BOX/empty/x.bin"
wrong 4 'is a pointer to facebook/encodec_32khz already' 'a pointer is exported already' "$POINTER" "$BOX/empty/x.bin"
wrong 4 'short.th: ' 'half a file' "$BOX/short.th" "$BOX/empty/x.bin"
wrong 1 'no-such.th: ' 'no file' "$BOX/no-such.th" "$BOX/empty/x.bin"
wrong 2 'is the checkpoint itself' 'over itself' "$BOX/again.bin" "$BOX/again.bin"
cp "$BOX/again.bin" "$BOX/there.bin"
wrong 2 'there.bin: is there already; give --overwrite or another OUT' 'nothing is replaced' \
    "$TRAINING/codec_checkpoint.th" "$BOX/there.bin"
wrong 2 'there.bin: is there already; give --overwrite or another OUT' 'not by a pointer' --pointer x/y "$BOX/there.bin"
passes 'nothing was' cmp "$BOX/again.bin" "$BOX/there.bin"
expect 0 'there.bin: the codec' 'but by --overwrite' "$MG" export --overwrite "$TRAINING/codec_checkpoint.th" "$BOX/there.bin"
wrong 2 'OUT: missing' 'no OUT' "$TRAINING/checkpoint.th"
wrong 2 'takes only OUT beside the name' 'a pointer of a checkpoint' --pointer x/y "$TRAINING/checkpoint.th" "$BOX/empty/x"
wrong 2 'only by an id' 'a pointer to nothing' --pointer '' "$BOX/empty/x.bin"
wrong 2 'only by an id' 'a pointer without an owner' --pointer encodec_32khz "$BOX/empty/x.bin"
wrong 2 'only by an id' 'a pointer to a URL' --pointer https://example.org/codec "$BOX/empty/x.bin"
wrong 2 'is a path' 'a pointer to a path' --pointer "$MONO" "$BOX/empty/x.bin"
expect 1 'cannot write' 'a full disk' bash -c 'ulimit -f 512; exec "$@"' limited \
    "$MG" export "$TRAINING/checkpoint.th" "$BOX/empty/x.bin"
passes 'a full disk leaves nothing behind' test -z "$(ls -A "$BOX/empty")"
passes 'no temporary file is left' tidy "$BOX"
finish
