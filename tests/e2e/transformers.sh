#!/bin/bash
# What convert makes, loaded and run by transformers: the same codes as ours.   transformers.sh MG-DIST TESTS-FOLDER
# $PYTHON is a Python with torch and transformers (default: python3).
. "$(dirname "$0")/lib.sh" "$1" "$2"
PYTHON=${PYTHON:-python3}
FORMS=$GOLDEN/checkpoints
"$PYTHON" -c 'import torch, transformers' 2>/dev/null || { skipped 'no Python with torch and transformers (PYTHON=…)'; exit 0; }
export HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error

cat >"$BOX/run.py" <<'END'
"""run.py FOLDER DTYPE FRAMES CODES.npy: greedy, guidance 3, by transformers; DTYPE auto is the folder's own."""
import sys
import numpy as np, torch, transformers
folder, dtype, frames, codes = sys.argv[1:]
config = transformers.AutoConfig.from_pretrained(folder)
kind = transformers.MusicgenMelodyForConditionalGeneration if config.model_type == "musicgen_melody" else transformers.MusicgenForConditionalGeneration
model, info = kind.from_pretrained(folder, torch_dtype="auto" if dtype == "auto" else getattr(torch, dtype), output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
model.eval()
if model.audio_encoder.config.pad_mode == "reflect":
    model.audio_encoder.float()  # torch cannot reflect halves on a CPU
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
inputs = tokenizer(["slow sad piano"], return_tensors="pt")
kept = {}
decode = model.audio_encoder.decode
def keep(audio_codes, *args, **kwargs):
    kept["codes"] = audio_codes.clone()
    return decode(audio_codes, *args, **kwargs)
model.audio_encoder.decode = keep
K = config.decoder.num_codebooks // config.decoder.audio_channels
with torch.no_grad():
    sound = model.generate(**inputs, do_sample=False, guidance_scale=3.0, max_new_tokens=int(frames) + K - 1)
assert torch.isfinite(sound.float()).all() and sound.shape[-1] == int(frames) * int(np.prod(model.audio_encoder.config.upsampling_ratios)), sound.shape
print(transformers.__version__, next(model.parameters()).dtype, tuple(sound.shape))
np.save(codes, kept["codes"][0, 0].numpy().astype(np.int32))
END
theirs() { "$PYTHON" "$BOX/run.py" "$@"; }
ours() { # FOLDER OUT options
    local folder=$1 out=$2
    shift 2
    "$MG" generate -q --greedy --cfg-coef 3 --model "$folder" --prompt 'slow sad piano' --frames 40 --codes-only --seed 1 --out "$BOX/$out" "$@"
}
same_codes() { "$PYTHON" -c "
import sys, numpy as np
a, b = (np.load(f) for f in sys.argv[1:])
assert a.shape == b.shape, (a.shape, b.shape)
assert (a == b).all(), (a != b).sum()" "$@"; }

PARTS=(--text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer")
for form in ac-mono ac-stereo; do
    passes "$form: convert" "$MG" convert -q "$FORMS/$form" "$BOX/$form" "${PARTS[@]}"
    passes "$form: transformers runs it as it is" theirs "$BOX/$form" auto 40 "$BOX/$form-auto.npy"
    sed 's/^/# /' "$BOX/note"
    [ $form = ac-mono ] || continue # codes of stereo models are handed to the codec by channels
    passes "$form: and in fp32" theirs "$BOX/$form" float32 40 "$BOX/$form-theirs.npy"
    passes "$form: ours" ours "$BOX/$form" "$form-ours" --dtype fp32
    passes "$form: the same codes" same_codes "$BOX/$form-theirs.npy" "$BOX/$form-ours/000000.codes.npy"
done
passes 'the demo model, whose positions are computed: convert' "$MG" convert -q "$DEMO" "$BOX/demo"
passes 'the demo model: transformers runs it as it is' theirs "$BOX/demo" auto 40 "$BOX/demo.npy"

# Why: a folder of two formats, loaded as it is, stops transformers at the first product.
passes 'kept as they are' "$MG" convert -q --dtype keep "$DEMO" "$BOX/mixed"
fails 'transformers does not run it' theirs "$BOX/mixed" auto 40 "$BOX/mixed.npy"
finish
