#!/bin/bash
# Models by name: Hugging Face's cache, AudioCraft's pointer and T5 through it, and the manifest's keys.
#   names.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3
export HF_HUB_CACHE=$BOX/hub MGDIST_MANIFEST=$BOX/config/models_manifest.json
unset AUDIOCRAFT_CACHE_DIR

# cached OWNER--NAME FOLDER …: the folders' files as a model of the cache, blobs named by SHA-256.
cached() {
    local repo=$HF_HUB_CACHE/models--$1 commit=0123456789abcdef0123456789abcdef01234567 f hash
    shift
    mkdir -p "$repo/blobs" "$repo/refs" "$repo/snapshots/$commit"
    printf %s "$commit" >"$repo/refs/main"
    for f in $(find -L "$@" -maxdepth 1 -type f); do
        hash=$(sha256sum "$f" | cut -c 1-64)
        cp "$f" "$repo/blobs/$hash"
        ln -sf "../../blobs/$hash" "$repo/snapshots/$commit/$(basename "$f")"
    done
}
generate() { # options: 60 greedy frames
    rm -rf "$BOX/out"
    ranks 1 "$MG" generate -q --greedy --save-codes --format wav-f32 --strategy none --seed 1 --frames 60 --out "$BOX/out" "$@"
}
compare() { "$COMPARE" "$1" "$2" 0 "$BOX/out/000000.codes.npy" "$BOX/out/000000.wav"; }
ROCK=(--prompt '90s rock song with loud guitars and heavy drums')
snapshot() { echo "$HF_HUB_CACHE/models--$1/snapshots/0123456789abcdef0123456789abcdef01234567"; }

expect 1 'hub/models--example--tiny, |hub/models--example--tiny;.*hf download example/tiny' 'a model that is not cached' \
    generate --model example/tiny "${ROCK[@]}"
cached example--tiny "$TINY"
passes 'an id: generate' generate --model example/tiny "${ROCK[@]}"
passes 'an id: the reference' compare "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3
passes 'the hash is the name of the blob, and the metadata says so' \
    sh -c "grep -q '\"sha256_from\":[[:space:]]*\"blob_name\"' '$BOX/out/000000.json' &&
           grep -q \"\$(sha256sum '$TINY/model.safetensors' | cut -c 1-64)\" '$BOX/out/000000.json'"
blob=$(readlink "$(snapshot example--tiny)/spiece.model")
mv "$(snapshot example--tiny)/$blob" "$BOX/blob"
expect 1 'incomplete in the cache: .*/snapshots/.*/spiece.model is a link to ../../blobs/' 'a blob that is missing' \
    generate --model example/tiny "${ROCK[@]}"
mv "$BOX/blob" "$(snapshot example--tiny)/$blob"

# Who has asked for the processor alone has everything but weights.
mkdir "$BOX/beside"
cp "$TINY"/*.json "$TINY/spiece.model" "$BOX/beside"
cached example--beside "$BOX/beside"
expect 1 'example/beside: of its files the cache has only those beside the weights .*hf download example/beside' 'a snapshot without weights' \
    generate --model example/beside "${ROCK[@]}"
expect 1 'example/beside: of its files the cache has only' 'of a text encoder too' generate --model "$TINY" --text-encoder example/beside "${ROCK[@]}"
passes 'whose tokenizer will do' generate --model "$TINY" --tokenizer example/beside "${ROCK[@]}"

# AudioCraft's folder in the cache names its T5 and, by a pointer, its codec.
mkdir "$BOX/ac"
cp "$GOLDEN/checkpoints/ac-mono/state_dict.bin" "$GOLDEN/checkpoints/ac-pointer/compression_state_dict.bin" "$BOX/ac"
cached example--ac "$BOX/ac"
cached google-t5--t5-base "$GOLDEN/t5-tiny" "$GOLDEN/tokenizer"
cached facebook--encodec_32khz "$GOLDEN/checkpoints/encodec-hf"
passes 'names within names: generate' generate --model example/ac --unconditional 1
passes 'names within names: the reference' compare "$GOLDEN/mixed.safetensors" uncond
passes 'T5 by its name: generate' generate --model example/ac --prompt 'slow sad piano' \
    --codec "$GOLDEN/checkpoints/ac-mono"
passes 'T5 by its name: the reference' compare "$GOLDEN/audiocraft/ac-mono.safetensors" text_cfg3_alone_1
passes 'AudioCraft'"'"'s cache first' env AUDIOCRAFT_CACHE_DIR="$HF_HUB_CACHE" HF_HUB_CACHE="$BOX/nowhere" \
    "$MG" generate -q --model example/ac --unconditional 1 --frames 4 --out "$BOX/out"

# Keys
models() { "$MG" models "$@"; }
expect 0 'models_manifest.json \(none\)' 'no manifest yet' models
expect 1 'model key: big: .*does not exist; make one with: mg-dist models add' 'a key without a manifest' \
    generate --model-key big "${ROCK[@]}"
expect 0 'big = example/tiny' 'a key for an id' models add big example/tiny --notes 'from the cache'
expect 0 'local = ' 'a key for a folder' models add local "$TINY"
expect 0 'warning: .*hf download example/later' 'a key for what is fetched later' models add later example/later
expect 1 'no such file or folder' 'a key for a path that is not there' models add gone ./nowhere
passes 'a key: generate' generate --model-key big "${ROCK[@]}"
passes 'a key: the reference' compare "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3
passes 'the metadata has the key' grep -q '"key":[[:space:]]*"big"' "$BOX/out/000000.json"
expect 0 'mine = ' 'a manifest of one'"'"'s own' models add mine "$TINY" --manifest "$BOX/mine.json"
passes 'it is read where it is said to be' generate --model-key mine --manifest "$BOX/mine.json" "${ROCK[@]}"
expect 1 'not in .*which has: big, local, later' 'a key that there is not' generate --model-key small "${ROCK[@]}"
expect 2 'give one' 'a model and a key' generate --model "$TINY" --model-key big "${ROCK[@]}"
expect 0 'big .*MB .*Hugging Face .*musicgen .*complete .*= example/tiny .*\(from the cache\)' 'the list has keys' models list
passes 'and the local one' grep -Eq 'local .*complete' "$BOX/said"
passes 'and what is not here' grep -Eq 'later .*not here' "$BOX/said"
passes 'and the cache' grep -Eq 'facebook/encodec_32khz .*1\.1 MB .*encodec .*complete' "$BOX/said"
passes 'and AudioCraft'"'"'s pair' grep -Eq 'example/ac .*AudioCraft .*complete' "$BOX/said"
mkdir -p "$HF_HUB_CACHE/models--bert-base"
expect 0 '\(1 other\)' 'models that are not for us are counted' models
expect 0 '"state": "complete"' 'the list as JSON' models --json
rm "$(snapshot example--ac)/compression_state_dict.bin"
expect 0 'example/ac .*no compression_state_dict.bin' 'half a pair' models
expect 0 'other = ' 'a manifest named apart' models add other "$TINY" --manifest "$BOX/other.json"
expect 0 '^ +other ' 'is read there' models --manifest "$BOX/other.json"
fails 'and nowhere else' grep -q other "$MGDIST_MANIFEST"
# Parts in several folders.
mkdir "$BOX/lm"
cp "$GOLDEN/checkpoints/ac-mono/state_dict.bin" "$BOX/lm"
expect 0 'split = the parts named' 'a key for parts' models add split --lm "$BOX/lm" --text-encoder t5-base \
    --codec "$GOLDEN/checkpoints/ac-mono" --tokenizer "$GOLDEN/tokenizer"
passes 'a key for parts: generate' generate --model-key split --dtype fp32 --prompt 'slow sad piano'
passes 'a key for parts: the reference' compare "$GOLDEN/audiocraft/ac-mono.safetensors" text_cfg3_alone_1
expect 0 '^the same bytes' 'a key for parts: replay' "$MG" replay -q "$BOX/out/000000.json"
expect 0 'split .*  lm = .*/lm  text_encoder = t5-base  codec = .*ac-mono  tokenizer = ' 'the list has parts' models list
expect 2 'parts and --notes belong to' 'parts of nothing' models list --codec x
expect 2 'parts and --notes belong to' 'an adapter of nothing' models list --lora x
expect 0 'removed' 'a key is removed' models remove local
expect 1 'models remove: local: not in' 'only once' models remove local
expect 2 'PATH|ID: missing' 'add wants both' models add x
unset MGDIST_OVERWRITE
expect 0 'big = example/tiny' 'the same key for the same' models add big example/tiny
expect 2 'models add: big: is there already \(= example/tiny in .*\); give --overwrite or another KEY' 'a key for another' \
    models add big "$TINY"
expect 0 '"id":[[:space:]]*"example/tiny"' 'it stands for what it stood for' cat "$MGDIST_MANIFEST"
expect 0 'big = ' 'insisting' models add big "$TINY" --overwrite
expect 2 'a word too many' 'list wants none' models list x
echo '{"a": 1}' >"$MGDIST_MANIFEST"
expect 4 'models_manifest.json: a: must be a JSON object' 'a manifest that lies' models
# Many at once lose nothing, and leave no lock.
export MGDIST_MANIFEST=$BOX/many/manifest.json
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do "$MG" models add "key-$i" "$TINY" >/dev/null 2>&1 & done
wait
passes 'twelve keys added at once: all are kept' test "$("$MG" models --json | grep -c '"key": "key-')" = 12
for i in 1 2 3 4 5 6; do "$MG" models remove "key-$i" >/dev/null 2>&1 & "$MG" models add "more-$i" "$TINY" >/dev/null 2>&1 & done
wait
passes 'added and removed at once' test "$("$MG" models --json | grep -c '"key": ')" = 12
passes 'nothing but the manifest is left' test "$(ls -A "$BOX/many")" = manifest.json
finish
