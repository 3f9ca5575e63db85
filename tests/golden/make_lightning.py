"""Checkpoints that Lightning writes of a language model of which an averaged copy is kept, in the ways people do it.

    python3 tests/golden/make_lightning.py tests/golden/checkpoints tests/golden/trainers

(Python 3.11, torch 2.5.1, pytorch-lightning 2.6.6, ema-pytorch 0.8.3.) Real files, but without their storages (data/N),
which tests/e2e/fill_checkpoint.py fills again: names and structure are what is tested, and 600 KB each are saved.
"""
import copy
import pathlib
import sys
import zipfile

import pytorch_lightning as pl
import torch
from ema_pytorch import EMA
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

models, out = map(pathlib.Path, sys.argv[1:3])
weights = torch.load(models / "ac-mono/state_dict.bin", map_location="cpu", weights_only=True)["best_state"]


def module(named):
    """A module whose state dict has these names and shapes."""
    m = torch.nn.Module()
    for name, value in named.items():
        at = m
        *path, last = name.split(".")
        for p in path:
            if p not in at._modules:
                at.add_module(p, torch.nn.Module())
            at = at._modules[p]
        at.register_parameter(last, torch.nn.Parameter(value.clone()))
    return m


class Training(pl.LightningModule):
    def __init__(self, way):
        super().__init__()
        self.way, self.lm = way, module(weights)
        if way == "swa_utils":
            self.lm_ema = AveragedModel(self.lm, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        if way == "ema_pytorch":
            self.ema = EMA(self.lm, beta=0.9, update_after_step=0, update_every=1)

    def training_step(self, batch, _):
        return sum((p * p).mean() for p in self.lm.parameters())

    def on_train_batch_end(self, *_):
        if self.way == "swa_utils":
            self.lm_ema.update_parameters(self.lm)
        if self.way == "ema_pytorch":
            self.ema.update()

    def configure_optimizers(self):
        return torch.optim.SGD(self.lm.parameters(), lr=1e-2)


class EMACallback(pl.Callback):
    """As many projects have one: the average is the callback's own state."""

    def on_train_start(self, trainer, m):
        self.ema_state_dict = copy.deepcopy(m.state_dict())

    def on_train_batch_end(self, trainer, m, *_):
        for k, v in m.state_dict().items():
            self.ema_state_dict[k].mul_(0.9).add_(v.detach(), alpha=0.1)

    def state_dict(self):
        return {"ema_state_dict": self.ema_state_dict, "decay": 0.9}


for way, callbacks in {"swa_utils": [], "ema_pytorch": [], "callback": [EMACallback()], "weight_averaging": [EMAWeightAveraging(decay=0.9)]}.items():
    pl.seed_everything(1)
    trainer = pl.Trainer(max_steps=2, accelerator="cpu", logger=False, callbacks=callbacks, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False)
    m = Training(way)
    trainer.fit(m, torch.utils.data.DataLoader(torch.zeros(4, 1)))
    whole = out / f"lightning-{way}.whole"
    trainer.save_checkpoint(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(out / f"lightning-{way}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for item in old.infolist():
            if "/data/" not in item.filename:
                new.writestr(zipfile.ZipInfo(item.filename), old.read(item), zipfile.ZIP_DEFLATED)
    whole.unlink()
    print(way, (out / f"lightning-{way}.zip").stat().st_size)
