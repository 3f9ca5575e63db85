#!/bin/bash
# MusicGen-Style beyond its reference's codes (modes.sh): windows, datasets, replay, and what is refused.
#   style.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
WAV=$(dirname "$3")/golden_wav
MERT=$GOLDEN/checkpoints/mert-tiny
MODEL=(--model "$GOLDEN/checkpoints/ac-style")
PARTS=(--text-encoder "$GOLDEN/t5-tiny" --codec "$GOLDEN/checkpoints/ac-melody" --tokenizer "$GOLDEN/tokenizer")
export HF_HUB_CACHE=$BOX/empty
"$WAV" "$GOLDEN/audiocraft/ac-style.safetensors" style_audio 32000 "$BOX/music.wav" || exit 2

# The same bytes, sampled, of clips with and without a style, one of them in windows.
cat >"$BOX/all.jsonl" <<'EOF'
{"prompt": "techno", "frames": 120, "window": 1.2, "extend_stride": 0.7, "melody": "music.wav", "style_duration": 2}
{"prompt": "techno", "frames": 40}
{"prompt": "slow sad piano", "frames": 50, "melody": "music.wav", "style_codebooks": 1, "cfg_coef_beta": 5, "seed": 7}
{"prompt": "", "frames": 30, "melody": "music.wav", "style_start": 0, "style_duration": 3.5}
EOF
make_clips() { # NP FOLDER options …
    local n=$1 out=$2
    shift 2
    rm -rf "$out"
    ranks "$n" "$MG" generate -q "${MODEL[@]}" "${PARTS[@]}" --style-encoder "$MERT" --seed 5 --save-codes --dtype fp32 \
        --prompts "$BOX/all.jsonl" --out "$out" "$@"
}
passes 'the reference run' make_clips 1 "$BOX/reference" --threads 1 --batch 1
for how in '1 --batch 4 --threads 2' '2 --tp 2 --batch 2' '2 --tp 1'; do
    make_clips "${how%% *}" "$BOX/other" ${how#* } >"$BOX/said" 2>&1 || sed 's/^/# /' "$BOX/said"
    same "the same bytes: -np $how" "$BOX/reference" "$BOX/other"
done
passes 'the metadata says what was heard' grep -q '"style_codebooks":.1,' "$BOX/reference/000002.json"
passes 'and with what' grep -q 'mert-tiny' "$BOX/reference/000002.json"
expect 0 'the same bytes: 000002.wav' 'replay makes it again' "$MG" replay "$BOX/reference/000002.json"

# How closely it is followed, and which excerpt is heard, makes a difference.
one() {
    "$MG" generate -q "${MODEL[@]}" "${PARTS[@]}" --style-encoder "$MERT" --seed 5 --frames 40 --codes-only --save-codes \
        --out "$BOX/$1" "${@:2}" >/dev/null || exit 2
}
one all --style "$BOX/music.wav" --style-codebooks 6
one few --style "$BOX/music.wav" --style-codebooks 1
one begin --style "$BOX/music.wav" --style-codebooks 6 --style-start 0
one none --unconditional 1
for other in few begin none; do
    fails "other codes than with: $other" cmp "$BOX/all/000000.codes.npy" "$BOX/$other/000000.codes.npy"
done

# A dataset: the excerpt is an input of each job.
cp "$BOX/all.jsonl" "$BOX/jobs.jsonl"
run() {
    "$MG" run "${MODEL[@]}" "${PARTS[@]}" --style-encoder "$MERT" --jobs "$BOX/jobs.jsonl" --out "$BOX/set" --format wav --dtype fp32 "$@"
}
expect 0 '4 clips' 'a dataset' run --batch 3
expect 0 '4 clips' 'verify finds it whole' "$MG" verify "$BOX/set"
passes 'its clips are those of generate' cmp "$(find "$BOX/set" -name '*.wav' | sort | sed -n 3p)" "$BOX/reference/000002.wav"

cat >"$BOX/short.jsonl" <<'EOF'
{"prompt": "a", "melody": "music.wav", "style_start": 1, "style_duration": 3}
{"prompt": "b", "melody": "music.wav", "style_start": 1.5, "style_duration": 3}
{"prompt": "c", "melody": "music.wav", "style_duration": 4.5}
{"prompt": "d", "melody": "music.wav", "style_start": 3.6}
{"prompt": "e", "melody": "short.jsonl", "style_start": 1}
EOF
expect 2 'cannot be used as it is' 'a list of excerpts that end too late' "$MG" run --jobs "$BOX/short.jsonl" --check
passes 'each is named' test "$(grep -Ec 'error: .*short.jsonl: line (2|3|4): melody: .*music.wav: ends after 4.00 s' "$BOX/said")" = 3
says 'and what is no sound' 'line 5: melody: .*short.jsonl: not a sound file'
fails 'the first is not' grep -q 'line 1' "$BOX/said"

# MERT from a cache, and only for those that need it: what stands beside a clip changes no byte of it.
cache=$BOX/hub/models--m-a-p--MERT-v1-95M
mkdir -p "$cache/refs" "$cache/snapshots/c0ffee"
printf c0ffee >"$cache/refs/main"
cp "$MERT"/* "$cache/snapshots/c0ffee"
cached() { HF_HUB_CACHE=$BOX/hub "$MG" "$1" "${MODEL[@]}" "${PARTS[@]}" --seed 5 --dtype fp32 "${@:2}"; }
sed -n 2p "$BOX/all.jsonl" >"$BOX/text.jsonl"
{ cat "$BOX/text.jsonl" && sed -n 4p "$BOX/all.jsonl"; } >"$BOX/mixed.jsonl"
passes 'a clip without a style, alone' cached generate --prompts "$BOX/text.jsonl" --out "$BOX/alone"
passes 'and beside one with a style' cached generate --prompts "$BOX/mixed.jsonl" --out "$BOX/mixed"
passes 'is the same file' cmp "$BOX/alone/000000.wav" "$BOX/mixed/000000.wav"
expect 0 'is there already' 'a clip with a style comes into its folder' \
    env -u MGDIST_OVERWRITE HF_HUB_CACHE="$BOX/hub" "$MG" generate "${MODEL[@]}" "${PARTS[@]}" --seed 5 --dtype fp32 \
    --prompts "$BOX/mixed.jsonl" --out "$BOX/alone"
cp "$BOX/text.jsonl" "$BOX/grows.jsonl"
passes 'a dataset without a style' cached run --jobs "$BOX/grows.jsonl" --out "$BOX/grown"
cp "$BOX/mixed.jsonl" "$BOX/grows.jsonl"
passes 'takes one in' cached run --jobs "$BOX/grows.jsonl" --out "$BOX/grown" --jobs-changed ok
expect 0 '2 clips made again' 'and its clips are made again' \
    env HF_HUB_CACHE="$BOX/hub" "$MG" verify "$BOX/grown" --replay 2 --inputs "$BOX" "${MODEL[@]}" "${PARTS[@]}"

# What is looked at, and what is refused.
expect 0 'text and the style of an excerpt' 'inspect' \
    "$MG" inspect "$GOLDEN/checkpoints/ac-style" "${PARTS[@]}" --style-encoder "$MERT"
expect 0 'melody acts +ok' 'verify' "$MG" verify "$GOLDEN/checkpoints/ac-style" "${PARTS[@]}" --style-encoder "$MERT"
refuse() { # CODE PATTERN SENTENCE options …
    expect "$1" "$2" "$3" "$MG" generate "${MODEL[@]}" "${PARTS[@]}" --frames 20 --out "$BOX/refused" "${@:4}"
    says_once "$3, once"
}
refuse 1 'm-a-p/MERT-v1-95M, which is not here \(or give --style-encoder\).*hf download' 'MERT is missing' \
    --style "$BOX/music.wav"
expect 0 '000000.wav' 'without a style it is not needed' \
    "$MG" generate "${MODEL[@]}" "${PARTS[@]}" --frames 20 --prompt techno --out "$BOX/text"
cp -r "$MERT" "$BOX/cut"
sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 1/' "$BOX/cut/config.json"
refuse 4 'encoder.layers.1.attention.k_proj.bias' 'more layers than its config says' --style "$BOX/music.wav" --style-encoder "$BOX/cut"
refuse 4 'model_type: "t5"' 'another encoder' --style "$BOX/music.wav" --style-encoder "$GOLDEN/t5-tiny"
refuse 2 'option --style-start: there is no --style' 'an excerpt of nothing' --prompt techno --style-start 1
echo '{"prompt": "techno", "style_codebooks": 2}' >"$BOX/nothing.jsonl"
refuse 2 'style_codebooks.*there is no music' 'a style of nothing' --prompts "$BOX/nothing.jsonl"
refuse 2 'style_codebooks: 7: this model has 6' 'more codebooks than it has' \
    --style "$BOX/music.wav" --style-codebooks 7 --style-encoder "$MERT"
expect 1 'ends after 4.00 s, and the excerpt has 4.5 s: give --style-duration' 'an excerpt longer than the sound' \
    "$MG" generate "${MODEL[@]}" "${PARTS[@]}" --style-encoder "$MERT" --frames 20 --out "$BOX/refused" \
    --style "$BOX/music.wav" --style-duration 4.5
fails 'is found before anything is loaded' grep -q plan: "$BOX/said"
printf '{"prompt": "%s", "frames": 20, "melody": "music.wav", "style_start": %s}\n' good 0.5 bad 1.5 >"$BOX/two.jsonl"
expect 3 'error: clip 000001: style: .*music.wav: ends after 4.00 s, and the excerpt has 3 s from its start on' 'one of two' \
    "$MG" generate "${MODEL[@]}" "${PARTS[@]}" --style-encoder "$MERT" --out "$BOX/refused" --prompts "$BOX/two.jsonl"
sed -n '/plan:/,$p' "$BOX/said" >"$BOX/late"
passes 'and the other is made' grep -q 000000.wav "$BOX/late"
fails 'it is left out before' grep -q style: "$BOX/late"
expect 4 'MusicGen-Style, which transformers does not have' 'convert' \
    "$MG" convert "$GOLDEN/checkpoints/ac-style" "$BOX/hf" --to hf "${PARTS[@]}"
MODEL=(--model "$GOLDEN/checkpoints/ac-melody")
refuse 2 'are for MusicGen-Style' 'a melody model has no codebooks of style' --melody "$BOX/music.wav" --style-codebooks 2

finish
