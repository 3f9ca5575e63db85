#!/bin/sh
# A Python with the libraries that load our datasets, for the test loading/loading.   make_venv.sh [FOLDER]
# FOLDER: build/loading-venv, where the test looks, if none is named. Needs Python 3.9 or later and PyPI.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/../../build/loading-venv}

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q wheel setuptools
# datasets 4 decodes sound through torchcodec, which wants a PyTorch; 3.6 does so through soundfile.
"$venv/bin/pip" install -q 'datasets==3.6.0' soundfile librosa webdataset
# AudioCraft's own dependencies are old and large. Its rules for a manifest are plain Python: its source is enough.
mkdir -p "$venv/audiocraft"
"$venv/bin/pip" download -q --no-deps --no-binary :all: --no-build-isolation 'audiocraft==1.3.0' -d "$venv/audiocraft"
tar xzf "$venv"/audiocraft/audiocraft-1.3.0.tar.gz -C "$venv/audiocraft" --strip-components 1
"$venv/bin/pip" list 2>/dev/null | grep -Ei '^(datasets|webdataset|soundfile|librosa|pyarrow|numpy) '
