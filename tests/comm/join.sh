#!/bin/bash
# Ranks that wait in MPI_Init when their mpirun is killed end by themselves: one message each, exit code 6.
#   join.sh MG-DIST hold_init.so
set -u
folder=$(mktemp -d)
trap 'kill -9 $(cat "$folder"/ready*) 2>/dev/null; rm -rf "$folder"' EXIT # one that waits still would wait for ever
export HOLD_FOLDER=$folder program=$1 hold=$2

# Nobody hears what ranks say when mpirun is gone: each writes into a file.
mpirun -np 2 bash -c 'LD_PRELOAD=$hold "$program" doctor >"$HOLD_FOLDER/said$OMPI_COMM_WORLD_RANK" 2>&1
    echo $? >"$HOLD_FOLDER/end$OMPI_COMM_WORLD_RANK"' >/dev/null 2>&1 &
launcher=$!
for ((i = 0; i < 600; i++)); do [ -s "$folder/ready0" ] && [ -s "$folder/ready1" ] && break; sleep 0.1; done
kill -9 $launcher
for ((i = 0; i < 300; i++)); do [ -s "$folder/end0" ] && [ -s "$folder/end1" ] && break; sleep 0.1; done
for r in 0 1; do
    [ "$(cat "$folder/end$r" 2>/dev/null)" = 6 ] || { echo "FAILED: rank $r: exit code not 6"; tail "$folder"/*; exit 1; }
    [ "$(grep -c 'mg-dist: error: MPI_Init: the launcher' "$folder/said$r")" = 1 ] ||
        { echo "FAILED: rank $r: not one message"; tail "$folder"/*; exit 1; }
done
