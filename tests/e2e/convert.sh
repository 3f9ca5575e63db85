#!/bin/bash
# Any form to Hugging Face's and to AudioCraft's, bit by bit.   convert.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3
FORMS=$GOLDEN/checkpoints
T5=$GOLDEN/t5-tiny

convert() { ranks 1 "$MG" convert -q --dtype keep "$@"; } # what stands behind it wins
weights() { echo "$BOX/$1/model.safetensors"; }

# To Hugging Face's form: the bytes that the safetensors library wrote.
for form in tiny-mono tiny-mono-bin tiny-mono-sharded; do
    passes "$form to hf" convert "$FORMS/$form" "$BOX/$form" --tokenizer "$GOLDEN/tokenizer"
    passes "$form to hf: the same file as the library's" cmp "$TINY/model.safetensors" "$(weights $form)"
done
passes 'bf16 stays bf16' convert "$FORMS/tiny-variant" "$BOX/variant" --to hf --tokenizer "$GOLDEN/tokenizer"
passes 'bf16 stays bf16: the same file' cmp "$FORMS/tiny-variant/model.safetensors" "$(weights variant)"
for f in config.json generation_config.json preprocessor_config.json spiece.model; do
    passes "$f is there" test -s "$BOX/variant/$f"
done
passes 'shards' convert "$TINY" "$BOX/shards" --shard-size 1MB
passes 'shards: an index' grep -q '"total_size": 3790408' "$BOX/shards/model.safetensors.index.json"
passes 'shards: none is longer' sh -c "! find '$BOX/shards' -name 'model-*' -size +1100k | grep -q ."
MGDIST_SHARD_SIZE=1 passes 'of so many MB, as run and merge take it' convert "$TINY" "$BOX/megabytes"
passes 'shards: the same' diff -r "$BOX/shards" "$BOX/megabytes"
passes 'shards go together' convert "$BOX/shards" "$BOX/whole" --shard-size 0
passes 'shards go together: the same file' cmp "$TINY/model.safetensors" "$(weights whole)"

# AudioCraft's form, there and back.
passes 'ac to hf' convert "$FORMS/ac-mono" "$BOX/ac-hf" --text-encoder "$T5" --tokenizer "$GOLDEN/tokenizer"
passes 'hf to ac' convert "$BOX/ac-hf" "$BOX/ac-back" --to audiocraft
passes 'ac to hf again' convert "$BOX/ac-back" "$BOX/ac-again" --text-encoder "$T5" --tokenizer "$GOLDEN/tokenizer"
passes 'ac, hf, ac, hf: not a bit is lost' cmp "$(weights ac-hf)" "$(weights ac-again)"
passes 'ac, hf, ac, hf: nor in the config' cmp "$BOX/ac-hf/config.json" "$BOX/ac-again/config.json"
fails 'and a different model differs' cmp "$(weights ac-hf)" "$(weights variant)"
passes 'the codec pads with zeros as before' grep -q '"pad_mode": "constant"' "$BOX/ac-hf/config.json"
for form in ac-hf ac-back; do
    passes "$form: generate" ranks 1 "$MG" generate -q --greedy --dtype fp32 --save-codes --format wav-f32 --strategy none --seed 1 \
        --model "$BOX/$form" --text-encoder "$([ $form = ac-hf ] && echo "$BOX/ac-hf" || echo "$T5")" \
        --tokenizer "$GOLDEN/tokenizer" --prompt '80s pop track with bassy drums and synth' --frames 60 --out "$BOX/out-$form"
    passes "$form: the codes that AudioCraft made of the original" "$COMPARE" "$GOLDEN/audiocraft/ac-mono.safetensors" \
        text_cfg3_alone_0 0 "$BOX/out-$form/000000.codes.npy" "$BOX/out-$form/000000.wav"
done
# What a trainer wrote for its own samples is not how AudioCraft plays: there it samples, by fixed rules.
cp -r "$FORMS/ac-mono" "$BOX/ac-debug"
chmod -R u+w "$BOX/ac-debug"
LC_ALL=C sed -zi 's/use_sampling: true\n    temp: 1.0/use_sampling: false\n    temp: 1./; s/top_k: 250/top_k:   0/; s/inference_coef: 3.0/inference_coef: 1.5/' "$BOX/ac-debug/state_dict.bin"
expect 0 'greedy' 'a trainer'"'"'s settings are read' "$MG" inspect "$BOX/ac-debug" --text-encoder "$T5" --tokenizer "$GOLDEN/tokenizer"
passes 'ac of a trainer to hf' convert "$BOX/ac-debug" "$BOX/ac-debug-hf" --text-encoder "$T5" --tokenizer "$GOLDEN/tokenizer"
passes 'samples as AudioCraft does' sh -c "grep -q '\"do_sample\": true' '$BOX/ac-debug-hf/generation_config.json' &&
    grep -q '\"top_k\": 250' '$BOX/ac-debug-hf/generation_config.json' && grep -q '\"guidance_scale\": 3' '$BOX/ac-debug-hf/generation_config.json'"
passes 'a model without a projection gets one that changes nothing' convert "$BOX/variant" "$BOX/variant-ac" --to audiocraft
passes 'and loses it again' convert "$BOX/variant-ac" "$BOX/variant-back" --text-encoder "$BOX/variant"
passes 'and is the same model' cmp <(grep -v max_position "$BOX/variant/config.json") <(grep -v max_position "$BOX/variant-back/config.json")
passes 'the public codec becomes a pointer' convert "$TINY" "$BOX/pointer" --to audiocraft --codec facebook/encodec_32khz
passes 'a small one' sh -c "test \$(stat -c %s '$BOX/pointer/compression_state_dict.bin') -lt 2000"
expect 0 'facebook/encodec_32khz' 'that inspect reads' "$MG" inspect "$BOX/pointer/compression_state_dict.bin"

# Melody and stereo, both ways. What transformers and AudioCraft made of these folders: docs/CHECKPOINTS.md.
AGAIN=(--text-encoder "$T5" --tokenizer "$GOLDEN/tokenizer")
for form in ac-melody ac-stereo ac-audiogen; do
    passes "$form to hf" convert "$FORMS/$form" "$BOX/$form-hf" "${AGAIN[@]}"
    passes "$form back" convert "$BOX/$form-hf" "$BOX/$form-back" --to audiocraft
    passes "$form to hf again" convert "$BOX/$form-back" "$BOX/$form-again" "${AGAIN[@]}"
    passes "$form: not a bit is lost" cmp "$(weights $form-hf)" "$(weights $form-again)"
    passes "$form: nor in the config" cmp "$BOX/$form-hf/config.json" "$BOX/$form-again/config.json"
    "$MG" inspect "$FORMS/$form" --keys | grep -- '->' | sort >"$BOX/keys"
    "$MG" inspect "$BOX/$form-back" --keys | grep -- '->' | sort >"$BOX/keys-back"
    passes "$form: the same tensors as AudioCraft wrote" cmp "$BOX/keys" "$BOX/keys-back"
done
for form in tiny-melody tiny-stereo tiny-stereo-melody; do
    passes "$form to hf" convert "$FORMS/$form" "$BOX/$form" --tokenizer "$GOLDEN/tokenizer"
    passes "$form to hf: the same file as the library's" cmp "$FORMS/$form/model.safetensors" "$(weights $form)"
    passes "$form to ac" convert "$FORMS/$form" "$BOX/$form-ac" --to audiocraft
    passes "$form back" convert "$BOX/$form-ac" "$BOX/$form-back" --text-encoder "$FORMS/$form" --tokenizer "$GOLDEN/tokenizer"
    passes "$form: the same config" cmp <(grep -v max_position "$BOX/$form/config.json") <(grep -v max_position "$BOX/$form-back/config.json")
done
passes 'a melody is heard as long as before' cmp <(sort "$FORMS/tiny-melody/preprocessor_config.json" | grep -E 'chunk_length|n_fft|hop|feature_size|padding_side' | tr -d ', ' | sed 's/144000.0/144000/') \
    <(sort "$BOX/tiny-melody-back/preprocessor_config.json" | grep -E 'chunk_length|n_fft|hop|feature_size|padding_side' | tr -d ', ')
passes 'a melody model takes melodies' grep -q '"feature_extractor_type": "MusicgenMelodyFeatureExtractor"' "$BOX/ac-melody-hf/preprocessor_config.json"
passes 'of 30 s' grep -q '"chroma_length": 235' "$BOX/ac-melody-hf/config.json"
passes 'the window of its spectrum is as AudioCraft saves it' grep -q 'self_wav.chroma.spec.window' "$BOX/tiny-melody-ac/state_dict.bin"
fails 'only in melody models' grep -q 'self_wav.chroma.spec.window' "$BOX/tiny-stereo-ac/state_dict.bin"

# Other number formats.
passes 'to fp16' convert "$TINY" "$BOX/half" --dtype fp16
expect 0 'language model .* fp16 ' 'to fp16: all of it' "$MG" inspect "$BOX/half"
passes 'and back to fp32' convert "$BOX/half" "$BOX/single" --dtype fp32
passes 'and to fp16 again' convert "$BOX/single" "$BOX/half-again" --dtype fp16
passes 'where nothing more is lost' cmp "$(weights half)" "$(weights half-again)"
fails 'but something was' cmp "$TINY/model.safetensors" "$(weights single)"

# By default all parts get the format that most of the source is in: transformers computes in one.
expect 0 'all tensors in fp16, which most of the source is in' 'of a mixed source it says so' \
    "$MG" convert "$FORMS/ac-mono" "$BOX/one" --text-encoder "$T5" --tokenizer "$GOLDEN/tokenizer"
dtypes() { # of a safetensors file, floats alone
    /usr/bin/python3 -c "
import json, struct, sys
f = open(sys.argv[1], 'rb'); h = json.loads(f.read(struct.unpack('<Q', f.read(8))[0]))
print(*sorted({t['dtype'] for k, t in h.items() if k != '__metadata__' and t['dtype'][0] in 'FB'}))" "$1"
}
passes 'one format' test "$(dtypes "$(weights one)")" = F16
passes 'the config says which' grep -q '"torch_dtype": "float16"' "$BOX/one/config.json"
passes 'kept, there are two' test "$(dtypes "$(weights ac-hf)")" = 'F16 F32'
expect 0 '' 'of one format nothing changes' "$MG" convert -q "$TINY" "$BOX/same" --tokenizer "$GOLDEN/tokenizer"
passes 'not a bit' cmp "$TINY/model.safetensors" "$(weights same)"

# They sound as before: each crossed model makes the codes and the sound of the original's reference.
SAY='80s pop track with bassy drums and synth'
GOLDEN_WAV=$(dirname "$COMPARE")/golden_wav
crossed() { # crossed FOLDER GOLDEN-FILE CASE FRAMES options
    local folder=$1 golden=$2 case=$3 frames=$4
    shift 4
    rm -rf "$BOX/out"
    passes "$folder: generate" ranks 1 "$MG" generate -q --greedy --dtype fp32 --save-codes --format wav-f32 --strategy none --seed 1 \
        --model "$BOX/$folder" --tokenizer "$GOLDEN/tokenizer" --prompt "$SAY" --frames "$frames" --out "$BOX/out" "$@"
    passes "$folder: the reference's $case" "$COMPARE" "$GOLDEN/$golden.safetensors" "$case" 0 "$BOX/out/000000.codes.npy" "$BOX/out/000000.wav"
}
for form in ac-melody tiny-melody tiny-stereo-melody; do
    family=hf
    [ "$form" = ac-melody ] && family=audiocraft
    passes "$form: its melody" "$GOLDEN_WAV" "$GOLDEN/$family/$form.safetensors" melody_audio 32000 "$BOX/$form.wav"
done
crossed ac-stereo-hf audiocraft/ac-stereo text_cfg3_alone_0 60
crossed ac-stereo-back audiocraft/ac-stereo text_cfg3_alone_0 60 --text-encoder "$T5"
crossed ac-audiogen-hf audiocraft/ac-audiogen text_cfg3_alone_0 60
crossed ac-melody-hf audiocraft/ac-melody text_cfg3_alone_0 60 --melody "$BOX/ac-melody.wav"
crossed ac-melody-back audiocraft/ac-melody text_cfg3_alone_0 60 --melody "$BOX/ac-melody.wav" --text-encoder "$T5"
for form in tiny-melody tiny-stereo-melody; do
    crossed $form-back hf/$form melody_alone_0_cfg3 30 --melody "$BOX/$form.wav"
    crossed $form-ac hf/$form melody_alone_0_cfg3 30 --melody "$BOX/$form.wav" --text-encoder "$FORMS/$form"
done
fails 'and not those of another' "$COMPARE" "$GOLDEN/hf/$form.safetensors" melody_alone_1_cfg3 0 "$BOX/out/000000.codes.npy" "$BOX/out/000000.wav"

# A codec with more codebooks than the model writes, and positions that AudioCraft will not read.
mkdir "$BOX/fine"
cp "$TINY"/* "$BOX/fine"
chmod -R u+w "$BOX/fine"
LC_ALL=C sed -i 's/"audio_encoder.quantizer.layers.0.codebook.embed_avg"/"audio_encoder.quantizer.layers.4.codebook.embed"    /' "$BOX/fine/model.safetensors"
sed -i '/"target_bandwidths"/,/]/s/2\.2/2.5/' "$BOX/fine/config.json"
expect 0 'only the first 4 codebooks are taken' 'a fifth codebook is left out, and it says so' "$MG" convert "$BOX/fine" "$BOX/coarse"
fails 'it is gone' grep -q layers.4.codebook "$(weights coarse)"
passes 'the rest is the model' sh -c "grep -v max_length '$BOX/coarse/config.json' | cmp - '$BOX/tiny-mono/config.json'"
expect 0 'positions are rounded to fp16' 'positions in fp16 are lost, and it says so' "$MG" convert "$FORMS/tiny-stereo" "$BOX/st" --to audiocraft

# Refusals leave nothing.
expect 2 'half: is there already; give another OUT' 'a folder that is there' convert "$TINY" "$BOX/half"
expect 1 'text encoder: .*t5-base' 'no text encoder' env -u HF_HOME HF_HUB_CACHE="$BOX/none" "$MG" convert "$FORMS/ac-mono" "$BOX/no"
expect 2 'option --shard-size: "1e10TB"' 'more than a number holds' convert "$TINY" "$BOX/no" --shard-size 1e10TB
expect 2 'option --shard-size: "5 parsecs"' 'no size' convert "$TINY" "$BOX/no" --shard-size '5 parsecs'
expect 2 'option --to: "onnx"' 'no form' convert "$TINY" "$BOX/no" --to onnx
mkdir "$BOX/broken"
cp "$TINY"/* "$BOX/broken"
chmod -R u+w "$BOX/broken"
LC_ALL=C sed -i 's/"audio_encoder.encoder.layers.0.conv.bias"/"audio_encoder.encoder.layerz.0.conv.bias"/' "$BOX/broken/model.safetensors"
expect 4 'audio_encoder.encoder.layers.0.conv.bias: missing' 'a tensor that is missing, though generation would not read it' \
    convert "$BOX/broken" "$BOX/no"
expect 1 'cannot write: File too large' 'a full disk' bash -c "ulimit -f 1000; '$MG' convert -q '$TINY' '$BOX/no'"
fails 'nothing is left of them' test -e "$BOX/no"
passes 'not even half' tidy "$BOX"
finish
