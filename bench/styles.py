#!/usr/bin/env python3
"""Judge number formats by ear, as far as numbers can: is the prompted style heard, and how near is the sound to fp32's?

    bench/styles.py [--references DIR] [--program build/mg-dist] [--model models/mg-demo] [--formats NAME,...] [--quick]

Every format makes the same list of clips with the same seeds. A linear classifier names the style of each; it has
learned from DIR/STYLE/*.wav, music of the demo model's styles (bench/README.md), after a round trip through the model's
codec. Without DIR it learns from the model's own clips of other seeds at fp32, and says so. A Markdown table comes
last, raw numbers go to bench/results/DATE-styles.csv. It needs numpy.
"""

import argparse
import datetime
import json
import pathlib
import sys
import tempfile
import time
import wave

import numpy as np

sys.dont_write_bytecode = True  # no folder of it beside the sources
import peers  # noqa: E402
import run  # noqa: E402

PROMPTS = {  # of the demo model: its clips take the two in turns
    "piano": ("solo piano", "sad piano melody"), "guitar": ("acoustic guitar", "fingerpicked guitar"),
    "ambient": ("warm ambient pad", "ambient music"), "synthpop": ("80s synth pop with punchy drums", "techno"),
    "drums": ("drum beat", "drum solo"), "drumbass": ("drums with bass", "funk groove with bass and drums"),
    "rock": ("rock song", "90s rock song with loud guitars and heavy drums"),
    "chiptune": ("chiptune", "8-bit video game music"), "bells": ("music box", "soft bells"),
    "bass": ("solo bass", "bass line"), "lofi": ("lo-fi hip hop", "hip hop beat with piano")}
FORMATS = ("fp32", "bf16", "fp16", "int8", "int4", "bf16 --kv int8", "int8 --kv int8", "int4 --kv int8")
OTHER = "fp32, other seeds"
SEEDS = {"clips": 0, OTHER: 500000, "references": 900000}
BANDS, WINDOW, HOP, FLOOR = 40, 1024, 512, 1e-3  # the floor is 60 dB below a sine of the clip's own level
SHRINK = 0.1  # of the classifier's covariance, towards one without correlations
GROUPS = 8  # of clips, of which one is left out for a standard error
HEAD = ("weights", "named the style", "difference", "Fréchet distance to fp32, same seeds", "to fp32, other seeds",
        "to the references", "clip by clip")


def mel_bank(rate: int) -> np.ndarray:
    """Triangles [BANDS, bins] from 40 Hz to 12 kHz, of equal width on the mel scale, each with the sum 1."""
    mels = np.linspace(np.log1p(40 / 700), np.log1p(min(12000, rate / 2) / 700), BANDS + 2)
    edges, bins = 700 * np.expm1(mels), np.fft.rfftfreq(WINDOW, 1 / rate)
    low, mid, high = (edges[i:i + BANDS, None] for i in range(3))
    bank = np.maximum(0, np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)))
    bank[np.arange(BANDS), np.abs(bins - mid).argmin(1)] += 1e-3  # a band narrower than a bin has the nearest
    return bank / bank.sum(1, keepdims=True)


def log_mel(path: pathlib.Path) -> np.ndarray:
    """[frames, BANDS] in dB, of the sound at an rms of one: levels tell no style."""
    with wave.open(str(path)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels).mean(1)
    sound /= max(np.sqrt((sound ** 2).mean()), 1e-9)
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    spectrum = np.abs(np.fft.rfft(frames)) * 2 / np.hanning(WINDOW).sum()
    return (20 * np.log10(spectrum @ mel_bank(rate).T + FLOOR)).astype(np.float32)


def features(mels: list[np.ndarray]) -> np.ndarray:
    """A row a clip: each band's mean, its spread over time, and how much it changes from frame to frame."""
    return np.stack([np.concatenate([m.mean(0), m.std(0), np.abs(np.diff(m, axis=0)).mean(0)]) for m in mels])


class Classifier:
    """Linear discriminants: the nearest style's mean, by the covariance within styles."""

    def __init__(self, rows: np.ndarray, styles: np.ndarray) -> None:
        means = np.stack([rows[styles == s].mean(0) for s in range(styles.max() + 1)])
        within = np.cov((rows - means[styles]).T)
        within = (1 - SHRINK) * within + np.diag(SHRINK * np.diag(within) + 1e-6)
        self.weights = np.linalg.solve(within, means.T)
        self.offsets = (means.T * self.weights).sum(0) / 2

    def names(self, rows: np.ndarray) -> np.ndarray:
        return np.argmax(rows @ self.weights - self.offsets, axis=1)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Between two sets of clips, as the Fréchet audio distance has it: between normal distributions of their rows."""
    gap, cov_a, cov_b = a.mean(0) - b.mean(0), np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ cov_b @ root)
    distance = gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(np.maximum(mixed, 0)).sum()
    return max(0.0, float(distance))


def command(args: argparse.Namespace, *words: str) -> None:
    run.Run([args.program, *words, "--model", args.model, "--threads", str(args.threads)])


def generate(args: argparse.Namespace, dtype: str, seed: int) -> list[np.ndarray]:
    """The log-mel spectra of every style's clips, style by style."""
    lines = [{"id": f"{style}-{k}", "prompt": PROMPTS[style][k % 2], "seed": args.seed + seed + 1000 * s + k}
             for s, style in enumerate(args.styles) for k in range(args.clips)]
    print("  ", dtype, "from seed", args.seed + seed, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        command(args, "generate", "--prompts", f"{name}/list.jsonl", "--duration", str(args.seconds), "--out", name,
                "--dtype", *dtype.split())
        args.about = json.loads((folder / f"{lines[0]['id']}.json").read_text())["run"]
        return [log_mel(folder / f"{line['id']}.wav") for line in lines]


def through_codec(args: argparse.Namespace, sounds: list[pathlib.Path]) -> list[np.ndarray]:
    """The same music as the model's codec can tell it, so that its roughness tells no style."""
    with tempfile.TemporaryDirectory() as name:
        command(args, "encode", *map(str, sounds), "--out", name)
        command(args, "decode", *map(str, pathlib.Path(name).glob("*.npy")), "--out", name)
        return [log_mel(path) for path in sorted(pathlib.Path(name).glob("*.wav"))]


class Judge:
    """What every format is held against: the references, fp32, and fp32 with other seeds."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        sounds = [sorted((args.references / style).glob("*.wav")) for style in args.styles] if args.references else []
        counts = [len(each) for each in sounds] or [args.clips] * len(args.styles)
        known = features([mel for each in sounds for mel in through_codec(args, each)]
                         or generate(args, "fp32", SEEDS["references"]))
        self.mean, self.spread = known.mean(0), known.std(0) + 1e-6
        self.references, styles = (known - self.mean) / self.spread, np.repeat(np.arange(len(counts)), counts)
        learned = np.concatenate([np.arange(n) % 4 < 3 for n in counts])
        self.classifier = Classifier(self.references[learned], styles[learned])
        right = self.classifier.names(self.references[~learned]) == styles[~learned]
        self.held_out = f"{right.sum()} of {len(right)}"
        self.record("references", {"learned": learned.sum(), "clips": len(right), "named": right.sum()})
        self.styles = np.repeat(np.arange(len(args.styles)), args.clips)
        self.groups = np.tile(np.arange(args.clips) % GROUPS, len(args.styles))
        self.mels = generate(args, "fp32", SEEDS["clips"])
        self.fp32 = self.rows(self.mels)
        self.other_mels = generate(args, "fp32", SEEDS[OTHER])
        self.other = self.rows(self.other_mels)

    def record(self, dtype: str, values: dict) -> None:
        run.record("mg-dist", {"what": "styles", "shape": pathlib.Path(self.args.model).name, "dtype": dtype,
                               "threads": self.args.threads} | {k: round(float(v), 5) for k, v in values.items()})

    def rows(self, mels: list[np.ndarray]) -> np.ndarray:
        return (features(mels) - self.mean) / self.spread

    def right(self, rows: np.ndarray) -> np.ndarray:
        return (self.classifier.names(rows) == self.styles).astype(int)

    def farther(self, rows: np.ndarray, far: np.ndarray) -> tuple[float, float, float]:
        """The distance to far; how much more it is than fp32's, with its standard error by leaving out groups."""
        def more(keep: np.ndarray) -> float:
            there = far[keep] if far is self.other else far
            return frechet(rows[keep], there) - frechet(self.fp32[keep], there)
        n = self.groups.max() + 1
        without = np.array([more(self.groups != g) for g in range(n)])
        return frechet(rows, far), more(self.groups >= 0), float(np.sqrt((n - 1) * without.var()))

    def line(self, dtype: str, mels: list[np.ndarray]) -> tuple[str, ...]:
        rows = self.rows(mels)
        right, n = self.right(rows), len(rows)
        change = right - self.right(self.fp32)
        change_error = np.sqrt((change ** 2).sum() - change.sum() ** 2 / n) / n  # as McNemar's: clips in pairs
        apart = np.array([np.abs(a - b).mean() for a, b in zip(mels, self.mels, strict=True)])
        values = {"clips": n, "named": right.sum(), "named_change": change.mean(), "named_change_error": change_error,
                  "apart_db": apart.mean(), "apart_db_error": apart.std() / np.sqrt(n),
                  "same_seeds": frechet(rows, self.fp32)}
        values |= {f"named_{s}": right[self.styles == i].sum() for i, s in enumerate(self.args.styles)}
        cells = {}
        for name, far in (("other_seeds", self.other), ("references", self.references)):
            if far is not self.other or dtype != OTHER:
                distance, more, error = self.farther(rows, far)
                values |= {name: distance, f"{name}_change": more, f"{name}_change_error": error}
                cells[name] = f"{distance:.2f}" + (f" ({more:+.2f} ± {error:.2f})" if dtype != "fp32" else "")
        self.record(dtype, values)
        own = (f"{change.mean():+.2%} ± {change_error:.2%}", f"{values['same_seeds']:.2f}",
               f"{apart.mean():.2f} ± {values['apart_db_error']:.2f} dB") if dtype != "fp32" else ("",) * 3
        named = f"{right.sum()} of {n}, {right.mean():.1%}"
        return dtype, named, *own[:2], cells.get("other_seeds", ""), cells["references"], own[2]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(run.ROOT / "build" / "mg-dist"))
    parser.add_argument("--model", default=str(run.ROOT / "models" / "mg-demo"))
    parser.add_argument("--references", type=pathlib.Path, help="a folder a style, with four *.wav or more")
    parser.add_argument("--clips", type=int, default=48, help="of each style (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--formats", default=",".join(FORMATS), help="beside fp32; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="added to every seed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="four clips of a second of each style, fp32 and int8 alone")
    parser.add_argument("--out", type=pathlib.Path, default=run.ROOT / "bench" / "results")
    args = parser.parse_args()
    args.program = str(pathlib.Path(args.program).resolve())  # commands run in another folder
    args.model = str(pathlib.Path(args.model).resolve()) if pathlib.Path(args.model).exists() else args.model
    args.formats = args.formats.split(",")
    if args.quick:
        args.clips, args.seconds, args.formats = 4, 1, ["int8"]
    if unknown := set(args.formats) - set(FORMATS):
        parser.error(f"--formats: {', '.join(sorted(unknown))}: no such format; there are {', '.join(FORMATS)}")
    if args.clips < 4:
        parser.error("--clips: four at least")
    args.styles = list(PROMPTS)
    if args.references:
        args.references = args.references.resolve()
        args.styles = sorted(path.name for path in args.references.glob("*") if path.is_dir())
        if len(args.styles) < 2 or (unknown := set(args.styles) - set(PROMPTS)):
            parser.error(f"--references: {args.references}: " + (f"{', '.join(sorted(unknown))}: no such style; there are "
                         f"{', '.join(PROMPTS)}" if len(args.styles) > 1 else "fewer than two folders"))
        for style in args.styles:
            if len(list((args.references / style).glob("*.wav"))) < 4:
                parser.error(f"--references: {args.references / style}: fewer than four *.wav")
    return args


def main() -> None:
    args, begin = arguments(), time.perf_counter()
    judge = Judge(args)
    lines = [judge.line("fp32", judge.mels), judge.line(OTHER, judge.other_mels)]
    lines += [judge.line(dtype, generate(args, dtype, SEEDS["clips"])) for dtype in args.formats if dtype != "fp32"]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{datetime.date.today()}-styles.csv"
    peers.write_rows(path)
    print(f"{datetime.date.today()}, {time.perf_counter() - begin:.0f} s; raw numbers: {path.name}")
    print(f"mg-dist {args.about['version']}, {args.about['backend']}; {len(args.styles)} styles, {args.clips} clips of "
          f"{args.seconds:g} s each")
    known = "the references" if args.references else "the model's own clips of other seeds, fp32"
    print(f"the classifier learned from {known}, and names {judge.held_out} that it has not heard\n")
    for row in (HEAD, tuple("---" for _ in HEAD), *lines):
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
