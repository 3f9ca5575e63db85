"""What AudioCraft makes where several of its ways meet: melodies in windows, audio prompts in windows and with a
melody, a melody without a text, a double-guided melody in windows. On the checkpoints of this folder.

usage: make_windows.py OUT.safetensors   (audiocraft 1.4.0a2, torch 2.5.1, transformers 4.46.3; xformers may be a stub)

Source separation is replaced by the identity. Greedy; the smallest gap between the two largest logits that a choice
was made from is in __metadata__.margin: cases below 5e-4 are tried again with another melody or left out."""

import importlib.machinery
import json
import pathlib
import sys
import tempfile
import types

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(attributes)
    sys.modules.setdefault(name, module)
    return module


stub("spacy")
stub("xformers").ops = stub("xformers.ops", unbind=lambda t, dim: t.unbind(dim),
                              memory_efficient_attention=None, LowerTriangularMask=object)

import demucs.pretrained  # noqa: E402


class NoDemucs(torch.nn.Module):
    sources, samplerate, audio_channels = ["drums", "bass", "other", "vocals"], 44100, 2


demucs.pretrained.get_model = lambda *a, **k: NoDemucs()

from audiocraft.models import builders, loaders  # noqa: E402
from audiocraft.models.musicgen import MusicGen  # noqa: E402
from audiocraft.modules.conditioners import T5Conditioner  # noqa: E402
from audiocraft.modules.transformer import set_efficient_attention_backend  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
T5 = tempfile.mkdtemp()  # the encoder with its tokenizer, as transformers wants them
for file in [*(HERE / "t5-tiny").iterdir(), *(HERE / "tokenizer").iterdir()]:
    (pathlib.Path(T5) / file.name).symlink_to(file)
TEXTS = ["80s pop track with bassy drums and synth", "slow sad piano"]
V, RATE = 64, 32000
margin = 1e9
torch.set_num_threads(1)
set_efficient_attention_backend("torch")
T5Conditioner.MODELS.append(T5)
T5Conditioner.MODELS_DIMS[T5] = 64

plain_argmax = torch.argmax


def watching_argmax(t, *a, **k):
    global margin
    if t.shape[-1] == V:
        top = t.float().topk(2, -1).values
        margin = min(margin, float((top[..., 0] - top[..., 1]).min()))
    return plain_argmax(t, *a, **k)


torch.argmax = watching_argmax


def load(name):
    folder = HERE / "checkpoints" / name
    package = torch.load(folder / "state_dict.bin", map_location="cpu", weights_only=True)
    config = OmegaConf.create(package["xp.cfg"])
    OmegaConf.set_struct(config, False)
    config.device, config.dtype = "cpu", "float32"
    config.conditioners.description.t5.name = T5
    if "self_wav" in config.conditioners:
        chroma = config.conditioners.self_wav.chroma_stem
        chroma.pop("cache_path", None)
        chroma.match_len_on_eval = True
    lm = builders.get_lm_model(config).eval()
    state = {k: v.float() if v.is_floating_point() else v for k, v in package["best_state"].items()}
    missing, unexpected = lm.load_state_dict(state, strict=False)
    assert not unexpected and not [m for m in missing if ".t5." not in m], (missing, unexpected)
    lm.cfg = config
    model = MusicGen(name, loaders.load_compression_model(str(folder), device="cpu"), lm, max_duration=30.0)
    if "self_wav" in lm.condition_provider.conditioners:
        conditioner = lm.condition_provider.conditioners["self_wav"]
        conditioner._get_stemmed_wav = types.MethodType(
            lambda self, wav, sr: wav.mean(1, keepdim=True) if wav.dim() == 3 else wav, conditioner)
    return model


def tune(dur_s, notes, seed):
    """A tune in the middle octaves with some noise: pitch classes that change."""
    t = torch.arange(int(RATE * dur_s)) / RATE
    pitch = 220 * 2 ** (torch.tensor(notes)[(t * 3).long() % len(notes)] / 12)
    noise = torch.randn(t.shape, generator=torch.Generator().manual_seed(seed))
    return (0.5 * torch.sin(2 * np.pi * torch.cumsum(pitch, 0) / RATE) + 0.01 * noise)[None]


def beeps(dur_s):
    t = torch.arange(int(RATE * dur_s)) / RATE
    return (0.5 * torch.cos(2 * np.pi * 440 * t) * ((t % 0.125) / 0.125 >= 0.5))[None, None]


def main(out_path):
    arrays, cases = {}, {}

    def case(model, name, text, melody=None, prompt=None, dur_s=1.2, window_s=30.0, stride_s=18.0, beta=None):
        global margin
        margin = 1e9
        model.max_duration = window_s
        model.set_generation_params(use_sampling=False, duration=dur_s, cfg_coef=3.0, extend_stride=stride_s)
        if beta is not None:
            model.generation_params["cfg_coef_beta"] = beta
        with torch.no_grad():
            melodies = None if melody is None else [arrays[melody][None]]
            attributes, prompt_codes = model._prepare_tokens_and_attributes(
                [text], None if prompt is None else arrays[prompt][None, None],
                **({} if melodies is None else {"melody_wavs": melodies}))
            codes = model._generate_tokens(attributes, prompt_codes)
            arrays[f"{name}_codes"] = codes.int()
            if codes.shape[-1] < 100:
                arrays[f"{name}_audio"] = model.generate_audio(codes)
        cases[name] = {"margin": margin, "text": text, "melody": melody, "prompt": prompt, "duration": dur_s,
                       "window": window_s, "extend_stride": stride_s, "guidance": 3.0, "guidance_beta": beta,
                       "frames": int(codes.shape[-1])}
        print(name, tuple(codes.shape), "margin", margin, flush=True)

    arrays["tune"] = tune(3.1, [0, 4, 7, 12, 9, 5, 2], 1)[0]
    arrays["long_tune"] = tune(7.3, [3, 8, 10, 1, 6], 2)[0]
    arrays["beeps"] = beeps(0.33)[0, 0]
    windows = {"dur_s": 4.4, "window_s": 2.0, "stride_s": 1.2}
    melody = load("ac-melody")
    case(melody, "melody_windows", TEXTS[1], "tune", **windows)
    case(melody, "long_melody_windows", TEXTS[0], "long_tune", **windows)
    case(melody, "melody_continued", TEXTS[0], "tune", "beeps")
    case(melody, "melody_continued_windows", TEXTS[1], "tune", "beeps", **windows)
    case(melody, "melody_alone", None, "long_tune")
    case(melody, "double_windows", TEXTS[0], "long_tune", beta=2.0, **windows)
    case(melody, "text_alone", TEXTS[0])
    case(melody, "continued_text_alone", TEXTS[1], None, "beeps")
    case(load("ac-mono"), "continued_windows", "techno", None, "beeps", **windows)
    save_file({k: v.contiguous() for k, v in arrays.items()}, out_path, {"cases": json.dumps(cases)})


main(sys.argv[1])
