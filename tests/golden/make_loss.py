#!/usr/bin/env python3
"""The loss of known codes by transformers, for `mg-dist bench quality`.

    make_loss.py MODEL FOLDER     (torch 2.5.1, transformers 4.46.3)

FOLDER has list.jsonl, as `bench quality --prompts` takes it, whose audio_prompt files are codes (.npy) [K,T]. Writes FOLDER/loss.json:
the mean negative logarithm of the right code's probability, of each clip and of all codes, and how often the right code is first.
The codes here are of sounds that the demo model was not trained on: seeds 900000 and up of its synthesiser, at its level (x 0.6).
"""
import json
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoTokenizer, MusicgenForConditionalGeneration

model = MusicgenForConditionalGeneration.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
folder = pathlib.Path(sys.argv[2])
V = model.config.decoder.vocab_size
losses, total, right, count = [], 0.0, 0, 0
for line in (folder / "list.jsonl").read_text().splitlines():
    clip = json.loads(line)
    codes = torch.from_numpy(np.load(folder / clip["audio_prompt"]).astype(np.int64))
    K, T = codes.shape
    columns = torch.full((K, T + K), V)  # the delay pattern: codebook k runs k behind, column 0 is the start
    for k in range(K):
        columns[k, 1 + k : 1 + k + T] = codes[k]
    text = tokenizer(clip["prompt"], return_tensors="pt")
    with torch.no_grad():
        logits = model(**text, decoder_input_ids=columns[:, :-1].reshape(K, -1)).logits.double()
    want = columns[:, 1:]
    known = want < V
    loss = -logits.log_softmax(-1).gather(-1, want.clamp(max=V - 1)[..., None])[..., 0]
    losses.append(loss[known].mean().item())
    total += loss[known].sum().item()
    right += int((logits.argmax(-1) == want)[known].sum())
    count += int(known.sum())
(folder / "loss.json").write_text(json.dumps({"clips": losses, "loss": total / count, "right": right / count, "codes": count}, indent=1) + "\n")
print(total / count, right / count, count)
