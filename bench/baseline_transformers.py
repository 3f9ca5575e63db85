#!/usr/bin/env python3
"""What transformers (CPU, eager, as `from_pretrained` gives it) takes for the same work, one JSON object a line.

    baseline_transformers.py MODEL_DIR --threads N [--dtype fp32|bf16] [--what load,step,decode,encode,t5,clip]
                             [--steps N] [--seconds F]

step: median time from one call of the decoder to the next inside generate() with guidance 3, sampling included,
starting at column 0 (short histories: kind to transformers). clip: generate() of the whole clip, warm.
decode, encode: the codec alone, always fp32 (bf16 convolutions are slower on a CPU). t5: the text encoder alone.
"""

import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import AutoTokenizer, MusicgenForConditionalGeneration

PROMPT = "80s pop track with bassy drums and synth"
FRAME_RATE = 50


def report(what: str, args, **values) -> None:
    row = {"what": what, "dtype": args.dtype, "threads": args.threads, "torch": torch.__version__,
           "transformers": transformers.__version__}
    row.update({k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()})
    print(json.dumps(row), flush=True)


def timed(function, n_runs: int, n_warmup: int) -> tuple[float, float]:
    """Median and minimum, in ms."""
    runs = []
    for i in range(n_warmup + n_runs):
        begin = time.perf_counter()
        function()
        if i >= n_warmup:
            runs.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(runs), min(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--what", default="load,step,decode,encode,t5")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    what = args.what.split(",")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    begin = time.perf_counter()
    dtype = torch.float32 if args.dtype == "fp32" else torch.bfloat16
    model = MusicgenForConditionalGeneration.from_pretrained(args.model, torch_dtype=dtype).eval()
    inputs = AutoTokenizer.from_pretrained(args.model)([PROMPT], return_tensors="pt")
    if "load" in what:
        report("load", args, seconds=time.perf_counter() - begin)

    def generate(n_tokens: int):
        return model.generate(**inputs, do_sample=True, guidance_scale=3.0, top_k=250, max_new_tokens=n_tokens)

    with torch.inference_mode():
        if "step" in what:
            starts: list[float] = []
            hook = model.decoder.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter()))
            generate(args.steps + 5)
            hook.remove()
            steps = [(b - a) * 1e3 for a, b in zip(starts[5:], starts[6:])]
            report("step", args, steps=len(steps), ms_per_step=statistics.median(steps), ms_per_step_min=min(steps))
        if "t5" in what:
            ms, ms_min = timed(lambda: model.text_encoder(**inputs), 20, 3)
            report("t5", args, tokens=inputs["input_ids"].shape[1], ms=ms, ms_min=ms_min)
        if "clip" in what:
            generate(8)
            begin = time.perf_counter()
            audio = generate(int(args.seconds * FRAME_RATE) + 3)  # of which the delay takes three
            seconds = time.perf_counter() - begin
            report("clip", args, audio_seconds=audio.shape[-1] / 32000, seconds=seconds)
        if "decode" in what:
            codec = model.audio_encoder.float()
            codes = torch.randint(0, 2048, (1, 1, 4, int(args.seconds * FRAME_RATE)))
            ms, ms_min = timed(lambda: codec.decode(codes, [None]), 3, 1)
            report("decode", args, audio_seconds=args.seconds, ms=ms, ms_min=ms_min)
        if "encode" in what:
            codec = model.audio_encoder.float()
            sound = torch.rand(1, 1, int(args.seconds * 32000)) - 0.5
            ms, ms_min = timed(lambda: codec.encode(sound), 3, 1)
            report("encode", args, audio_seconds=args.seconds, ms=ms, ms_min=ms_min)


if __name__ == "__main__":
    main()
