#!/bin/sh
# What all container files run, and a plain Debian or Ubuntu machine may: packages, build, install to PREFIX.
#   install.sh SOURCE PREFIX [-DMG_CUDA=on …]
set -eu
source=$1 prefix=$2
shift 2
cd "$source"
.ci/packages build
build=$(mktemp -d) # what a checkout has of another system's builds does not matter
cmake --preset package -B "$build" -DMG_PACKAGE=OFF --log-level=NOTICE "$@" >/dev/null
cmake --build "$build"
cmake --install "$build" --prefix "$prefix" --strip >/dev/null
rm -rf "$build"
# The libraries that the program was linked with, by name of their package, for an image without compilers.
ldd "$prefix/bin/mg-dist" | awk '$2 == "=>" { print $3 }' | xargs -r -n1 readlink -f | xargs -r dpkg -S 2>/dev/null |
    cut -d: -f1 | sort -u >"$prefix/share/mg-dist/packages"
echo openmpi-bin >>"$prefix/share/mg-dist/packages"
# NCCL's newest may be for a newer driver: the one whose header was there.
dpkg-query -W -f='libnccl2=${Version}\n' libnccl-dev 2>/dev/null >>"$prefix/share/mg-dist/packages" || true
