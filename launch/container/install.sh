#!/bin/sh
# What both container files run, and a plain Debian or Ubuntu machine may: packages, build, install to PREFIX, and away with
# what only building needs.   install.sh SOURCE PREFIX
set -eu
source=$1 prefix=$2
cd "$source"
.ci/packages build
cmake --preset package -DMG_PACKAGE=OFF --log-level=WARNING >/dev/null
cmake --build --preset package
cmake --install build-package --prefix "$prefix" --strip >/dev/null
# The libraries that the program was linked with, by name of their package, for an image without compilers.
ldd "$prefix/bin/mg-dist" | awk '$2 == "=>" { print $3 }' | xargs -r -n1 readlink -f | xargs -r dpkg -S 2>/dev/null |
    cut -d: -f1 | sort -u >"$prefix/share/mg-dist/packages"
echo openmpi-bin >>"$prefix/share/mg-dist/packages"
