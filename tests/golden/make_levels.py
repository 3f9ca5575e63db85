#!/usr/bin/env python3
"""Writes levels.safetensors: what libebur128 measures of the sounds of dsp.safetensors.

    python make_levels.py dsp.safetensors levels.safetensors      (libebur128 1.2.6; numpy, safetensors)

NAME_lufs, NAME_dbtp, NAME_dbfs [1] fp32 of the sound loudness_NAME: integrated loudness, true peak (the highest of all
channels, four times as many samples) and sample peak.
"""
import ctypes
import math
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

GLOBAL, SAMPLE_PEAK, TRUE_PEAK = 1 | 4, 1 << 4 | 1, 1 << 5 | 1 << 4 | 1
lib = ctypes.CDLL("libebur128.so.1")
lib.ebur128_init.restype = ctypes.c_void_p
lib.ebur128_init.argtypes = [ctypes.c_uint, ctypes.c_ulong, ctypes.c_int]
lib.ebur128_add_frames_float.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
lib.ebur128_loudness_global.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_double)]
for call in (lib.ebur128_true_peak, lib.ebur128_sample_peak):
    call.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.POINTER(ctypes.c_double)]


def ask(call, *args):
    out = ctypes.c_double()
    assert call(*args, ctypes.byref(out)) == 0
    return out.value


out = {}
for key, sound in load_file(sys.argv[1]).items():
    if not key.startswith("loudness_") or key.endswith("_lufs"):
        continue
    name = key[len("loudness_"):]
    sound = np.atleast_2d(sound.astype(np.float32))
    C, n = sound.shape
    frames = np.ascontiguousarray(sound.T)
    state = lib.ebur128_init(C, int(name.rsplit("_", 1)[1]), GLOBAL | SAMPLE_PEAK | TRUE_PEAK)
    assert state and lib.ebur128_add_frames_float(state, frames.ctypes.data, n) == 0
    facts = {
        "lufs": ask(lib.ebur128_loudness_global, state),
        "dbtp": 20 * math.log10(max(ask(lib.ebur128_true_peak, state, c) for c in range(C))),
        "dbfs": 20 * math.log10(max(ask(lib.ebur128_sample_peak, state, c) for c in range(C))),
    }
    print(name, facts)
    for fact, value in facts.items():
        out[f"{name}_{fact}"] = np.array([value], np.float32)
save_file(out, sys.argv[2])
