#!/bin/bash
# Three hosts on one machine (tests/hosts.sh). Checked: the layout (shared memory inside a host, MPI across), the
# exchanges over TCP, and the loss of a rank elsewhere.
# usage: comm_hosts.sh FOLDER_OF_PROGRAMS      (skipped with code 77 where namespaces are not to be had)
set -u
programs=$1
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
