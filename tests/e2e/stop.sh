#!/bin/bash
# Ends in the middle of the work: Ctrl-C, SIGTERM, a rank that is killed.
#   stop.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"
FAULTY=$5

OUT=$BOX/out
through=()
# begin NP [OPTION …]: thousands of clips, in the background.
begin() {
    rm -rf "$OUT"
    start "$1" "${through[@]}" "$MG" generate -q --model "$DEMO" --unconditional 20000 --duration 9 --batch 2 --seed 1 --threads 1 \
        --out "$OUT" "${@:2}"
    for _ in $(seq 1200); do
        [ -s "$OUT/000000.json" ] && return
        sleep 0.1
    done
    verdict 1 'the first clip appears'
}
ended() { over "$1" "$2" 3; } # SENTENCE SECONDS
whole() { # every WAV is as long as its header says
    local f
    for f in "$OUT"/*.wav; do
        [ "$(($(od -An -tu4 -j4 -N4 "$f") + 8))" = "$(stat -c %s "$f")" ] || return 1
    done
}
complete() { # every WAV has its JSON
    local f
    for f in "$OUT"/*.wav; do
        [ ! -e "$f" ] || [ -s "${f%.wav}.json" ] || return 1
    done
}

begin 1
kill -INT "$(pid_of 0)"
ended 'Ctrl-C' 5
passes 'Ctrl-C: exit code 130' test "$job_code" = 130
says 'Ctrl-C: it says so' 'stopped by Ctrl-C'
passes 'Ctrl-C: nothing is half-written' tidy "$OUT"
passes 'Ctrl-C: clips are whole' whole

begin 1
kill -TERM "$(pid_of 0)"
ended SIGTERM 5
passes 'SIGTERM: exit code 130' test "$job_code" = 130
says_once 'SIGTERM: one message'
passes 'SIGTERM: nothing is half-written' tidy "$OUT"

for signal in USR1 HUP USR2 XCPU; do # what Slurm and Grid Engine send before the limit; a terminal that goes
    begin 1
    kill -$signal "$(pid_of 0)"
    ended SIG$signal 5
    passes "SIG$signal: exit code 130, as with any other" test "$job_code" = 130
    says "SIG$signal: it says so" "stopped by SIG$signal"
    passes "SIG$signal: clips are whole" whole
done

# Wherever it comes: while weights are read, clips prepared, steps made, files written and weights hashed.
interrupted=0
for delay in 0.03 0.1 0.2 0.3 0.5 0.8 1.2; do
    rm -rf "$OUT"
    mkdir "$OUT"
    "$MG" generate -q --model "$DEMO" --unconditional 20000 --frames 60 --batch 4 --seed 1 --threads 1 --out "$OUT" >"$BOX/said" 2>&1 &
    job=$!
    until [ /proc/$job/exe -ef "$MG" ]; do sleep 0.005; done # no longer this shell, which has handlers of its own
    until [ $((0x0$(sed -n 's/^SigCgt:[[:space:]]*//p' /proc/$job/status) & 2)) -ne 0 ]; do sleep 0.005; done # it listens
    sleep $delay
    kill -INT $job
    begin=$SECONDS
    wait $job
    [ $? = 130 ] && [ $((SECONDS - begin)) -le 5 ] && tidy "$OUT" && complete && interrupted=$((interrupted + 1))
done
passes 'Ctrl-C at any time: 130, within 5 s, every clip whole and with its metadata' test $interrupted = 7

# What ranks say after that, mpirun of Open MPI 5 no longer passes on: they write it into a file of their own.
rm -f "$BOX/heard"
through=(sh -c 'exec "$@" 2>>"$0"' "$BOX/heard")
export OMPI_MCA_odls_base_sigkill_timeout=10 # a busy machine: SIGKILL is not due yet
begin 2
through=()
kill -INT "$(pgrep -P "$(pgrep -P "$job")")" # the job is a shell, its child `timeout`, whose child is mpirun
ended 'Ctrl-C to mpirun' 40
unset OMPI_MCA_odls_base_sigkill_timeout
cp "$BOX/heard" "$BOX/said"
if ! silenced; then
    says 'Ctrl-C to mpirun: it says so' 'stopped by'
    says_once 'Ctrl-C to mpirun: one message'
    passes 'Ctrl-C to mpirun: nothing is half-written' tidy "$OUT"
fi
passes 'Ctrl-C to mpirun: clips are whole' whole

export OMPI_MCA_odls_base_sigkill_timeout=3 # so long, twice: a busy machine
for victim in 2 3; do
    begin 4
    gone=$(pid_of $victim)
    kill -KILL "$gone"
    ended "rank $victim of 4 killed" 15
    if ! silenced; then
        says "rank $victim of 4 killed: the message names it" "error: .*rank $victim \(host .*pid $gone\) is gone"
        says_once "rank $victim of 4 killed: one message"
        is_open_mpi_5 || says "rank $victim of 4 killed: the survivors end with exit code 6" 'with errorcode 6'
        passes "rank $victim of 4 killed: nothing is half-written" tidy "$OUT"
    fi
    passes "rank $victim of 4 killed: clips are whole" whole
done
unset OMPI_MCA_odls_base_sigkill_timeout

# It is said before what is at hand is finished, which may take longer than the second that mpirun leaves the others.
rm -rf "$OUT" "$BOX"/met.*
start 3 env LD_PRELOAD="$FAULTY" FAULT_CALLS=fsync FAULT_PATH="$OUT" FAULT_MS=10000 sh -c 'FAULT_MET=$0.$OMPI_COMM_WORLD_RANK exec "$@"' \
    "$BOX/met" "$MG" generate -q --model "$DEMO" --unconditional 20000 --frames 60 --tp 1 --seed 1 --threads 1 --out "$OUT"
for _ in $(seq 300); do
    [ -e "$BOX/met.0" ] && [ -e "$BOX/met.1" ] && [ -e "$BOX/met.2" ] && break
    sleep 0.1
done
gone=$(pid_of 2)
kill -KILL "$gone"
ended 'a rank killed while a disk is slow' 15
if ! silenced; then
    says 'a rank killed while a disk is slow: the message names it' "error: .*rank 2 \(host .*pid $gone\) is gone"
    says_once 'a rank killed while a disk is slow: one message'
fi

# Open MPI's own files of this run do not outlive it, however it ends.
begin 2
mpirun=$(pgrep -P "$(pgrep -P "$job")")
session=$(tr '\0' '\n' <"/proc/$(pid_of 0)/environ" | sed -n 's/^PMIX_SERVER_TMPDIR=//p')
segments=$(grep -oE '/dev/shm/(vader|sm)_segment\.[^ ]*\.' "/proc/$(pid_of 0)/maps" | head -1) # of all ranks
passes 'mpirun killed: there is something to leave' test -d "$session" -a -n "$segments"
kill -KILL "$mpirun"
ended 'mpirun killed' 15
for _ in $(seq 100); do
    [ -e "$session" ] || ls "$segments"* >"$BOX/note" 2>&1 || break
    sleep 0.1
done
passes 'mpirun killed: clips are whole' whole
fails 'mpirun killed: its session folder is gone' test -e "$session"
fails 'mpirun killed: its shared memory is gone' sh -c "ls '$segments'*"

# What a killed process left is gone with the next run, what is another's stays.
rm -rf "$OUT"
mkdir "$OUT"
sleep 0 &
dead=$!
wait $dead
touch "$OUT/.000007.wav.$dead.tmp" "$OUT/.000008.wav.$$.tmp" "$OUT/.mine.tmp" "$OUT/notes.$dead.tmp" "$OUT/.a.x$dead.tmp"
mkdir "$OUT/.model.$dead.tmp"
touch "$OUT/.model.$dead.tmp/config.json"
"$MG" generate -q --model "$DEMO" --unconditional 1 --frames 4 --seed 1 --out "$OUT" >"$BOX/said" 2>&1
passes 'stale: a dead process has nothing left here' sh -c "! ls -A '$OUT' | grep -q '^\.\(000007.wav\|model\)\.'"
passes 'stale: everything else is there' test -e "$OUT/.000008.wav.$$.tmp" -a -e "$OUT/.mine.tmp" -a -e "$OUT/notes.$dead.tmp" \
    -a -e "$OUT/.a.x$dead.tmp" -a -e "$OUT/000000.wav"
rm -rf "$OUT"

begin 2 --tp 2 --comm-timeout 5
stopped=$(pid_of 1)
kill -STOP "$stopped"
ended 'a rank stopped' 30
says 'a rank stopped: the message names it' "error: .*rank 1 \(host .*pid $stopped\): it is stopped \(SIGSTOP"
says_once 'a rank stopped: one message'

begin 2
kill -KILL "$(pid_of 0)"
ended 'the leader killed' 15
says 'the leader killed: a message names it, ours or that of mpirun, which may be first' 'rank 0 .*(is gone|exited on)'
passes 'the leader killed: clips are whole' whole
finish
