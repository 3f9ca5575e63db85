#!/usr/bin/env python3
"""Writes silence.safetensors: sounds with silence at their ends, and how long ffmpeg's silencedetect finds it to be.

    python make_silence.py silence.safetensors      (imageio-ffmpeg's ffmpeg 9.0.2; numpy, safetensors)

NAME_RATE [C, n] fp32, and NAME_RATE_ends [2] int32: frames of silence at the start and at the end, below 0.001 of full scale
in all channels.
"""
import re
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(7)


def noise(C, n, peak):
    return (peak * rng.uniform(-1, 1, (C, n))).astype(np.float32)


def between(before, sound, behind):
    C = sound.shape[0]
    return np.concatenate([noise(C, before, 0.00095), sound, noise(C, behind, 0.00095)], axis=1)


def one_side(x):
    x[0, :700] = 0  # the left channel comes later, and ends earlier
    x[1, -300:] = 0
    return x


click = np.zeros((1, 1500), np.float32)
click[0, 411] = -0.0011
fade = noise(1, 4000, 1) * np.linspace(0, 0.2, 4000, dtype=np.float32) ** 2
fade[0, 2000:] = fade[0, 1999::-1]
sounds = {
    "both_32000": between(321, noise(1, 1000, 0.5), 77),
    "stereo_44100": between(500, one_side(noise(2, 2000, 0.5)), 41),
    "click_48000": click,
    "fade_16000": fade,
    "none_32000": np.full((1, 100), 0.25, np.float32),
    "start_8000": between(1, noise(1, 400, 0.5) + 0.6, 0),
    "hole_32000": np.concatenate([between(64, noise(1, 200, 0.5) + 0.6, 900), noise(1, 300, 0.5) + 0.6], axis=1),
    "all_22050": noise(2, 600, 0.0009),
}
out = {}
for name, sound in sounds.items():
    C, n = sound.shape
    rate = int(name.rsplit("_", 1)[1])
    said = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-f", "f32le", "-ar", str(rate), "-ac", str(C), "-i", "-",
                           "-af", f"silencedetect=noise=0.001:d={1.5 / rate:.9f}", "-c:a", "pcm_f32le", "-f", "null", "-"],
                          input=np.ascontiguousarray(sound.T).tobytes(), capture_output=True, check=True).stderr.decode()
    starts = [round(float(t) * rate) for t in re.findall(r"silence_start: ([-0-9.e]+)", said)]
    ends = [round(float(t) * rate) for t in re.findall(r"silence_end: ([-0-9.e]+)", said)]
    at_start = ends[0] if starts and starts[0] <= 0 else 0
    at_end = n - starts[-1] if starts and (len(ends) < len(starts) or ends[-1] >= n) else 0
    print(name, starts[:3], ends[:3], "of", n, "->", at_start, at_end)
    out[name] = sound
    out[name + "_ends"] = np.array([at_start, at_end], np.int32)
save_file(out, sys.argv[1])
