#!/usr/bin/env python3
"""Writes dsp.safetensors: what transformers, torchaudio and julius make of small sounds.

    python make_dsp.py dsp.safetensors      (torch 2.5.1, torchaudio 2.5.1, transformers 4.46.3, julius, safetensors)

melody_NAME [n] fp16 (exact), melody_NAME_bins: the chroma frames of MusicgenMelodyFeatureExtractor; filters [12, 513]: of every 16th bin.
loudness_NAME [C,N] fp16 at loudness_NAME_rate, loudness_NAME_lufs: torchaudio.functional.loudness in doubles
(in floats, as AudioCraft calls it, its high pass loses some: 6e-3 LUFS at 60 Hz and 48 kHz).
resample_FROM_TO in [1,n] and out [1,m]: julius.resample_frac.
"""
import sys

import julius
import torch
import torchaudio
from safetensors.torch import save_file
from transformers import MusicgenMelodyFeatureExtractor

torch.manual_seed(12)
torch.set_num_threads(1)
out = {}


def put(name, tensor):
    out[name] = tensor.detach().clone().contiguous()


def seconds(dur, rate=32000):
    return torch.arange(int(dur * rate), dtype=torch.float64) / rate


def note(hz, dur, rate=32000):
    t = seconds(dur, rate)
    return sum(torch.sin(2 * torch.pi * hz * k * t) / k**1.5 for k in range(1, 8)) * torch.exp(-3 * t) * 0.3


chirp_t = seconds(2)
melodies = {
    "notes": torch.cat([note(440 * 2 ** (s / 12), 0.25) for s in (0, 3, 7, 12, 10, -2, 5, -12, 1, 6)]),
    "chords": torch.cat([sum(note(220 * 2 ** (s / 12), 0.5) for s in c) for c in ((0, 4, 7), (5, 9, 12), (-1, 2, 7))]),
    "chirp": 0.5 * torch.sin(2 * torch.pi * (60 * chirp_t + 900 * chirp_t**2)),
    "noise": 0.2 * torch.randn(40000),
    "short": note(523.25, 0.3),
    "odd": note(311.13, 0.1)[:3001],
    "one_window": note(349.23, 0.512),
    "one_less": note(349.23, 0.512)[:-1],
    "quiet": 1e-3 * note(587.33, 0.6),
    "half_silent": torch.cat([note(466.16, 0.5), torch.zeros(22000)]),
    "two_samples": torch.ones(2),
    "impulse": torch.eye(17000)[22],  # with its reflection, F sharp; one sample further off, F
    "edges": torch.cat([note(440, 0.01), torch.zeros(7500), 0.01 * note(523.25, 0.05), torch.zeros(9000)]),
    "silence": torch.zeros(20000),
}
extractor = MusicgenMelodyFeatureExtractor()
put("filters", extractor.chroma_filters[:, ::16])
for name, x in melodies.items():
    x = x.half()
    features = extractor(x.float(), sampling_rate=32000, return_tensors="pt").input_features[0]
    put(f"melody_{name}", x)
    put(f"melody_{name}_bins", features.argmax(-1).int())
    room = max(16384 - len(x), 0)
    spec = extractor.spectrogram(torch.nn.functional.pad(x.float(), (room // 2, (room + 1) // 2)))
    top = (extractor.chroma_filters @ spec).topk(2, 0).values
    print(name, len(features), "frames; smallest margin", (1 - top[1] / top[0]).min().item())

loud = {
    "tone_44100": (44100, 0.5 * torch.sin(2 * torch.pi * 997 * seconds(0.7, 44100))[None]),
    "low_48000": (48000, 0.8 * torch.sin(2 * torch.pi * 60 * seconds(0.6, 48000))[None]),
    "over_22050": (22050, 1.5 * torch.sin(2 * torch.pi * 4000 * seconds(0.6, 22050))[None]),
    "noise_16000": (16000, 0.1 * torch.randn(2, 16000)),
    "odd_11025": (11025, 0.3 * torch.randn(1, 9001)),
    "fading_32000": (32000, torch.randn(2, 36000) * torch.logspace(0, -4, 36000) * 0.3),
    "ramp_16000": (16000, 0.5 * (torch.sin(2 * torch.pi * 997 * seconds(2.5, 16000)) * 10 ** -(seconds(2.5, 16000) / 2))[None]),
    "one_block_32000": (32000, 0.3 * torch.randn(1, 12800)),
}
for name, (rate, x) in loud.items():
    x = x.half()
    put(f"loudness_{name}", x)
    put(f"loudness_{name}_lufs", torchaudio.functional.loudness(x.double(), rate)[None].float())
    print(name, out[f"loudness_{name}_lufs"].item(), "in floats:", torchaudio.functional.loudness(x.float(), rate).item())

for a, b in ((8000, 32000), (96000, 32000), (32000, 48000), (32000, 44100), (16000, 48000), (11025, 32000), (32000, 31999)):
    x = torch.randn(1, int(a * 0.03) + 7)
    put(f"resample_{a}_{b}_in", x)
    put(f"resample_{a}_{b}_out", julius.resample_frac(x, a, b))

save_file(out, sys.argv[1])
