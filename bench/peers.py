#!/usr/bin/env python3
"""Hold a step, EnCodec and T5 of mg-dist on this machine's processors against peers; print a Markdown table last.

    bench/peers.py --python VENV/bin/python [--program build/mg-dist] [--quick] [--peers NAME,...]

VENV has torch and transformers, and openvino, nncf, onnx and onnxruntime if it may (bench/README.md); what it lacks is
named in the table's last line. mg-dist and a peer take turns, three rounds of each (--quick: one); a ratio is the
peer's time by that of mg-dist in the same round, a line's is the median. A peer whose result is not that of
transformers in fp32 has no ratio: its graph is wrong. Raw numbers go to bench/results/DATE-peers.csv, bars to
DATE-peers.svg (gnuplot). Only the standard library here.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import select
import signal
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # no folder of it beside the sources
import peer_part  # noqa: E402
import peer_step  # noqa: E402
import run  # noqa: E402

# How far a result may be from that of transformers in fp32, as a part of its length. A wrong graph gives about 1.4.
BOUND = {"fp32": 1e-3, "bf16": 0.1, "fp16": 0.1, "int8": 0.2, "int4": 0.6}
OTHER_CODES = 0.005  # the share of EnCodec's codes that may differ; zeros where the ends are mirrored give 0.016
STEPS = {False: 40, True: 10}
PARTS = {"decode": ("--seconds", run.SECONDS), "encode": ("--seconds", run.SECONDS), "t5": ("--tokens", "14")}
RUNS = {"decode": {False: 5, True: 2}, "encode": {False: 5, True: 2}, "t5": STEPS}  # against those of peer_part
NAMES = {"decode": f"EnCodec decode, {run.SECONDS} s", "encode": f"EnCodec encode, {run.SECONDS} s",
         "t5": "T5, 14 tokens", "step": "step, 2 rows"}
HEAD = ("what", "mg-dist", "ms", "peer", "ms", "peer / mg-dist", "least – most", "distance")


class Child:
    """A peer that is set up once and then measures as often as it is told to."""

    def __init__(self, python: str, peer: str, threads: int, limit_s: float) -> None:
        script = "peer_part.py" if peer in peer_part.PEERS else "peer_step.py"
        print(f"$ {python} bench/{script} {peer}", file=sys.stderr, flush=True)
        self.child = subprocess.Popen(
            [python, str(run.ROOT / "bench" / script), peer, "--threads", str(threads)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True,
            env=run.environment() | {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"})
        self.rest = b""
        self.about = self.read(limit_s)

    def read(self, limit_s: float) -> dict:
        """Its next line; {"failed": why} if there is none in time."""
        end = time.monotonic() + limit_s
        while b"\n" not in self.rest:
            if not select.select([self.child.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                return {"failed": f"gave up after {limit_s:g} s"}
            more = os.read(self.child.stdout.fileno(), 65536)
            if not more:
                return {"failed": f"exit {self.child.wait()}, see its messages above"}
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def measure(self, steps: int, limit_s: float) -> dict:
        busy, begin = run.busy_seconds(), time.perf_counter()
        try:
            self.child.stdin.write(f"{steps}\n".encode())
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone, and read says so
        values = self.read(limit_s)
        wall_s = time.perf_counter() - begin
        others_s = run.busy_seconds() - busy - values.get("cpu_s", 0.0)
        return values | {"others": round(max(0.0, others_s / (wall_s * run.CORES)), 3)}

    def close(self) -> None:
        """With whatever it started: a compiler's workers, for one."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.child.stdout.close()


class Line:
    """A line of the table: what, and the times of both sides, round by round."""

    def __init__(self, part: str, ours_name: str, peer: str, ours: list[dict], theirs: list[dict], key: str,
                 difference: float | None = None) -> None:
        self.what, self.ours_name, self.peer, self.difference = NAMES[part], ours_name, peer, difference
        self.ours_ms, self.theirs_ms = ([r[key] for r in rounds] for rounds in (ours, theirs))
        self.others = max(r["others"] for r in ours + theirs)
        self.ratios = [b / a for a, b in zip(self.ours_ms, self.theirs_ms, strict=True)]
        bound = OTHER_CODES if part == "encode" else BOUND[ours_name]
        self.right = difference is None or difference <= bound

    def cells(self) -> tuple[str, ...]:
        ratio = f"**{statistics.median(self.ratios):.2f}**" if self.right else "none: other results"
        spread = f"{min(self.ratios):.2f} – {max(self.ratios):.2f}" if self.right else ""
        if self.others > run.DISTURBED:
            ratio += f" (disturbed: {self.others:.0%})"
        return (self.what, self.ours_name, f"{statistics.median(self.ours_ms):.1f}", self.peer,
                f"{statistics.median(self.theirs_ms):.1f}", ratio, spread,
                "" if self.difference is None else f"{self.difference:.1g}")


def work_of(peer: str, quick: bool) -> tuple[str, str, dict, list[str]]:
    """What a peer does: the part, our number format, what to record of both, and how we are asked for the same."""
    part = peer_part.PEERS.get(peer)
    if part:
        return (part, "fp32", {"what": part, "dtype": "fp32", "batch": 1},
                [part, *PARTS[part], "--steps", str(RUNS[part][quick])])
    dtype = peer_step.PEERS[peer]
    return ("step", dtype, {"what": "step", "shape": "small", "dtype": dtype, "batch": 1},
            ["step", "--shape", "small", "--dtype", dtype, "--steps", str(STEPS[quick])])


def measure_peer(args, peer: str, versions: dict, told: list[dict], absent: list[str]) -> Line | None:
    part, dtype, kind, asked = work_of(peer, args.quick)
    child = Child(args.python, peer, args.threads, args.limit)
    try:
        why = child.about.get("missing") or child.about.get("failed")
        ours, theirs = [], []
        for _ in range(0 if why else 1 if args.quick else args.rounds):
            mine = run.ours(args.program, *asked, "--threads", str(args.threads))
            other = child.measure(int(asked[-1]), args.limit)
            if why := other.get("failed"):
                break
            ours.append(mine)
            about = {"threads": args.threads, "difference": child.about["difference"]}
            theirs.append(run.record(peer, kind | about | other))
        if why:
            absent.append(f"{peer} ({why})")
            return None
    finally:
        child.close()
    versions |= child.about["versions"]
    told += ours
    print(f"  {peer}: {child.about['precision']}", file=sys.stderr)
    return Line(part, dtype, peer, ours, theirs, "ms_per_step" if part == "step" else "ms", child.about["difference"])


def measure_parts(args, absent: list[str]) -> list[Line]:
    """EnCodec and T5 against PyTorch itself, by baseline_transformers.py on a checkpoint of musicgen-small's shape."""
    ours: dict[str, list] = {what: [] for what in PARTS}
    theirs: dict[str, list] = {what: [] for what in PARTS}
    for _ in range(1 if args.quick else args.rounds):
        for what, options in PARTS.items():
            ours[what].append(run.ours(args.program, what, *options, "--threads", str(args.threads)))
        try:
            run.make_model(args.python)
            rows = run.theirs(args.python, "fp32", ",".join(PARTS), "--threads", str(args.threads))
        except SystemExit as why:  # no torch, for one
            absent.append(f"decode, encode and t5 of PyTorch ({str(why).strip().splitlines()[-1]})")
            return []
        for what in PARTS:
            theirs[what].append(rows[what])
    return [Line(what, "fp32", "PyTorch fp32", ours[what], theirs[what], "ms") for what in PARTS]


def draw(lines: list[Line], path: pathlib.Path) -> str:
    """Bars by gnuplot; what became of it."""
    bars = [line for line in lines if line.right]
    data = "".join(f'"{b.what if b.peer == "PyTorch fp32" else b.peer}" {statistics.median(b.ratios):.4f} '
                   f'{min(b.ratios):.4f} {max(b.ratios):.4f}\n' for b in bars)
    script = f"""set terminal svg size 900,420 background rgb 'white' font 'sans,13'
set output '{path.name}'
set border 3 lc rgb '#667085'
set tics nomirror
set grid ytics lc rgb '#e6e3da' lt 1
set key above reverse Left samplen 2
set xtics rotate by -35
set ylabel 'times as long as mg-dist'
set yrange [0:*]
set style fill solid
set boxwidth 0.6
$peers << EOD
{data}EOD
plot $peers using 0:2:xtic(1) with boxes lc rgb '#3b6fb6' title 'peer, median of the rounds', \\
    '' using 0:3:(0):($4 - $3) with vectors nohead lw 3 lc rgb '#1d2939' title 'least and most', \\
    1 lc rgb '#c4572e' lw 2 title 'mg-dist at the same format'
"""
    if not bars:
        return "no bars: nothing to draw"
    try:
        drawn = subprocess.run(["gnuplot", "-"], input=script, text=True, cwd=path.parent, capture_output=True)
    except FileNotFoundError:
        return "no bars: gnuplot is not installed (Debian: gnuplot-nox)"
    return f"bars: {path.name}" if drawn.returncode == 0 else f"no bars: gnuplot: {drawn.stderr.strip()}"


def write_rows(path: pathlib.Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(run.raw[0]) if run.raw else ["program"])
        writer.writeheader()
        writer.writerows(run.raw)


def print_table(lines: list[Line], absent: list[str]) -> None:
    rows = [HEAD, tuple("---" for _ in HEAD), *(line.cells() for line in lines)]
    if absent:
        rows.append(("not measured: " + "; ".join(absent), *("" for _ in HEAD[1:])))
    for row in rows:
        print("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(run.ROOT / "build" / "mg-dist"))
    parser.add_argument("--python", required=True)
    parser.add_argument("--quick", action="store_true", help="one round, of 10 steps")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=float, default=300, help="seconds for a peer to be ready, and for a round")
    parser.add_argument("--peers", default=",".join([*peer_step.PEERS, *peer_part.PEERS, "parts"]),
                        help="some of: %(default)s (parts: EnCodec and T5 of PyTorch)")
    parser.add_argument("--out", type=pathlib.Path, default=run.ROOT / "bench" / "results")
    args = parser.parse_args()
    peers = args.peers.split(",")
    if unknown := set(peers) - {*peer_step.PEERS, *peer_part.PEERS, "parts"}:
        parser.error(f"--peers: {', '.join(sorted(unknown))}: no such peer (--help names them)")
    run.again_s[0] = 0  # no command runs twice for having been disturbed: both sides of a round share the disturbance
    begin = time.perf_counter()
    versions: dict[str, str] = {}
    told: list[dict] = []
    absent: list[str] = []
    lines = [measure_peer(args, peer, versions, told, absent) for peer in peers if peer != "parts"]
    lines = [line for line in lines if line]
    if "parts" in peers:
        lines += measure_parts(args, absent)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{datetime.date.today()}-peers.csv"
    write_rows(path)
    drawn = draw(lines, path.with_suffix(".svg"))
    print(f"{datetime.date.today()}, {time.perf_counter() - begin:.0f} s; raw numbers: {path.name}; {drawn}")
    if told:
        gbps = [r["read_gbps"] for r in told if "read_gbps" in r]  # the parts have none
        about = [told[0]["version"], told[0]["backend"], f"{args.threads} threads"]
        about += [r["device"] for r in told if "device" in r][:1]
        read = f"; memory read {statistics.median(gbps):.1f} GB/s ({min(gbps):.1f} – {max(gbps):.1f})" if gbps else ""
        print(f"mg-dist {', '.join(about)}{read}")
    print(f"peers: {', '.join(' '.join(item) for item in versions.items()) or 'none'}\n")
    print_table(lines, absent)


if __name__ == "__main__":
    main()
