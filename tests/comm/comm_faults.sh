#!/bin/bash
# Make one rank of four go wrong and look at how the others end.
# usage: comm_faults.sh PROGRAM CASE
# Checked: each rank's status (6 MG_ECOMM, 7 MG_ESTOPPED, …), how many sentences the user reads and what they
# name, how long it takes, mpirun's exit code, and that no process and no shared memory of ours stays behind.
set -u
program=$1 case=$2
folder=$(mktemp -d)
launcher= # timeout, whose child is mpirun
trap '[ -n "$launcher" ] && kill -9 $launcher; rm -rf "$folder"' EXIT

fault=${case%_mpi}
fault=${fault//_/-}
[ "$case" != "$fault" ] && [ "${case%_mpi}" != "$case" ] && export MGDIST_COMM=mpi
case $fault in freeze | letter) export MGDIST_COMM_TIMEOUT=2 ;; esac

fail() {
    echo "FAILED: $case: $1"
    sed 's/^/  /' "$folder"/out
    for f in "$folder"/end*; do [ -f "$f" ] && echo "  $(basename "$f"): $(cat "$f")"; done
    exit 1
}

export PRTE_MCA_odls_base_sigkill_timeout=5 # mpirun of Open MPI 5: ranks that were told to end have the time
shared_before=$(ls /dev/shm | grep -v -e '^vader_segment' -e '^sm_segment' -e '^sem\.' | sort)
timeout -k 5 40 mpirun -np 4 "$program" "$fault" "$folder" 1 >"$folder"/out 2>&1 &
launcher=$!
for i in $(seq 400); do [ -f "$folder/ready3" ] && break; sleep 0.025; done
start=$(date +%s.%N)
[ "$fault" = stop ] && { sleep 0.2; pkill -TERM -P $launcher; }
wait $launcher
code=$?
launcher=
seconds=$(echo "$(date +%s.%N) - $start" | bc)

# expect STATUS RANK…: these ranks ended with this status
expect() {
    local status=$1 r
    shift
    for r; do
        [ -f "$folder/end$r" ] || fail "rank $r did not come to its end"
        [ "$(cut -d'|' -f1 "$folder/end$r")" = "$status" ] || fail "rank $r: status is not $status"
    done
}
# sentences N PATTERN: the user reads N sentences, each matching PATTERN
sentences() {
    local n
    n=$(grep -c 'mg-dist: error: ' "$folder"/out)
    [ "$n" = "$1" ] || fail "$n sentences, expected $1"
    [ "$1" = 0 ] || [ "$(grep -c "mg-dist: error: .*$2" "$folder"/out)" = "$1" ] || fail "no sentence says: $2"
}
ended() { [ "$code" = "$1" ] || fail "mpirun returned $code, expected $1"; }

host=$(hostname)
case $fault in
none) expect 0 0 1 2 3; sentences 0; ended 0 ;;
# Open MPI reports the killed rank's signal as its own exit code, whatever the others return.
kill | kill-busy) expect 6 0 2 3; sentences 1 "rank 1 (host $host, pid [0-9]*) is gone"; ended 137 ;;
exit) expect 6 0 2 3; sentences 1 "rank 1 (host $host, pid [0-9]*) is gone" ;;
freeze)
    expect 6 0 2 3
    if [ "${MGDIST_COMM-}" = mpi ]; then sentences 1 "waited 2 s for"; else
        sentences 1 "all_reduce: waited 2 s for rank 1 (host $host, pid [0-9]*)"
    fi
    ended 6 ;;
letter) expect 6 0 2 3; sentences 1 "letter: waited 2 s for rank 1 (host $host, pid [0-9]*): it is stopped" ;;
error) expect 1 1; expect 6 0 2 3; sentences 1 "no space left"; ended 1 ;;
silent-error) expect 1 1; expect 6 0 2 3; sentences 1 "rank 1 (host $host, pid [0-9]*) left with an error" ;;
agree) expect 4 0 1 2 3; sentences 1 "bad on one rank"; ended 4; ! grep -q MPI_ABORT "$folder"/out || fail "aborted" ;;
stop)
    expect 7 0 1 2 3
    # mpirun of Open MPI 5 forwards nothing that is said after its own SIGTERM.
    if mpirun --version | grep -q ' 5\.' && ! grep -q stopped "$folder"/out; then sentences 0; else sentences 1 "stopped"; fi ;;
esac
[ "$(echo "$seconds < 8" | bc)" = 1 ] || fail "took $seconds s"

pgrep -f "^$program $fault $folder" >/dev/null && fail "processes stay behind"
shared_after=$(ls /dev/shm | grep -v -e '^vader_segment' -e '^sm_segment' -e '^sem\.' | sort)
[ "$shared_before" = "$shared_after" ] || fail "left in /dev/shm: $shared_after"
echo "$case: mpirun returned $code after $seconds s: $(grep 'mg-dist: error: ' "$folder"/out)"
