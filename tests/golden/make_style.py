"""A tiny MusicGen-Style, made and run by AudioCraft's own code (1.4.0a2) and transformers' HuBERT in the place of MERT.

usage: make_style.py AUDIOCRAFT GOLDEN_MAKE    (the checkout; the folder of make_ac.py and common.py)
Writes checkpoints/ac-style/state_dict.bin, checkpoints/mert-tiny/ and audiocraft/ac-style.{safetensors,json} beside
this file. The codec is ac-melody's. MERT-v1-95M computes what HubertModel computes (its modeling_MERT.py, with
feature_extractor_cqt and deepnorm off). The excerpt is the middle of the sound, as use_middle_of_segment has it."""
import importlib.machinery
import json
import pathlib
import random
import shutil
import sys
import tempfile
import types
import warnings

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [sys.argv[1], sys.argv[2]]


def stub(name, **attrs):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(attrs)
    sys.modules[name] = module
    return module


xformers = stub("xformers")
xformers.ops = stub("xformers.ops", unbind=lambda t, dim: t.unbind(dim), memory_efficient_attention=None, LowerTriangularMask=object)
librosa = stub("librosa")
librosa.filters = stub("librosa.filters")
for name in ("spacy", "av"):
    stub(name)
import numpy as np
import torch
import transformers
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from audiocraft.models import builders, loaders
from audiocraft.models.musicgen import MusicGen
from audiocraft.modules import conditioners
from audiocraft.modules.transformer import StreamingTransformer, set_efficient_attention_backend
from audiocraft.quantization import ResidualVectorQuantizer
from common import fill, save

set_efficient_attention_backend("torch")
T5 = pathlib.Path(tempfile.mkdtemp()) / "t5-tiny"
shutil.copytree(HERE / "t5-tiny", T5)
shutil.copytree(HERE / "tokenizer", T5, dirs_exist_ok=True)
conditioners.T5Conditioner.MODELS.append(str(T5))
conditioners.T5Conditioner.MODELS_DIMS[str(T5)] = 64
conditioners.random.randint = lambda low, high: (low + high) // 2
TEXT, BINS, FRAMES = "80s pop track with bassy drums and synth", 64, 60

mert_config = transformers.HubertConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=[16] * 7, conv_bias=False,
    feat_extract_norm="group", do_stable_layer_norm=False, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, layer_norm_eps=1e-5)


def make_mert(seed):
    mert = transformers.HubertModel(mert_config).eval()
    fill(mert, seed)
    with torch.no_grad():  # what a sound's few hundredths leave must not vanish
        mert.feature_extractor.conv_layers[0].conv.weight.mul_(3)
    return mert


def shrink(style, mert, seed):
    """The conditioner's own parts in a size for tests; the heads of transformer_scale "default"."""
    width = 64
    style.dim = width
    style.embed = torch.nn.Linear(mert_config.hidden_size, width)
    style.transformer = StreamingTransformer(
        d_model=width, num_heads=8, num_layers=2, dim_feedforward=4 * width, memory_efficient=True, activation="gelu",
        norm_first=True, causal=False, layer_scale=None, bias_ff=False, bias_attn=False)
    style.rvq = ResidualVectorQuantizer(width, n_q=6, q_dropout=True, bins=32, threshold_ema_dead_code=0.1)
    style.batch_norm = torch.nn.BatchNorm1d(width, affine=False)
    style.output_proj = torch.nn.Linear(width, 128)
    style.__dict__["feat_extractor"] = mert
    generator = torch.Generator().manual_seed(seed)
    style.batch_norm.running_mean.copy_(0.3 * torch.randn(width, generator=generator))
    style.batch_norm.running_var.copy_(0.5 + torch.rand(width, generator=generator))
    for i, layer in enumerate(style.rvq.vq.layers):
        layer._codebook.embed.copy_(torch.randn(layer._codebook.embed.shape, generator=generator) / 1.5**i)
        layer._codebook.inited.fill_(1)


def build(seed):
    with initialize_config_dir(str(pathlib.Path(sys.argv[1]).resolve() / "config"), version_base="1.1"):
        cfg = compose("config", overrides=[
            "solver=musicgen/musicgen_style_32khz", "transformer_lm.dim=128", "transformer_lm.num_heads=8", "transformer_lm.num_layers=2",
            "transformer_lm.hidden_scale=2", f"transformer_lm.card={BINS}", "transformer_lm.memory_efficient=true"])
    c = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))
    OmegaConf.set_struct(c, False)
    c.device, c.dtype = "cpu", "float32"
    c.conditioners.description.t5.name = str(T5)
    mert = make_mert(seed)
    transformers.AutoModel.from_pretrained = lambda *a, **k: mert
    lm = builders.get_lm_model(c).eval()
    lm.cfg = c
    style = lm.condition_provider.conditioners["self_wav"]
    shrink(style, mert, seed)
    lm.eval()
    fill(lm, seed + 1)
    lm.half().float()  # as it is stored
    style.batch_norm.float()
    return lm, style, cfg, mert


class Margin:
    """The smallest distance between the first and the second of what greedy drawing, and quantising, choose from."""

    def __enter__(self):
        self.m, self.argmax = 1e9, torch.argmax

        def argmax(t, *a, **k):
            if t.shape[-1] == BINS:
                top = t.float().topk(2, -1).values
                self.m = min(self.m, float((top[..., 0] - top[..., 1]).min()))
            return self.argmax(t, *a, **k)

        torch.argmax = argmax
        return self

    def __exit__(self, *a):
        torch.argmax = self.argmax


def sound():
    t = torch.arange(32000 * 4) / 32000
    beat = (t % 0.5 < 0.2).float() * torch.exp(-6 * (t % 0.5))
    return (0.4 * torch.sin(2 * np.pi * 220 * t) * beat + 0.2 * torch.sin(2 * np.pi * (330 + 40 * t) * t))[None]


def run(seed):
    random.seed(0)
    torch.manual_seed(0)
    lm, style, cfg, mert = build(seed)
    comp = loaders.load_compression_model(str(HERE / "checkpoints" / "ac-melody" / "compression_state_dict.bin"), device="cpu")
    mg = MusicGen("ac-style", comp, lm, max_duration=30.0)
    mg.set_generation_params(use_sampling=False, duration=FRAMES / 50, cfg_coef=3.0, extend_stride=5.0)
    wav = sound()
    out, meta, worst = {"style_audio": wav}, {"model": "ac-style", "seed": seed, "cases": {}}, 1e9
    condition = conditioners.WavCondition(wav[None], torch.tensor([wav.shape[-1]]), [32000], [None], [0.0])
    for name, text, sound_, beta, n in (
            ("text_style_cfg3", TEXT, wav, None, 3), ("text_style_one_codebook", TEXT, wav, None, 1), ("style_cfg3", None, wav, None, 3),
            ("text_cfg3", TEXT, None, None, 3), ("double_cfg_3_5", TEXT, wav, 5.0, 2)):
        mg.set_style_conditioner_params(eval_q=n, excerpt_length=3.0)
        mg.generation_params["cfg_coef_beta"] = beta
        with torch.no_grad(), Margin() as margin:
            attributes, _ = mg._prepare_tokens_and_attributes([text], None, melody_wavs=[sound_])
            codes = mg._generate_tokens(attributes, None)
        worst = min(worst, margin.m)
        out[f"{name}_codes"] = codes
        meta["cases"][name] = {"text": text, "style": sound_ is not None, "guidance": 3.0, "guidance_beta": beta, "codebooks": n,
                               "frames": FRAMES, "margin": margin.m}
        if worst < 5e-4:
            return None
    with torch.no_grad():
        for n in (1, 3, 6):
            style.set_params(eval_q=n, excerpt_length=3.0)
            out[f"style_rows_{n}"] = style._get_wav_embedding(condition)[0]
        out["style_prefix_6"] = style(condition)[0][0]
        pcm = conditioners.convert_audio(wav[:, 16000:112000][None], 32000, 24000, 1)
        out["mert_audio"] = pcm[0]
        out["mert_states"] = mert(pcm[:, 0]).last_hidden_state[0]
    meta["min_margin"] = worst
    return lm, cfg, mert, out, meta


def main():
    for seed in range(1000, 1800, 13):
        made = run(seed)
        if made:
            break
    lm, cfg, mert, out, meta = made
    folder = HERE / "checkpoints" / "ac-style"
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.half() if v.is_floating_point() and "rvq" not in k and "batch_norm" not in k else v for k, v in lm.state_dict().items()
             if not k.startswith("condition_provider.conditioners.description.t5")}
    torch.save({"best_state": state, "xp.cfg": OmegaConf.to_yaml(OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))),
                "version": "1.4.0a2", "exported": True}, folder / "state_dict.bin")
    folder = HERE / "checkpoints" / "mert-tiny"
    shutil.rmtree(folder, ignore_errors=True)
    mert.save_pretrained(folder, safe_serialization=False)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["MERTModel"], "model_type": "mert_model", "sample_rate": 24000, "feature_extractor_cqt": False,
               "feature_extractor_cqt_bins": 84, "deepnorm": False, "attention_relax": -1.0, "feat_proj_layer_norm": True}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save(HERE / "audiocraft" / "ac-style.safetensors", out, meta)
    (HERE / "audiocraft" / "ac-style.json").write_text(json.dumps(meta, indent=1) + "\n")
    print(meta)


main()
