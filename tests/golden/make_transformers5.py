"""What transformers 5 writes beside the weights of tiny-mono: tests/golden/transformers5.

    python3 tests/golden/make_transformers5.py tests/golden/checkpoints/tiny-mono tests/golden/transformers5

(Python 3.11, torch 2.11, transformers 5.17.) The weights it writes are those it read, without positions. (Of codebooks
of 64 it counts seven into 2.2 kbit/s, where version 4 counted four, and adds three new ones.) The tokenizer is left to
the golden one, whose vocabulary it is.
"""
import os
import pathlib
import re
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor, MusicgenForConditionalGeneration

source, out = map(pathlib.Path, sys.argv[1:3])
out.mkdir(exist_ok=True)
model = MusicgenForConditionalGeneration.from_pretrained(source, dtype=torch.float32)
with tempfile.TemporaryDirectory() as d:
    d = pathlib.Path(d)
    model.save_pretrained(d)
    AutoProcessor.from_pretrained(source).save_pretrained(d)
    names = {k for k in load_file(d / "model.safetensors") if not re.search(r"quantizer\.layers\.[456]\.", k)}
    assert names == {k for k in load_file(source / "model.safetensors") if "embed_positions" not in k}
    for f in sorted(d.glob("*.json")):
        if f.name != "tokenizer.json":
            (out / f.name).write_text(f.read_text())
            print(f.name)
