#!/usr/bin/env python3
"""Writes sounds as programs leave them: with tags before a format that has none, cut short, of no known length.

    python make_sounds.py tests/golden/sounds      (soundfile 0.14, libsndfile 1.2.2)

Each holds the 16-bit samples (37 i mod 2001) - 1000 at 32 kHz, 700 of them, or as many as the cut leaves.
"""
import io
import pathlib
import struct
import sys

import numpy as np
import soundfile

out = pathlib.Path(sys.argv[1])
out.mkdir(exist_ok=True)
pcm = ((37 * np.arange(700)) % 2001 - 1000).astype(np.int16)


def written(form, **more):
    f = io.BytesIO()
    soundfile.write(f, pcm, 32000, format=form, **more)
    return f.getvalue()


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data


def id3(n):
    return b"ID3\x04\0\0" + bytes(n >> 7 * k & 127 for k in (3, 2, 1, 0)) + bytes(n)


wav, rf64, w64, aiff, au, flac = (written(f) for f in ("WAV", "RF64", "W64", "AIFF", "AU", "FLAC"))
raw = pcm.tobytes()
form = struct.pack("<HHIIHH", 1, 1, 32000, 64000, 2, 16)
endless = bytearray(flac)
endless[21] &= 0xF0  # STREAMINFO's number of samples: 0 is unknown
endless[22:26] = bytes(4)
ssnd = aiff.index(b"SSND")
for name, data in {
    "id3.wav": id3(1000) + wav,
    "id3-twice.aiff": id3(7) + id3(300) + aiff,
    "id3.rf64": id3(90) + rf64,
    "id3.flac": id3(1000) + flac,
    "bw64.wav": b"BW64\xff\xff\xff\xffWAVE" + chunk(b"ds64", struct.pack("<QQQI", len(raw) + 80, len(raw), 700, 0))
    + chunk(b"fmt ", form) + b"data\xff\xff\xff\xff" + raw,
    "endless.flac": bytes(endless),
    "endless.au": au[:8] + b"\xff\xff\xff\xff" + au[12:],
    "endless.aiff": aiff[:ssnd + 4] + bytes(4) + aiff[ssnd + 8:],
    "cut.wav": wav[:-400],
    "cut.rf64": rf64[:-400],
    "cut.w64": w64[:-400],
    "cut.aiff": aiff[:-400],
    "cut.au": au[:-400],
    "cut-id3.wav": id3(50) + wav[:-400],
}.items():
    (out / name).write_bytes(data)
