#!/bin/bash
# Ranks that wait in MPI_Init end by themselves when their mpirun is killed, when they are told to stop, and after
# a while: one message each. A --comm-timeout of a second does not end one that starts slowly.
#   join.sh MG-DIST hold_init.so
set -u
folder=$(mktemp -d)
trap 'kill -9 $(cat "$folder"/ready*) 2>/dev/null; rm -rf "$folder"' EXIT # one that waits still would wait for ever
export HOLD_FOLDER=$folder program=$1 hold=$2

# held PATTERN CODE DO COMMAND...: of two ranks that are held. Each writes into a file, for nobody hears what ranks say when
# mpirun is gone, and stays until both are there: mpirun ends the one when the other has ended.
held() {
    local pattern=$1 code=$2 do=$3 i r
    shift 3
    rm -f "$folder"/*
    mpirun -np 2 bash -c 'trap "" TERM
        LD_PRELOAD=$hold "$program" "$@" >"$HOLD_FOLDER/said$OMPI_COMM_WORLD_RANK" 2>&1
        echo $? >"$HOLD_FOLDER/end$OMPI_COMM_WORLD_RANK"
        while [ -d "$HOLD_FOLDER" ]; do [ -s "$HOLD_FOLDER/end0" ] && [ -s "$HOLD_FOLDER/end1" ] && break; sleep 0.1; done' - "$@" >/dev/null 2>&1 &
    launcher=$!
    for ((i = 0; i < 600; i++)); do [ -s "$folder/ready0" ] && [ -s "$folder/ready1" ] && break; sleep 0.1; done
    $do
    for ((i = 0; i < 300; i++)); do [ -s "$folder/end0" ] && [ -s "$folder/end1" ] && break; sleep 0.1; done
    for r in 0 1; do
        [ "$(cat "$folder/end$r" 2>/dev/null)" = "$code" ] || { echo "FAILED: $do: rank $r: exit code not $code"; tail "$folder"/*; exit 1; }
        [ "$(grep -c "mg-dist: error: $pattern" "$folder/said$r")" = 1 ] || { echo "FAILED: $do: rank $r: not one message"; tail "$folder"/*; exit 1; }
    done
    wait $launcher 2>/dev/null
    echo "ok - $do"
}
launcher_dies() { kill -9 $launcher; }
told_to_stop() { kill -TERM $(cat "$folder"/ready*); }
nothing_comes() { :; }
held 'MPI_Init: the launcher' 6 launcher_dies doctor
held 'stopped by SIGTERM' 130 told_to_stop doctor
export MGDIST_JOIN_TIMEOUT=3
held 'MPI_Init: waited [3-9] s for ' 6 nothing_comes doctor
unset MGDIST_JOIN_TIMEOUT
HOLD_S=3 mpirun -np 1 env LD_PRELOAD="$hold" "$program" models --comm-timeout 1 >"$folder/said" 2>&1 ||
    { echo "FAILED: a slow start: exit code $?"; cat "$folder/said"; exit 1; }
echo 'ok - a slow start'
