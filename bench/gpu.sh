#!/bin/bash
# Everything that a machine with a GPU can say of this program, in five minutes: builds with what is there, tests, then
# measures, and prints one short table last. A stage that fails or lasts too long does not stop those after it.
#
#   bench/gpu.sh [--built BUILD] [--python PYTHON] [--out DIR] [--quick] [--limit SECONDS] [--only PATTERN]
#   bench/gpu.sh --dry-run PROGRAM       the same over tests/cuda_on_cpu: PROGRAM is build-cuda-on-cpu/mg-dist
#
# BUILD of --built was made elsewhere (bench/gpu_carry.sh brings it, with the libraries that it opens, to a machine
# without them). PYTHON has torch and transformers, for the comparison.
# --limit: stages that have not begun by then are left out, those at work are ended, and the table comes all the same; so it
# does when the script is told to end (SIGTERM, Ctrl-C).
# --only: the stages whose names match (an extended regular expression, 'step|decode'); the results of the others stay.
# The logs of all stages are in --out (default: build-gpu), and all but what is large in --out/results.tar.gz. Exit code 0 if
# every test passed.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
built='' python=python3 out=$root/build-gpu dry='' quick='' limit=86400 only=.
while [ $# -gt 0 ]; do
    case $1 in
    --built) built=$(cd "$2" && pwd) && shift ;;
    --python) python=$2 && shift ;;
    --out) out=$2 && shift ;;
    --dry-run) dry=$(readlink -f "$2") && shift ;;
    --quick) quick=yes ;;
    --limit) limit=$2 && shift ;;
    --only) only=$2 && shift ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift
done
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
[ "$only" != . ] || rm -f "$out"/*.log "$out"/*.json
: >"$out"/stages
build=${built:-$out/build}
program=${dry:-$build/mg-dist}
tests=$(dirname "$program")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl=self,vader OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_oob_tcp_if_include=lo
[[ $(mpirun --version 2>/dev/null) != *"(Open MPI) 4."* ]] || export OMPI_MCA_plm=isolated # no ssh is needed; 5 has not this one
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none # of Open MPI 5
export MG_TEST_OVER=cuda MG_TEST_SHARE=1
command -v nvcc >/dev/null || export PATH=$PATH:/usr/local/cuda/bin

# A library that the program opens, where PyTorch's packages alone have it: VARIABLE PATTERN
of_torch() {
    local file
    [ -z "$dry${!1-}" ] && ! ldconfig -p 2>/dev/null | grep -q "$2" || return 0
    file=$("$python" -c 'import glob, nvidia, sys; print(*glob.glob(list(nvidia.__path__)[0] + "/**/" + sys.argv[1], recursive=True)[:1])' "$2" 2>/dev/null)
    [ -z "$file" ] || export "$1=$file"
}
of_torch MGDIST_CUBLASLT 'libcublasLt.so.1[23]' # for --gemm fast
of_torch MGDIST_NCCL libnccl.so.2               # for two GPUs

# The line of a log that says most of a failure: a compiler's or the program's, a test's, or the last.
reason() {
    grep -m1 -A2 -E 'error:|CMake Error' "$1" | tr -s ' \n' ' ' | grep . || grep -m1 -E 'not ok|FAILED|rror' "$1" || tail -n 1 "$1"
}

# gone ID FIFTHS: whether the process, or the group -ID, has ended within so many fifths of a second.
gone() {
    local i
    for ((i = 0; i < $2; i++)); do
        kill -0 -- "$1" 2>/dev/null || return 0
        sleep 0.2
    done
    return 1
}

# stage NAME SECONDS COMMAND…: its output goes to NAME.log; remembered as passed, FAILED, or skipped (exit code 77)
pid=''
stage() {
    local name=$1 most=$2 begin=$SECONDS left=$((limit - SECONDS)) code=124 word
    shift 2
    [[ $name =~ $only ]] || return 0
    if [ $left -le 0 ]; then
        printf '%s\tleft out: no time\t0\n' "$name" >>"$out/stages"
        return 1
    fi
    [ -z "$dry" ] || most=$((most * 20)) # a fixture on a busy machine is no measure
    [ "$most" -le $left ] || most=$left
    rm -f "$out/$name.json"
    setsid bash -c '"$@"' stage "$@" >"$out/$name.log" 2>&1 &
    pid=$! # its group has its number
    if gone $pid $((most * 5)); then
        kill -KILL -- -$pid 2>/dev/null # what it left
        wait $pid
        code=$?
    else
        kill -TERM -- -$pid
        gone -$pid 15
        kill -KILL -- -$pid 2>/dev/null
        gone $pid 25 # no wait: one that hangs in the driver may never end
    fi
    pid=''
    case $code in
    0) word=passed ;;
    77) word="skipped: $(tail -1 "$out/$name.log")" ;;
    124) word="FAILED: longer than $most s: $(tail -n 1 "$out/$name.log" | cut -c1-150)" ;; # where it hangs
    *) word="FAILED: exit code $code: $(reason "$out/$name.log" | cut -c1-150)" ;;
    esac
    word=$(printf %s "$word" | LC_ALL=C tr -c '[:print:]' ' ') # a table's cell, whatever a log holds
    printf '%s\t%s\t%d\n' "$name" "$word" $((SECONDS - begin)) >>"$out/stages"
    printf '%-18s %4d s  %s\n' "$name" $((SECONDS - begin)) "$word"
    [ $code -eq 0 ]
}

# ---- What is there ----

describe() {
    [ -n "$dry" ] || nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader
    [ -n "$dry" ] || nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv,noheader # whoever else is at work
    [ -n "$dry" ] || nvcc --version | tail -2
    "$python" -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)' || true
}

# For this device alone, where nvcc knows it; else as cmake/cuda.cmake says, PTX for what is newer.
compile() {
    local arch nccl
    rm -f "$program" "$build/libmg_cuda.so" "$build"/tests/*/test_*_gpu # what fails to build is not an older one
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
    nvcc --list-gpu-code 2>/dev/null | grep -qx "sm_$arch" || arch=''
    [ "$arch" != 90 ] || arch=90a
    nccl=$("$python" -c 'import nvidia.nccl, os; print(list(nvidia.nccl.__path__)[0])' 2>/dev/null)
    [ -z "$nccl" ] || [ -n "${NCCL_HOME-}" ] || export NCCL_HOME=$nccl
    cmake -S "$root" -B "$build" -G Ninja -DMG_CUDA=on ${arch:+-DMG_CUDA_ARCHITECTURES=$arch-real} --log-level=WARNING &&
        cmake --build "$build" --target mg-dist compare_clip golden_wav sound_facts gpu_tests -- -k 0 # as much as there is
}

# ---- Tests ----

doctor() { "$program" doctor --device cuda --model "$root/tests/golden/checkpoints/tiny-mono"; }

# Every op and stage against PyTorch's and transformers' numbers, on the device: a stage each, so that one that hangs, or
# takes the device with it, is that one. Together they have 120 s: where all hang, there is time to measure.
units() {
    local t n=0 left end=$((SECONDS + 120))
    for t in "$tests"/tests/*/test_*_gpu; do
        [ -x "$t" ] || continue
        n=$((n + 1)) t=${t%_gpu} left=$((end - SECONDS))
        stage "unit-${t##*/test_}" $((left < 5 ? 5 : left < 40 ? left : 40)) "${t}_gpu"
    done
    [ $n -gt 0 ] || stage units 10 bash -c 'echo "no test_*_gpu was built"; exit 77'
}

launched() { command -v mpirun >/dev/null || { echo 'no mpirun' && return 1; }; }

suite() { # SCRIPT
    bash "$root/tests/e2e/$1.sh" "$program" "$root/tests" "$tests/tests/e2e/compare_clip" "$tests/tests/e2e/sound_facts"
}
golden() { # NP
    [ "$1" = 1 ] || launched || return 77
    MG_TEST_RANKS=$1 MG_TEST_ONLY=- MG_TEST_CASES=${brief:+text_nocfg} suite golden
}
modes() { MG_TEST_RANKS=1 MG_TEST_ONLY=${dry:+tiny-melody} suite modes; }

# Two clips in bf16: one rank, two and four on one GPU, other batches, two GPUs where there are; the same bytes.
same_bytes() {
    local first='' hash np how ways=('1' '1 --batch 1' '2 --tp 2' '4 --tp 4' '4 --tp 2' '2 --tp 1')
    launched || return 77
    # nvidia-smi does not heed CUDA_VISIBLE_DEVICES
    [ -n "$dry" ] || [[ ${CUDA_VISIBLE_DEVICES-,} != *,* ]] || [ "$(nvidia-smi -L | grep -c ^GPU)" -lt 2 ] || ways+=('2 --tp 2 --reduce nccl' '2 --tp 2 --reduce oneshot')
    for how in "${ways[@]}"; do
        np=${how%% *}
        rm -rf "$out/clips"
        # shellcheck disable=SC2086
        mpirun -np "$np" "$program" generate --model "$root/tests/golden/checkpoints/tiny-mono" \
            --prompt drums --prompt 'a slow piano and strings' --frames $([ -n "$dry" ] && echo 6 || echo 50) --seed 7 --device cuda --share-gpu --out "$out/clips" \
            ${how#"$np"} || return 1
        hash=$(cat "$out"/clips/*.wav | sha256sum)
        [ -n "$first" ] || first=$hash
        [ "$hash" = "$first" ] || { echo "FAILED: $how: other bytes than on one rank" && return 1; }
    done
}

sanitizer() { # TOOL
    command -v compute-sanitizer >/dev/null || { echo 'no compute-sanitizer' && return 77; }
    compute-sanitizer --tool "$1" --error-exitcode 9 --launch-timeout 60 "$program" generate --model \
        "$root/tests/golden/checkpoints/tiny-mono" --prompt x --frames 3 --seed 1 --device cuda --out "$out/sanitized" --overwrite
}

# ---- Measurements: a JSON object a line in NAME.json ----

bench() { # NAME OPTIONS…
    local name=$1
    shift
    "$program" bench "$@" --json -v >"$out/$name.json"
}

# A step with what draws add, each kind of its operations alone, and in the log how fast each way of a product was.
step() { # NAME SHAPE BATCH OPTIONS…
    local name=$1 shape=$2 batch=$3 parts='--split --kernels'
    shift 3
    [ -z "$brief" ] || [ "$batch" != 1 ] || parts=''
    # shellcheck disable=SC2086
    bench "$name" step --device cuda --shape "$shape" --dtype bf16 --batch "$batch" --steps "$steps" $parts "$@" && return
    [[ $name =~ -fast$ ]] && grep -q 'error: cublasLt: .*install cuBLAS' "$out/$name.log" && echo 'no cuBLASLt' && return 77
    return 1
}

# 128 clips of 5 s by a model of small's shape, files and all: the last run's time, the model already in the page cache.
clips() {
    local model=$out/checkpoint
    "$python" -c 'import torch, transformers' || { echo 'no torch and transformers to make the checkpoint' && return 77; }
    [ -e "$model/spiece.model" ] || [ -e "$model/tokenizer.json" ] ||
        "$python" "$root/bench/make_checkpoint.py" "$model" "$root/tests/golden/tokenizer" small fp16 || return 1
    for i in $(seq "$many_clips"); do echo "piece $i for strings"; done >"$out/prompts.txt"
    for _ in 1 2; do
        rm -rf "$out/clips"
        "$program" generate --model "$model" --prompts "$out/prompts.txt" --duration "$clip_s" --seed 1 --device cuda --format flac \
            --out "$out/clips" 2>&1 | tee "$out/clips.txt" || return 1
    done
    sed -nE 's/^generate: ([0-9.]+) s of music in ([0-9.]+) s.*/{"what": "clips", "shape": "small", "music_s": \1, "took_s": \2}/p' "$out/clips.txt" >"$out/clips.json"
    grep -q music_s "$out/clips.json"
}
transformers() { "$python" "$root/bench/gpu_transformers.py" "$@"; }

# What the clocks do meanwhile: a GPU that is hot, or at its limit of power, is slower than another day's.
# Beside the stages from its first command on: nvidia-smi hangs where the driver does.
watcher=''
watch_clocks() {
    local why=clocks_event_reasons.active # older drivers have another word for it
    nvidia-smi --query-gpu=$why --format=csv,noheader >/dev/null 2>&1 || why=clocks_throttle_reasons.active
    exec nvidia-smi --query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw,$why \
        --format=csv,noheader,nounits -lms 500
}

# The table, and what others may want of it in one file.
finish() {
    trap '' TERM INT HUP
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
    "$python" "$root/bench/gpu_table.py" "$out" --seconds $SECONDS || cat "$out/stages"
    (cd "$out" && shopt -s nullglob && tar czf results.tar.gz stages ./*.log ./*.json ./*.csv ./*.txt)
    [ -s "$out/stages" ] && ! grep -Eq $'\t(FAILED|left out|ended)' "$out/stages"
}
end_early() {
    [ -z "$pid" ] || kill -TERM -- -"$pid" 2>/dev/null
    [ -z "$pid" ] || sleep 1 # mpirun ends its ranks, which are no group of ours
    [ -z "$pid" ] || kill -KILL -- -"$pid" 2>/dev/null
    printf 'the rest\tended by a signal\t0\n' >>"$out/stages"
    finish
    exit 1
}
trap end_early TERM INT HUP
trap '[ -z "$watcher" ] || kill "$watcher" 2>/dev/null' EXIT

brief=${dry:+$quick} # the fixture's own tests have the rest
cd "$root" || exit 1
export root python out dry build program tests brief
export -f describe compile doctor launched suite golden modes same_bytes sanitizer bench step clips transformers
if [ -n "$dry" ]; then
    export CUDA_ON_CPU=devices=1,eager MG_TEST_FIXTURE=devices=1,eager
    export shapes=tiny many=2 steps=2 seconds=0.2
else
    export shapes='small medium large' many=64 steps=60 seconds=30
    export many_clips=128 clip_s=5
    [ -n "$built" ] || stage build 170 compile
fi
stage machine 20 describe
if [ -x "$program" ]; then
    stage doctor 60 doctor # PTX is compiled now, where a device is newer than the build
    units
    stage golden-1 30 golden 1
    [ -n "$brief" ] || stage golden-2 30 golden 2
    [ -n "$dry" ] || stage golden-4 40 golden 4
    [ -n "$brief" ] || stage modes 60 modes
    [ -n "$brief" ] || stage same-bytes 60 same_bytes
    [ -n "$dry" ] || { watch_clocks >"$out/clocks.csv" 2>&1 & watcher=$!; }
    for shape in $shapes; do
        stage "step-$shape-1" 40 step "step-$shape-1" "$shape" 1
        stage "step-$shape-$many" 40 step "step-$shape-$many" "$shape" "$many"
        [ -n "$brief" ] || stage "step-$shape-$many-fast" 40 step "step-$shape-$many-fast" "$shape" "$many" --gemm fast
    done
    # Texts of 32 tokens, whose attention is one kernel with the product behind it, and of 33: two kernels.
    for tokens in 32 33; do
        [ -n "$dry" ] || stage "text-$tokens" 40 step "text-$tokens" small 1 --tokens $tokens
    done
    device=cuda
    [ -z "$dry" ] || device=cpu # the fixture has not the SMs for a codec of this size
    stage decode 30 bench decode decode --device $device --seconds "$seconds"
    stage encode 30 bench encode encode --device $device --seconds "$seconds"
    stage t5 30 bench t5 t5 --device $device
    [ -n "$dry" ] || stage prefill 40 bench prefill step --device cuda --shape small --dtype bf16 --prefill 1000 --steps 20
    # So long that clocks settle, and that nvidia-smi tells its power.
    [ -n "$dry" ] || stage sustained 60 bench sustained step --device cuda --shape large --dtype bf16 --batch 64 --steps 300
    [ -n "$dry" ] || stage clips 100 clips
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
    watcher=''
    [ -n "$dry" ] || stage memcheck 40 sanitizer memcheck
    [ -n "$dry$quick" ] || stage racecheck 40 sanitizer racecheck
fi
if [ -n "$dry" ]; then
    stage transformers 60 transformers --dry-run --out "$out/transformers.json"
else
    stage transformers 150 transformers --out "$out/transformers.json"
fi

finish
