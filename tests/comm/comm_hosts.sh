#!/bin/bash
# Three hosts on one machine: network namespaces behind a bridge, each with its own host name. Checked: the
# layout (shared memory inside a host, MPI across), the exchanges over TCP, and the loss of a rank elsewhere.
# usage: comm_hosts.sh FOLDER_OF_PROGRAMS      (skipped with code 77 where namespaces are not to be had)
set -u

# The agent by which mpirun starts its helper on a "host": comm_hosts.sh --on HOST COMMAND…
if [ "${1-}" = --on ]; then
    host=$2
    shift 2
    exec nsenter --net="/run/netns/$host" unshare --uts --mount --propagation private sh -c \
        'hostname "$0"; mount --bind "/etc/netns/$0/hosts" /etc/hosts; eval "$*"' "$host" "$@"
fi

programs=$1
here=$(cd "$(dirname "$0")" && pwd)
tag=mgt$$
folder=$(mktemp -d)
hosts=("${tag}a" "${tag}b" "${tag}c")

skip() {
    echo "SKIPPED: several hosts: $1"
    exit 77
}
clean() {
    local h
    for h in "${hosts[@]}" "${tag}s"; do
        [ -e "/run/netns/$h" ] || continue
        ip netns pids "$h" | xargs -r kill -9
        ip netns del "$h"
        rm -rf "/etc/netns/$h"
    done
    rmdir /etc/netns 2>/dev/null
    rm -rf "$folder"
}
fail() {
    echo "FAILED: $1"
    sed 's/^/  /' "$folder"/out
    for f in "$folder"/end*; do [ -f "$f" ] && echo "  $(basename "$f"): $(cat "$f")"; done
    exit 1
}

[ "$(id -u)" = 0 ] || skip "must be root"
for tool in ip nsenter unshare; do command -v $tool >/dev/null || skip "$tool not found"; done
trap clean EXIT
trap 'exit 1' INT TERM
ip netns add "${tag}s" 2>/dev/null || skip "this kernel or container has no network namespaces"
(
    ip -n "${tag}s" link add br0 type bridge && ip -n "${tag}s" link set br0 up || exit 1
    for i in 0 1 2; do
        h=${hosts[$i]}
        ip netns add "$h" && ip link add eth0 netns "$h" type veth peer name "p$i" netns "${tag}s" &&
            ip -n "${tag}s" link set "p$i" master br0 up && ip -n "$h" link set lo up &&
            ip -n "$h" addr add "10.77.0.$((i + 1))/24" dev eth0 && ip -n "$h" link set eth0 up || exit 1
        mkdir -p "/etc/netns/$h"
        printf '127.0.0.1 localhost\n10.77.0.1 %s\n10.77.0.2 %s\n10.77.0.3 %s\n' "${hosts[@]}" >"/etc/netns/$h/hosts"
    done
) 2>"$folder/setup" || skip "$(head -1 "$folder/setup")"
"$here/comm_hosts.sh" --on "${hosts[0]}" true 2>"$folder/setup" || skip "$(head -1 "$folder/setup")"

# over N_HOSTS RANKS_PER_HOST PROGRAM…: run it from the first host
over() {
    local n_hosts=$1 per_host=$2 i
    shift 2
    for ((i = 0; i < n_hosts; i++)); do echo "${hosts[$i]} slots=$per_host"; done >"$folder/hostfile"
    timeout -k 5 40 "$here/comm_hosts.sh" --on "${hosts[0]}" env -u OMPI_MCA_btl -u OMPI_MCA_oob_tcp_if_include \
        MG_TEST_LOCAL="$per_host" mpirun --hostfile "$folder/hostfile" --mca plm_rsh_agent "'$here/comm_hosts.sh --on'" \
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
