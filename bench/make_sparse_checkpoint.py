#!/usr/bin/env python3
"""A MusicGen of a published shape in Hugging Face's layout, all zeros and without blocks on the disk: for
`mg-dist bench load`, which reads it as it would read the real one.

usage: make_sparse_checkpoint.py OUT [small|medium|large]     needs nothing but Python 3
"""
import json, os, struct, sys

SHAPES = {"small": (1024, 24, 16, 4096), "medium": (1536, 48, 24, 6144), "large": (2048, 48, 32, 8192)}
out, shape = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "large"
H, L, N_HEADS, F = SHAPES[shape]
K, V, T = 4, 2048, 768
t = {}
for i in range(12):
    b = f"text_encoder.encoder.block.{i}.layer."
    for n in "qkvo":
        t[f"{b}0.SelfAttention.{n}.weight"] = [T, T]
    t[b + "1.DenseReluDense.wi.weight"], t[b + "1.DenseReluDense.wo.weight"] = [3072, T], [T, 3072]
    t[b + "0.layer_norm.weight"] = t[b + "1.layer_norm.weight"] = [T]
t["text_encoder.shared.weight"] = [32128, T]
t["text_encoder.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = [32, 12]
t["text_encoder.encoder.final_layer_norm.weight"] = [T]
d = "decoder.model.decoder."
for k in range(K):
    t[f"{d}embed_tokens.{k}.weight"], t[f"decoder.lm_heads.{k}.weight"] = [V + 1, H], [V, H]
t[d + "embed_positions.weights"] = [2048, H]
for i in range(L):
    for a in ("self_attn", "encoder_attn"):
        for n in "q_proj", "k_proj", "v_proj", "out_proj":
            t[f"{d}layers.{i}.{a}.{n}.weight"] = [H, H]
    for n in "self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm":
        t[f"{d}layers.{i}.{n}.weight"] = t[f"{d}layers.{i}.{n}.bias"] = [H]
    t[f"{d}layers.{i}.fc1.weight"], t[f"{d}layers.{i}.fc2.weight"] = [F, H], [H, F]
t[d + "layer_norm.weight"] = t[d + "layer_norm.bias"] = t["enc_to_dec_proj.bias"] = [H]
t["enc_to_dec_proj.weight"] = [H, T]
a = "audio_encoder."
conv = lambda name, shape, bias: t.update({name + ".weight": shape, name + ".bias": [bias]})
for side, ratios in (("encoder", (4, 4, 5, 8)), ("decoder", (8, 5, 4, 4))):
    p, enc = f"{a}{side}.layers.", side == "encoder"
    c, i = (64, 1) if enc else (1024, 2)
    conv(p + "0.conv", [64, 1, 7] if enc else [1024, 128, 7], 64 if enc else 1024)
    for n, r in enumerate(ratios):
        if not enc:
            conv(f"{p}{i + 1}.conv", [c, c // 2, 2 * r], c // 2)
            c, i = c // 2, i + 2
        conv(f"{p}{i}.block.1.conv", [c // 2, c, 3], c // 2)
        conv(f"{p}{i}.block.3.conv", [c, c // 2, 1], c)
        if enc:
            conv(f"{p}{i + 2}.conv", [2 * c, c, 2 * r], 2 * c)
            c, i = 2 * c, i + 3
        else:
            i += 1
    conv(p + "15.conv", [128, 1024, 7] if enc else [1, 64, 7], 128 if enc else 1)
    for n in range(2):
        for m in "ih", "hh":
            t[f"{p}{13 if enc else 1}.lstm.weight_{m}_l{n}"] = [4096, 1024]
            t[f"{p}{13 if enc else 1}.lstm.bias_{m}_l{n}"] = [4096]
for k in range(K):
    t[f"{a}quantizer.layers.{k}.codebook.embed"] = [V, 128]

os.makedirs(out, exist_ok=True)
config = {
    "model_type": "musicgen",
    "text_encoder": {"model_type": "t5", "d_model": T, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "vocab_size": 32128},
    "audio_encoder": {"model_type": "encodec", "sampling_rate": 32000, "num_filters": 64, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": V, "codebook_dim": 128,
                      "hidden_size": 128, "target_bandwidths": [2.2], "use_causal_conv": False, "use_conv_shortcut": False, "norm_type": "weight_norm"},
    "decoder": {"model_type": "musicgen_decoder", "hidden_size": H, "num_hidden_layers": L, "num_attention_heads": N_HEADS, "ffn_dim": F},
}
json.dump(config, open(os.path.join(out, "config.json"), "w"), indent=1)
header, at = {}, 0
for name in sorted(t):
    n = 4
    for x in t[name]:
        n *= x
    header[name] = {"dtype": "F32", "shape": t[name], "data_offsets": [at, at + n]}
    at += n
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(out, "model.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    f.truncate(8 + len(text) + at)
print(f"{out}: {at / 1e9:.2f} GB in {len(t)} tensors")
