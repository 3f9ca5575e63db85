#!/bin/bash
# cuda_plugin.sh MG-DIST: the plug-in exports one function, finds all others in the program or in the system, opens
# without a driver and says so, is refused when it is of another version, and is found where it is installed.
set -u
build=$(dirname "$1")
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
model=$(dirname "$0")/../golden/checkpoints/tiny-mono
[ -f "$build/libmg_cuda.so" ] || { echo "SKIPPED: no libmg_cuda.so (no nvcc, or no NCCL)"; exit 0; }

fail() {
    echo "FAILED: $1"
    [ -f "$box/out" ] && cat "$box/out"
    exit 1
}

exported=$(nm -D --defined-only "$build/libmg_cuda.so" | awk '{ print $3 }')
[ "$exported" = mg_cuda_plugin_table ] || fail "exports: $exported"
nm -D --defined-only "$build/mg-dist" | awk '{ print $3 }' | sort >"$box/offered"
nm -D --undefined-only "$build/libmg_cuda.so" | awk '$2 ~ /^mg_/ { print $2 }' | sort >"$box/wanted"
missing=$(comm -13 "$box/offered" "$box/wanted")
[ -s "$box/wanted" ] && [ -z "$missing" ] || fail "the program does not offer: $missing"
ldd "$build/libmg_cuda.so" | grep -E 'libcuda\.so|nccl|cublas|not found' && fail "needs more than the C and C++ libraries"
ldd "$build/mg-dist" | grep -Ei 'cuda|nccl' && fail "the program itself needs CUDA"

# run WANTED_CODE WANTED_WORDS PROGRAM
run() {
    "$3" generate --model "$model" --prompt x --duration 0.1 --device cuda --out "$box/clips" >"$box/out" 2>&1
    code=$?
    [ $code -eq "$1" ] && grep -q "$2" "$box/out" || fail "expected code $1 and '$2', got $code"
}
mkdir -p "$box/bin" "$box/libexec/mg-dist"
cp "$build/mg-dist" "$box/bin/"
run 5 "built without CUDA" "$box/bin/mg-dist"
if [ ! -e /dev/nvidiactl ] && [ "${2-}" != fixture ]; then
    cp "$build/libmg_cuda.so" "$box/libexec/mg-dist/"
    run 5 "no NVIDIA driver" "$box/bin/mg-dist"
    run 5 "no NVIDIA driver" "$build/mg-dist"
    "$build/mg-dist" generate --model "$model" --prompt x --duration 0.1 -v --out "$box/clips" >"$box/out" 2>&1 ||
        fail "--device auto does not fall back to the CPU"
    grep -q 'device auto: the CPU, since' "$box/out" || fail "auto does not say why"
    # A container that was given no GPU sees the host's module, and no library. Whoever waits for the GPU is told, also by auto.
    contained() {
        unshare -m sh -c 'mount -t tmpfs none /proc/driver && mkdir /proc/driver/nvidia && echo 580 >/proc/driver/nvidia/version &&
            exec "$@"' - "$build/mg-dist" generate --model "$model" --prompt x --duration 0.1 --overwrite --out "$box/clips" "$@" >"$box/out" 2>&1
    }
    if unshare -m mount -t tmpfs none /proc/driver 2>/dev/null; then
        contained --device cuda
        [ $? -eq 5 ] && grep -q 'driver is loaded, but its library libcuda.so.1 is not here: give the container' "$box/out" ||
            fail "a container without GPUs"
        contained || fail "auto in a container without GPUs"
        grep -q 'device auto: the CPU, since cuda: the NVIDIA driver is loaded' "$box/out" || fail "auto passes a GPU over in silence"
    else
        echo "SKIPPED: no namespace to play a container in"
    fi
fi
cat >"$box/other.c" <<'END'
static const char *const table[8] = {"0.0.0"};
const void *mg_cuda_plugin_table(void) { return table; }
END
cc -shared -fPIC "$box/other.c" -o "$box/bin/libmg_cuda.so" || fail "cc"
run 5 "is of version 0.0.0, this program of" "$box/bin/mg-dist"
echo garbage >"$box/bin/libmg_cuda.so"
run 5 "cuda: .*libmg_cuda.so" "$box/bin/mg-dist"
