#!/usr/bin/env python3
"""Writes ops.safetensors: what PyTorch computes for the transformer's operations on small random tensors.
Made with torch 2.5.1 and safetensors 0.4; inputs are stored, so nothing depends on torch's random numbers."""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(20)
N, I, O, H, E, J = 6, 72, 40, 3, 24, 37
t = {}

t["x"] = torch.randn(N, I)
t["w"] = torch.randn(O, I) / I**0.5
t["bias"] = torch.randn(O)
y = F.linear(t["x"], t["w"], t["bias"])
t["linear"] = y
t["relu"] = F.relu(y)
t["gelu"] = F.gelu(y)
t["gelu_tanh"] = F.gelu(y, approximate="tanh")
t["elu"] = F.elu(y)
t["linear_bf16"] = F.linear(t["x"].bfloat16().float(), t["w"].bfloat16().float())
t["linear_fp16"] = F.linear(t["x"], t["w"].half().float())

t["gamma"] = torch.randn(I)
t["beta"] = torch.randn(I)
t["layer_norm"] = F.layer_norm(t["x"], (I,), t["gamma"], t["beta"], 1e-5)
t["rms_norm"] = t["x"] * torch.rsqrt(t["x"].pow(2).mean(-1, keepdim=True) + 1e-6) * t["gamma"]

# Columns of a projection [q | k | v]: token n sees the keys of tokens 0 … J - N + n of one sequence.
t["qkv"] = torch.randn(J, 3 * H * E)
q, k, v = (a.view(J, H, E).transpose(0, 1) for a in t["qkv"].split(H * E, 1))
causal = torch.ones(J, J).tril().bool()
out = F.scaled_dot_product_attention(q, k, v, causal)
t["attention"] = out.transpose(0, 1).reshape(J, H * E)

# T5: no scale, a bias that depends on key - query alone, every key seen.
t["rel_bias"] = torch.randn(H, 2 * J - 1)
index = torch.arange(J)[None, :] - torch.arange(J)[:, None] + J - 1
scores = q @ k.transpose(1, 2) + t["rel_bias"][:, index]
t["attention_bias"] = (scores.softmax(-1) @ v).transpose(0, 1).reshape(J, H * E)

save_file({name: a.contiguous() for name, a in t.items()}, sys.argv[1] if len(sys.argv) > 1 else "ops.safetensors")
