#!/bin/sh
# The three test clips in a container, with models from this machine's cache.   run_tests.sh [IMAGE]
#   HF_HOME   the cache (~/.cache/huggingface), mounted read-only; MODEL_SMALL … and DURATION as container-entry says
set -eu
image=${1-mg-dist}
cache=${HF_HOME:-$HOME/.cache/huggingface}
for tool in podman docker; do command -v $tool >/dev/null && break; done
command -v $tool >/dev/null || {
    echo "run_tests.sh: neither podman nor docker is here" >&2
    exit 5
}
exec $tool run --rm -v "$PWD:/work" -v "$cache:/cache:ro" -e MODEL_SMALL -e MODEL_MEDIUM -e MODEL_LARGE -e LYRICS -e DURATION \
    -e RANKS "$image" test-clips
