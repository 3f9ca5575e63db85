"""Averaged copies without names, or with names that have lost their dots, beside the weights they are copies of.

    python3 tests/golden/make_ema.py tests/golden/checkpoints tests/golden/trainers

(Python 3.11, torch 2.5.1, torch-ema 0.3, diffusers 0.31.) torch-ema and diffusers save their own state here; NeMo's optimiser
and latent diffusion's LitEma are written down as their sources have them, which no package of a usable size holds. Without
storages, as make_lightning.py's: tests/e2e/fill_checkpoint.py fills them.
"""
import pathlib
import sys
import zipfile

import torch
from diffusers.training_utils import EMAModel
from torch_ema import ExponentialMovingAverage

models, out = map(pathlib.Path, sys.argv[1:3])
weights = torch.load(models / "ac-mono/state_dict.bin", map_location="cpu", weights_only=True)["best_state"]
model = {k: torch.nn.Parameter(v) for k, v in weights.items()}
inside = {"lm." + k: v.detach() for k, v in model.items()}


def lit_ema(name):
    return name.replace(".", "")  # a buffer's name may have none


def keep(name, checkpoint):
    whole = out / f"{name}.whole"
    torch.save(checkpoint, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(out / f"{name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for item in old.infolist():
            if "/data/" not in item.filename:
                new.writestr(zipfile.ZipInfo(item.filename), old.read(item), zipfile.ZIP_DEFLATED)
    whole.unlink()
    print(name, (out / f"{name}.zip").stat().st_size)


state = {k: v.detach() for k, v in model.items()}
keep("ema-torch_ema", {"model": state, "ema": ExponentialMovingAverage(model.values(), 0.9).state_dict()})
keep("ema-some", {"model": state, "ema": ExponentialMovingAverage(list(model.values())[:5], 0.9).state_dict()})
keep("ema-alone", ExponentialMovingAverage(model.values(), 0.9).state_dict())
keep("ema-diffusers", {"state_dict": inside, "ema": EMAModel(model.values()).state_dict()})
keep("ema-nemo", {"state_dict": inside, "optimizer_states": [
    {"opt": {"state": {}, "param_groups": []}, "ema": tuple(v.detach().clone() for v in model.values()), "current_step": 3,
     "decay": 0.9, "every_n_steps": 1}]})
keep("ema-lit_ema", {"state_dict": {
    **{"model." + k: v for k, v in state.items()}, "model_ema.decay": torch.tensor(0.9),
    "model_ema.num_updates": torch.tensor(3, dtype=torch.int32), **{"model_ema." + lit_ema(k): v.clone() for k, v in state.items()}}})
