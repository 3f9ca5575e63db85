#!/usr/bin/env python3
"""The demo model's logits over known codes by transformers, for the bounds of each number format (tests/model/test_lm.c).

    make_demo_logits.py MODEL CODES.npy OUT.safetensors     (torch 2.5.1, transformers 4.46.3)

Its first 12 columns of codes that it was not trained on (make_loss.py), with a text and without, in the form of hf/*.safetensors.
"""
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, MusicgenForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

COLUMNS = 12
model = MusicgenForConditionalGeneration.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
codes = torch.from_numpy(np.load(sys.argv[2]).astype(np.int64))
K, V = codes.shape[0], model.config.decoder.vocab_size
columns = torch.full((K, COLUMNS), V)  # the delay pattern: codebook k runs k behind, column 0 is the start
for k in range(K):
    columns[k, 1 + k :] = codes[k, : COLUMNS - 1 - k]
text = tokenizer("a quiet piano melody in the evening", return_tensors="pt")
nothing = {
    "encoder_outputs": BaseModelOutput(last_hidden_state=torch.zeros(1, 1, model.config.text_encoder.d_model)),
    "attention_mask": torch.zeros(1, 1, dtype=torch.long),
}
with torch.inference_mode():
    states = model.text_encoder(**text).last_hidden_state
    logits = [model(**kind, decoder_input_ids=columns).logits.reshape(1, K, COLUMNS, V) for kind in (text, nothing)]
save_file(
    {
        "lm_ids": columns.reshape(1, K, COLUMNS).int().contiguous(),
        "t5_mask": text.attention_mask.int(),
        "t5_last_hidden": states.contiguous(),
        "lm_logits": logits[0].contiguous(),
        "lm_logits_unconditional": logits[1].contiguous(),
    },
    sys.argv[3],
)
print(logits[0].min().item(), logits[0].max().item(), logits[0].std().item())
