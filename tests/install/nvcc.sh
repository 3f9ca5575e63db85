#!/bin/bash
# An nvcc that is too old for the devices, or refuses the host's compiler, costs the plug-in and no more.
#   nvcc.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
unset CUDACXX CUDAHOSTCXX CUDAFLAGS
mkdir "$BOX/bin" "$BOX/source"
cat >"$BOX/source/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.20)
project(nothing LANGUAGES C)
include($(realpath "$TESTS/..")/cmake/cuda.cmake)
END
nvcc() { # what it says
    printf '#!/bin/sh\necho "nvcc warning : of no interest"\necho "%s" >&2\nexit 1\n' "$1" >"$BOX/bin/nvcc"
    chmod +x "$BOX/bin/nvcc"
}
configure() {
    rm -rf "$BOX/build"
    CUDACXX=$BOX/bin/nvcc cmake -S "$BOX/source" -B "$BOX/build" --log-level=NOTICE "$@"
}

nvcc "nvcc fatal   : Unsupported gpu architecture 'compute_90a'"
expect 0 "Left out: --device cuda .*bin/nvcc: nvcc fatal   : Unsupported gpu architecture 'compute_90a'" 'an old one' configure
says 'with the remedy' 'CUDA 12\.[0-9] or newer is needed.*CUDAHOSTCXX'
expect 1 'MG_CUDA=on: .*bin/nvcc' 'an error where it was asked for' configure -DMG_CUDA=on
nvcc '/usr/include/crt/host_config.h:143:2: error: #error -- unsupported GNU version! gcc versions later than 13 are not supported'
expect 0 'Left out: --device cuda .*unsupported GNU version! gcc versions later than 13' "a compiler that it does not know" configure
rm "$BOX/bin/nvcc"
[ -x /usr/local/cuda/bin/nvcc ] || command -v nvcc >/dev/null ||
    expect 0 'Left out: --device cuda .no nvcc; put it on PATH or name it in CUDACXX' 'none' configure
expect 0 '' 'off asks nobody' configure -DMG_CUDA=off
fails 'off asks nobody: nothing is said' grep -q 'Left out' "$BOX/said"
passes 'make shows the line' grep -q -- '--log-level=NOTICE' "$TESTS/../Makefile"
finish
