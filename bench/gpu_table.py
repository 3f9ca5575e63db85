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
        return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    except (OSError, ValueError):
        return []


def verdict(value: float | None, goal: float | None) -> str:
    if value is None or goal is None or value != value:
        return ""
    return f"{'met' if value >= goal else 'MISSED'} (>= {goal:g})"


def kernels(r: dict) -> list[tuple]:
    """Each kind of operation of a step: name, us a call, calls, ms a step, and of a 16-bit product the GB/s of its weights."""
    found = []
    for key, us in r.items():
        if not key.startswith("us_"):
            continue
        name, n = key[3:], r.get("n_" + key[3:], 0)
        shape = name.rsplit("_", 1)[-1].split("x")
        gbps = 2 * int(shape[0]) * int(shape[1]) / us / 1e3 if len(shape) == 2 and us > 0 else None
        found.append((name, us, n, us * n / 1e3, gbps))
    return sorted(found, key=lambda k: -k[3])


def write_kernels(folder: pathlib.Path, steps: dict[str, dict]) -> None:
    lines = []
    for name, r in steps.items():
        all_ms = sum(k[3] for k in kernels(r))
        lines.append(f"{name}: {number(r, 'ms_per_step'):.3f} ms a step, draws add {r.get('split_sampling_ms', 0):.3f} ms; each kind alone {all_ms:.3f} ms in all")
        for kind, us, n, ms, gbps in kernels(r):
            lines.append(f"  {kind:28s} {us:9.2f} us x {n:3d} = {ms:8.3f} ms" + (f"  {gbps:6.0f} GB/s" if gbps else ""))
    (folder / "kernels.txt").write_text("".join(line + "\n" for line in lines))


def say_clocks(folder: pathlib.Path) -> None:
    """MHz, C and W from the least to the most, and why it was throttled (a mask; 0 and 1: it was not)."""
    try:
        rows = [line.split(", ") for line in (folder / "clocks.csv").read_text(errors="replace").split("\n")[:-1]]  # the last may be cut
        rows = [r for r in rows if len(r) == 5 and r[0].isdigit()]
    except OSError:
        rows = []
    if not rows:
        return
    spread = [sorted(float(r[i]) for r in rows if r[i].replace(".", "").isdigit()) or [0.0] for i in range(4)]
    why = sorted({r[4] for r in rows if r[4].startswith("0x") and int(r[4], 16) > 1})
    print("clocks while measuring: " + ", ".join(f"{what} {s[0]:.0f} - {s[-1]:.0f}" for what, s in
          zip(("SM MHz", "memory MHz", "C", "W"), spread)) + (f"; throttled: {', '.join(why)}" if why else ""))


def number(r: dict, key: str) -> float:
    """nan: a stage has not said it, and the row stays."""
    value = r.get(key)
    return value if isinstance(value, (int, float)) else float("nan")


def step_rows(r: dict, how: str, theirs: list[dict]) -> list[tuple]:
    shape, batch = r.get("shape", "?"), r.get("batch", 0)
    goal, times = GOALS.get(shape, (None, None)) if batch == 1 else (None, MANY_GOAL if shape in GOALS else None)
    ms, part = number(r, "ms_per_step"), number(r, "fraction_of_floor")
    rows = [(f"step {shape} {r.get('dtype', '?')} batch {batch}{how}: part of the floor", f"{ms:.3f} ms",
             f"read {number(r, 'read_gbps'):.0f} GB/s", f"{part:.2f}", verdict(part, goal))]
    for t in theirs:
        if t["what"] == "step" and t.get("shape") == shape and t.get("batch") == batch:
            drawn_ms = ms + r.get("split_sampling_ms", 0)  # theirs draw codes too
            ratio = number(t, "ms_per_step") / drawn_ms
            rows.append(("  times faster than transformers, with draws", f"{drawn_ms:.3f} ms", f"{number(t, 'ms_per_step'):.2f} ms",
                         f"{ratio:.1f}", verdict(ratio, times)))
    return rows


def decode_rows(r: dict, theirs: list[dict]) -> list[tuple]:
    x, least = number(r, "x_real_time"), number(r, "ms_min")
    rows = [(f"EnCodec decode, {number(r, 'seconds'):g} s: times real time", f"{number(r, 'ms'):.1f} ms", "", f"{x:.0f}",
             verdict(x, DECODE_GOAL))]
    rows += [("  times faster than transformers, fp32", f"{least:.1f} ms", f"{number(t, 'ms'):.1f} ms",
              f"{number(t, 'ms') / least:.1f}", "") for t in theirs if t["what"] == "decode"]
    return rows


def clip_rows(r: dict, theirs: list[dict]) -> list[tuple]:
    rate = number(r, "music_s") / number(r, "took_s")
    rows = [("128 clips of 5 s, small, text to files", f"{number(r, 'took_s'):.1f} s", "times real time", f"{rate:.0f}", "")]
    for t in theirs:
        if t["what"] == "clips":
            their_rate = number(t, "music_s") / number(t, "took_s")
            rows.append(("  times faster than transformers, 64 at once", f"{rate:.0f} s/s", f"{their_rate:.1f} s/s",
                         f"{rate / their_rate:.1f}", ""))
    return rows


def other_rows(folder: pathlib.Path, steps: dict[str, dict]) -> list[tuple]:
    rows = []
    for name in ("encode", "t5"):
        r = read(folder / f"{name}.json")
        if r:
            rows.append((name, f"{number(r, 'ms'):.1f} ms", "", "", ""))
    one, two = (number(read(folder / f"text-{n}.json"), "ms_per_step") for n in (32, 33))
    if one == one or two == two:
        rows.append(("step small batch 1, texts of 32 tokens: in 1 kernel, not 2", f"{one:.3f} ms", f"{two:.3f} ms", f"{two / one:.2f}", ""))
    long = read(folder / "sustained.json")
    if long:
        ms, short = number(long, "ms_per_step"), number(steps.get("step-large-64", {}), "ms_per_step")
        rows.append(("step large batch 64, 300 on end: against 60", f"{ms:.3f} ms", f"{short:.3f} ms", f"{short / ms:.2f}",
                     f"{long['joules_per_step']:.2f} J a step" if "joules_per_step" in long else ""))
    prefill = read(folder / "prefill.json")
    if prefill:
        rows.append(("1000 columns of a prompt, small, 1 clip", f"{number(prefill, 'prefill_ms'):.1f} ms", "in steps",
                     f"{number(prefill, 'prefill_in_steps'):.1f}", ""))
    return rows


def say_stages(folder: pathlib.Path, seconds: int) -> None:
    lines = (folder / "stages").read_bytes().decode("ascii", "backslashreplace").split("\n")
    stages = [line.split("\t")[:2] for line in lines if "\t" in line]
    passed = sum(word == "passed" for _, word in stages)
    print(f"\n{passed} of {len(stages)} stages passed, {seconds} s; logs: {folder}")
    for name, word in stages:
        if word != "passed":
            print(f"  {name}: {word}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=0)
    args = parser.parse_args()
    theirs = [t for t in read_lines(args.folder / "transformers.json") if "what" in t]
    steps = {path.stem: read(path) for path in sorted(args.folder.glob("step-*.json"), key=list_place)}
    steps = {name: r for name, r in steps.items() if r}
    rows = [("what", "mg-dist", "against", "ratio", "goal")]
    for name, r in steps.items():
        rows += step_rows(r, ", --gemm fast" if name.endswith("-fast") else "", theirs)
    decode, clips = read(args.folder / "decode.json"), read(args.folder / "clips.json")
    rows += decode_rows(decode, theirs) if decode else []
    rows += clip_rows(clips, theirs) if clips else []
    rows += other_rows(args.folder, steps)

    say_stages(args.folder, args.seconds)
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
