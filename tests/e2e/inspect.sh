#!/bin/bash
# What things are, broken and foreign ones too.   inspect.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"
FORMS=$GOLDEN/checkpoints
export HF_HUB_CACHE=$BOX/hub
unset AUDIOCRAFT_CACHE_DIR

# inspect CODE PATTERN SENTENCE what …
inspect() {
    local code=$1 pattern=$2 sentence=$3
    shift 3
    expect "$code" "$pattern" "$sentence" ranks 1 "$MG" inspect "$@"
}

inspect 0 '^is +Hugging Face model$' 'a Hugging Face folder' "$TINY"
says 'its parameters' '^language model +469,376 .* fp32 +45 +0 +0 +0 +0$'
says 'its container' '^stored as +safetensors, 1 file, 3\.8 MB'
says 'its codec' 'EnCodec, 32000 Hz, 50 frames/s, 4 codebooks of 64, pads with reflection'
says 'its defaults' '^its defaults +guidance 3, sampling, 200 columns'
says 'it would load' '^generate +would load it$'
inspect 0 'safetensors, 3 files' 'shards' "$FORMS/tiny-mono-sharded"
says 'why it would not load' 'would not load it: tokenizer: '
inspect 0 'computed' 'fused weights, no positions' "$FORMS/tiny-mono-fused-no-positions"
inspect 0 'torch zip' 'a torch zip' "$FORMS/tiny-mono-bin"
inspect 0 'language model .* bf16 ' 'bf16' "$FORMS/tiny-variant"
inspect 0 '^is +AudioCraft model$' 'an AudioCraft pair' "$FORMS/ac-mono" --text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer"
says 'its names' 'AudioCraft language model names'
says 'it pads with zeros' 'pads with zeros'
says 'it would load too' '^generate +would load it$'
inspect 0 't5-base, by name: it is not here' 'an AudioCraft pair whose text encoder is elsewhere' "$FORMS/ac-mono"
says 'what is missing is named' 'hf download google-t5/t5-base'
inspect 0 '^points to +facebook/encodec_32khz' 'a codec pointer' "$FORMS/ac-pointer"
inspect 0 '^is +codec \(EnCodec\) by itself' 'a codec' "$FORMS/encodec-hf"
inspect 0 '^is +text encoder \(T5\) by itself' 'a text encoder' "$GOLDEN/t5-tiny"
inspect 0 'training checkpoint of a language model' 'a training checkpoint' "$FORMS/ac-mono-training/checkpoint.th"
says 'what to do with it' 'export it first \(mg-dist export\)'
inspect 0 'training checkpoint of a codec' "a codec's training checkpoint" "$FORMS/ac-mono-training/codec_checkpoint.th"

inspect 0 'transformer.layers.0.self_attn.in_proj_weight +fp16 +\[384,128\] +-> .*self_attn.q_proj.weight, .*v_proj.weight' \
    'the names' "$FORMS/ac-mono/state_dict.bin" --keys
expect 0 '"loads": true' 'JSON' "$MG" inspect "$TINY" --json --keys
passes 'every tensor is in it' test "$(grep -c '^      "target": "' "$BOX/said")" = 180
inspect 0 '^is +Hugging Face model$' 'a model by its config.json' "$TINY/config.json"
says 'it would load' '^generate +would load it$'

# Broken and foreign.
mkdir "$BOX/model"
cp "$TINY"/* "$BOX/model"
chmod -R u+w "$BOX/model"
LC_ALL=C sed -i 's/"decoder.lm_heads.0.weight"/"decoder.lm_headz.0.weight"/' "$BOX/model/model.safetensors"
inspect 4 'language model .* 44 +1 +0 +1 +0$' 'a renamed tensor' "$BOX/model"
says 'it is named' 'decoder.lm_heads.0.weight'
says 'it would not load' '^generate +would not load it: '
head -c 100000 "$TINY/model.safetensors" >"$BOX/model/model.safetensors"
inspect 4 'truncated' 'a truncated file' "$BOX/model"
inspect 4 'weights of an unknown model' 'foreign weights' "$GOLDEN/mixed.safetensors"
inspect 4 'not a safetensors file' 'no weights at all' "$TINY/spiece.model"
inspect 1 'neither a path nor in a cache' 'nothing' nowhere
inspect 2 'MODEL' 'no operand'
inspect 4 'object of posix.system' 'a file that would run a command: it is only read' "$GOLDEN/torch/command.pt"
says 'its keys' '^  w +fp32 \[3,2\]$'
inspect 4 'torch.nn.modules.linear.Linear' 'a pickled module' "$GOLDEN/torch/module.pt"

# Names of a pickle that are cut inside a character, and those that are no UTF-8 at all.
python3 - "$BOX/names.pt" <<'END'
import struct, sys
def text(s): return b"X" + struct.pack("<I", len(s)) + s
name = b"c" + ("m" * 39 + "\u00e9").encode() + b"\n" + ("n" * 39 + "\u00e9").encode() + b"\n"
pickle = b"\x80\x02}(" + text(b"cut") + name + b"U\x03a\xffb" + b"U\x02\xfe!" + b"u."
number = 0x1950a86a20f9469cfc6c
protocol = b"\x80\x02\x8a\x0a" + number.to_bytes(10, "little") + b"."
open(sys.argv[1], "wb").write(protocol + b"\x80\x02M\xe9\x03." + b"\x80\x02}" + text(b"little_endian") + b"\x88s." + pickle + b"\x80\x02].")
END
expect 4 '"cut": "name m{39}\.n{39}"' 'names that are cut' "$MG" inspect "$BOX/names.pt" --json
passes 'its JSON is UTF-8' iconv -f UTF-8 -t UTF-8 "$BOX/said"
says 'and what is none is escaped' '"a\\\\xffb": "text \\"\\\\xfe!\\""'
odd=$BOX/odd$(printf '\377')name
cp -r "$TINY" "$odd"
expect 0 '"path": ".*/odd\\\\xffname"' 'a path that is no UTF-8' "$MG" inspect "$odd" --json
passes 'its JSON is UTF-8 too' iconv -f UTF-8 -t UTF-8 "$BOX/said"

# Tensors of every type that a file can have, in the place of the language model's.
cp -r "$TINY" "$BOX/types" && chmod -R u+w "$BOX/types"
python3 - "$BOX/types/model.safetensors" <<'END'
import json, struct, sys
path = sys.argv[1]
data = open(path, "rb").read()
n = struct.unpack("<Q", data[:8])[0]
header, body = json.loads(data[8:8 + n]), data[8 + n:]
sizes = dict(F32=4, BF16=2, F16=2, I32=4, F64=8, I64=8, U8=1, I8=1, F8_E4M3=1, F8_E5M2=1, I16=2, U16=2, U32=4, U64=8, C64=8)
for dtype, size in sizes.items():
    header["decoder.model.decoder." + dtype] = {"dtype": dtype, "shape": [8 // size], "data_offsets": [len(body), len(body) + 8]}
    body += bytes(8)
text = json.dumps(header).encode()
open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)
END
inspect 4 'language model .* fp32, bf16, fp16, int32, .*, uint64, complex64 +45 +0 +0 +15 +0$' 'a part of fifteen types' "$BOX/types"
finish
