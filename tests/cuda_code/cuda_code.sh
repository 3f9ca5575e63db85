#!/bin/sh
# What nvcc makes of the CUDA kernels, looked at without a GPU.   cuda_code.sh ROOT [--write]
#   every kernel, sm_80 and sm_90a   no spills, no local memory (ptxas ends the build)
#   matrix kernels                   all loads of weights stand before the wait for the predecessor (of a tiled
#                                    one those of all stages but one), and the blocks of an SM ask for 32 KB
#   every kernel, sm_90a             waits, and touches nothing before that its predecessor may write or read
#   few_attended_k, sm_90a           keys and values that are settled are asked for before the wait, as weights are
#   attend_k, sm_90a                 blocks without keys are gone before the wait
# and the table docs/GPU_KERNELS.md, which must be as it was written; --write writes it.
# Needs nvcc and nvdisasm (PyPI: nvidia-cuda-nvdisasm); exits 77 where one is missing.
set -eu
root=${1:?the root of the tree}
mode=${2:---check}
nvdisasm=${NVDISASM:-$(command -v nvdisasm || true)}
if ! command -v nvcc >/dev/null || [ -z "$nvdisasm" ]; then
    echo "SKIPPED: the compiled CUDA code was NOT looked at: nvcc or nvdisasm not found (set NVDISASM)"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
version=$(nvcc --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')

for arch in sm_80 sm_90a; do
    for source in "$root"/kernels/cuda/*.cu; do
        name=$(basename "$source" .cu)
        nvcc -std=c++17 -O3 -fmad=false -arch=$arch -I"$root"/kernels/cuda -I"$root"/kernels -I"$root"/src/base \
            -Xptxas -v,-warn-spills,-warn-lmem-usage,-Werror -cubin -o "$dir/$name.$arch.cubin" "$source" \
            >"$dir/$name.$arch.ptxas" 2>&1 || {
            grep -E 'error|warning' "$dir/$name.$arch.ptxas" | c++filt
            echo "cuda_code: $name: $arch: does not compile as it must"
            exit 1
        }
        [ ! -s "$dir/$name.$arch.cubin" ] || "$nvdisasm" -g "$dir/$name.$arch.cubin" >"$dir/$name.$arch.sass" 2>/dev/null || true
    done
    # kernel; registers; bytes of static shared memory
    cat "$dir"/*.$arch.ptxas | awk '/Compiling entry function/ { split($0, part, "\047"); kernel = part[2] }
        /Used [0-9]+ registers/ { smem = 0; for (i = 1; i < NF; i++) { if ($(i+1) ~ /^registers/) used = $i
            if ($(i+2) ~ /^smem/) smem = $i } print kernel "\t" used "\t" smem }' | sort >"$dir/used.$arch"
    # kernel; 16-byte loads before and after the wait, to registers or to shared memory; all loads before it, and all writes;
    # loads by way of a cache that knows nothing of the predecessor; waits; whether its successor starts early or "late";
    # ways out before the wait
    cat "$dir"/*.$arch.sass | awk 'function put() { if (kernel) print kernel "\t" early + 0 "\t" late + 0 "\t" reads + 0 "\t" writes + 0 "\t" deaf + 0 "\t" waits + 0 "\t" start "\t" ways_out + 0 }
        /^[ \t]*\.text\./ { put(); kernel = $1; sub(/^\.text\./, "", kernel); sub(/:$/, "", kernel)
            early = late = reads = writes = deaf = waits = ways_out = 0; start = "never" }
        /ACQBULK/ { waits++ }
        !waits && /[ \t]EXIT[ \t;]/ { ways_out++ }
        /PREEXIT/ { start = waits ? "late" : "early" }
        !waits && /[ \t]LDG(STS)?\./ { reads++ }
        !waits && /[ \t](STG|ATOM|ATOMG|RED|REDG)\./ { writes++ }
        /LDG\.E[A-Z0-9.]*\.CONSTANT/ { deaf++ }
        /LDG(STS)?\.E[A-Z0-9.]*\.128/ { if (waits) late++; else early++ }
        END { put() }' | sort >"$dir/loads.$arch"
    join -t "$(printf '\t')" "$dir/used.$arch" "$dir/loads.$arch" | c++filt | sed 's/^void //; s/([^)]*)//; s/__nv_bfloat16/bf16/; s/__half/fp16/' |
        sort >"$dir/table.$arch"
done

awk -v version="$version" -f "$(dirname "$0")/cuda_code.awk" "$dir/table.sm_80" "$dir/table.sm_90a" >"$dir/page.md" || {
    cat "$dir/page.md" | grep '^cuda_code:'
    exit 1
}
if [ "$mode" = --write ]; then
    cp "$dir/page.md" "$root/docs/GPU_KERNELS.md"
elif ! grep -q "nvcc $version" "$root/docs/GPU_KERNELS.md"; then
    echo "docs/GPU_KERNELS.md is of another nvcc than $version: not compared"
elif ! diff "$root/docs/GPU_KERNELS.md" "$dir/page.md"; then
    echo "cuda_code: docs/GPU_KERNELS.md is not what nvcc makes now: tests/cuda_code/cuda_code.sh . --write"
    exit 1
fi
echo "cuda_code: $(wc -l <"$dir/table.sm_90a") kernels for sm_80 and sm_90a: no spills, all weights asked for before the wait"
