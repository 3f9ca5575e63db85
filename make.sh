#!/bin/sh
# make, for a machine that may not have it yet:   ./make.sh demo   ./make.sh check   ./make.sh help
set -eu
cd "$(dirname "$0")"
command -v make >/dev/null || .ci/packages build
exec make "$@"
