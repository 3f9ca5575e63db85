"""What transformers draws from under min_p: min_p.safetensors.

    pip install transformers==4.46.3 torch==2.5.1 safetensors
    python tests/golden/make_min_p.py tests/golden/min_p.safetensors

Temperature, top-k, top-p and min-p in the order of GenerationMixin._get_logits_processor. `cases` [n, 4] holds
temperature, top_k, top_p and min_p; `probs` [n, rows, V] what is drawn from.
"""
import sys

import torch
from safetensors.torch import save_file
from transformers import GenerationConfig
from transformers.generation.utils import GenerationMixin

V = 512
g = torch.Generator().manual_seed(17)
rows = torch.stack([
    3 * torch.randn(V, generator=g),
    0.3 * torch.randn(V, generator=g),                               # flat: a large min_p cuts little
    torch.round(4 * torch.randn(V, generator=g)) / 4,                # many equals
    torch.cat([torch.full((5,), 9.0), torch.randn(V - 5, generator=g)]),  # five likeliest
    torch.cat([torch.tensor([30.0]), torch.randn(V - 1, generator=g)]),   # one, far before all others
])
cases = torch.tensor([[1, 0, 1, 0.05], [1, 0, 1, 0.5], [0.7, 0, 1, 0.1], [1.5, 0, 1, 0.02], [1, 40, 1, 0.05],
                      [1, 200, 0.9, 0.03], [1.3, 0, 0.6, 0.3], [1, 0, 1, 1.0], [1, 0, 1, 0.0]], dtype=torch.float64)


class Model(GenerationMixin):
    config = None


def probs(temperature, top_k, top_p, min_p):
    config = GenerationConfig(do_sample=True, temperature=temperature, top_k=int(top_k), top_p=top_p, min_p=min_p)
    config._eos_token_tensor = None
    processors = Model()._get_logits_processor(config, 0, None, None, [], device="cpu")
    assert type(processors[-1]).__name__ == "MinPLogitsWarper"
    return torch.softmax(processors(torch.zeros(len(rows), 1, dtype=torch.long), rows.clone()), dim=-1)


save_file({"logits": rows, "cases": cases.float(), "probs": torch.stack([probs(*c.tolist()) for c in cases])},
          sys.argv[1])
