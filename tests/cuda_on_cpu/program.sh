#!/bin/bash
# program.sh MG-DIST: the program with --device cuda over the fixture. The same bytes whatever the ranks, groups,
# batch, thread orders, and streams that run late or at once; one device a rank; what is refused, and how.
set -u
program=$1
here=$(cd "$(dirname "$0")" && pwd)
model=$here/../golden/checkpoints/tiny-mono
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
n=0

fail() {
    echo "FAILED: $1"
    [ -f "$box/log" ] && cat "$box/log"
    exit 1
}

# make FIXTURE_OPTIONS NP OPTIONS…: two clips; their hash in $hash
make() {
    local fixture=$1 np=$2
    shift 2
    n=$((n + 1))
    CUDA_ON_CPU=$fixture timeout -k 5 120 mpirun -np "$np" "$program" generate --model "$model" --prompt "drums" \
        --prompt "a slow piano and strings" --duration 0.08 --seed 7 --device cuda --out "$box/$n" "$@" >"$box/log" 2>&1 ||
        fail "$fixture np $np $*"
    hash=$(cat "$box/$n"/*.wav | sha256sum)
}

ways=("desc 1" "eager 1 --batch 1" "devices=2,eager 2 --tp 1" "early,desc,devices=2,late 2 --tp 2 --reduce oneshot"
    "devices=2,late 2 --tp 2 --reduce nccl" "devices=4,random:5,eager 4 --tp 4 --reduce oneshot" "late 2 --tp 2 --share-gpu")
others=("devices=2,late 2 --tp 1" "early,late 1" "devices=2,late 2 --tp 2 --reduce oneshot" "devices=4,desc,eager 4 --tp 2 --reduce oneshot")
rest=("random:3,eager 1" "devices=2,eager 2 --tp 2" "devices=4,eager 4 --tp 4 --reduce nccl")
for dtype in bf16 fp32; do # each in ways of its own; both in all of them under MG_TEST_LONG
    [ $dtype = bf16 ] && these=("${ways[@]}") || these=("${others[@]}")
    [ -z "${MG_TEST_LONG-}" ] || these=("${ways[@]}" "${others[@]}" "${rest[@]}")
    make late 1 --dtype $dtype
    first=$hash
    for how in "${these[@]}"; do
        read -r fixture np options <<<"$how"
        # shellcheck disable=SC2086
        make "$fixture" "$np" --dtype $dtype $options
        [ "$hash" = "$first" ] || fail "$dtype $how: other bytes"
    done
done

# Layers in the memory of the host: as many as a limit leaves, or all; the same bytes. The demo model has four.
tiny=$model model=$here/../../models/mg-demo
make eager 1 --offload none
first=$hash
grep -q 'plan: layers' "$box/log" && fail "layers outside that nobody asked for"
make late 1 --offload layers=3
grep -q 'plan: layers 0 device, 1-3 host' "$box/log" || fail "no map of the layers"
[ "$hash" = "$first" ] || fail "three layers outside: other bytes"
make hasty,devices=2 2 --tp 2 --offload layers=4
[ "$hash" = "$first" ] || fail "all layers outside on two ranks: other bytes"
make eager,pinned=9 1 --offload layers=3
grep -q 'pins no more memory: 3 of 3 layers outside' "$box/log" || fail "nobody says that memory cannot be pinned"
[ "$hash" = "$first" ] || fail "layers in plain memory: other bytes"
make eager 1 --codec-device cpu --text-device cpu --device-memory 9M --batch 1
grep -Eq 'plan: layers .*host' "$box/log" || fail "a limit that is not kept"
make eager 1 --codec-device cpu --text-device cpu --device-memory 12M --batch 1 --offload none

# A kernel's attributes are set once: a driver may wait for all copies under way when they are. Steps with layers outside
# are launched one by one, and the next layer's copy is under way then.
attributes() {
    CUDA_ON_CPU=eager,count "$program" generate -q --model "$model" --prompt drums --frames "$1" --seed 7 --device cuda --dtype bf16 \
        --offload layers=3 --codec-device cpu --out "$box/attributes$1" >"$box/log" 2>&1 || fail "generate --frames $1 --offload layers=3"
    grep -o '[0-9]* attributes' "$box/log"
}
few=$(attributes 8) && more=$(attributes 16)
[ -n "$few" ] && [ "$few" = "$more" ] || fail "$few of kernels set in 8 frames, $more in 16"

# A device in the host's memory: what both need counts there, and no layer goes outside by itself.
CUDA_ON_CPU=eager,integrated "$program" generate --model "$model" --prompt drums --duration 0.14 --device cuda --out "$box/shared" \
    --codec-device cpu --text-device cpu --device-memory 12M --batch 1 >"$box/log" 2>&1
[ $? = 5 ] && grep -q 'memory: 1 rank of the host of rank 0 needs' "$box/log" || fail "a device in the host's memory: it counts alone"
make eager,integrated 1 --offload layers=3
[ "$hash" = "$first" ] || fail "a device in the host's memory: other bytes"
grep -q "the GPU's memory is the host's: layers outside" "$box/log" || fail "nobody says that layers outside are no use here"
model=$tiny

# How ranks sum is measured, said, and recorded; fast too.
for reduce in auto oneshot fast; do
    make devices=2,eager 2 --tp 2 --reduce $reduce -v
    [ $reduce != auto ] || grep -Eq 'sums over ranks: (nccl|oneshot) \([0-9]+ floats: nccl [0-9.]+ us, oneshot [0-9.]+ us\)' "$box/log" || fail "auto says nothing"
    case $reduce in fast) want=nccl/fast ;; auto) want=$(sed -n 's/.*sums over ranks: \([a-z]*\) .*/\1/p' "$box/log") ;; *) want=$reduce ;; esac
    grep -q "\"reduce\":.*\"$want\"" "$box/$n"/*.json || fail "$reduce: not in the metadata"
done

# A step is one graph: eight kernels for each of the two layers, and four beside them (docs/GPU_KERNELS.md).
CUDA_ON_CPU=eager,count "$program" generate -q --model "$model" --prompt drums --frames 12 --seed 7 --device cuda --dtype bf16 \
    --out "$box/count" >"$box/log" 2>&1 || fail 'generate --frames 12'
grep -q 'kernels by 15 graphs, at most 20 each' "$box/log" || fail '12 frames are 15 steps, each a graph of 8 x 2 + 4 kernels'

# Seven, where a text's attention and its out product are one kernel: heads of 64, as every model's are, and processors that
# have the memory for its blocks. The same codes, on two ranks too.
mkdir "$box/wide"
cp "$model"/*.safetensors "$box/wide"
sed 's/"hidden_size": 128/"hidden_size": 512/' "$model/config.json" >"$box/wide/config.json"
wide() { # FIXTURE NP KERNELS OPTIONS…
    CUDA_ON_CPU=count,$1 timeout -k 5 120 mpirun -np "$2" "$program" bench step "$box/wide" --tp "$2" --dtype bf16 --device cuda --steps 1 \
        --warmup 1 --position 8 --split "${@:4}" >"$box/log" 2>&1 || fail "bench step: $1 np $2"
    grep -q "graphs, at most $3 each" "$box/log" || fail "$1 np $2: not $3 kernels a step"
    codes=$(sed -n 's/^codes *//p' "$box/log")
}
wide late,sms=4 1 20
first=$codes
[ -n "$first" ] || fail 'no codes'
wide late,random:5,sms=132 1 18
[ "$codes" = "$first" ] || fail 'attention and product in one kernel: other codes'
wide devices=2,eager,sms=132 2 24
[ "$codes" = "$first" ] || fail 'attention and product in one kernel on two ranks: other codes'
wide late,sms=132 1 18 --tokens 32
wide late,sms=132 1 20 --tokens 33 # a text of more keys than that kernel has
# More rows than 16 are packed by kernels of their own. tests/predict/test_predict.c predicts all of these numbers.
wide late,sms=132 1 29 --batch 9
if [ -n "${MG_TEST_LONG-}" ]; then
    wide late,sms=132 1 18 --batch 3
    wide late,sms=132 1 20 --batch 8
    wide late,sms=132 1 33 --batch 17
    wide late,sms=132 1 37 --batch 33
fi

# Where the device has memory for one recorded step alone, each new one takes the place of the one before: the same bytes.
make eager 1 --batch 2 --prompt waves
first=$hash
make eager,graphs=1 1 --batch 2 --prompt waves
[ "$hash" = "$first" ] || fail 'memory for one recorded step: other bytes'

# A dataset is not of two kinds of sums.
echo '{"id":"a","prompt":"drums","duration":0.1}' >"$box/jobs.jsonl"
dataset() {
    local name=$1
    shift
    CUDA_ON_CPU=devices=2,eager timeout -k 5 120 mpirun -np 2 "$program" run -q --model "$model" --jobs "$box/jobs.jsonl" --seed 7 \
        --tp 2 --device cuda --out "$box/$name" "$@" >"$box/log" 2>&1
}
dataset sums --reduce fast || fail 'run --reduce fast'
dataset sums --reduce nccl && fail 'a dataset begun with --reduce fast goes on with --reduce nccl'
grep -q 'was begun with cpu-level .*, sums nccl/fast, and this run has' "$box/log" || fail 'run: the sums are not named'
dataset parts --codec-device cpu || fail 'run --codec-device cpu'
CUDA_ON_CPU=eager "$program" verify "$box/parts" --replay 1 --model "$model" --device cuda >"$box/log" 2>&1 ||
    fail 'verify --replay does not leave the codec on the CPU'

# The codec on the CPU, asked for in two ways: the same codes, and sound that differs in the last bits at most.
sounds() { cat "$box/$n"/*.wav | sha256sum; }
codes() { cat "$box/$n"/*.npy | sha256sum; }
ran_on() { grep -q "\"$1\":[[:space:]]*\"$2" "$box/$n/000000.json"; } # KEY BACKEND
make eager 1 --save-codes
codes=$(codes)
ran_on backend cuda/ || fail "metadata: no backend"
ran_on codec_backend '' && fail "metadata: a codec_backend that is not another"
make eager 1 --save-codes --codec-device cpu
sound=$(sounds)
[ "$codes" = "$(codes)" ] || fail "--codec-device cpu: other codes"
ran_on codec_backend cpu/ || fail "--codec-device cpu: not in the metadata"
ran_on text_backend '' && fail "--codec-device cpu: the text encoder went with it"
FORCE_CPU_COMP=1 make "devices=2,eager" 2 --save-codes
[ "$codes" = "$(codes)" ] && [ "$sound" = "$(sounds)" ] || fail "FORCE_CPU_COMP=1: other bytes than --codec-device cpu"

# The text encoder on the CPU: its states differ in the last bits; the same bytes on any ranks, and again.
make eager 1 --save-codes --text-device cpu
codes=$(codes) sound=$(sounds)
ran_on text_backend cpu/ || fail "--text-device cpu: not in the metadata"
ran_on codec_backend '' && fail "--text-device cpu: the codec went with it"
make "devices=2,late" 2 --save-codes --text-device cpu
[ "$codes" = "$(codes)" ] && [ "$sound" = "$(sounds)" ] || fail "--text-device cpu: other bytes on two ranks"
CUDA_ON_CPU=eager "$program" replay "$box/$n/000000.json" --device cuda >"$box/log" 2>&1 || fail "replay of --text-device cpu"
make eager 1 --save-codes --text-device cpu --codec-device cpu
[ "$codes" = "$(codes)" ] || fail "both on the CPU: other codes than with the text encoder there"

# A load, held against the slower of the disk and the links to the devices.
CUDA_ON_CPU=devices=2,eager timeout -k 5 60 mpirun -np 2 "$program" bench load "$model" --device cuda --json >"$box/log" 2>&1 ||
    fail "bench load"
grep -Eq '"link_gbps": *[0-9.]+' "$box/log" && grep -Eq '"fraction_of_slower": *[0-9.]+' "$box/log" || fail "bench load: no link"

# The energy of steps: mean power of each rank's device, as nvidia-smi tells it, times the steps' time. Under MG_TEST_LONG: the
# read probes of bench are slow here.
if [ -n "${MG_TEST_LONG-}" ]; then
    mkdir "$box/smi"
    # What it says in its first second is of the time before.
    printf '#!/bin/sh\nfor i in $(seq 20); do echo 7; done\nfor i in 1 2 3; do echo 200.50; echo 300.50; done\nexec sleep 60\n' >"$box/smi/nvidia-smi"
    chmod +x "$box/smi/nvidia-smi"
    power() {
        local fixture=$1
        shift
        PATH=$box/smi:$PATH CUDA_ON_CPU=$fixture timeout -k 5 600 mpirun -np 2 "$program" bench step --shape tiny --steps 8 --tp 1 \
            --device cuda --json "$@" >"$box/log" 2>&1 || fail "bench step: its energy"
    }
    power devices=2,eager
    sed -n 's/^{/{/p' "$box/log" | python3 -c 'import json, sys
r = json.load(sys.stdin)
assert r["energy_from"] == "nvidia-smi" and r["binding"].count(" gpu GPU-") == 2, r
watts = 2 * 250.5
assert watts * r["ms_per_step_min"] / 1e3 * .999 <= r["joules_per_step"] <= watts * 8 * r["ms_per_step_p95"] / 1e3, r' || fail "energy of two devices"
    power devices=1,eager --share-gpu
    grep -q joules "$box/log" && fail "the energy of a device that ranks share is counted twice"
    printf '#!/bin/sh\nfor i in $(seq 22); do echo 200.50; done\nexec sleep 60\n' >"$box/smi/nvidia-smi"
    power devices=2,eager
    grep -q joules "$box/log" && fail "an energy of steps that took no second"
fi

# refused WANTED_CODE WANTED_WORDS NP [VARIABLE=VALUE…]
refused() {
    local want=$1 words=$2 np=$3 code
    shift 3
    env "$@" timeout -k 5 60 mpirun -np "$np" "$program" generate --model "$model" --prompt x --duration 0.1 \
        --device cuda --out "$box/refused" >"$box/log" 2>&1
    code=$?
    [ $code -eq "$want" ] && grep -q "$words" "$box/log" || fail "wanted code $want and '$words', got $code"
}
refused 2 "are both on GPU-.*--share-gpu" 2 CUDA_ON_CPU=devices=1
refused 2 "has 2 GPUs for 3 ranks" 3 CUDA_ON_CPU=devices=2 MGDIST_TP=1
refused 2 "ranks share a GPU: their sums go by way of the host" 2 CUDA_ON_CPU=devices=1 MGDIST_TP=2 MGDIST_SHARE_GPU=1 MGDIST_REDUCE=oneshot
refused 5 "no GPU that this process may use" 1 CUDA_VISIBLE_DEVICES=
