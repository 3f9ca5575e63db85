"""Writes codec_ops.safetensors: the codec's operations and two odd EnCodecs, as PyTorch computes them.

    python make_codec_ops.py codec_ops.safetensors      (torch 2.5.1, transformers 4.46.3, safetensors)

Sound is time-major, [N, C], as in kernels/ops.h; weights are in PyTorch's order.
"""
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import EncodecConfig, EncodecModel

torch.manual_seed(7)
torch.set_num_threads(1)
out = {}


def ints(*values):
    return torch.tensor(values, dtype=torch.int32)


def put(name, tensor):
    out[name] = tensor.detach().clone().contiguous()


def sound(N, C):
    return torch.randn(N, C)


# c_in, c_out, n_taps, stride, dilation, N
for i, (c_in, c_out, taps, stride, dilation, N) in enumerate(
        [(5, 6, 3, 1, 1, 20), (3, 8, 3, 1, 4, 40), (4, 17, 5, 3, 1, 31), (7, 1, 7, 1, 1, 50),
         (6, 2, 3, 1, 2, 23), (20, 3, 2, 2, 3, 19), (16, 70, 1, 1, 1, 9), (17, 65, 3, 1, 1, 20)]):
    x, w, b = sound(N, c_in), torch.randn(c_out, c_in, taps) / (c_in * taps) ** 0.5, torch.randn(c_out)
    put(f"conv.{i}.geometry", ints(c_in, c_out, taps, stride, dilation))
    put(f"conv.{i}.x", x), put(f"conv.{i}.w", w), put(f"conv.{i}.b", b)
    put(f"conv.{i}.y", F.conv1d(x.T[None], w, b, stride=stride, dilation=dilation)[0].T)

# c_in, c_out, n_taps, stride, N; the full output, over x with J-1 zero rows on both sides
for i, (c_in, c_out, taps, stride, N) in enumerate(
        [(5, 3, 4, 2, 6), (8, 4, 10, 5, 7), (3, 17, 3, 2, 5), (4, 6, 2, 2, 5), (6, 5, 7, 3, 9), (17, 20, 16, 8, 3)]):
    x, w, b = sound(N, c_in), torch.randn(c_in, c_out, taps) / (2 * c_in) ** 0.5, torch.randn(c_out)
    put(f"up.{i}.geometry", ints(c_in, c_out, taps, stride))
    put(f"up.{i}.x", x), put(f"up.{i}.w", w), put(f"up.{i}.b", b)
    put(f"up.{i}.y", F.conv_transpose1d(x.T[None], w, b, stride=stride)[0].T)

for i, (I, C, N) in enumerate([(6, 5, 12), (20, 20, 33), (3, 37, 1)]):
    lstm = torch.nn.LSTM(I, C)
    x, h, c = 2 * sound(N, I), torch.rand(1, C) * 2 - 1, torch.randn(1, C)
    y, (h_end, c_end) = lstm(x, (h, c))
    put(f"lstm.{i}.x", x), put(f"lstm.{i}.w_ih", lstm.weight_ih_l0), put(f"lstm.{i}.w_hh", lstm.weight_hh_l0)
    put(f"lstm.{i}.bias", lstm.bias_ih_l0 + lstm.bias_hh_l0)
    put(f"lstm.{i}.state", torch.cat([h, c])), put(f"lstm.{i}.y", y)
    put(f"lstm.{i}.end", torch.cat([h_end, c_end]))

# N, C, left, right
for i, (N, C, left, right) in enumerate([(7, 3, 3, 2), (20, 33, 3, 3), (4, 16, 0, 3), (61, 17, 1, 1)]):
    x = 3 * sound(N, C)
    x[0, 0], x[1, 1], x[2, 2] = 0.0, -200.0, -1e-6
    elu = F.elu(x).T[None]
    put(f"pad.{i}.geometry", ints(left, right)), put(f"pad.{i}.x", x)
    put(f"pad.{i}.reflect", F.pad(elu, (left, right), mode="reflect")[0].T)
    put(f"pad.{i}.zero", F.pad(elu, (left, right))[0].T)

common = dict(audio_channels=1, normalize=False, norm_type="weight_norm", use_causal_conv=False,
              use_conv_shortcut=False, sampling_rate=1000, target_bandwidths=[4.0], codebook_size=16)
codecs = [
    dict(pad_mode="constant", num_filters=2, upsampling_ratios=[3, 2], hidden_size=8, codebook_dim=8, kernel_size=7,
         last_kernel_size=4, residual_kernel_size=3, num_residual_layers=2, dilation_growth_rate=3, compress=2,
         num_lstm_layers=3),
    dict(pad_mode="reflect", num_filters=3, upsampling_ratios=[2, 5], hidden_size=6, codebook_dim=6, kernel_size=9,
         last_kernel_size=7, residual_kernel_size=5, num_residual_layers=3, dilation_growth_rate=2, compress=1,
         num_lstm_layers=1),
]
models = []
keys = ["num_filters", "hidden_size", "num_residual_layers", "kernel_size", "last_kernel_size", "residual_kernel_size",
        "dilation_growth_rate", "compress", "num_lstm_layers"]
for i, settings in enumerate(codecs):
    config = EncodecConfig(**common, **settings)
    model = EncodecModel(config).eval()
    models.append(model)
    K = config.num_quantizers
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("original0") or name.endswith("weight_g"):
                p.mul_(torch.rand_like(p) + 1.2)
        for k in range(K):
            model.quantizer.layers[k].codebook.embed.normal_()
    put(f"codec{i}.geometry", ints(*[getattr(config, k) for k in keys], int(config.pad_mode == "reflect"),
                                   *config.upsampling_ratios))
    for name, tensor in model.state_dict().items():
        if name.startswith(("decoder.", "encoder.")) or name.endswith(".embed"):
            put(f"codec{i}.{name}", tensor)
    for T in (1, 2, 3, 4, 5, 11):
        codes = torch.randint(0, 16, (K, T))
        with torch.no_grad():
            audio = model.decoder(model.quantizer.decode(codes[:, None]))
        put(f"codec{i}.codes.{T}", codes.to(torch.int32)), put(f"codec{i}.audio.{T}", audio.reshape(-1))

# Encoders, after all else so that what stands above keeps its numbers: sounds shorter than the padding, of whole
# hops and not. A clip whose codes hang on the last bits is drawn anew.
def encode(model, audio):
    """Latents [T, D], codes [K, T], and how much nearer the nearest code vectors were than the second ones."""
    left, margin, codes = model.encoder(audio[None, None])[0].T, float("inf"), []
    latents = left
    for layer in model.quantizer.layers:
        table = layer.codebook.embed
        distance = torch.cdist(left[None].double(), table[None].double())[0]
        two = distance.topk(2, largest=False).values
        margin = min(margin, float((two[:, 1] - two[:, 0]).min()))
        codes.append(layer.codebook.quantize(left))
        left = left - table[codes[-1]]
    assert torch.equal(torch.stack(codes)[:, None], model.quantizer.encode(latents.T[None], None))
    return latents, torch.stack(codes), margin


for i, model in enumerate(models):
    hop = 1
    for r in model.config.upsampling_ratios:
        hop *= r
    for N in (1, 2, 3, 4, 5, 6, 7, hop - 1, hop, hop + 1, 3 * hop, 4 * hop + 3, 11 * hop + 1, 23 * hop + hop // 2):
        for attempt in range(100):
            audio = torch.rand(N) * 2 - 1
            with torch.no_grad():
                latents, codes, margin = encode(model, audio)
            if margin > 1e-4:
                break
        assert margin > 1e-4, (i, N, margin)
        put(f"codec{i}.encode.audio.{N}", audio), put(f"codec{i}.encode.latents.{N}", latents)
        put(f"codec{i}.encode.codes.{N}", codes.to(torch.int32))

# N, D, V; the second half of the last table repeats the first: of equal code vectors the lower one is taken
for i, (N, D, V) in enumerate([(5, 3, 7), (33, 20, 64), (9, 16, 40)]):
    x, table = sound(N, D), sound(V, D)
    if i == 2:
        table[V // 2:] = table[:V // 2]
    score = -(x.pow(2).sum(1, keepdim=True) - 2 * x @ table.T + table.pow(2).sum(1)[None])
    ids = torch.tensor([int((row == row.max()).nonzero()[0]) for row in score]) if i != 2 else score[:, :V // 2].max(1).indices
    put(f"nearest.{i}.x", x), put(f"nearest.{i}.table", table)
    put(f"nearest.{i}.ids", ids.to(torch.int32)), put(f"nearest.{i}.left", x - table[ids])

save_file(out, sys.argv[1])
