#!/bin/bash
# A model that works passes; one that is silently broken does not.   verify.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"
FORMS=$GOLDEN/checkpoints

verify() { # NP code pattern sentence what …
    local n=$1 code=$2 pattern=$3 sentence=$4
    shift 4
    expect "$code" "$pattern" "$sentence" ranks "$n" "$MG" verify -q "$@"
}
fresh() { # [MODEL]
    rm -rf "$BOX/model"
    mkdir "$BOX/model"
    cp "${1:-$TINY}"/* "$BOX/model"
    chmod -R u+w "$BOX/model"
}
# zero TENSOR BYTES: the first of its data.
zero() {
    local header begin file=$BOX/model/model.safetensors
    header=$(od -An -td8 -N8 "$file" | tr -d ' ')
    begin=$(head -c $((header + 8)) "$file" | LC_ALL=C sed -n "s/.*\"$1\":{[^}]*\"data_offsets\":\[\([0-9]*\),.*/\1/p")
    head -c "$2" "${3:-/dev/zero}" | dd of="$file" bs=1 seek=$((8 + header + begin)) conv=notrunc status=none
}

verify 1 0 'two texts differ +ok' 'a good model' "$TINY"
says 'guidance' '^guidance acts +ok'
says 'sound' '^codec sounds +ok +rms 0\.[0-9]+'
says 'no cache' '^hashes +skipped'
verify 2 0 'two texts differ +ok' 'on two ranks' "$TINY"
verify 1 0 'codec sounds +ok' 'an AudioCraft pair' "$FORMS/ac-mono" --text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer"
verify 2 0 'codec sounds +ok' 'a stereo model' "$FORMS/tiny-stereo" --tokenizer "$GOLDEN/tokenizer"
verify 2 0 'melody acts +ok' 'a melody model' "$FORMS/tiny-stereo-melody" --tokenizer "$GOLDEN/tokenizer"
expect 0 '"passed": true' 'JSON' "$MG" verify -q --json "$TINY"

fresh; zero enc_to_dec_proj.weight $((128 * 64 * 4))
verify 1 4 'two texts differ +FAILED .*does not hear its text' 'a text projection of zeros' "$BOX/model"
verify 2 4 'two texts differ +FAILED' 'a text projection of zeros, on two ranks' "$BOX/model"
passes 'one message' test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1
fresh "$FORMS/tiny-melody"; zero audio_enc_to_dec_proj.weight $((128 * 12 * 4))
verify 1 4 'melody acts +FAILED .*does not hear it' 'a melody projection of zeros' "$BOX/model" --tokenizer "$GOLDEN/tokenizer"
fresh; zero audio_encoder.decoder.layers.15.conv.weight_v $((4 * 7 * 4))
verify 1 4 'codec sounds +FAILED' 'a codec without a last layer' "$BOX/model"
fresh; zero decoder.lm_heads.0.weight 4 <(printf '\000\000\300\177')
verify 1 4 'finite weights +FAILED .*decoder.lm_heads.0.weight \(1\)' 'NaN in the weights' "$BOX/model"
fresh "$DEMO"; zero decoder.model.decoder.layers.3.fc2.weight 262144
verify 1 4 'no holes +FAILED .*0.3 MB of zeros in 1 tensors, decoder.model.decoder.layers.3.fc2.weight' 'a hole in a file of full length' "$BOX/model"
expect 0 'warning: .*model.safetensors: 0.3 MB of zeros in decoder.model.decoder.layers.3.fc2.weight: ' 'which a run says too' \
    "$MG" generate -q --model "$BOX/model" --prompt x --frames 4 --out "$BOX/holes"
expect 0 'warning: .*model.safetensors: 0.3 MB of zeros in decoder.model.decoder.layers.3.fc2.weight: ' 'of layers outside, too' \
    "$MG" generate -q --model "$BOX/model" --prompt x --frames 4 --offload layers=2 --device cpu --out "$BOX/holes"
passes 'once' test "$(grep -c 'MB of zeros' "$BOX/said")" = 1
# large VALUE: a codebook of 256 KB of zeros, which says whether it was trained.
large() {
    fresh
    python3 - "$TINY/model.safetensors" "$BOX/model/model.safetensors" "$1" <<'END'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", data[:8])[0]
head, at, out = json.loads(data[8 : 8 + n]), 0, b""
book = "audio_encoder.quantizer.layers.3.codebook."
for name, t in sorted((k, v) for k, v in head.items() if k != "__metadata__"):
    piece = data[8 + n + t["data_offsets"][0] : 8 + n + t["data_offsets"][1]]
    if name == book + "embed":
        t["shape"], piece = [2048, 32], bytes(2048 * 32 * 4)
    if name == book + "inited":
        piece = struct.pack("<f", float(sys.argv[3]))
    t["data_offsets"], at, out = [at, at + len(piece)], at + len(piece), out + piece
text = json.dumps(head).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + out)
END
}
large 0
verify 1 4 '^no holes +ok .*but in 1 codebook that was never trained .*layers.3.codebook.embed' 'a codebook that was never trained' "$BOX/model"
large 1
verify 1 4 '^no holes +FAILED .*0.3 MB of zeros in 1 tensors, .*layers.3.codebook.embed' 'one that says it was' "$BOX/model"
rm -rf "$BOX/pair" && cp -r "$FORMS/ac-mono" "$BOX/pair" && chmod -R u+w "$BOX/pair"
verify 1 0 '^checksums +ok +[0-9]+ records' 'torch.save has checksums' "$BOX/pair" --text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer"
LC_ALL=C sed -i 's/inference_coef: 3.0/inference_coef: 3.1/' "$BOX/pair/state_dict.bin"
verify 1 4 '^checksums +FAILED .*state_dict.bin: .*/data.pkl is not what its checksum says' 'a changed record' \
    "$BOX/pair" --text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer"
fresh
LC_ALL=C sed -i 's/"decoder.lm_heads.0.weight"/"decoder.lm_headz.0.weight"/' "$BOX/model/model.safetensors"
verify 1 4 'every tensor in place +FAILED' 'a tensor under another name' "$BOX/model"
fresh; echo '{' >"$BOX/model/config.json"
verify 1 4 'opens +FAILED .*not JSON' 'a config that is not JSON' "$BOX/model"
verify 1 1 'neither a path nor in a cache' 'nothing' nowhere

# A cache: files are named by what is in them.
export HF_HUB_CACHE=$BOX/hub
unset AUDIOCRAFT_CACHE_DIR
REPO=$HF_HUB_CACHE/models--example--tiny
SNAPSHOT=$REPO/snapshots/0123456789abcdef0123456789abcdef01234567
mkdir -p "$REPO/blobs" "$REPO/refs" "$SNAPSHOT"
printf 0123456789abcdef0123456789abcdef01234567 >"$REPO/refs/main"
for f in "$TINY"/*; do
    case $f in
    *.json) hash=$( (printf 'blob %s\0' "$(stat -c %s "$f")" && cat "$f") | sha1sum | cut -c 1-40) ;;
    *) hash=$(sha256sum "$f" | cut -c 1-64) ;;
    esac
    cp "$f" "$REPO/blobs/$hash"
    chmod u+w "$REPO/blobs/$hash"
    ln -s "../../blobs/$hash" "$SNAPSHOT/$(basename "$f")"
done
verify 1 0 '^hashes +ok +8 files are what the hub says' 'a cache' example/tiny
printf x >>"$SNAPSHOT/generation_config.json"
sed -i 's/x$//; s/200/201/' "$(readlink -f "$SNAPSHOT/generation_config.json")"
verify 1 4 '^hashes +FAILED +1 of 8 files .*generation_config.json' 'a file that has changed' example/tiny

# hf download --local-dir: no links, but notes.
fresh
mkdir -p "$BOX/model/.cache/huggingface/download"
for f in model.safetensors spiece.model; do
    printf '0123456789abcdef0123456789abcdef01234567\n%s\n%s.25\n' "$(sha256sum <"$TINY/$f" | cut -c 1-64)" "$(date +%s)" \
        >"$BOX/model/.cache/huggingface/download/$f.metadata"
done
verify 1 0 '^hashes +ok +2 files are what the hub says' 'a folder that was downloaded' "$BOX/model"
touch -r "$BOX/model/spiece.model" "$BOX/time"
zero audio_encoder.encoder.layers.0.conv.bias 4
touch -r "$BOX/time" "$BOX/model/model.safetensors"
verify 1 4 '^hashes +FAILED +1 of 2 files .*model.safetensors' 'with four bytes of zeros' "$BOX/model"
touch -d '1 hour' "$BOX/model/model.safetensors"
verify 1 0 '^hashes +ok +1 file is' 'a file that its owner has changed since is his' "$BOX/model"
finish
