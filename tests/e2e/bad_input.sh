#!/bin/bash
# Every kind of bad input gives one clear sentence and its exit code, and leaves nothing half-written.
#   bad_input.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

MODEL=$BOX/model
OUT=$BOX/out
fresh() { # a writable copy of the tiny model
    rm -rf "$MODEL"
    mkdir "$MODEL"
    cp "$TINY"/* "$MODEL"
    chmod -R u+w "$MODEL"
}
edit() { LC_ALL=C sed -i "$1" "$MODEL/$2"; }
generate() { # NP options: one short clip of the copy
    local n=$1
    shift
    ranks "$n" "$MG" generate -q --model "$MODEL" --prompt x --frames 4 --seed 1 --out "$OUT" "$@"
}
# refused CODE PATTERN SENTENCE [options]: with one message and no output.
refused() { refused_on 1 "$@"; }
# refused_by_two …: alone and on two ranks.
refused_by_two() {
    refused_on 1 "$@"
    refused_on 2 "$@"
}
refused_on() {
    local n=$1 code=$2 pattern=$3 sentence="$4, $1 rank(s)"
    shift 4
    expect "$code" "$pattern" "$sentence" generate "$n" "$@"
    passes "$sentence: one message" test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1
    fails "$sentence: nothing is written, and no folder made" test -e "$OUT"
}
# Where the data of tensor $1 begin in model.safetensors.
data_of() {
    local header begin
    header=$(od -An -td8 -N8 "$MODEL/model.safetensors" | tr -d ' ')
    begin=$(head -c $((header + 8)) "$MODEL/model.safetensors" |
        LC_ALL=C sed -n "s/.*\"$1\":{[^}]*\"data_offsets\":\[\([0-9]*\),.*/\1/p")
    echo $((8 + header + begin))
}
patch() { # tensor, bytes as printf has them
    printf "$2" | dd of="$MODEL/model.safetensors" bs=1 seek="$(data_of "$1")" conv=notrunc status=none
}

fresh
passes 'the copy itself is good' generate 1
rm -rf "$OUT"

# Files
refused_by_two 1 'nowhere: no such file or folder' 'no such folder' --model "$BOX/nowhere"
fresh; rm "$MODEL/model.safetensors"
refused 1 'no model.safetensors' 'no weights'
fresh; head -c 100000 "$TINY/model.safetensors" >"$MODEL/model.safetensors"
refused_by_two 4 'model.safetensors: .*truncated' 'truncated weights'
fresh; head -c 5 "$TINY/model.safetensors" >"$MODEL/model.safetensors"
refused 4 'model.safetensors: ' 'five bytes of weights'
fresh; printf '\377\377\377\377\377\377\377\177' | dd of="$MODEL/model.safetensors" conv=notrunc status=none
refused 4 'header of 9223372036854775807 bytes' 'an oversized header'
fresh; edit '0,/"data_offsets":\[256,512\]/s//"data_offsets":[0,  256]/' model.safetensors
refused 4 'model.safetensors: ' 'overlapping tensors'
fresh; edit 's/\("decoder.lm_heads.0.weight":{"dtype":\)"F32"/\1"F16"/' model.safetensors
refused 4 'decoder.lm_heads.0.weight' 'a header that lies about sizes'
fresh; edit 's/\("decoder.lm_heads.0.weight":{"dtype":"F32","shape":\)\[64,128\]/\1[128,64]/' model.safetensors
refused 4 'decoder.lm_heads.0.weight.*\[128, ?64\]' 'a wrong shape'
fresh; edit 's/\("decoder.lm_heads.0.weight":{"dtype":\)"F32"/\1"I32"/' model.safetensors
refused 4 'decoder.lm_heads.0.weight' 'a wrong dtype'
fresh
edit 's/"decoder.lm_heads.0.weight"/"decoder.lm_headz.0.weight"/; s/"audio_encoder.decoder.layers.0.conv.bias"/"audio_encoder.decoder.layerz.0.conv.bias"/' \
    model.safetensors
refused_by_two 4 'missing +decoder.lm_heads.0.weight' 'missing tensors'
passes 'every missing tensor is listed' grep -q -E 'missing +audio_encoder.decoder.layers.0.conv.bias' "$BOX/said"
fresh; patch decoder.lm_heads.0.weight '\000\000\300\177'
refused_by_two 4 'decoder.lm_heads.0.weight' 'NaN in the weights'
fresh; patch decoder.lm_heads.0.weight '\000\120\303\107' # 100000
refused_by_two 4 'decoder.lm_heads.0.weight: 1 of .* beyond what fp16 can hold; use --dtype bf16' 'a weight that fp16 cannot hold' --dtype fp16
expect 0 '' 'but bf16 can' generate 1 --dtype bf16
rm -rf "$OUT"
expect 1 'heads.0.weight: 1 values are beyond what fp16 can hold; use --dtype bf16 or fp32' 'converted' "$MG" convert "$MODEL" "$OUT" --dtype fp16
patch decoder.lm_heads.0.weight '\377\377\177\177' # the largest float
expect 1 'heads.0.weight: 1 values are beyond what bf16 can hold; use --dtype fp32$' 'what bf16 cannot hold' "$MG" convert "$MODEL" "$OUT" --dtype bf16
fresh; patch text_encoder.encoder.final_layer_norm.weight '\000\000\200\177'
refused_by_two 4 'final_layer_norm.weight' 'infinity in the text encoder'
fresh; patch decoder.model.decoder.layer_norm.weight "$(printf '\\377\\377\\177\\177%.0s' {1..128})"
for how in --greedy --top-k=250 --sampler=hf; do
    for n in 1 2; do
        expect 1 'clip 000000: language model: codebook 0, frame 0: the logits are no numbers: something overflows in fp32$' \
            "numbers that overflow, $how, $n rank(s)" generate $n $how
        fails 'nothing is written' sh -c "ls -A '$OUT' 2>/dev/null | grep -q ."
    done
done

# Config
fresh; echo '{' >"$MODEL/config.json"
refused 4 'config.json: not JSON' 'a config that is not JSON'
fresh; edit 's/"model_type": "musicgen"/"model_type": "musicgan"/' config.json
refused 4 'config.json: model_type: "musicgan"' 'an unknown model type'
fresh; edit 's/"num_hidden_layers": 2/"num_hidden_layers": -2/' config.json
refused_by_two 4 'num_hidden_layers: -2' 'an impossible size'
fresh; edit 's/"num_codebooks": 4/"num_codebooks": 3/' config.json
refused 4 'unexpected +decoder.lm_heads.3' 'more codebooks in the file than in the config'
fresh; edit 's/"audio_channels": 1/"audio_channels": 2/' config.json
refused 4 '(stereo|channels)' 'stereo with the codebooks of mono'

# Tokenizer and text
fresh; rm "$MODEL/spiece.model" "$MODEL/tokenizer.json"
refused 1 'no tokenizer' 'no tokenizer'
expect 0 '' 'none is needed without text' generate 1 --prompt '' --model "$GOLDEN/checkpoints/tiny-mono-sharded" --tokenizer "$TINY"
rm -rf "$OUT"
fresh; rm "$MODEL/tokenizer.json"; head -c 1000 "$TINY/model.safetensors" >"$MODEL/spiece.model"
refused_by_two 4 'spiece.model: ' 'a tokenizer that cannot be read'
fresh
refused 2 'option --prompt: byte 3 of the text is not UTF-8' 'a prompt that is not UTF-8' --prompt "$(printf 'ab\377')"
printf 'good\nb\351d\n' >"$BOX/list.txt"
refused_by_two 2 'list.txt: line 2: byte 2 is not UTF-8' 'a list that is not UTF-8' --prompts "$BOX/list.txt"
: >"$BOX/empty.txt"
expect 2 'holds no prompt' 'a list without a prompt' "$MG" generate --model "$TINY" --prompts "$BOX/empty.txt" --out "$OUT"
refused 1 'nolist.txt: cannot open' 'no such list' --prompts "$BOX/nolist.txt"
printf '' | expect 0 '' 'an empty prompt is legal' generate 1 --prompt ''
rm -rf "$OUT"

# Length and ranks
expect 2 'table ends at 597 frames \(11\.94 s\)' 'a clip beyond the positions' "$MG" generate --model "$TINY" --prompt x --duration 12 --window 12 --out "$OUT"
expect 0 '' 'the longest clip' "$MG" generate -q --model "$TINY" --prompt x --frames 597 --window 11.95 --out "$BOX/long"
expect 2 'beyond|table ends' 'one frame more' "$MG" generate --model "$TINY" --prompt x --frames 598 --window 11.97 --out "$OUT"
expect 2 '(--tp|ranks)' 'ranks that --tp does not divide' ranks 3 "$MG" generate -q --model "$TINY" --prompt x --tp 2 --out "$OUT"
passes 'three ranks without --tp are three replicas' ranks 3 "$MG" generate -q --model "$TINY" --prompt x --frames 4 --out "$BOX/three"
expect 2 '(--tp|ranks)' 'more ranks than --tp 1 has' ranks 2 "$MG" generate -q --model "$TINY" --prompt x --tp 4 --out "$OUT"
expect 2 'heads' 'heads that --tp does not divide' \
    ranks 8 "$MG" generate -q --model "$GOLDEN/checkpoints/tiny-variant" --prompt x --frames 4 --tp 8 --out "$OUT"

expect 2 'duration: 1000000\.00 s: a wav file holds up to 67108\.30 s at 32000 Hz with 1 channel; make it shorter, or give --format flac' \
    'a clip that no file of its format holds' "$MG" generate --model "$TINY" --prompt x --duration 1000000 --out "$OUT"
printf '{"prompt":"x","frames":4}\n{"prompt":"x","frames":100000000}\n' >"$BOX/lengths.jsonl"
expect 3 'clip 000001: duration: 2000000\.00 s: a wav file holds' 'one of two, on two ranks' \
    ranks 2 "$MG" generate -q --model "$TINY" --prompts "$BOX/lengths.jsonl" --seed 1 --out "$BOX/lengths"

# Room
expect 5 'memory: .* needs? .* available' 'more clips at once than fit' \
    "$MG" generate -q --model "$TINY" --unconditional 100000 --frames 1500 --batch 100000 --out "$OUT"
long=("$MG" generate -q --model "$TINY" --unconditional 8 --codes-only --frames 100000000 --out "$OUT")
expect 5 'duration: 8 clips at a time of 100000000 frames in 4 codebooks: there is room for the codes of 5' \
    'more codes at once than are counted' "${long[@]}" --batch 8
expect 5 'memory: .* for 1 clip at a time' 'fewer at once, and one is too large' "${long[@]}" --host-memory 1G
high=(--sample-rate 384000 --host-memory 60M --threads 1)
expect 5 'memory: .* for 1 clip at a time.* a shorter --duration' 'a sound at a high rate is larger' \
    "$MG" generate -q --model "$TINY" --prompt x --duration 20 "${high[@]}" --out "$OUT"
printf '{"prompt":"x","duration":20}\n' >"$BOX/high.jsonl"
expect 5 'memory: .* for 1 clip at a time.* a shorter --duration' 'of a run, too' \
    "$MG" run -q --model "$TINY" --jobs "$BOX/high.jsonl" "${high[@]}" --out "$BOX/high"
expect 2 'is there already, and is no folder' 'a file where the output folder should be' generate 1 --out "$MODEL/config.json"
expect 1 'cannot make' 'a folder that cannot be made' generate 1 --out /proc/nowhere
if [ "$(id -u)" != 0 ]; then
    mkdir "$BOX/locked" && chmod a-w "$BOX/locked"
    expect 1 'locked: cannot make files' 'a folder that is not writable' generate 1 --out "$BOX/locked"
fi
finish
