#!/bin/bash
# A language model as trainers and tools leave it: alone, under other names, with an adapter, quantised.
#   trainers.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"
KEPT=$GOLDEN/trainers
AC=$GOLDEN/checkpoints/ac-mono
LEFT=$BOX/left

# The files as they were left: what is kept has no values (fill_checkpoint.py).
cp -r "$KEPT" "$LEFT" && chmod -R u+w "$LEFT"
fill() { passes "$3: filled" python3 "$(dirname "$0")/fill_checkpoint.py" "$KEPT/$1" "$2" "$LEFT/$3" "$4"; }
fill deepspeed.zip "$AC/state_dict.bin" deepspeed.pt module/
fill lightning.zip "$AC/state_dict.bin" lightning.ckpt state_dict/lm.
fill decoder/model.head "$TINY/model.safetensors" decoder/model.safetensors decoder.

# clip NAME option …: 40 columns, whose codes are kept as NAME.
clip() {
    local name=$1
    shift
    rm -rf "$BOX/out"
    timeout 120 "$MG" generate -q --unconditional 1 --frames 40 --greedy --seed 1 --save-codes --out "$BOX/out" "$@" || return
    mv "$BOX/out/000000.codes.npy" "$BOX/$name.npy"
    mv "$BOX/out/000000.json" "$BOX/$name.json"
}
as() { passes "$1: the clip of $2" cmp "$BOX/$2.npy" "$BOX/$3.npy"; }

expect 0 '' 'the AudioCraft model' clip ac --model "$AC" --text-encoder "$GOLDEN/t5-tiny"
expect 0 '' 'the Hugging Face model' clip hf --model "$TINY"
for file in deepspeed.pt lightning.ckpt; do
    expect 0 '' "$file beside its model" clip other --model "$AC" --lm "$LEFT/$file"
    as "$file" ac other
    expect 4 "$file: weights of a language model that do not say what it is.*beside --model" "$file without one" \
        clip other --lm "$LEFT/$file" --codec "$AC"
done
expect 4 'missing +|wrong +' 'beside a model of another shape' clip other --model "$GOLDEN/checkpoints/ac-stereo" --lm "$LEFT/deepspeed.pt"
expect 0 '' 'a decoder by itself (fp16, no positions)' clip decoder --model "$TINY" --lm "$LEFT/decoder"
expect 0 '' 'the same as one file' clip file --model "$TINY" --lm "$LEFT/decoder/model.safetensors"
as 'a folder or a file' decoder file
expect 0 'would load it' 'inspect takes --lm' "$MG" inspect "$TINY" --lm "$LEFT/decoder"
expect 0 '' 'convert makes a whole model of it' "$MG" convert "$TINY" "$BOX/whole" --lm "$LEFT/decoder"
expect 0 '' 'which loads' clip whole --model "$BOX/whole"
as 'converted' decoder whole

# Weights that are there twice: the averaged copy is taken, as trainers evaluate and export it, and said.
# pair FILE AVERAGED PATTERN: Lightning's file, in which only the averaged copy has the model's weights.
pair() {
    local kept=lightning-$1
    [ -e "$KEPT/$kept.zip" ] || kept=ema-$1
    fill "$kept.zip" "$AC/state_dict.bin" "$1.ckpt" "$2"
    expect 0 "warning: .*$1.ckpt: $3" "$1: says which copy" timeout 60 "$MG" generate --model "$AC" --text-encoder "$GOLDEN/t5-tiny" \
        --lm "$LEFT/$1.ckpt" --unconditional 1 --frames 40 --greedy --seed 1 --save-codes --out "$BOX/pair"
    passes "$1: the clip of the averaged copy" cmp "$BOX/pair/000000.codes.npy" "$BOX/ac.npy"
}
pair swa_utils state_dict/lm_ema.module. 'its weights are there twice: the averaged copy is used \(lm_ema\.'
pair ema_pytorch state_dict/ema.ema_model. 'its weights are there twice: the averaged copy is used \(ema.ema_model\.'
pair callback callbacks/EMACallback/ema_state_dict/lm. 'its weights are there twice: the averaged copy is used \(ema_state_dict.lm\.'
pair weight_averaging state_dict/lm. 'state_dict holds the averaged weights, which are used; current_model_state is left'
TWICE='its weights are there twice: the averaged copy is used'
pair torch_ema ema/shadow_params/ "$TWICE \\(shadow_params\\., 36 tensors\\)"
pair diffusers ema/shadow_params/ "$TWICE \\(shadow_params.lm\\."
pair nemo optimizer_states/0/ema/ "$TWICE \\(ema.lm\\."
pair lit_ema state_dict/model_ema. "$TWICE \\(model_ema\\., 36 tensors\\)"
pair some model/ 'its averaged copy \(shadow_params, 5 tensors\) has no names, and its order and shapes are not those of the 36 tensors beside it'
fill ema-alone.zip "$AC/state_dict.bin" alone.pt shadow_params/
expect 4 'alone.pt: an averaged copy without names \(shadow_params\) and no model beside it' 'such a copy alone' \
    clip other --model "$AC" --lm "$LEFT/alone.pt"
fill lightning-swa_utils.zip "$AC/state_dict.bin" raw.ckpt state_dict/lm.
expect 0 '' 'is there' clip raw --model "$AC" --lm "$LEFT/raw.ckpt"
fails 'the other copy is not taken' cmp "$BOX/raw.npy" "$BOX/ac.npy"
expect 0 'averaged copy is used' 'inspect says which' "$MG" inspect "$AC" --text-encoder "$GOLDEN/t5-tiny" --lm "$LEFT/callback.ckpt"

# Names: a beginning before all, a component put in, a part under another name.
renamed() { # FOLDER SED-SCRIPT: tiny-mono with other names, through its header in JSON
    rm -rf "$BOX/model"
    cp -r "$TINY" "$BOX/model"
    chmod -R u+w "$BOX/model"
    python3 - "$BOX/model/model.safetensors" "$1" <<'PY'
import json, re, struct, sys
path, (old, new) = sys.argv[1], sys.argv[2].split("=>")
data = open(path, "rb").read()
n = struct.unpack("<Q", data[:8])[0]
head = json.loads(data[8:8 + n])
head = {k if k == "__metadata__" else re.sub(old, new, k): v for k, v in head.items()}
text = json.dumps(head).encode()
open(path, "wb").write(struct.pack("<Q", len(text)) + text + data[8 + n:])
PY
}
for before in student. base_model.model. a.b.c.; do
    renamed "^=>$before"
    expect 0 '' "$before before every name" clip other --model "$BOX/model"
    as "$before" hf other
done
renamed 'q_proj.weight=>q_proj.base_layer.weight'
expect 4 '\* 0.9[0-9] +decoder.model.decoder.layers.0.self_attn.q_proj.base_layer.weight' 'a component put in: the same name around it' \
    clip other --model "$BOX/model"
expect 0 '' 'accepted' clip other --model "$BOX/model" --apply-proposed
as 'a component put in' hf other
renamed '^audio_encoder=>audio_codec'
expect 4 'accepts the 104 marked' 'a part under another name' clip other --model "$BOX/model"
expect 0 '' 'accepted, and its buffers are left over as they would be' clip other --model "$BOX/model" --apply-proposed
as 'a part renamed' hf other

# As transformers 5 saves a model, without a tokenizer.model and without positions: no word of warning.
mkdir "$BOX/five" && cp "$GOLDEN/transformers5"/*.json "$GOLDEN/tokenizer/tokenizer.json" "$BOX/five"
cp "$GOLDEN/checkpoints/tiny-mono-fused-no-positions/model.safetensors" "$BOX/five"
expect 0 '' 'saved by transformers 5' "$MG" generate --model "$BOX/five" --prompt piano --frames 40 --greedy --seed 1 --save-codes --out "$BOX/of5"
fails 'without a warning' grep -q warning "$BOX/said"
expect 0 '' 'saved by 4.46' "$MG" generate --model "$TINY" --prompt piano --frames 40 --greedy --seed 1 --save-codes --out "$BOX/of4"
passes 'the same codes' cmp "$BOX/of5/000000.codes.npy" "$BOX/of4/000000.codes.npy"

# Adapters.
expect 0 '' 'with an adapter' clip lora --model "$TINY" --lora "$GOLDEN/lora/plain"
fails 'another clip' cmp "$BOX/hf.npy" "$BOX/lora.npy"
passes 'the JSON says which' grep -q '"lora":.*lora/plain' "$BOX/lora.json"
cp "$BOX/lora.json" "$BOX/again.json"
expect 0 '' 'replayed from its JSON' "$MG" replay "$BOX/again.json" --out "$BOX/replayed"
passes 'with the same adapter' grep -q '"lora":.*lora/plain' "$BOX"/replayed/*.json
passes 'to the same sound' test "$(grep -ho '"audio_sha256".*' "$BOX/lora.json")" = "$(grep -ho '"audio_sha256".*' "$BOX"/replayed/*.json)"
expect 0 '' 'merged by convert' "$MG" convert "$TINY" "$BOX/merged" --lora "$GOLDEN/lora/plain"
expect 0 '' 'by one thread' taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[^0-9].*//')" \
    "$MG" convert "$TINY" "$BOX/merged_alone" --lora "$GOLDEN/lora/plain"
passes 'to the same bytes' cmp "$BOX/merged/model.safetensors" "$BOX/merged_alone/model.safetensors"
expect 0 '' 'which loads' clip merged --model "$BOX/merged"
as 'merged once and for all' lora merged
expect 0 '' 'an adapter on two ranks' ranks 2 "$MG" generate -q --unconditional 1 --frames 40 --greedy --seed 1 --save-codes --tp 2 \
    --out "$BOX/two" --model "$TINY" --lora "$GOLDEN/lora/plain"
passes 'the same codes' cmp "$BOX/lora.npy" "$BOX/two/000000.codes.npy"
expect 0 '' 'an adapter, and layers that come from the file' clip outside --model "$TINY" --lora "$GOLDEN/lora/plain" --offload layers=2
as 'with layers outside' lora outside
cp -rL "$GOLDEN/lora/plain" "$BOX/strong" && chmod -R u+w "$BOX/strong"
sed -i 's/"alpha_pattern": {}/"alpha_pattern": {"fc1": 1e10}/' "$BOX/strong/adapter_config.json"
expect 0 '' 'a model in fp16' "$MG" convert "$TINY" "$BOX/half" --dtype fp16
expect 4 'fc1.weight: [0-9]* of .*, with the adapter, are NaN or Inf' 'what fp16 cannot hold' clip other --model "$BOX/half" --lora "$BOX/strong"
expect 4 'fc1.weight: with the adapter [0-9]* values are beyond what fp16 can hold' 'converted' \
    "$MG" convert "$BOX/half" "$BOX/never" --lora "$BOX/strong"
expect 4 'a LORA adapter for example/tiny-mono, not a model: give it as --lora' 'an adapter as the model' clip other --model "$GOLDEN/lora/plain"
expect 4 'adapter \(PEFT\)' 'inspect knows one' "$MG" inspect "$GOLDEN/lora/plain"
mkdir "$BOX/trained" && cp "$TINY"/*.json "$GOLDEN/lora/plain"/* "$BOX/trained" && chmod -R u+w "$BOX/trained"
expect 4 'trained: a LORA adapter for example/tiny-mono, not a model: give it as --lora' 'a trainer left config.json beside it' \
    clip other --model "$BOX/trained"
expect 4 'a LORA adapter for example/tiny-mono, not a model' 'its file as --lm' \
    clip other --model "$TINY" --lm "$BOX/trained/adapter_model.safetensors"
cp "$BOX/trained/adapter_model.safetensors" "$BOX/lora-v2.safetensors"
expect 4 "lora-v2.safetensors: an adapter's weights .*as --lora" 'its file under another name' clip other --model "$TINY" --lm "$BOX/lora-v2.safetensors"
expect 4 'is +adapter \(PEFT\)' 'inspect knows that one, too' "$MG" inspect "$BOX/trained"
expect 0 '' 'and --lora takes it' clip file --model "$TINY" --lora "$BOX/trained"
as 'an adapter beside a config.json' lora file
sed -i 's/"use_dora": false/"new_kind_of_scale": 3/' "$BOX/trained/adapter_config.json"
expect 0 'warning: .*adapter_config.json: unknown key, not looked at: new_kind_of_scale' 'what a newer PEFT says is told' \
    "$MG" generate --model "$TINY" --lora "$BOX/trained" --unconditional 1 --frames 4 --out "$BOX/out"
expect 4 'do not go with' 'an adapter of another model' clip other --model "$GOLDEN/checkpoints/tiny-variant" --lora "$GOLDEN/lora/plain"

expect 0 '' 'an adapter by its file' clip file --model "$TINY" --lora "$GOLDEN/lora/plain/adapter_model.safetensors"
as 'the file or the folder' lora file
mkdir -p "$BOX/hub/models--an--adapter/snapshots" && cp -r "$GOLDEN/lora/plain" "$BOX/hub/models--an--adapter/snapshots/0a1b2c3d"
expect 0 '' 'an adapter by its id' env HF_HUB_CACHE="$BOX/hub" "$MG" generate -q --unconditional 1 --frames 40 --greedy --seed 1 --save-codes \
    --out "$BOX/by_id" --model "$TINY" --lora an/adapter
passes 'the id or the folder' cmp "$BOX/lora.npy" "$BOX/by_id/000000.codes.npy"
expect 2 'option --lora: given twice' 'two adapters' clip file --model "$TINY" --lora "$GOLDEN/lora/plain" --lora "$GOLDEN/lora/bin"
mkdir "$BOX/both" && cp "$TINY"/* "$GOLDEN/lora/plain"/* "$BOX/both" && chmod -R u+w "$BOX/both"
expect 0 'warning: .*both: an adapter lies beside the weights .*--lora .*both merges it' 'one beside the weights is said' \
    "$MG" generate --model "$BOX/both" --unconditional 1 --frames 4 --out "$BOX/out"
expect 0 '' 'and merged where it is asked for' clip file --model "$BOX/both" --lora "$BOX/both"
fails 'without a warning' grep -q warning "$BOX/said"
as 'beside the weights' lora file

# Folders as tools leave them. folder PATTERN SENTENCE FILE …: of these files, each with something in it.
folder() {
    local pattern=$1 sentence=$2 file
    shift 2
    rm -rf "$BOX/left-by"
    for file; do
        mkdir -p "$BOX/left-by/$(dirname "$file")"
        echo x >"$BOX/left-by/$file"
    done
    expect 1 "left-by: $pattern" "$sentence: --model" clip other --model "$BOX/left-by"
    expect 1 "left-by: $pattern" "$sentence: --lm" clip other --model "$TINY" --lm "$BOX/left-by"
}
folder 'is a DeepSpeed checkpoint: .*zero_to_fp32.py FOLDER OUT' DeepSpeed latest zero_to_fp32.py global_step4/mp_rank_00_model_states.pt
folder 'is a part of a DeepSpeed checkpoint' 'its inner folder' mp_rank_00_model_states.pt zero_pp_rank_0_mp_rank_00_optim_states.pt
folder 'is a distributed checkpoint: .*dcp_to_torch' 'torch.distributed' __0_0.distcp __1_0.distcp .metadata
folder 'is a distributed checkpoint in safetensors: .*consolidate_safetensors_files' 'torch.distributed for the hub' \
    shard-00001-model-00001-of-00001.safetensors shard-00002-model-00001-of-00001.safetensors
folder 'is a folder of checkpoints, .*it holds checkpoint-1000' 'a Trainer' checkpoint-500/a checkpoint-1000/a checkpoint-90/a runs/a
folder 'is a model for OpenVINO' OpenVINO openvino_decoder_model.xml openvino_decoder_model.bin
folder 'is a model for ONNX' ONNX onnx/decoder_model.onnx
folder 'is a model for Flax' Flax flax_model.msgpack
folder 'is a model for TensorFlow' TensorFlow tf_model.h5
folder 'is no model.s folder: a file with weights is given by its own name .*lm_final.pt' 'a file of another name' lm_final.pt notes.txt
mkdir "$BOX/plain" && cp "$TINY/model.safetensors" "$BOX/plain"
expect 0 '' 'weights without a config.json (accelerate)' clip other --model "$TINY" --lm "$BOX/plain"
as 'accelerate' hf other
expect 4 'plain: weights of a language model that do not say what it is' 'without a model beside them' clip other --model "$BOX/plain"

# Quantised files.
for pair in 'bnb-int8:bitsandbytes int8' 'bnb-nf4:bitsandbytes nf4' 'fp8:fp8' 'gptq:GPTQ' torchao:torchao; do
    for end in safetensors pt; do
        expect 4 "is quantised \(${pair#*:}" "${pair%%:*}.$end" clip other --model "$TINY" --lm "$LEFT/${pair%%:*}.$end"
    done
done
expect 4 'unexpected +x.q +int16 \[4\]' 'a type that nobody needs is unexpected' clip other --model "$TINY" --lm "$LEFT/int16.safetensors"

# One thing under two names.
twice() { # NAME OTHER CHANGE: NAME's tensor again under OTHER, with CHANGE added to its first byte
    rm -rf "$BOX/model"
    cp -r "$TINY" "$BOX/model"
    chmod -R u+w "$BOX/model"
    python3 - "$BOX/model/model.safetensors" "$@" <<'PY'
import json, struct, sys
path, name, other, change = sys.argv[1:]
data = open(path, "rb").read()
n = struct.unpack("<Q", data[:8])[0]
head = json.loads(data[8:8 + n])
begin, end = head[name]["data_offsets"]
copy = bytearray(data[8 + n + begin:8 + n + end])
copy[0] = (copy[0] + int(change)) % 256
size = len(data) - 8 - n
head[other] = dict(head[name], data_offsets=[size, size + len(copy)])
text = json.dumps(head).encode()
open(path, "wb").write(struct.pack("<Q", len(text)) + text + data[8 + n:] + copy)
PY
}
SHARED=$(strings -n 8 "$TINY/model.safetensors" | grep -o '"text_encoder[^"]*\(shared\|embed_tokens\).weight"' | head -1 | tr -d '"')
OTHER=text_encoder.shared.weight
[ "$SHARED" = "$OTHER" ] && OTHER=text_encoder.encoder.embed_tokens.weight
twice "$SHARED" "$OTHER" 0
expect 0 '' 'both names of the embedding' clip other --model "$BOX/model"
as 'both names' hf other
twice "$SHARED" "$OTHER" 1
expect 4 'text_encoder.shared.weight and text_encoder.encoder.embed_tokens.weight are one tensor, and differ' 'that differ' \
    "$MG" generate -q --model "$BOX/model" --prompt a --frames 4 --out "$BOX/out"
twice audio_encoder.encoder.layers.0.conv.weight_v audio_encoder.encoder.layers.0.conv.weight 0
expect 4 'are one weight in two forms' 'a convolution fused and in parts' clip other --model "$BOX/model"

# What the files say that is not done here.
rm -rf "$BOX/model"
cp -r "$TINY" "$BOX/model"
chmod -R u+w "$BOX/model"
sed -i 's/"do_sample": true/"do_sample": true, "repetition_penalty": 1.2, "min_p": 0.25, "newly_invented": 3/' "$BOX/model/generation_config.json"
sed -i '0,/"model_type"/s//"newly_invented": 1, "model_type"/' "$BOX/model/tokenizer_config.json" "$BOX/model/config.json"
rm -rf "$BOX/out"
expect 0 'warning: .*generation_config.json: not done here, where the reference does it: repetition_penalty 1.2' 'a key that changes the sound' \
    "$MG" generate --model "$BOX/model" --prompt a --frames 4 --out "$BOX/out"
passes 'a key that nobody knows' grep -q 'generation_config.json: unknown key, not looked at: newly_invented' "$BOX/said"
passes 'min_p is taken' grep -q '"min_p":[[:space:]]*0.25' "$BOX/out/000000.json"
expect 0 'notes .*repetition_penalty 1.2' 'inspect notes it' "$MG" inspect "$BOX/model"
passes 'in JSON too' sh -c "'$MG' inspect '$BOX/model' --json | grep -q 'repetition_penalty 1.2'"
rm -rf "$BOX/kept"
expect 0 'warning: .*repetition_penalty 1.2' 'convert says it' "$MG" convert "$BOX/model" "$BOX/kept"
passes 'keeps it' grep -q '"repetition_penalty": 1.2' "$BOX/kept/generation_config.json"
expect 0 '' 'golden models say nothing' "$MG" generate --model "$TINY" --prompt a --frames 4 --out "$BOX/out"
fails 'not a warning' grep -q warning "$BOX/said"
finish
