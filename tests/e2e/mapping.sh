#!/bin/bash
# Strict mapping: a tensor under another name is refused, proposed, and taken if the user says so.
#   mapping.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
COMPARE=$3
MODEL=$BOX/model
OUT=$BOX/out

fresh() { # a writable copy of the tiny model
    rm -rf "$MODEL" "$OUT"
    mkdir "$MODEL"
    cp "$TINY"/* "$MODEL"
    chmod -R u+w "$MODEL"
}
rename() { LC_ALL=C sed -i "s/\"$1\"/\"$2\"/" "$MODEL/model.safetensors"; } # of the same length
generate() {
    local n=$1
    shift
    ranks "$n" "$MG" generate -q --model "$MODEL" --prompt '90s rock song with loud guitars and heavy drums' --frames 60 \
        --greedy --seed 1 --save-codes --format wav-f32 --strategy none --out "$OUT" "$@"
}

fresh
rename audio_encoder.decoder.layers.3.conv.bias audio_encoder.decoder.layerz.3.conv.bias
rename text_encoder.encoder.block.1.layer.0.SelfAttention.q.weight text_encoder.encoder.block.1.layer.0.SelfAttenshun.q.weight
rename decoder.model.decoder.layers.1.fc1.weight decoder.model.decoder.layerz.1.fc1.weight
for n in 1 2; do
    expect 4 '3 missing, 3 unexpected' "three renamed tensors on $n rank(s)" generate $n
    for name in audio_encoder.decoder.layers.3.conv.bias text_encoder.encoder.block.1.layer.0.SelfAttention.q.weight \
        decoder.model.decoder.layers.1.fc1.weight; do
        passes "$name is listed" grep -Eq "missing +$name" "$BOX/said"
    done
    passes 'each with its proposal' test "$(grep -Ec '^ *\* [01]\.[0-9]+ +(audio_encoder.decoder.layerz.3.conv.bias|text_encoder.encoder.block.1.layer.0.SelfAttenshun.q.weight|decoder.model.decoder.layerz.1.fc1.weight)' "$BOX/said")" = 3
    passes 'one message' test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1
    fails 'nothing is written' sh -c "ls -A '$OUT' 2>/dev/null | grep -q ."
    expect 0 '' "--apply-proposed on $n rank(s)" generate $n --apply-proposed
    passes 'the clip is the reference' "$COMPARE" "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3 0 \
        "$OUT/000000.codes.npy" "$OUT/000000.wav"
    passes 'the metadata has every name that was taken' \
        test "$(grep -Ec '"source":[[:space:]]*"(audio_encoder.decoder.layerz.3.conv.bias|text_encoder.encoder.block.1.layer.0.SelfAttenshun.q.weight|decoder.model.decoder.layerz.1.fc1.weight)"' "$OUT/000000.json")" = 3
    rm -rf "$OUT"
done
passes 'APPLY_PROPOSED=1' env APPLY_PROPOSED=1 "$MG" generate -q --model "$MODEL" --unconditional 1 --frames 4 --out "$OUT"
expect 4 '3 missing' 'APPLY_PROPOSED=0' env APPLY_PROPOSED=0 "$MG" generate -q --model "$MODEL" --unconditional 1 --frames 4 --out "$OUT"

# What this program cannot compute stands behind the table, not in its place.
fresh
rename decoder.model.decoder.layers.1.fc1.weight decoder.model.decoder.layerz.1.fc1.weight
sed -i 's/"use_conv_shortcut": false/"use_conv_shortcut": true/' "$MODEL/config.json"
expect 4 'missing +decoder.model.decoder.layers.1.fc1.weight' 'a renamed tensor and a setting that is not supported' generate 1
passes 'the setting is named too' grep -q 'use_conv_shortcut: true' "$BOX/said"
expect 4 'use_conv_shortcut: true' 'and it is still there when the name is accepted' generate 1 --apply-proposed

# A codec with more codebooks than the model writes: the first ones are its codec.
fresh
LC_ALL=C sed -i 's/"audio_encoder.quantizer.layers.0.codebook.embed_avg"/"audio_encoder.quantizer.layers.4.codebook.embed"    /' "$MODEL/model.safetensors"
sed -i '/"target_bandwidths"/,/]/s/2\.2/2.5/' "$MODEL/config.json"
expect 0 '' 'a fifth codebook is no harm' generate 1
passes 'the clip is the reference' "$COMPARE" "$GOLDEN/hf/tiny-mono.safetensors" single_cfg3 0 "$OUT/000000.codes.npy" "$OUT/000000.wav"
expect 0 'audio_encoder.quantizer.layers.4.codebook.embed +fp32 .* -> ignored' 'inspect lists it as ignored' \
    "$MG" inspect "$MODEL" --keys
rename audio_encoder.quantizer.layers.3.codebook.embed audio_encoder.quantizer.layers.5.codebook.embed
rm -rf "$OUT"
expect 4 'missing +audio_encoder.quantizer.layers.3.codebook.embed' 'but one of the first four must not be missing' generate 1

# Two that could each be either: nobody guesses.
fresh
rename decoder.lm_heads.1.weight decoder.lm_heads.x.weight
rename decoder.lm_heads.2.weight decoder.lm_heads.y.weight
expect 4 '2 missing, 2 unexpected' 'names that say nothing' generate 1 --apply-proposed
# A tensor that nobody asked for.
fresh
rename decoder.lm_heads.3.weight decoder.lm_heads.9.weight
expect 4 '1 missing, 1 unexpected' 'a head that does not exist' generate 1
# AudioCraft's form.
rm -rf "$MODEL"
mkdir "$MODEL"
cp "$GOLDEN/checkpoints/ac-mono/"* "$MODEL"
chmod -R u+w "$MODEL"
LC_ALL=C sed -i 's/transformer.layers.1.linear1.weight/transformer.layerz.1.linear1.weight/' "$MODEL/state_dict.bin"
ac() { "$MG" generate -q --model "$MODEL" --unconditional 2 --frames 60 --greedy --seed 1 --save-codes --format wav-f32 --strategy none --out "$OUT" "$@"; }
expect 4 'missing +decoder.model.decoder.layers.1.fc1.weight' 'a renamed tensor of AudioCraft'"'"'s' ac
expect 0 '' 'taken as proposed' ac --apply-proposed
passes 'the clip is the reference' "$COMPARE" "$GOLDEN/audiocraft/ac-mono.safetensors" uncond 1 \
    "$OUT/000001.codes.npy" "$OUT/000001.wav"
finish
