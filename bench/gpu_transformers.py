#!/usr/bin/env python3
"""What transformers takes for a step of the language model on this GPU, and for decoding: random weights of the true
shapes, fp16, guidance 3, sampling; one JSON object a line, appended to --out as soon as it is known.

    gpu_transformers.py [--out FILE] [--steps N] [--dry-run]

Exit code 77: there is no torch, no transformers or no GPU. --dry-run: a tiny model on the CPU, to try this file.
A step is the mean time from one call of the decoder to the next inside generate(), after 5 that warm up.
"""

import argparse
import json
import sys
import time

SHAPES = {"tiny": (128, 2, 2, 512), "small": (1024, 24, 16, 4096), "medium": (1536, 48, 24, 6144),
          "large": (2048, 48, 32, 8192)}

try:
    import torch
    import transformers
except ImportError as error:
    print(f"no {error.name}")
    sys.exit(77)


def make_model(shape: str, device: str, dtype: "torch.dtype"):
    width, layers, heads, inner = SHAPES[shape]
    t5_layers = 1 if shape == "tiny" else 12
    t5 = transformers.T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=t5_layers, num_heads=12, vocab_size=32128)
    codec = transformers.EncodecConfig(
        sampling_rate=32000, audio_channels=1, num_filters=4 if shape == "tiny" else 64, upsampling_ratios=[8, 5, 4, 4],
        hidden_size=128, codebook_size=2048, codebook_dim=128, num_residual_layers=1, use_causal_conv=False,
        normalize=False, use_conv_shortcut=False, target_bandwidths=[2.2], norm_type="weight_norm", pad_mode="reflect")
    decoder = transformers.MusicgenDecoderConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, ffn_dim=inner)
    config = transformers.MusicgenConfig(
        text_encoder=t5.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = transformers.MusicgenForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    model.generation_config.update(pad_token_id=2048, bos_token_id=2048, decoder_start_token_id=2048, max_length=1500)
    return model.to(device=device, dtype=dtype)


def time_steps(model, batch: int, steps: int) -> float:
    """ms"""
    ids = torch.randint(3, 30000, (batch, 14), device=model.device)
    starts: list[float] = []
    hook = model.decoder.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter()))
    model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, guidance_scale=3.0, top_k=250,
                   max_new_tokens=steps + 6)
    hook.remove()
    return (starts[-1] - starts[5]) / (len(starts) - 6) * 1e3


def time_clips(model, batch: int, seconds: float) -> float:
    """s, of a batch from text to sound"""
    ids = torch.randint(3, 30000, (batch, 14), device=model.device)
    begin = time.perf_counter()
    sound = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, guidance_scale=3.0, top_k=250,
                           max_new_tokens=int(seconds * 50) + 3)
    sound.cpu()
    return time.perf_counter() - begin


def time_decode(model, seconds: float) -> float:
    """ms, of a clip in fp32"""
    codec = model.audio_encoder.float()
    codes = torch.randint(0, 2048, (1, 1, 4, int(seconds * 50)), device=model.device)
    times = []
    for _ in range(4):
        begin = time.perf_counter()
        codec.decode(codes, [None])
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) * 1e3)
    return min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    if not args.dry_run and not torch.cuda.is_available():
        print("torch sees no GPU")
        sys.exit(77)
    device, dtype = ("cpu", torch.float32) if args.dry_run else ("cuda", torch.float16)
    out = open(args.out, "w") if args.out else sys.stdout
    torch.manual_seed(0)

    def report(**values) -> None:
        print(json.dumps(values | {"torch": torch.__version__, "transformers": transformers.__version__}), file=out, flush=True)

    def measure(shape: str) -> int:
        """Each figure by itself: a GPU too small for one has the others. The number of those that are missing."""
        model, missing, seconds = make_model(shape, device, dtype), 0, 0.2 if args.dry_run else 30
        steps = 6 if args.dry_run else args.steps
        parts = [(dict(what="step", shape=shape, batch=batch), "ms_per_step", lambda batch=batch: time_steps(model, batch, steps))
                 for batch in (1, 4 if args.dry_run else 64)]
        if shape == "small":
            parts.append((dict(what="clips", shape=shape, batch=64, music_s=64 * 5), "took_s", lambda: time_clips(model, 64, 5)))
        if shape in ("tiny", "small"):
            parts.append((dict(what="decode", seconds=seconds), "ms", lambda: time_decode(model, seconds)))
        for what, key, part in parts:
            try:
                report(**what, **{key: round(part(), 3)})
            except RuntimeError as error:
                print(f"error: {what}: {error}")
                missing += 1
        return missing

    missing = 0
    for shape in ["tiny"] if args.dry_run else ["small", "medium", "large"]:
        with torch.inference_mode():
            missing += measure(shape)
        if device == "cuda":
            torch.cuda.empty_cache()
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
