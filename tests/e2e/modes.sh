#!/bin/bash
# Every way to ask, mixed in one call: against the references, and the same bytes however the work is cut.
#   modes.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3
WAV=$(dirname "$3")/golden_wav
POP='80s pop track with bassy drums and synth'
PIANO='slow sad piano'
HOW=(-q --strategy none --format wav-f32 --save-codes --seed 77 --tokenizer "$GOLDEN/tokenizer")

# sounds MODEL REFERENCE RATE ARRAY…: golden sounds as files, MODEL-ARRAY.wav.
sounds() {
    local model=$1 reference=$2 rate=$3 array
    shift 3
    for array; do "$WAV" "$GOLDEN/$reference.safetensors" "$array" "$rate" "$BOX/$model-$array.wav" || exit 2; done
}

# compare MODEL REFERENCE OUT: the clips of OUT against the cases named in MODEL.cases, a line each: CASE ITEM [codes].
compare() {
    local model=$1 reference=$2 out=$3 i=0 case item what
    while read -r case item what; do
        local stem
        stem=$out/$(printf %06d $i)
        [ "$what" = codes ] && sound=- || sound=$stem.wav
        passes "$model: $case $item on $n ranks" \
            "$COMPARE" "$GOLDEN/$reference.safetensors" "$case" "$item" "$stem.codes.npy" "$sound"
        i=$((i + 1))
    done <"$BOX/$model.cases"
}

# reference MODEL REFERENCE [options]: all of the model's cases in one call, on 1, 2 and 4 ranks.
reference() {
    local model=$1 golden=$2
    shift 2
    for n in ${MG_TEST_RANKS:-1 2 4}; do
        rm -rf "$BOX/out"
        passes "$model: the mixed call on $n ranks" ranks $n "$MG" generate "${HOW[@]}" --greedy --batch 3 \
            --model "$GOLDEN/checkpoints/$model" --prompts "$BOX/$model.jsonl" --out "$BOX/out" "$@"
        compare "$model" "$golden" "$BOX/out"
    done
}

cross() { # the cases of a model without melody, in Hugging Face form
    local model=$1
    sounds "$model" "hf/$model" 32000 prompt_audio_0 prompt_audio_1
    cat >"$BOX/$model.jsonl" <<EOF
{"prompt": "$POP", "frames": 40}
{"prompt": "$PIANO", "frames": 28, "audio_prompt": "$model-prompt_audio_1.wav"}
{"prompt": "$PIANO", "frames": 40, "cfg_coef": 1}
{"prompt": "", "frames": 40}
{"prompt": "$POP", "frames": 32, "audio_prompt": "$model-prompt_audio_0.wav"}
{"prompt": "$POP", "frames": 40, "negative_prompt": "$PIANO"}
EOF
    cat >"$BOX/$model.cases" <<'EOF'
text_cfg3 0
prompted_alone_1_cfg3 0
text_nocfg 1
uncond 0
prompted_alone_0_cfg3 0
negative_cfg3 0 codes
EOF
    reference "$model" "hf/$model"
}

melody() {
    local model=$1
    sounds "$model" "hf/$model" 32000 melody_audio
    cat >"$BOX/$model.jsonl" <<EOF
{"prompt": "$PIANO", "frames": 30, "melody": "$model-melody_audio.wav"}
{"prompt": "$POP", "frames": 30}
{"prompt": "", "frames": 30}
{"prompt": "$POP", "frames": 30, "melody": "$model-melody_audio.wav", "cfg_coef": 1}
{"prompt": "$POP", "frames": 30, "melody": "$model-melody_audio.wav"}
EOF
    printf '%s\n' 'melody_alone_1_cfg3 0' 'textonly_alone_0_cfg3 0' 'uncond 0' 'melody_nocfg 0' 'melody_alone_0_cfg3 0' \
        >"$BOX/$model.cases"
    reference "$model" "hf/$model"
}

audiocraft() { # MODEL RATE
    local model=$1
    sounds "$model" "audiocraft/$model" "$2" prompt_audio
    cat >"$BOX/$model.jsonl" <<EOF
{"prompt": "$PIANO", "duration": 4.4, "window": 2.0, "extend_stride": 1.2}
{"prompt": "$POP", "frames": 60, "audio_prompt": "$model-prompt_audio.wav"}
{"prompt": "$POP", "frames": 60}
{"prompt": "", "frames": 60}
EOF
    printf '%s\n' 'extended_cfg3 0' 'continuation_cfg3 0' 'text_cfg3_alone_0 0' 'uncond 0' >"$BOX/$model.cases"
    reference "$model" "audiocraft/$model" --text-encoder "$GOLDEN/t5-tiny"
}

for model in tiny-mono tiny-stereo; do if wanted $model; then cross $model; fi; done
for model in tiny-melody tiny-stereo-melody; do if wanted $model; then melody $model; fi; done
for model in ac-mono ac-stereo; do if wanted $model; then audiocraft $model 32000; fi; done
if wanted ac-audiogen; then audiocraft ac-audiogen 16000; fi

sounds ac-melody audiocraft/ac-melody 32000 melody_audio
cat >"$BOX/ac-melody.jsonl" <<EOF
{"prompt": "$PIANO", "frames": 60, "melody": "ac-melody-melody_audio.wav"}
{"prompt": "$POP", "frames": 60, "melody": "ac-melody-melody_audio.wav", "cfg_coef_beta": 2}
EOF
printf '%s\n' 'text_cfg3_alone_1 0' 'double_cfg_3_2 0' >"$BOX/ac-melody.cases"
if wanted ac-melody; then reference ac-melody audiocraft/ac-melody --text-encoder "$GOLDEN/t5-tiny"; fi

sounds ac-style audiocraft/ac-style 32000 style_audio
sound=ac-style-style_audio.wav
cat >"$BOX/ac-style.jsonl" <<EOF
{"prompt": "$POP", "frames": 60, "melody": "$sound"}
{"prompt": "$POP", "frames": 60, "melody": "$sound", "style_codebooks": 1}
{"prompt": "$POP", "frames": 60}
{"prompt": "", "frames": 60, "melody": "$sound", "style_start": 0.5}
{"prompt": "$POP", "frames": 60, "melody": "$sound", "style_codebooks": 2, "cfg_coef_beta": 5}
EOF
printf '%s 0 codes\n' text_style_cfg3 text_style_one_codebook text_cfg3 style_cfg3 double_cfg_3_5 >"$BOX/ac-style.cases"
STYLE=(--text-encoder "$GOLDEN/t5-tiny" --codec "$GOLDEN/checkpoints/ac-melody" --style-encoder "$GOLDEN/checkpoints/mert-tiny")
if wanted ac-style; then reference ac-style audiocraft/ac-style "${STYLE[@]}"; fi
wanted all || finish

# The same bytes, sampled: every mode in one list, cut in every way.
cat >"$BOX/all.jsonl" <<EOF
{"prompt": "$POP", "frames": 50, "melody": "tiny-stereo-melody-melody_audio.wav", "cfg_coef_beta": 2}
{"prompt": "$PIANO", "frames": 120, "window": 1.2, "extend_stride": 0.7, "melody": "tiny-stereo-melody-melody_audio.wav"}
{"prompt": "", "frames": 40, "melody": "tiny-stereo-melody-melody_audio.wav"}
{"prompt": "$PIANO", "frames": 60, "audio_prompt": "tiny-stereo-prompt_audio_1.wav", "negative_prompt": "$POP"}
{"prompt": "techno", "frames": 100, "window": 0.8, "extend_stride": 0.4, "top_p": 0.9, "n": 2}
{"prompt": "", "frames": 45, "audio_prompt": "tiny-mono-prompt_audio_0.wav"}
EOF

# make NP FOLDER options …
make_clips() {
    local n=$1 out=$2
    shift 2
    rm -rf "$out"
    ranks "$n" "$MG" generate "${HOW[@]}" --model "$GOLDEN/checkpoints/tiny-stereo-melody" --prompts "$BOX/all.jsonl" \
        --out "$out" "$@"
}

passes 'all modes sampled: the reference run' make_clips 1 "$BOX/reference" --threads 1
for how in '1 --batch 1 --threads 2' '1 --batch 3 --threads 1' '1 --batch 7 --threads 4' '2 --batch 2 --threads 1' \
    '2 --tp 1 --threads 1' '4 --threads 1' '4 --tp 2 --batch 3 --threads 1'; do
    make_clips "${how%% *}" "$BOX/other" ${how#* } >"$BOX/said" 2>&1 || sed 's/^/# /' "$BOX/said"
    same "all modes sampled: -np $how" "$BOX/reference" "$BOX/other"
done
# Of its melody a clip of several windows reads what it hears: what is behind may be no number, or last for hours.
at=$(grep -abo -m1 data "$BOX/tiny-stereo-melody-melody_audio.wav" | head -1 | cut -d: -f1)
for tail in 0000 c07f; do
    cp "$BOX/tiny-stereo-melody-melody_audio.wav" "$BOX/$tail.wav"
    printf '\0\0\0\0' | dd of="$BOX/$tail.wav" bs=1 seek=$((at + 4)) conv=notrunc status=none # as long as the file
    head -c $((5 * 32000 * 8)) /dev/zero >>"$BOX/$tail.wav"
    printf "\\0\\0\\x${tail:0:2}\\x${tail:2:2}%.0s" 1 2 >>"$BOX/$tail.wav"
    passes "a melody that ends in $tail" "$MG" generate "${HOW[@]}" --threads 1 --model "$GOLDEN/checkpoints/tiny-stereo-melody" \
        --prompt "$PIANO" --frames 120 --window 1.2 --extend-stride 0.7 --melody "$BOX/$tail.wav" --out "$BOX/tail-$tail"
done
passes 'the end was not heard' cmp "$BOX/tail-0000/000000.codes.npy" "$BOX/tail-c07f/000000.codes.npy"

passes 'bf16: the reference run' make_clips 1 "$BOX/bf16" --threads 1 --dtype bf16
make_clips 2 "$BOX/other" --dtype bf16 --batch 3 --threads 1 >/dev/null
same 'all modes sampled: bf16 on 2 ranks' "$BOX/bf16" "$BOX/other"
fails 'bf16 gives other sound than fp32' cmp "$BOX/bf16/000000.wav" "$BOX/reference/000000.wav"

finish
