"""Writes mert.safetensors and style_encoder.safetensors: two tiny MERTs as transformers runs them, and a tiny
style encoder as AudioCraft does.

    pip install transformers==4.46.3 torch==2.5.1 safetensors, and what AudioCraft asks for
    PYTHONPATH=AUDIOCRAFT python make_mert.py FOLDER            (without xformers, spacy, av and librosa)

MERT-v1 is a HubertModel with its features' layer norm. The style encoder's parts are AudioCraft's own classes,
smaller than any that its conditioner makes: so the conditioner is put together here, and runs its own
_get_wav_embedding. Parameters are noise; a file holds them ("even.", "odd.", "own.", "mert."), what went in
and what came out.
"""
import importlib.machinery
import math
import sys
import types

import torch
from safetensors.torch import save_file
from transformers import HubertConfig, HubertModel

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    return module


for missing in ("spacy", "av", "librosa"):
    stub(missing)
sys.modules["librosa"].filters = stub("librosa.filters")
ops = stub("xformers.ops", unbind=lambda t, dim: t.unbind(dim), memory_efficient_attention=None,
           LowerTriangularMask=object)
stub("xformers", ops=ops)
from audiocraft.modules.conditioners import StyleConditioner, WavCondition  # noqa: E402
from audiocraft.modules.transformer import StreamingTransformer  # noqa: E402
from audiocraft.quantization import ResidualVectorQuantizer  # noqa: E402


def fill(model, seed):
    """Noise of a size that keeps each layer's output near 1, biases and norms that matter."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if p.dim() == 1:
                p.copy_(1 + 0.2 * noise if "norm" in name and name.endswith("weight") else 0.2 * noise)
            elif name.endswith("original0"):
                p.copy_(1 + 0.3 * noise)
            else:
                p.copy_(noise * 1.5 / math.sqrt(p[0].numel()))
    return model.eval()


def sound(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(n, dtype=torch.float64) / 24000
    x = 0.4 * torch.sin(2 * math.pi * 220 * t) + 0.2 * torch.sin(2 * math.pi * 1733 * t) * (t % 0.1 < 0.05)
    return (x.float() + 0.02 * torch.randn(n, generator=g) + 0.01)[None]


TINY = dict(num_hidden_layers=2, conv_dim=[8, 12, 8, 8, 16, 8, 12], mask_time_prob=0.0)
EVEN = dict(hidden_size=24, num_attention_heads=2, intermediate_size=40, num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4)
ODD = dict(hidden_size=20, num_attention_heads=4, intermediate_size=24, num_conv_pos_embeddings=5,
           num_conv_pos_embedding_groups=2, layer_norm_eps=1e-4)


def mert(sizes, seed):
    return fill(HubertModel(HubertConfig(**TINY, **sizes)), seed)


def weights(model, prefix, old_names):
    """As MERT's own file has them, or in the names of today's PyTorch."""
    pairs = (("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v"))
    out = {}
    for name, value in model.state_dict().items():
        for new, old in pairs if old_names else ():
            name = name.replace(new, old)
        out[prefix + name] = value.clone().contiguous()
    return out


def make_mert(path):
    out = {}
    with torch.no_grad():
        for prefix, sizes, seed in (("even", EVEN, 1), ("odd", ODD, 2)):
            model = mert(sizes, seed)
            out |= weights(model, prefix + ".", old_names=prefix == "even")
            for name, pcm in (("long", sound(12000, 3)), ("short", sound(1400, 4)), ("row", sound(400, 5)),
                              ("silence", torch.zeros(1, 2000))):
                out["pcm_" + name] = pcm[0]
                out[f"{prefix}_states_{name}"] = model(pcm).last_hidden_state[0].clone()
    out["even.masked_spec_embed"] = torch.ones(EVEN["hidden_size"])  # training alone uses it
    save_file(out, path)


DIM, BINS, DS = 32, 24, 5


def style(seed, batch_norm=True, n_q=3):
    c = StyleConditioner.__new__(StyleConditioner)
    torch.nn.Module.__init__(c)
    c.__dict__["feat_extractor"] = mert(EVEN, 1)
    c.embed = torch.nn.Linear(EVEN["hidden_size"], DIM)
    c.transformer = StreamingTransformer(d_model=DIM, num_heads=4, num_layers=2, dim_feedforward=4 * DIM,
                                         memory_efficient=True, activation="gelu", norm_first=True, causal=False,
                                         layer_scale=None, bias_ff=False, bias_attn=False)
    c.rvq = ResidualVectorQuantizer(DIM, n_q=n_q, q_dropout=True, bins=BINS) if n_q else None
    c.batch_norm = torch.nn.BatchNorm1d(DIM, affine=False) if batch_norm else None
    c.device, c.model_name, c.use_middle_of_segment, c.compute_mask = "cpu", "mert", True, False
    c.ds_factor, c.eval_q, c.varying_lengths, c.dim = DS, n_q, [1.5, 4.5], DIM
    c.autocast = torch.autocast("cpu", enabled=False)
    return fill(c, seed)


def embed(c, pcm, eval_q):
    c.eval_q, c.length_subwav = eval_q, pcm.shape[-1]
    n = torch.tensor([pcm.shape[-1]])
    return c._get_wav_embedding(WavCondition(pcm[None], n, [24000], [None], [None]))[0].clone()


def settle(c, pcm, seed):
    """Batch norm by what comes out of the transformer, codebooks by what comes out of that. Returns how much
    farther the second nearest code is than the nearest, at the least."""
    g = torch.Generator().manual_seed(seed)
    batch_norm, rvq, ds, least = c.batch_norm, c.rvq, c.ds_factor, math.inf
    c.batch_norm = c.rvq = None
    c.ds_factor = 1
    x = embed(c, pcm, 0)
    batch_norm.running_mean.copy_(x.mean(0))
    batch_norm.running_var.copy_(x.var(0) * 1.5)
    c.batch_norm = batch_norm
    left = embed(c, pcm, 0)
    for layer in rvq.vq.layers:
        book = layer._codebook
        at = torch.randint(0, len(left), (BINS,), generator=g)
        book.embed.copy_(left[at] + 0.3 * left.std() * torch.randn(BINS, DIM, generator=g))
        book.embed_avg.copy_(book.embed)
        book.cluster_size.fill_(1)
        book.inited.fill_(1)
        distance = torch.cdist(left.double(), book.embed.double()) ** 2
        two = distance.topk(2, largest=False).values
        least = min(least, float((two[:, 1] - two[:, 0]).min()))
        left = left - book.embed[distance.argmin(-1)]
    c.rvq, c.ds_factor = rvq, ds
    return least


def make_style(path):
    with torch.no_grad():
        pcm = sound(12000, 3)
        for seed in range(100):
            c = style(10 + seed)
            if settle(c, pcm, seed) > 0.02:
                break
        else:
            raise SystemExit("no seed whose codes are clear")
        out = {"mert." + k: v for k, v in weights(c.feat_extractor, "", old_names=True).items()}
        out |= {"own." + k: v.clone().contiguous() for k, v in c.state_dict().items()}
        out["pcm"] = pcm[0]
        for n in (1, 2, 3):
            out[f"rows_{n}"] = embed(c, pcm, n)
        c.rvq = None
        out["rows_unquantised"] = embed(c, pcm, 0)
        c.batch_norm = None
        out["rows_plain"] = embed(c, pcm, 0)
    save_file({k: v.contiguous() for k, v in out.items()}, path)


make_mert(sys.argv[1] + "/mert.safetensors")
make_style(sys.argv[1] + "/style_encoder.safetensors")
