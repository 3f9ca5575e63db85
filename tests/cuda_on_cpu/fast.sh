#!/bin/bash
# fast.sh MG-DIST TESTS-FOLDER: --gemm fast through the fixture, whose cuBLASLt sums in another order than our kernels. What
# a run says of it and keeps to, and what is said where there is no cuBLASLt.
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
export CUDA_ON_CPU=eager MGDIST_DEVICE=cuda

# make FOLDER OPTIONS…: one clip. Its codec has products of many rows.
make() {
    local out=$BOX/$1
    shift
    timeout 60 "$MG" generate --model "$TINY" --prompt drums --duration 0.14 --seed 7 --dtype fp32 --save-codes --out "$out" "$@"
}
is_on() { grep -q "\"$1\":[[:space:]]*\"$2\"" "$BOX/$3/000000.json"; } # KEY BACKEND FOLDER
sound() { sed -n 's/.*"sound_sha256":[[:space:]]*"\([0-9a-f]*\)".*/\1/p' "$BOX/$1/000000.json"; }

passes 'exact' make exact
passes 'fast' make fast --gemm fast
passes 'fast: the same codes' cmp "$BOX/exact/000000.codes.npy" "$BOX/fast/000000.codes.npy"
fails 'fast: other sound, which tells that it was cuBLASLt' test "$(sound exact)" = "$(sound fast)"
passes 'fast: the metadata say so' is_on backend 'cuda/sm_[0-9]*/fast' fast
passes 'exact: the metadata say nothing' is_on backend 'cuda/sm_[0-9]*' exact
CUDA_ON_CPU=late,desc passes 'fast, in streams that run late' make late --gemm fast --offload layers=1
same 'fast: the same bytes, with a layer outside' "$BOX/fast" "$BOX/late"

expect 0 'the same bytes' 'replay keeps to it' "$MG" replay "$BOX/fast/000000.json"
expect 1 'device is cuda/sm_[0-9]*, recorded is cuda/sm_[0-9]*/fast' 'replay --gemm exact: says what differs' \
    "$MG" replay --gemm exact "$BOX/fast/000000.json"
expect 0 'the same bytes' 'replay of what is exact is exact' "$MG" replay "$BOX/exact/000000.json"

# Steps of more than 32 rows are graphs of cuBLASLt's products too.
many() { timeout 60 "$MG" generate -q --model "$TINY" --unconditional 34 --frames 1 --seed 7 --dtype bf16 --codes-only --out "$BOX/many" "$@"; }
CUDA_ON_CPU=eager,count expect 0 'cublasLt: [0-9]+ products' 'a batch of 34 clips' many --gemm fast
says 'all in graphs' 'kernels by 4 graphs'

echo '{"id":"a","prompt":"drums","duration":0.1}' >"$BOX/jobs.jsonl"
dataset() { timeout 60 "$MG" run -q --model "$TINY" --jobs "$BOX/jobs.jsonl" --seed 7 --out "$BOX/dataset" "$@"; }
passes 'run --gemm fast' dataset --gemm fast
expect 2 'was begun with cpu-level cuda/sm_[0-9]*/fast, and this run has cuda/sm_[0-9]*:' 'a dataset is not of two kinds' dataset --gemm exact

# No cuBLASLt, or none that will do.
MGDIST_CUBLASLT=/nowhere/libcublasLt.so expect 5 'cublasLt: /nowhere/.*MGDIST_CUBLASLT, or leave out --gemm fast' 'none' \
    make none --gemm fast
says_once 'one message'
passes 'without --gemm fast nobody looks for it' env MGDIST_CUBLASLT=/nowhere/libcublasLt.so "$MG" doctor --device cuda
MGDIST_CUBLASLT=libm.so.6 expect 5 'cublasLt: libm.so.6: has no cublasLt.*: cuBLAS 12 or later is needed' 'another library' \
    make none --gemm fast
{
    echo 'unsigned long cublasLtGetVersion(void) { return 110302; }'
    for name in Create Destroy MatmulDescCreate MatmulDescDestroy MatmulDescSetAttribute MatrixLayoutCreate MatrixLayoutDestroy \
        MatmulPreferenceCreate MatmulPreferenceDestroy MatmulPreferenceSetAttribute MatmulAlgoGetHeuristic Matmul; do
        echo "int cublasLt$name(void) { return 1; }"
    done
} >"$BOX/old.c"
cc -shared -fPIC "$BOX/old.c" -o "$BOX/old.so"
MGDIST_CUBLASLT=$BOX/old.so expect 5 'old.so: version 11.3: cuBLAS 12 or later is needed for --gemm fast' 'an old one' make none --gemm fast
CUBLASLT_ON_CPU=none passes 'one that knows no way' make no-way --gemm fast
passes 'our own kernels take its place: the sound is that of exact' test "$(sound exact)" = "$(sound no-way)"

expect 0 '^ok    cuBLASLt 13\.1\.0$' 'doctor: its version' "$MG" doctor --gemm fast
says 'doctor: a product by it' '^ok    a product on cuda/sm_[0-9]*/fast against the CPU: differs by'
MGDIST_CUBLASLT=/nowhere/x.so expect 5 '^BAD   cublasLt: /nowhere/x.so' 'doctor: there is none' "$MG" doctor --gemm fast
passes 'the CPU' make cpu --device cpu --cpu-level scalar
passes 'the CPU has nothing that is fast' make cpu-fast --device cpu --cpu-level scalar --gemm fast
same 'the CPU: the same bytes' "$BOX/cpu" "$BOX/cpu-fast"
finish
