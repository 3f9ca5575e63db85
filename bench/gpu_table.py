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


def kernels(r: dict) -> list[tuple]:
    """Each kind of operation of a step: name, us a call, calls, ms a step, and of a 16-bit product the GB/s of its weights."""
    found = []
    for key, us in r.items():
        if not key.startswith("us_"):
            continue
        name, n = key[3:], r["n_" + key[3:]]
        shape = name.rsplit("_", 1)[-1].split("x")
        gbps = 2 * int(shape[0]) * int(shape[1]) / us / 1e3 if len(shape) == 2 and us > 0 else None
        found.append((name, us, n, us * n / 1e3, gbps))
    return sorted(found, key=lambda k: -k[3])


def write_kernels(folder: pathlib.Path, steps: dict[str, dict]) -> None:
    lines = []
    for name, r in steps.items():
        all_ms = sum(k[3] for k in kernels(r))
        lines.append(f"{name}: {r['ms_per_step']:.3f} ms a step, draws add {r.get('split_sampling_ms', 0):.3f} ms; each kind alone {all_ms:.3f} ms in all")
        for kind, us, n, ms, gbps in kernels(r):
            lines.append(f"  {kind:28s} {us:9.2f} us x {n:3d} = {ms:8.3f} ms" + (f"  {gbps:6.0f} GB/s" if gbps else ""))
    (folder / "kernels.txt").write_text("".join(line + "\n" for line in lines))


def say_clocks(folder: pathlib.Path) -> None:
    """MHz, C and W from the least to the most, and why it was throttled (a mask; 0 and 1: it was not)."""
    try:
        rows = [line.split(", ") for line in (folder / "clocks.csv").read_text().splitlines()]
        rows = [r for r in rows if len(r) == 5 and r[0].isdigit()]
    except OSError:
        rows = []
    if not rows:
        return
    spread = [sorted(float(r[i]) for r in rows if r[i].replace(".", "").isdigit()) or [0.0] for i in range(4)]
    why = sorted({r[4] for r in rows if r[4].startswith("0x") and int(r[4], 16) > 1})
    print("clocks while measuring: " + ", ".join(f"{what} {s[0]:.0f} - {s[-1]:.0f}" for what, s in
          zip(("SM MHz", "memory MHz", "C", "W"), spread)) + (f"; throttled: {', '.join(why)}" if why else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=0)
    args = parser.parse_args()
    theirs = read_lines(args.folder / "transformers.json")
    rows = [("what", "mg-dist", "against", "ratio", "goal")]
    steps = {}
    for path in sorted(args.folder.glob("step-*.json"), key=lambda p: list_place(p)):
        r = read(path)
        if not r:
            continue
        steps[path.stem] = r
        shape, batch = r["shape"], r["batch"]
        goal, times = GOALS.get(shape, (None, None)) if batch == 1 else (None, MANY_GOAL if shape in GOALS else None)
        how = ", --gemm fast" if path.stem.endswith("-fast") else ""
        rows.append((f"step {shape} {r['dtype']} batch {batch}{how}: part of the floor", f"{r['ms_per_step']:.3f} ms",
                     f"read {r['read_gbps']:.0f} GB/s", f"{r['fraction_of_floor']:.2f}", verdict(r["fraction_of_floor"], goal)))
        for t in theirs:
            if t["what"] == "step" and t["shape"] == shape and t["batch"] == batch:
                drawn_ms = r["ms_per_step"] + r.get("split_sampling_ms", 0)  # theirs draw codes too
                ratio = t["ms_per_step"] / drawn_ms
                rows.append(("  times faster than transformers, with draws", f"{drawn_ms:.3f} ms", f"{t['ms_per_step']:.2f} ms",
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

    long = read(args.folder / "sustained.json")
    if long:
        short = steps.get("step-large-64", {}).get("ms_per_step")
        rows.append(("step large batch 64, 300 on end: against 60", f"{long['ms_per_step']:.3f} ms", f"{short:.3f} ms" if short else "",
                     f"{short / long['ms_per_step']:.2f}" if short else "",
                     f"{long['joules_per_step']:.2f} J a step" if "joules_per_step" in long else ""))
    prefill = read(args.folder / "prefill.json")
    if prefill:
        rows.append(("1000 columns of a prompt, small, 1 clip", f"{prefill['prefill_ms']:.1f} ms", "in steps",
                     f"{prefill['prefill_in_steps']:.1f}", ""))

    stages = [line.split("\t")[:2] for line in (args.folder / "stages").read_text().splitlines()]
    passed = sum(word == "passed" for _, word in stages)
    print(f"\n{passed} of {len(stages)} stages passed, {args.seconds} s; logs: {args.folder}")
    for name, word in stages:
        if word != "passed":
            print(f"  {name}: {word}")
    if not theirs:
        print("  no comparison with transformers: its stage says why")
    say_clocks(args.folder)
    write_kernels(args.folder, steps)
    if steps:
        print("\nwhere a step's time goes, of each kind of operation alone (kernels.txt has all):")
    for name, r in steps.items():
        print(f"  {name}: " + (", ".join(f"{kind} {ms:.3f} ms" for kind, _, _, ms, _ in kernels(r)[:4]) or "not told"))
    print()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def list_place(path: pathlib.Path) -> tuple:
    _, shape, batch, *how = path.stem.split("-")
    return (["tiny", "small", "medium", "large"].index(shape), int(batch), how)


if __name__ == "__main__":
    main()
