"""A language model as trainers leave it: the containers and names of tests/golden/trainers, small by design.

    python3 tests/golden/make_trainers.py tests/golden/checkpoints tests/golden/trainers

(Python 3.11, torch 2.5.1, safetensors.) The weights are those of ac-mono and tiny-mono: a clip must be theirs. They are
left out of what is kept; tests/e2e/fill_checkpoint.py puts them back.
"""
import json
import pathlib
import sys
import zipfile

import torch
from safetensors.torch import load_file, save_file



def without_values(whole, name):
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(out / (name + ".zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for item in old.infolist():
            if "/data/" not in item.filename:
                new.writestr(zipfile.ZipInfo(item.filename), old.read(item), zipfile.ZIP_DEFLATED)
    whole.unlink()


models, out = map(pathlib.Path, sys.argv[1:3])
out.mkdir(parents=True, exist_ok=True)
ac = torch.load(models / "ac-mono/state_dict.bin", map_location="cpu", weights_only=True)["best_state"]
hf = load_file(models / "tiny-mono/model.safetensors")
torch.save({"module": ac, "buffer_names": [], "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "global_steps": 5},
           out / "deepspeed.pt")
torch.save({"state_dict": {"lm." + k: v for k, v in ac.items()}, "epoch": 1}, out / "lightning.ckpt")
without_values(out / "deepspeed.pt", "deepspeed")
without_values(out / "lightning.ckpt", "lightning")
d = out / "decoder"
d.mkdir(exist_ok=True)
save_file({k[len("decoder."):]: v.half().clone() for k, v in hf.items() if k.startswith("decoder.") and "positions" not in k},
          d / "model.safetensors", metadata={"format": "pt"})
data = (d / "model.safetensors").read_bytes()
(d / "model.head").write_bytes(data[:8 + int.from_bytes(data[:8], "little")])
(d / "model.safetensors").unlink()
json.dump(json.load(open(models / "tiny-mono/config.json"))["decoder"], open(d / "config.json", "w"), indent=2)
# what a quantised file looks like: names and types alone
w = "decoder.model.decoder.layers.0.fc1"
for name, tensors in {
    "bnb-int8": {w + ".weight": torch.zeros(4, 4, dtype=torch.int8), w + ".SCB": torch.zeros(4)},
    "bnb-nf4": {w + ".weight": torch.zeros(8, 1, dtype=torch.uint8), w + ".weight.quant_state.bitsandbytes__nf4": torch.zeros(3, dtype=torch.uint8)},
    "fp8": {w + ".weight": torch.zeros(4, 4).to(torch.float8_e4m3fn)},
    "gptq": {w + ".qweight": torch.zeros(4, 4, dtype=torch.int32), w + ".qzeros": torch.zeros(4, 4, dtype=torch.int32),
             w + ".scales": torch.zeros(4, 4), w + ".g_idx": torch.zeros(4, dtype=torch.int32)},
    # as transformers 5.17 with torchao 0.18 flattens a tensor of its own class
    "torchao": {w + "._weight_qdata": torch.zeros(4, 4, dtype=torch.int8), w + "._weight_scale": torch.zeros(4, 1),
                w + "._weight_zero_point": torch.zeros(4, 1, dtype=torch.int8)},
    "int16": {"x.q": torch.zeros(4, dtype=torch.int16)},
}.items():
    save_file(tensors, out / (name + ".safetensors"))
    torch.save(tensors, out / (name + ".pt"))
print(sum(f.stat().st_size for f in out.rglob("*") if f.is_file()))
