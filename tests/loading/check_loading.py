"""A dataset of mg-dist run through a library: the clips of manifest.jsonl, their texts and their sound.

    check_loading.py audiofolder|card|webdataset|card-tars|audiocraft FOLDER
"""
import __future__

import ast
import hashlib
import io
import json
import os
import sys
from pathlib import Path


def manifest(folder):
    lines = [json.loads(line) for line in open(folder / "manifest.jsonl", encoding="utf-8")]
    for line in lines:
        line["samples"] = json.loads(line["recipe"])["samples"]
    return lines


def same_length(n, line):
    slack = 4800 if line["file"].endswith((".mp3", ".ogg", ".opus")) else 0
    assert abs(n - line["samples"]) <= slack, (line["id"], n, line["samples"])


def check_rows(rows, lines):
    assert len(rows) == len(lines), (len(rows), len(lines))
    by_id = {line["id"]: line for line in lines}
    for row in rows:
        line = by_id.pop(row["id"])
        for key in ("prompt", "negative_prompt", "title", "seed", "duration", "sampling_rate", "channels", "recipe"):
            assert row[key] == line[key], (key, row[key], line[key])
        sound = row["audio"]
        assert sound["sampling_rate"] == line["sampling_rate"]
        same_length(sound["array"].shape[-1], line)
        assert abs(sound["array"]).max() > 0.01
    assert not by_id


def audiofolder(folder):
    from datasets import load_dataset

    check_rows(load_dataset("audiofolder", data_dir=str(folder), split="train"), manifest(folder))


def card(folder):
    from datasets import load_dataset

    check_rows(load_dataset(str(folder), split="train"), manifest(folder))


def check_sample(key, data, record, line):
    import soundfile

    assert key == line["id"].replace(".", "_"), (key, line["id"])
    assert hashlib.sha256(data).hexdigest() == line["sha256"]
    sound, rate = soundfile.read(io.BytesIO(data))
    same_length(len(sound), line)
    assert rate == line["sampling_rate"]
    for name in ("id", "prompt", "seed", "recipe"):
        assert record[name] == line[name], name


def webdataset(folder):
    import webdataset as wds

    lines = manifest(folder)
    n = len({line["shard"] for line in lines})
    url = str(folder / ("songs-{000000..%06d}.tar" % (n - 1)))
    samples = list(wds.WebDataset(url, shardshuffle=False).decode())
    assert [s["__key__"] for s in samples] == [line["id"].replace(".", "_") for line in lines], "order of the jobs"
    for sample, line in zip(samples, lines):
        check_sample(sample["__key__"], sample["flac"], sample["json"], line)


def card_tars(folder):
    from datasets import Audio, load_dataset

    lines = manifest(folder)
    rows = load_dataset(str(folder), split="train").cast_column("flac", Audio(decode=False))
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines):
        check_sample(row["__key__"], row["flac"]["bytes"], row["json"], line)


def take(names, path, room):
    """These classes and functions of a module, without the rest of it, which wants PyTorch."""
    tree = ast.parse(path.read_text())
    body = [node for node in tree.body if getattr(node, "name", None) in names]
    assert {node.name for node in body} == set(names), path
    code = compile(ast.Module(body, []), str(path), "exec", flags=__future__.annotations.compiler_flag)
    exec(code, room)


def audiocraft(folder):
    import dataclasses
    import gzip
    import re
    import typing

    source = Path(sys.prefix) / "audiocraft/audiocraft/data"
    if not source.exists():
        source = Path(os.environ["MG_AUDIOCRAFT"]) / "audiocraft/data"
    room = {"tp": typing, "json": json, "gzip": gzip, "re": re, "os": os, "Path": Path, "dora": None, "logger": None,
            "dataclass": dataclasses.dataclass, "field": dataclasses.field, "fields": dataclasses.fields,
            "__name__": "audiocraft_rules"}
    sys.modules["audiocraft_rules"] = type(sys)("audiocraft_rules")
    take({"PathInZip"}, source / "zip.py", room)
    take({"BaseInfo", "AudioMeta", "SegmentInfo", "_resolve_audio_meta", "load_audio_meta"}, source / "audio_dataset.py",
         room)
    take({"SegmentWithAttributes"}, source.parent / "modules/conditioners.py", room)
    take({"AudioInfo", "get_keyword_list", "get_keyword", "get_string"}, source / "info_audio_dataset.py", room)
    take({"MusicInfo", "get_musical_key", "get_bpm"}, source / "music_dataset.py", room)

    import soundfile

    os.chdir(folder)  # the manifest's paths are relative to the folder
    lines = manifest(Path("."))
    metas = room["load_audio_meta"]("egs/train/data.jsonl")
    assert [m.path for m in metas] == [line["file"] for line in lines]
    for meta, line in zip(metas, lines):
        info = soundfile.info(meta.path)
        assert meta.sample_rate == info.samplerate == line["sampling_rate"]
        assert abs(meta.duration - info.frames / info.samplerate) < 1e-6
        segment = room["SegmentInfo"](meta, 0.0, n_frames=info.frames, total_frames=info.frames,
                                      sample_rate=info.samplerate, channels=info.channels)
        beside = json.load(open(Path(meta.path).with_suffix(".json"), encoding="utf-8"))
        beside.update(room["AudioInfo"](**segment.to_dict()).to_dict())  # as InfoAudioDataset gives it
        music = room["MusicInfo"].from_dict(beside, fields_required=True)  # as MusicDataset does by default
        assert music.description == (line["prompt"] or None), music
        assert music.has_music_meta and music.bpm is None and music.key is None


if __name__ == "__main__":
    what, where = sys.argv[1:]
    {"audiofolder": audiofolder, "card": card, "webdataset": webdataset, "card-tars": card_tars,
     "audiocraft": audiocraft}[what](Path(where))
