#!/usr/bin/env python3
"""The table that bench/gpu.sh prints last, from the files of its stages.   gpu_table.py FOLDER --seconds N"""

import argparse
import json
import pathlib

# fractions of the floor, and times faster than transformers fp16, at batch 1; times faster at the large batch
GOALS = {"small": (0.6, 12), "medium": (0.75, 9), "large": (0.8, 6)}
MANY_GOAL, DECODE_GOAL = 3, 100


def read(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def read_lines(path: pathlib.Path) -> list[dict]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    except (OSError, ValueError):
        return []


def verdict(value: float | None, goal: float | None) -> str:
    if value is None or goal is None:
        return ""
    return f"{'met' if value >= goal else 'MISSED'} (>= {goal:g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=0)
    args = parser.parse_args()
    theirs = read_lines(args.folder / "transformers.json")
    rows = [("what", "mg-dist", "against", "ratio", "goal")]
    for path in sorted(args.folder.glob("step-*.json"), key=lambda p: list_place(p)):
        r = read(path)
        if not r:
            continue
        shape, batch = r["shape"], r["batch"]
        goal, times = GOALS.get(shape, (None, None)) if batch == 1 else (None, MANY_GOAL if shape in GOALS else None)
        how = ", --gemm fast" if path.stem.endswith("-fast") else ""
        rows.append((f"step {shape} {r['dtype']} batch {batch}{how}: part of the floor", f"{r['ms_per_step']:.3f} ms",
                     f"read {r['read_gbps']:.0f} GB/s", f"{r['fraction_of_floor']:.2f}", verdict(r["fraction_of_floor"], goal)))
        for t in theirs:
            if t["what"] == "step" and t["shape"] == shape and t["batch"] == batch:
                ratio = t["ms_per_step"] / r["ms_per_step"]
                rows.append(("  times faster than transformers", f"{r['ms_per_step']:.3f} ms", f"{t['ms_per_step']:.2f} ms",
                             f"{ratio:.1f}", verdict(ratio, times)))
    decode = read(args.folder / "decode.json")
    if decode:
        x = decode["x_real_time"]
        rows.append((f"EnCodec decode, {decode['seconds']:g} s: times real time", f"{decode['ms']:.1f} ms", "", f"{x:.0f}",
                     verdict(x, DECODE_GOAL)))
        for t in theirs:
            if t["what"] == "decode":
                rows.append(("  times faster than transformers, fp32", f"{decode['ms_min']:.1f} ms", f"{t['ms']:.1f} ms",
                             f"{t['ms'] / decode['ms_min']:.1f}", ""))
    clips = read(args.folder / "clips.json")
    if clips:
        rate = clips["music_s"] / clips["took_s"]
        rows.append(("128 clips of 5 s, small, text to files", f"{clips['took_s']:.1f} s", "times real time", f"{rate:.0f}", ""))
        for t in theirs:
            if t["what"] == "clips":
                rows.append(("  times faster than transformers, 64 at once", f"{rate:.0f} s/s", f"{t['music_s'] / t['took_s']:.1f} s/s",
                             f"{rate * t['took_s'] / t['music_s']:.1f}", ""))
    for name in ("encode", "t5"):
        r = read(args.folder / f"{name}.json")
        if r:
            rows.append((name, f"{r['ms']:.1f} ms", "", "", ""))

    stages = [line.split("\t") for line in (args.folder / "stages").read_text().splitlines()]
    passed = sum(word == "passed" for _, word, _ in stages)
    print(f"\n{passed} of {len(stages)} stages passed, {args.seconds} s; logs: {args.folder}")
    for name, word, _ in stages:
        if word != "passed":
            print(f"  {name}: {word}")
    if not theirs:
        print("  no comparison with transformers: its stage says why")
    print()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def list_place(path: pathlib.Path) -> tuple:
    _, shape, batch, *how = path.stem.split("-")
    return (["tiny", "small", "medium", "large"].index(shape), int(batch), how)


if __name__ == "__main__":
    main()
