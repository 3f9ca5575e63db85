#!/usr/bin/env python3
"""Make a checkpoint of MusicGen's true shape with random weights, as transformers would save it.

    make_checkpoint.py OUT TOKENIZER_DIR [small|medium|large [fp32|fp16]]

small in fp32 (the default) is 2.4 GB of safetensors. The tokenizer's files are copied from TOKENIZER_DIR: any SentencePiece tokenizer of
at most 32128 pieces will do. Speed does not depend on the values, as long as they are finite and not denormal.
"""

import pathlib
import shutil
import sys

import torch
from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config
from transformers import MusicgenDecoderConfig


SHAPES = {"small": (1024, 24, 16, 4096), "medium": (1536, 48, 24, 6144), "large": (2048, 48, 32, 8192)}


def config_of(shape: str) -> MusicgenConfig:
    width, layers, heads, inner = SHAPES[shape]
    t5 = T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12, vocab_size=32128)
    codec = EncodecConfig(
        sampling_rate=32000, audio_channels=1, num_filters=64, upsampling_ratios=[8, 5, 4, 4], hidden_size=128,
        codebook_size=2048, codebook_dim=128, num_residual_layers=1, use_causal_conv=False, normalize=False,
        use_conv_shortcut=False, target_bandwidths=[2.2], norm_type="weight_norm", pad_mode="reflect")
    decoder = MusicgenDecoderConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, ffn_dim=inner)
    return MusicgenConfig(text_encoder=t5.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())


def main() -> None:
    out, tokenizer = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    shape, dtype = (sys.argv[3:] + ["small", "fp32"][len(sys.argv[3:]):])[:2]
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = MusicgenForConditionalGeneration(config_of(shape))
    with torch.no_grad():
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.normal_()
    model.generation_config.update(
        do_sample=True, guidance_scale=3.0, max_length=1500, pad_token_id=2048, bos_token_id=2048,
        decoder_start_token_id=2048)
    if dtype == "fp16":
        model.half()
    model.save_pretrained(out, max_shard_size="10GB")
    for name in ("spiece.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, out / name)
    print(f"{out}: {sum(f.stat().st_size for f in out.iterdir()) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
