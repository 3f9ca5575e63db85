#!/bin/bash
# The level neon without such a machine: the program and its tests of kernels and models, compiled for aarch64 and run in an
# emulator; and clips of the demo model against those of this machine's level avx2, byte by byte (a file names its level, so
# both go by that name).
#   tests/aarch64.sh [CPU …]     of qemu-aarch64; else cortex-a72, which has no dot products, and neoverse-n1, which has
# Wants Debian's gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu and qemu-user, and build/mg-dist for the clips. The libraries of
# arm64 (105 MB of packages) are unpacked into build-aarch64/root; nothing is installed.
set -eu
cd "$(dirname "$0")/.."
cpus=${*:-cortex-a72 neoverse-n1}
dir=$PWD/build-aarch64
root=$dir/root
lib=$root/usr/lib/aarch64-linux-gnu
for tool in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64 apt-get; do
    command -v $tool >/dev/null || { echo "SKIPPED: aarch64: $tool not found"; exit 77; }
done

libraries() { # an apt of its own: no list of this machine's changes
    local apt=$dir/apt package link to
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$root"
    : >"$apt/status"
    . /etc/os-release
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $VERSION_CODENAME main" >"$apt/sources.list"
    cat >"$apt/conf" <<END
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
END
    APT_CONFIG=$apt/conf apt-get update -qq &&
        APT_CONFIG=$apt/conf apt-get install -d -y -qq libc6-dev libcmocka-dev libcjson-dev libsndfile1-dev libsentencepiece-dev libogg-dev \
            libssl-dev libyaml-dev zlib1g-dev libutf8proc-dev libsqlite3-dev libkissfft-dev libopenmpi-dev >/dev/null ||
        { echo "SKIPPED: aarch64: arm64's libraries could not be had"; exit 77; }
    for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
    find "$root" -type l | while read -r link; do # what is absolute leads out of the folder
        to=$(readlink "$link")
        case $to in /etc/*) ;; /*) ln -sfn "$root$to" "$link" ;; esac
    done
    touch "$dir/has-libraries"
}
[ -e "$dir/has-libraries" ] || libraries

export MG_AARCH64_ROOT=$root QEMU_LD_PREFIX=$root
export PKG_CONFIG_LIBDIR=$lib/pkgconfig:$root/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
[ -e "$dir/build.ninja" ] ||
    cmake -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake" -DMG_CUDA=off \
        -DMPI_C_LIB_NAMES=mpi -DMPI_mpi_LIBRARY="$lib/openmpi/lib/libmpi.so" -DMPI_C_HEADER_DIR="$lib/openmpi/include" >/dev/null
ninja -C "$dir" mg-dist tests/ops/all tests/model/all tests/weights/all

tests='^(ops/|weights/test_pack_file|model/test_(t5|lm|lm_parallel|encodec|encodec_encode)$)'
for cpu in $cpus; do
    echo "== $cpu"
    QEMU_CPU=$cpu ctest --test-dir "$dir" -R "$tests" --output-on-failure
    tests='^ops/test_ops_(int[48]|levels|doors)$' # what else a processor changes
done

grep -qw avx2 /proc/cpuinfo && [ -x build/mg-dist ] || { echo 'clips: not compared: no avx2 or no build/mg-dist here'; exit 0; }
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
clip() { # FOLDER DTYPE program …
    local to=$box/$1 dtype=$2
    shift 2
    "$@" generate -q --model models/mg-demo --prompt 'happy chiptune, fast' --duration 0.4 --seed 3 --threads 1 \
        --dtype "$dtype" --cpu-level avx2 --out "$to" >/dev/null
}
for dtype in fp32 bf16 fp16 int8 int4; do
    clip "here-$dtype" $dtype build/mg-dist
    for cpu in $cpus; do
        QEMU_CPU=$cpu clip "$cpu-$dtype" $dtype qemu-aarch64 "$dir/mg-dist"
        cmp "$box/here-$dtype/000000.wav" "$box/$cpu-$dtype/000000.wav"
        echo "$dtype: $cpu: the same bytes"
    done
done
