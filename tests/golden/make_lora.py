"""Adapters that PEFT saves, and what its merge makes of the golden models: tests/golden/lora.

    python3 tests/golden/make_lora.py tests/golden/checkpoints tests/golden/lora [CASE …]

(Python 3.11, torch 2.5.1, transformers 4.46.3, peft 0.13.2, CPU, one thread; patterns-anchored: torch 2.11, transformers
5.17, peft 0.21.2, for earlier ones never find what begins with ^.) Of the merged tensors only the SHA-256 of their bytes
is kept. Cases that are named join the others.
"""
import hashlib
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import MusicgenForConditionalGeneration, MusicgenMelodyForConditionalGeneration

torch.set_num_threads(1)
models, out = map(pathlib.Path, sys.argv[1:3])
LAYER = r".*decoder\.layers\."
CASES = {
    "plain": ("tiny-mono", None, None, dict(r=4, lora_alpha=16, target_modules=LAYER + r"0\.(self_attn\.q_proj|fc1)|" + LAYER + r"1\.encoder_attn\.v_proj")),
    "rank8-rslora": ("tiny-mono", None, None, dict(r=8, lora_alpha=7, use_rslora=True, target_modules=LAYER + r"1\.(self_attn\.out_proj|fc2)")),
    "patterns": ("tiny-mono", None, None, dict(r=3, lora_alpha=5, rank_pattern={"self_attn.q_proj": 6}, alpha_pattern={"self_attn.q_proj": 11},
                                              target_modules=LAYER + r"0\.self_attn\.(q|k)_proj")),
    "patterns-anchored": ("tiny-mono", None, None, dict(r=3, lora_alpha=5, target_modules=LAYER + r"\d\.self_attn\.(q|k)_proj",
                                                       alpha_pattern={"^decoder.model.decoder.layers.0.self_attn.q_proj": 11, "^self_attn.k_proj": 13,
                                                                      r"layers\.1\.self_attn\.k_proj": 2})),
    "heads-and-embedding": ("tiny-mono", None, None, dict(r=2, lora_alpha=4, target_modules=r".*(lm_heads\.1|embed_tokens\.2|enc_to_dec_proj)$")),
    "saved-whole": ("tiny-mono", None, None, dict(r=2, lora_alpha=4, target_modules=LAYER + r"0\.self_attn\.q_proj",
                                                   modules_to_save=["lm_heads.3"])),
    "decoder-alone": ("tiny-mono", "decoder", None, dict(r=4, lora_alpha=8, target_modules=LAYER + r"0\.self_attn\.v_proj")),
    "half-base": ("tiny-stereo", None, torch.float16, dict(r=4, lora_alpha=8, target_modules=LAYER + r"1\.fc1")),
    "bf16-base": ("tiny-variant", None, torch.bfloat16, dict(r=4, lora_alpha=8, target_modules=LAYER + r"0\.encoder_attn\.k_proj")),
    "biases": ("tiny-mono", None, None, dict(r=2, lora_alpha=4, bias="all", target_modules=r".*(enc_to_dec_proj|layers\.0\.self_attn\.q_proj)$")),
    # as others store them: read back from the file, which widens halves
    "half-adapter": ("tiny-mono", None, None, dict(r=4, lora_alpha=16, target_modules=LAYER + r"0\.(self_attn\.q_proj|fc1)")),
    "half-embedding": ("tiny-mono", None, None, dict(r=2, lora_alpha=4, target_modules=r".*embed_tokens\.1$")),
    "bin": ("tiny-mono", None, None, dict(r=4, lora_alpha=16, target_modules=LAYER + r"0\.self_attn\.k_proj")),
}
only = sys.argv[3:]
facts = json.load(open(out / "merged.json")) if only else {}
for name, (model, part, dtype, config) in CASES.items():
    if only and name not in only:
        continue
    torch.manual_seed(len(name))
    whole = MusicgenForConditionalGeneration.from_pretrained(models / model, torch_dtype=dtype or torch.float32)
    before = {k: v.clone() for k, v in whole.state_dict().items()}
    base = whole.decoder if part else whole
    p = get_peft_model(base, LoraConfig(init_lora_weights=False, base_model_name_or_path="example/" + model, **config))
    for k, v in p.named_parameters():
        if "lora_" in k:
            torch.nn.init.normal_(v, std=0.05)
        if "modules_to_save" in k or config.get("bias") and k.endswith("bias"):
            v.data += 0.01
    d = out / name
    shutil.rmtree(d, ignore_errors=True)
    p.peft_config["default"].base_model_name_or_path = "example/" + model
    p.save_pretrained(d, safe_serialization=name != "bin")
    (d / "README.md").unlink(missing_ok=True)
    if name.startswith("half-") and not dtype:
        f = d / "adapter_model.safetensors"
        t = load_file(f)
        if name == "half-embedding":  # the embedding itself in another type, and so behind what is added to it
            t["base_model.model.decoder.model.decoder.embed_tokens.1.base_layer.weight"] = (before["decoder.model.decoder.embed_tokens.1.weight"] * 1.5).half()
        else:
            t = {k: v.bfloat16() for k, v in t.items()}
        save_file(t, f, metadata={"format": "pt"})
        base = MusicgenForConditionalGeneration.from_pretrained(models / model)
        p = PeftModel.from_pretrained(base, d)
    merged = p.merge_and_unload()
    state = merged.state_dict()
    prefix = "decoder." if part else ""
    changed = {prefix + k: v for k, v in state.items() if prefix + k in before and not torch.equal(v, before[prefix + k])}
    assert changed, name
    facts[name] = {"model": model, "tensors": {k: {"dtype": str(v.dtype), "sha256": hashlib.sha256(
        v.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()} for k, v in sorted(changed.items())}}
    print(name, {k: tuple(v.shape) for k, v in changed.items()}, sum(f.stat().st_size for f in d.iterdir()))
json.dump(facts, open(out / "merged.json", "w"), indent=1)
