#!/bin/bash
# faults.sh MG-DIST TESTS-FOLDER: what goes wrong with GPUs, through the fixture. Each ends in time, with one cause, its
# exit code, and nothing half-written: no driver, no device, memory that is too small, a device that falls off, ranks
# that are killed or frozen, Ctrl-C in the middle of a recorded step, hosts that differ.
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
OUT=$BOX/out

# one FIXTURE COMMAND…: generate, on one rank
clip() {
    local fixture=$1
    shift
    CUDA_ON_CPU=$fixture timeout 60 "$MG" generate --model "$TINY" --prompt x --frames 4 --device cuda --out "$OUT" "$@"
}

expect 5 'cuda: no NVIDIA driver; use --device cpu' 'no driver' clip driver=0
expect 5 'cuda: the NVIDIA driver is for CUDA 12\.2, this program needs one for 13\.0: update it' 'an old driver' clip driver=12020
expect 5 'cuda: no GPU that this process may use' 'no device' clip devices=0
expect 0 'device auto: the CPU, since .*no NVIDIA driver' 'auto takes the CPU and says why' clip driver=0 --device auto
CUDA_VISIBLE_DEVICES='' expect 5 'no GPU that this process may use: CUDA_VISIBLE_DEVICES is ""' 'CUDA_VISIBLE_DEVICES hides all' clip devices=2
CUDA_VISIBLE_DEVICES=NoDevFiles expect 5 'CUDA_VISIBLE_DEVICES is "NoDevFiles": give the job GPUs' 'Slurm gave the job none' clip devices=2
expect 5 'cudaErrorSystemNotReady: .*nvidia-fabricmanager' 'NVSwitches that nobody has set up' clip error=802
expect 5 'cudaErrorSystemDriverMismatch: .*load the module anew' 'a driver that was updated under way' clip error=803
expect 5 'GPU 0: cudaErrorDevicesUnavailable: .*COMPUTE' 'a GPU that another process has for itself' clip error=46
expect 5 'has no kernels of compute capability 9\.0.*-DMG_CUDA_ARCHITECTURES=90a-real' 'a build for other GPUs' clip error=209
expect 0 'device auto: the CPU, since .*nvidia-fabricmanager' 'auto takes the CPU and says what to do' clip error=802 --device auto
expect 5 'memory: 1 rank of the device of rank 0 needs [0-9]+ MB for .* MB are available; use a smaller --batch' \
    'a device that is too small: the plan says so' clip memory=10 --batch 1
expect 5 'cuda: 4 MiB of device memory: 3 of 3 MiB are free' 'too small for its scratch' clip memory=3
for n in 40 400 900; do
    expect 6 "cuda: GPU 0 \\(host $(hostname), 0000:01:00\\.0\\): .*cudaErrorLaunchFailure" "the device falls off at its ${n}th call" clip falls=$n
    says_once 'one message'
    passes 'nothing is half-written' tidy "$OUT"
done

# It is no clip's fault: in a dataset they wait for the same command, on a device that works.
printf '{"id":"%d","prompt":"drums","duration":0.1}\n' 0 1 2 3 4 5 >"$BOX/jobs.jsonl"
dataset() {
    CUDA_ON_CPU=$1 timeout -k 5 60 "$MG" run --model "$TINY" --jobs "$BOX/jobs.jsonl" --seed 7 --batch 2 --device cuda --out "$BOX/set" >"$BOX/said" 2>&1
}
for ((n = 500, fell = 0; n < 20000; n = n * 13 / 10)); do
    rm -rf "$BOX/set"
    dataset "eager,falls=$n" && break
    fell=$n
    dataset eager
    passes "run: the device falls off at its ${n}th call: the same command makes all clips" test $? = 0
done
passes 'run: it fell off, and at last it did not' test "$fell" -gt 0 -a "$n" -lt 20000
codes=''
for ((m = fell, most = n; m < most; m += (most - fell) / 12 + 1)); do # so also where only the sounds of the last clips are left to make
    rm -rf "$BOX/set"
    dataset "eager,falls=$m"
    codes+="$? "
done
passes "run: wherever it falls off, the run ends with 6, or is through: $codes" test -z "${codes//[06] /}"

# doctor
doctor() { CUDA_ON_CPU=$1 timeout -k 5 60 "$MG" doctor --device cuda "${@:2}"; }
expect 0 '^ok    a run would work' 'doctor: a device' doctor devices=2
expect 0 '^note  CUDA 13\.1, driver for up to 13\.0: older than this program' 'doctor: an older driver is a note' doctor runtime=13010
expect 5 '^BAD   .*no NVIDIA driver' 'doctor: no driver' doctor driver=0
expect 5 '^BAD   .*no GPU that this process may use' 'doctor: no device' doctor devices=0
passes 'doctor: it says so once' test "$(grep -c 'no GPU that this process may use' "$BOX/said")" = 1
expect 5 '^BAD   memory: 1 rank of the device' 'doctor: a model that does not fit' doctor memory=10 --model "$TINY"
expect 5 '^BAD   memory: 1 rank of the host' 'doctor: one that does not fit into the memory of both' \
    doctor integrated,memory=10 --model "$TINY"
expect 0 'GiB free of the host.s memory' 'doctor: a device whose memory is the host'"'"'s' doctor integrated
expect 5 '^BAD   a product on .*: differs by -?nan of .*WRONG' 'doctor: a GPU that computes nothing' doctor idle
expect 0 '^note  GPU 1: .*sm_75.*too old' 'doctor: an old GPU that no rank takes is no fault' doctor devices=2,old=1
expect 5 '^BAD   cuda: .*compute capability 7\.5.*CUDA_VISIBLE_DEVICES can name another' 'doctor: an old GPU that rank 0 takes' \
    doctor devices=2,old=0
expect 0 '^ok    copies between GPUs arrive: 2 of 2' 'doctor: GPUs that reach each other' doctor devices=2
expect 0 '^note  GPU 0 writes to the memory of GPU 1, and it does not arrive' 'doctor: GPUs that do not, whatever the driver says' \
    doctor devices=2,lossy
expect 5 '^BAD   looking for GPUs: no end after 15 s' 'doctor: it ends where the driver hangs' doctor hangs --comm-timeout 1

# Hosts that differ: two ranks, each with an environment of its own.
two() {
    timeout 60 mpirun --oversubscribe --bind-to none -np 2 \
        bash -c '((OMPI_COMM_WORLD_RANK)) && set -- "$2" "${@:3}" || set -- "$1" "${@:3}"; exec env $1 "${@:2}"' - "$1" "$2" \
        "$MG" generate "${both[@]}"
}
twice() { # FIXTURE OTHER: doctor, by two ranks
    timeout 60 mpirun --oversubscribe --bind-to none -np 2 \
        bash -c 'export CUDA_ON_CPU=$1; ((OMPI_COMM_WORLD_RANK)) && CUDA_ON_CPU=$2; exec "${@:3}"' - "$1" "$2" "$MG" doctor "${@:3}"
}
expect 0 '^note  the CPU computes: rank 1, host .*: cuda: no NVIDIA driver' 'doctor: it says which rank has no GPU, and why' \
    twice devices=2,eager driver=0
expect 5 '^BAD   rank 1, host .*: cuda: no NVIDIA driver' 'doctor: where one must have' twice devices=2,eager driver=0 --device cuda
expect 0 '^ok    sum of 1024 KiB over 2 GPU ranks by .*: right' 'doctor: long sums too' twice devices=2,eager devices=2,eager --device cuda
both=(--model "$TINY" --prompt x --frames 4 --device auto --out "$OUT")
expect 0 'device auto: the CPU, since not every rank has a GPU' 'a rank without a GPU costs all of them theirs: it is said' \
    two CUDA_ON_CPU=devices=2,eager CUDA_ON_CPU=driver=0
both=(--model "$TINY" --prompt x --frames 4 --device cuda --out "$OUT")
expect 0 'rank 0 has CUDA on CPU and rank 1 CUDA on CPU, kind 1: on different devices bits may differ' 'other devices are warned of' \
    two CUDA_ON_CPU=devices=2,kinds=2,eager CUDA_ON_CPU=devices=2,kinds=2,eager
expect 0 'rank 0 has a driver for CUDA 13\.0 and rank 1 for 13\.1' 'other drivers are warned of' \
    two CUDA_ON_CPU=devices=2,eager CUDA_ON_CPU=devices=2,eager,driver=13010
expect 5 'nccl: version 2\.27\.5 here and 2\.28\.9 on rank 0 of the group: install one' 'another NCCL is refused' \
    two CUDA_ON_CPU=devices=2,eager 'CUDA_ON_CPU=devices=2,eager NCCL_ON_CPU=version:22705'
expect 6 'NCCL: .*NCCL_SOCKET_IFNAME' 'NCCL that fails on the way: one message names the variable' \
    two CUDA_ON_CPU=devices=2,eager 'CUDA_ON_CPU=devices=2,eager NCCL_ON_CPU=fail:20'
says_once 'one message'
expect 0 'ranks share a GPU: their sums go by way of the host' 'parts of one GPU (MIG): NCCL would refuse them' \
    two CUDA_ON_CPU=devices=1,part=1,eager CUDA_ON_CPU=devices=1,part=2,eager
expect 2 'are both on MIG-[0-9a-f]+-' 'one part for two ranks: its name is that of nvidia-smi' \
    two CUDA_ON_CPU=devices=1,part=1,eager CUDA_ON_CPU=devices=1,part=1,eager
own_gpus() { # as srun --gpus-per-task=2 leaves them
    CUDA_ON_CPU=devices=6,eager timeout 60 mpirun --oversubscribe --bind-to none -np 3 \
        bash -c 'export CUDA_VISIBLE_DEVICES=$((2 * OMPI_COMM_WORLD_RANK)),$((2 * OMPI_COMM_WORLD_RANK + 1)); exec "$@"' - \
        "$MG" generate "${both[@]}" --tp 1
}
expect 0 'rank replica' 'three ranks that see two GPUs of their own each' own_gpus

# Devices of two hosts have the same PCI address. What one rank takes of its own is not missing on the other's.
expect 0 'MB a rank' 'one rank' clip eager --tp 1
most=$(sed -n 's/.*; \([0-9]*\)[0-9.]* MB a rank.*/\1/p' "$BOX/said")
both=(--model "$TINY" --prompt x --prompt y --frames 4 --device cuda --tp 1 --out "$OUT" --offload none --device-memory $((most * 3 / 2))M)
expect 0 'plan: 2 ranks = 2 replicas' 'two hosts: each device has room for its rank' two CUDA_ON_CPU=eager,host=0 CUDA_ON_CPU=eager,host=1
both+=(--share-gpu)
expect 5 'memory: 2 ranks of the device of rank 0' 'one device has no room for two' two CUDA_ON_CPU=eager CUDA_ON_CPU=eager

# Without --tp the memory of the GPUs says how many of them share the model, whatever the host has.
fits() { # MB
    CUDA_ON_CPU=devices=2,eager,memory=$1 ranks 2 "$MG" generate --model "$DEMO" --prompt a --prompt b --frames 4 --device cuda \
        --codes-only --overwrite --out "$OUT"
}
expect 5 'ranks: 1 replica of 2, --tp 2: 2 clips for 2 ranks, and the model does not fit fewer' 'too large for one GPU: two share it' fits 256
expect 0 'ranks: 2 replicas of 1, --tp 1' 'small enough: two replicas' fits 300

# begin NP OPTIONS…: a long run, in the background. What its ranks say themselves goes to $BOX/heard: mpirun of Open MPI 5
# passes on nothing once it ends a run.
begin() {
    local n=$1
    shift
    rm -rf "$OUT" "$BOX/heard"
    CUDA_ON_CPU=eager start "$n" sh -c 'exec "$@" 2>>"$0"' "$BOX/heard" "$MG" generate --model "$TINY" --unconditional 5000 --frames 6 --batch 2 --seed 1 --device cuda \
        --out "$OUT" "$@"
    for _ in $(seq 300); do
        [ -s "$OUT/000000.json" ] && return
        sleep 0.1
    done
    verdict 1 'the first clip appears'
}
ended() { # SENTENCE SECONDS; the machine may be busy
    over "$1" "$2" 10
    cat "$BOX/heard" >>"$BOX/said"
    silenced && return
    says_once "$1: one message"
    passes "$1: nothing is half-written" tidy "$OUT"
}

begin 1
kill -INT "$(pid_of 0)"
ended 'Ctrl-C' 5
passes 'Ctrl-C: exit code 130' test "$job_code" = 130
export OMPI_MCA_odls_base_sigkill_timeout=4 # seconds that mpirun leaves the others: a step of the fixture takes its time
begin 2 --tp 2
kill -INT "$(pgrep -P "$(pgrep -P "$job")")"
ended 'Ctrl-C to mpirun' 20
silenced || says 'Ctrl-C to mpirun: it says so' 'stopped by'
begin 2 --tp 2
kill -KILL "$(pid_of 1)"
ended 'rank 1 of 2 killed' 20
silenced || says 'rank 1 of 2 killed: the message names it' 'error: .*rank 1 \(host .*\) is gone'
is_open_mpi_5 || says 'rank 1 of 2 killed: exit code 6' 'with errorcode 6'
begin 4 --tp 4
kill -KILL "$(pid_of 2)"
ended 'rank 2 of 4 killed' 20
silenced || says 'rank 2 of 4 killed: the message names it' 'error: .*rank 2 \(host .*\) is gone'
begin 2 --tp 2 --comm-timeout 3
frozen=$(pid_of 1)
kill -STOP "$frozen"
(sleep 12; kill -KILL "$frozen") 2>/dev/null & # mpirun waits for it
ended 'rank 1 of 2 frozen' 25
says 'rank 1 of 2 frozen: somebody waited for it' 'error: .*waited 3 s'
is_open_mpi_5 || says 'rank 1 of 2 frozen: exit code 6' 'with errorcode 6'
finish
