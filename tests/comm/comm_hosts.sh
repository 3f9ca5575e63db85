#!/bin/bash
# Three hosts on one machine (tests/hosts.sh). Checked: the layout (shared memory inside a host, MPI across), the
# exchanges over TCP, and the loss of a rank elsewhere.
# Then mg-dist itself, where hosts differ in environment and disks.
# usage: comm_hosts.sh FOLDER_OF_PROGRAMS MG-DIST MODEL      (skipped with code 77 where namespaces are not to be had)
set -u
programs=$1 mg=$2 model=$3
. "$(cd "$(dirname "$0")/.." && pwd)/hosts.sh"
folder=$(mktemp -d)
trap 'hosts_down; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

fail() {
    echo "FAILED: $1"
    sed 's/^/  /' "$folder"/out
    for f in "$folder"/end*; do [ -f "$f" ] && echo "  $(basename "$f"): $(cat "$f")"; done
    exit 1
}

hosts_up 3 || exit 77

# over N_HOSTS RANKS_PER_HOST PROGRAM…: run it from the first host
over() {
    local n_hosts=$1 per_host=$2 i
    shift 2
    for ((i = 0; i < n_hosts; i++)); do echo "${hosts[$i]} slots=$per_host"; done >"$folder/hostfile"
    hosts_on "${hosts[0]}" timeout -k 5 40 env -u OMPI_MCA_btl -u OMPI_MCA_oob_tcp_if_include \
        MG_TEST_LOCAL="$per_host" mpirun --hostfile "$folder/hostfile" --mca plm_rsh_agent "$hosts_rsh" \
        --mca btl self,vader,tcp --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 --bind-to none \
        -np $((n_hosts * per_host)) "$@" >"$folder/out" 2>&1
}

over 3 2 "$programs/test_world" 2 || fail "three hosts of two, tp 2: shared memory on each"
over 2 2 "$programs/test_world" 4 || fail "two hosts of two, tp 4: MPI between them"
over 2 1 "$programs/test_comm" 2 || fail "exchanges between two hosts"
grep -q "group of 2 over mpi" "$folder/out" || fail "the group is not over MPI"

# The last rank, on the second host, dies. The launcher names it; so does a survivor beside it. Survivors on the
# other host are ended by Open MPI inside a call as soon as it finds the connection closed.
start=$(date +%s.%N)
over 2 2 "$programs/comm_fault" kill "$folder" 3
code=$?
seconds=$(echo "$(date +%s.%N) - $start" | bc)
[ $code != 0 ] && [ $code != 124 ] || fail "a killed rank: mpirun returned $code"
[ "$(echo "$seconds < 20" | bc)" = 1 ] || fail "a killed rank: took $seconds s"
grep -q "process rank 3 .*exited on signal 9" "$folder/out" || fail "the launcher does not name the rank"
grep -q "^6|.*rank 3 (host ${hosts[1]}, pid [0-9]*) is gone" "$folder/end2" || fail "rank 2 does not name it"
for h in "${hosts[@]}"; do [ -z "$(ip netns pids "$h")" ] || fail "processes stay behind on $h"; done
echo "2 hosts x 2, rank 3 killed: mpirun returned $code after $seconds s"

# mpirun and its daemon on the second host are killed: the ranks of each host remove what Open MPI has left there.
over 2 2 "$mg" generate -q --model "$model" --unconditional 50000 --duration 2 --threads 1 --tp 1 --out "$folder/left" &
job=$!
for ((i = 0; i < 300; i++)); do [ -s "$folder/left/000000.json" ] && break; sleep 0.1; done
mine() { ls -d /tmp/ompi."${hosts[0]}".* /tmp/ompi."${hosts[1]}".* /tmp/prte*."${hosts[0]}".* /tmp/prte*."${hosts[1]}".* \
    /dev/shm/*_segment."${hosts[0]}".* /dev/shm/*_segment."${hosts[1]}".* 2>/dev/null; }
[ "$(mine | wc -l)" -ge 6 ] || fail "a killed launcher: nothing to remove: $(mine)"
for h in "${hosts[0]}" "${hosts[1]}"; do
    for pid in $(ip netns pids "$h"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in mpirun | prterun | orted | prted) kill -KILL "$pid" ;; esac
    done
done
wait $job
for ((i = 0; i < 200; i++)); do [ -n "$(mine)" ] || break; sleep 0.1; done
[ -z "$(mine)" ] || fail "a killed launcher: left behind: $(mine | tr '\n' ' ')"
for h in "${hosts[@]}"; do [ -z "$(ip netns pids "$h")" ] || fail "a killed launcher: processes stay behind on $h"; done
rm -rf "$folder/left"
echo "2 hosts x 2, mpirun and its daemon killed: nothing of Open MPI's stays on either host"

# The second host has no environment of the first, and disks of its own as its file "own" says.
own=$folder/own
mkdir -p "$own/out" "$own/model" "$own/other"
cp -rL "$model"/. "$own/model"
cp -rL "$model"/. "$own/other"
python3 - "$own/other/model.safetensors" <<'P'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
n = 8 + int.from_bytes(data[:8], "little")
for i in range(n, len(data), 4): data[i] ^= 1
open(sys.argv[1], "wb").write(data)
P
clip=("$mg" generate -q --model "$own/model" --prompt x --prompt y --seed 1 --frames 20 --save-codes)
sums() { (cd "$1" && sha256sum -- *.wav *.npy); }
lacks="unset MGDIST_TEMPERATURE MGDIST_CFG_COEF"
echo "$lacks" >"/etc/netns/${hosts[1]}/own"
export MGDIST_TEMPERATURE=0.2 MGDIST_CFG_COEF=1
"${clip[@]}" --alone --out "$folder/ref" >"$folder/out" 2>&1 || fail "one rank alone"
for tp in 1 2; do
    over 2 1 "${clip[@]}" --tp $tp --out "$folder/two$tp" || fail "two hosts, one environment, tp $tp"
    [ "$(sums "$folder/ref")" = "$(sums "$folder/two$tp")" ] || fail "two hosts, tp $tp: not the first one's settings"
done
over 2 1 "$mg" generate --model "$own/model" --prompt x --seed 1 --frames 20 --out "$folder/apart" || fail "one clip on two hosts"
grep -q '^ranks: 2 replicas of 1' "$folder/out" || fail "a group reaches over a host's end and nobody asked"
refused() { # CODE PATTERN SENTENCE COMMAND …
    local code=$1 pattern=$2 sentence=$3 got
    shift 3
    over 2 1 "$@"
    got=$?
    [ $got = "$code" ] || fail "$sentence: exit code $got"
    grep -Eq "mg-dist: error: host ${hosts[1]} \(rank 1\).*$pattern" "$folder/out" || fail "$sentence: not said"
    [ "$(grep -c 'mg-dist: error' "$folder/out")" = 1 ] || fail "$sentence: not said once"
}
echo "$lacks; mount -t tmpfs none '$own/out'" >"/etc/netns/${hosts[1]}/own"
refused 2 "output folder $own/out is not the folder" "a folder that is not shared" "${clip[@]}" --tp 1 --out "$own/out"
[ -z "$(ls -A "$own/out")" ] || fail "a folder that is not shared: something was left in it"
over 2 1 "${clip[@]}" --tp 2 --out "$own/out" || fail "one group writes on the first host alone"
echo "$lacks; mount --bind '$own/other' '$own/model'" >"/etc/netns/${hosts[1]}/own"
refused 4 "language model is .*, and on host ${hosts[0]} \(rank 0\) it is .*other weights" "an older copy on a disk of its own" \
    "${clip[@]}" --out "$folder/no"
refused 4 "language model is " "verify" "$mg" verify "$own/model"
echo "two hosts: settings travel; other folders and other weights are refused"
