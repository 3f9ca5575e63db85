#!/bin/sh
# gpu_packages.sh DIR: fetches what building and running need, and all that it needs, as Debian packages, for a machine
# that has a GPU and no packages (bench/gpu.sh --packages DIR). Run it where apt-get works; installs nothing.
set -eu
dir=${1:?a folder}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
wanted=$(sed -n '/^build="/,/"$/p' "$here/../.ci/packages" | tr -d '"' | sed 's/^build=//' | tr '\n' ' ' |
    sed -E 's/\b(make|cmake|gcc|g\+\+|ninja-build|pkg-config)\b//g')
# Its needs, but for those that every system has (the C library and its like) and compilers.
all=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    $wanted pkgconf pkgconf-bin libpkgconf3 | grep -E '^[a-z0-9]' | grep -vE '^(libc6|libc6-dev|libc-bin|libc-dev-bin|gcc|g\+\+|cpp|binutils|perl|dpkg|debconf|make|cmake|libgcc|libstdc\+\+|linux-libc-dev|python3|openssh|libcrypt|libgfortran|gfortran)' | sort -u)
cd "$dir"
for p in $all; do
    apt-get download -q "$p" 2>/dev/null || echo "gpu_packages: $p: not fetched (a virtual one, or none)" >&2
done
du -sh .
