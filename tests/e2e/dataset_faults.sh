#!/bin/bash
# mg-dist run on a bad day: disks that fail for a moment or for good, a clock that jumps, signals, a time limit, a lost
# rank, a second run, a changed job file. Nothing is lost, nothing is there twice, there is one message, and the same
# command goes on to the bytes of a run that nobody disturbed.
#   dataset_faults.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"
FAULTY=$5

jobs() { # N SECONDS
    for i in $(seq 1 "$1"); do printf '{"id":"clip-%d","prompt":"song number %d","duration":%s}\n' "$i" "$i" "$2"; done
}
jobs 10 1 >"$BOX/jobs.jsonl"
jobs 24 0.5 >"$BOX/long.jsonl"
jobs 8 10 >"$BOX/seconds.jsonl"
plain=
run() { # RANKS OUT …
    local n=$1 out=$2
    shift 2
    ranks "$n" "${with[@]}" "$MG" run -q --model "$DEMO" --jobs "${jobs:-$BOX/jobs.jsonl}" --out "$BOX/$out" --seed 5 --threads 1 \
        --batch 2 --tp 1 $plain "$@"
}
with=(env)
faulty() { with=(env LD_PRELOAD="$FAULTY" "$@"); }
well() { with=(env); }
facts() { (cd "$BOX/$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
like() { # SENTENCE WHOLE OTHER
    if [ "$(facts "$2")" = "$(facts "$3")" ] && [ -n "$(facts "$2")" ]; then verdict 0 "$1"; else
        verdict 1 "$1"
        diff <(facts "$2") <(facts "$3") | sed 's/^/#   /'
    fi
}
makes() { # SENTENCE command …: it ends well
    local sentence=$1
    shift
    "$@" >"$BOX/said" 2>&1
    local code=$?
    verdict $code "$sentence"
    [ $code = 0 ] || sed "s/^/#   /" "$BOX/said"
}
one_message() { says_once "$1: one message"; }
killed_after='' # half a second, by mpirun of Open MPI 5, when another rank has ended: a loaded machine needs longer
unharmed() { # SENTENCE OUT
    [ -n "$killed_after" ] || passes "$1: nothing half is left" tidy "$BOX/$2"
    passes "$1: no clip counts as failed" sh -c "! grep -q . '$BOX/$2/failures.jsonl' 2>/dev/null"
}
goes_on() { # SENTENCE WHOLE OUT …
    local sentence=$1 whole=$2 out=$3
    shift 3
    unharmed "$sentence" "$out"
    makes "$sentence: the same command again completes it" run 1 "$out" "$@"
    like "$sentence: the same bytes" "$whole" "$out"
}

makes 'a run that nobody disturbs' run 1 whole
makes 'and one into shards' run 1 whole-tars --layout webdataset --shard-clips 3

# ---- Disks that fail for a moment ----
momentary() { # SENTENCE OUT CALLS ERRNO PATH COUNT …; the state is opened by less than 36 calls
    local sentence=$1 out=$2
    faulty FAULT_CALLS="$3" FAULT_ERRNO="$4" FAULT_PATH="$5" FAULT_COUNT="$6" FAULT_SKIP=$([ "$5" = run.db-journal ] && echo 36 || echo 0)
    shift 6
    makes "$sentence" run 1 "$out" "$@"
    well
}
momentary 'EIO while a sound is written: tried again' eio-write write 5 /making/ 2
like 'the same bytes' whole eio-write
momentary 'ESTALE while it is synced' stale-sync fsync 116 /making/ 1
like 'the same bytes' whole stale-sync
makes 'a signal that cuts a sync short is no fault' env LD_PRELOAD="$FAULTY" FAULT_CALLS=fsync FAULT_ERRNO=4 FAULT_PATH="$BOX/cut" \
    FAULT_COUNT=3 "$MG" generate -q --model "$DEMO" --unconditional 1 --frames 4 --seed 1 --threads 1 --out "$BOX/cut"
momentary 'EIO while it gets its name' eio-rename rename 5 /train/ 2
like 'the same bytes' whole eio-rename
momentary 'EIO in the state: entered again' eio-state 'write fsync' 5 run.db-journal 2
like 'the same bytes' whole eio-state
momentary 'ESTALE in the state, shards' stale-state 'write fsync' 116 run.db-journal 2 --layout webdataset --shard-clips 3
like 'the same bytes' whole-tars stale-state
momentary 'EIO while a shard is written' eio-shard 'rename' 5 music-00000 2 --layout webdataset --shard-clips 3
like 'the same bytes' whole-tars eio-shard
momentary 'ESTALE while jobs are read' stale-jobs read 116 jobs.jsonl 1
like 'the same bytes' whole stale-jobs
momentary 'a status file that cannot be written is a warning' status rename 5 status.json -1
passes 'and says so once' test "$(grep -c 'warning.*status.json' "$BOX/said")" = 1
like 'the same bytes' whole status

# ---- Disks that fail for good ----
faulty FAULT_CALLS=write FAULT_ERRNO=5 FAULT_PATH=/making/ FAULT_SKIP=6
expect 1 'clip clip-[0-9]*: .*Input/output error' 'a disk that fails for good ends the run' run 1 eio
well
one_message 'EIO for good'
goes_on 'EIO for good' whole eio
faulty FAULT_CALLS='write fsync' FAULT_ERRNO=5 FAULT_PATH=run.db-journal FAULT_SKIP=36
expect 1 'run.db: disk I/O error' 'a state that cannot be written any more' run 1 state
well
one_message 'EIO in the state'
goes_on 'EIO in the state' whole state
faulty FAULT_CALLS='open rename write' FAULT_ERRNO=30 FAULT_PATH=/train FAULT_SKIP=3
expect 1 'Read-only file system' 'a disk that turns read-only' run 1 erofs
well
one_message 'EROFS'
goes_on 'EROFS' whole erofs
for code in 37 38; do # ENOLCK, ENOSYS: NFS without its lock service, Lustre without -o flock
    faulty FAULT_CALLS=lock FAULT_ERRNO=$code FAULT_PATH=run.db
    expect 1 'run.db: this file system gives no file locks' "no file locks ($code)" run 1 lockless
    well
    one_message "no file locks ($code)"
done
goes_on 'no file locks' whole lockless

# ---- Files that clips are made from, on a disk that is away ----
mkdir "$BOX/prompts"
cp "$BOX/whole/train/clip-1.flac" "$BOX/prompts/a.flac"
from() { # N NAME
    for i in $(seq 1 "$1"); do printf '{"id":"from-%d","audio_prompt":"%s","prompt_duration":0.3,"duration":0.5}\n' "$i" "$2"; done
}
from 24 prompts/a.flac >"$BOX/from.jsonl"
jobs=$BOX/from.jsonl
makes 'a run from files' run 1 from
momentary 'EIO from a file that clips are made from: tried again' from-eio open 5 /prompts/ 8
like 'the same bytes' from from-eio
from 1 prompts/a.flac >"$BOX/one.jsonl" # its file is opened when it is dealt, read, and hashed for its record
jobs=$BOX/one.jsonl
makes 'one from a file' run 1 from-one
for skip in 0 1 2; do
    faulty FAULT_CALLS=open FAULT_ERRNO=5 FAULT_PATH=/prompts/ FAULT_COUNT=1 FAULT_SKIP=$skip
    makes "EIO from it that is over at once, after $skip looks" run 1 from-eio-$skip
    well
    like 'the same bytes' from-one from-eio-$skip
done
jobs=$BOX/from.jsonl
faulty FAULT_CALLS=open FAULT_ERRNO=116 FAULT_PATH=/prompts/
expect 1 'replica 0 on .* could not read the files of 20 clips in a row.*prompts/a.flac.*is a disk missing there' 'a disk that stays away' run 1 from-away
well
one_message 'a disk that stays away'
goes_on 'a disk that stays away' from from-away
{ from 24 prompts/a.flac; sed 's/from-/typo-/' <(from 1 prompts/b.flac); } >"$BOX/typo.jsonl"
jobs=$BOX/typo.jsonl
expect 3 '1 of 25 clips failed' 'a file that is missing is its own clip alone' run 1 typo
passes 'by its name' grep -q 'typo-1.*prompts/b.flac' "$BOX/typo/failures.jsonl"
{ from 24 prompts/a.flac; sed 's/from-/typo-/' <(from 2 prompt/a.flac); } >"$BOX/typo.jsonl"
expect 3 '2 of 26 clips failed' 'so is one in a folder that is missing' run 1 typo2
passes 'by its name too' grep -q 'typo-2.*prompt/a.flac' "$BOX/typo2/failures.jsonl"
jobs=

# ---- A first rank that takes longer over the state, before and after the clips, than ranks wait for each other ----
faulty FAULT_CALLS=fsync FAULT_MS=2000 FAULT_PATH=.mg-dist/run.db
makes 'ranks wait for the state for as long as it takes' run 2 patient --comm-timeout 6
well
like 'the same bytes' whole patient
# ---- A slow disk under the state: no step waits for it ----
jobs=$BOX/seconds.jsonl plain='--cpu-level scalar --dtype fp32' # steps that take a while on any machine
makes 'a run of some seconds' run 1 quick
# Milliseconds from the first clip's file to the last one's: 2 s and more for each of the commits, if steps waited for them.
working() { find "$BOX/$1/train" -name '*.flac' -printf '%T@\n' | sort -n | awk 'NR == 1 { a = $1 } END { printf "%d", 1000 * ($1 - a) }'; }
no_wait() { # up to three times, for machines that have other things to do
    for _ in 1 2 3; do
        rm -rf "$BOX/slow"
        faulty FAULT_CALLS=fsync FAULT_MS=700 FAULT_PATH=.mg-dist/run.db
        run 1 slow
        well
        echo "from first to last clip: $(working quick) ms, with the slow state $(working slow) ms"
        [ "$(working slow)" -lt $(($(working quick) * 2)) ] && return 0
    done
    return 1
}
passes 'a state whose every sync takes 0.7 s holds up no step' no_wait
like 'the same bytes' quick slow
plain= # what is disturbed from here on is held, however fast its steps

# ---- A slow disk under the first rank's own clips: it deals to the others all the same ----
jobs=$BOX/long.jsonl
touch "$BOX/hold"
faulty FAULT_CALLS=write FAULT_PATH=/making/0/ FAULT_HOLD="$BOX/hold"
run 2 first >"$BOX/said" 2>&1 &
job=$!
well
made() { find "$BOX/first/train" -name '*.flac' 2>/dev/null | wc -l; }
for _ in $(seq 600); do [ "$(made)" -lt 12 ] || break; sleep 0.1; done
passes "another rank makes more clips than it was given at first ($(made))" test "$(made)" -ge 12
rm "$BOX/hold"
wait "$job"
passes 'and the run comes to its end' test $? = 0

# ---- A clock that jumps, while the second clip gets its name ----
jobs=$BOX/long.jsonl
makes 'a longer run' run 1 long
like 'the same bytes as where the first rank was held up' long first
for jump in 300000000 -300000000; do
    faulty CLOCK_JUMP=$jump FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_SKIP=1 FAULT_COUNT=1
    makes "the clock jumps by $jump s in the middle" run 1 "jump$jump"
    well
    like 'the same bytes' long "jump$jump"
done

# ---- Signals and time limits ----
# begin OUT RANKS …: the long jobs, in the background. Each rank delivers one clip; the next waits for its name until
# `release`, and behind it the steps go on until the queue is full: the run is at work, however fast the machine.
begin() {
    local out=$1 n=$2
    shift 2
    touch "$BOX/hold"
    start "$n" "${through[@]}" env LD_PRELOAD="$FAULTY" "${held[@]}" FAULT_HOLD="$BOX/hold" \
        "$MG" run -q --model "$DEMO" --jobs "$BOX/long.jsonl" --out "$BOX/$out" --seed 5 --threads 1 --batch 2 --tp 1 "$@"
    for _ in $(seq 2400); do
        ls "$BOX/$out/train"/*.flac >/dev/null 2>&1 && return
        sleep 0.05
    done
    verdict 1 'the first clip appears'
}
through=()
held=(FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_SKIP=1)
release() { rm -f "$BOX/hold"; }
ended() { # SENTENCE CODE SECONDS [PATTERN]
    local begin=$SECONDS
    sleep 0.5 # what was done to the run must reach it first
    release
    wait "$job"
    code=$?
    passes "$1: exit code $2" grep -qx "$2" <<<"$code"
    passes "$1: over within $3 s" test $((SECONDS - begin)) -le "$3"
    [ $# -gt 3 ] || return
    passes "$1: it says so" grep -Eq -- "$4" "$BOX/said"
    one_message "$1"
}
for signal in TERM USR1 XCPU; do
    begin "by-$signal" 1
    kill -$signal "$(pid_of 0)"
    ended "SIG$signal" 75 30 'stopped with [0-9]+ of 24 clips done; the same command goes on'
    goes_on "SIG$signal" long "by-$signal"
done
for signal in TERM USR1; do # to the ranks of one node, which is about to go
    begin "one-$signal" 2
    kill -$signal "$(pid_of 1)"
    ended "SIG$signal to one of two ranks" 75 30 'stopped with [0-9]+ of 24 clips done; the same command goes on'
    passes "SIG$signal to one of two ranks: every sound that is there is recorded" "$MG" verify "$BOX/one-$signal"
    goes_on "SIG$signal to one of two ranks" long "one-$signal"
done
is_open_mpi_5 && killed_after=half
for signal in INT HUP; do
    begin "by-$signal" 2
    kill -$signal "$(pid_of 1)"
    ended "SIG$signal to one of two ranks" 75 15 'stopped by'
    [ -n "$killed_after" ] || passes "SIG$signal to one of two ranks: every sound that is there is recorded" "$MG" verify "$BOX/by-$signal"
    goes_on "SIG$signal" long "by-$signal"
done
# The other rank writes a clip still when the first one, which records it, has nothing more at hand.
held=(FAULT_CALLS=write FAULT_PATH=/making/1/)
begin late 2
held=(FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_SKIP=1)
kill -INT "$(pid_of 0)"
ended 'Ctrl-C to the first of two ranks' 75 15 'stopped by Ctrl-C'
[ -n "$killed_after" ] || passes "Ctrl-C to the first of two ranks: the other's last sound is recorded" "$MG" verify "$BOX/late"
goes_on 'Ctrl-C to the first of two ranks' long late
killed_after=''
begin alone 1
kill -INT "$(pid_of 0)"
ended 'Ctrl-C to a single rank' 75 15 'stopped by Ctrl-C: what is done is kept, and the same command goes on'
passes 'Ctrl-C to a single rank: every sound that is there is recorded' "$MG" verify "$BOX/alone"
goes_on 'Ctrl-C to a single rank' long alone
begin twice 1
kill -TERM "$(pid_of 0)"
sleep 0.1
kill -TERM "$(pid_of 0)"
ended 'SIGTERM twice' 75 10 'stopped (by|with)'
goes_on 'SIGTERM twice' long twice
export SLURM_JOB_END_TIME=$(($(date +%s) + 65))
begin limit 1 --stop-before 62
while [ "$(date +%s)" -le $((SLURM_JOB_END_TIME - 62)) ]; do sleep 0.2; done
ended 'a time limit that comes near: --stop-before' 75 30 'stopped with [0-9]+ of 24 clips done'
passes 'not before its time' grep -q '[1-9][0-9]* of 24 clips done' "$BOX/said"
unset SLURM_JOB_END_TIME
goes_on 'a time limit' long limit

# ---- A lost rank, a second run, another job file ----
# What ranks say after that, mpirun of Open MPI 5 no longer passes on: they write it into a file of their own.
export OMPI_MCA_odls_base_sigkill_timeout=3 # mpirun of Open MPI 4 gives the others that many seconds, twice, to say so
for victim in 0 1; do
    rm -f "$BOX/heard"
    through=(sh -c 'exec "$@" 2>>"$0"' "$BOX/heard")
    begin "lost-$victim" 2
    through=()
    kill -9 "$(pid_of $victim)"
    ended "rank $victim of 2 killed" '6\|137' 20
    cp "$BOX/heard" "$BOX/said"
    if ! silenced; then
        says "rank $victim of 2 killed: it says so" "rank $victim .*is gone"
        one_message "rank $victim of 2 killed"
        passes "rank $victim of 2 killed: nothing half is left" tidy "$BOX/lost-$victim"
    fi
    makes "rank $victim of 2 killed: the same command again completes it" run 1 "lost-$victim"
    like "rank $victim of 2 killed: the same bytes" long "lost-$victim"
    unharmed "rank $victim of 2 killed" "lost-$victim"
done
through=(sh -c 'exec "$@" 2>>"$0"' "$BOX/heard")
rm -f "$BOX/heard"
begin hung 2 --comm-timeout 10
through=()
kill -STOP "$(pid_of 1)"
ended 'rank 1 of 2 says nothing more' '6\|137' 60
cp "$BOX/heard" "$BOX/said"
says 'rank 1 of 2 says nothing more: it is named' 'replica 1 \(rank 1, host .* has said nothing for 2[0-9] s: .* it had at hand: '
one_message 'rank 1 of 2 says nothing more'
goes_on 'rank 1 of 2 says nothing more' long hung
unset OMPI_MCA_odls_base_sigkill_timeout
begin both 1
with=(timeout 20)
expect 1 "a run is at work here: process $(pid_of 0) of host $(uname -n)" 'a second run on the folder is refused by name' run 1 both
well
one_message 'a second run'
release
wait "$job"
passes 'the first one is not disturbed' test $? = 0
like 'the same bytes' long both
begin left 1
kill -9 "$(pid_of 0)"
wait "$job" 2>/dev/null
passes 'a killed run leaves its lock' test -e "$BOX/left/.mg-dist/lock"
goes_on 'a stale lock' long left
begin away 1
kill -STOP "$(pid_of 0)" # a scheduler suspends the job, and somebody on another host takes over
echo 'elsewhere 12 7' >"$BOX/away/.mg-dist/lock"
kill -CONT "$(pid_of 0)"
ended 'a suspended run whose lock was taken' 1 30 'lock: process 12 of host elsewhere has taken over'
passes 'the lock is left to the other one' grep -qx 'elsewhere 12 7' "$BOX/away/.mg-dist/lock"
fails 'nothing is written any more' test -e "$BOX/away/manifest.jsonl"
rm "$BOX/away/.mg-dist/lock"
goes_on 'a suspended run whose lock was taken' long away
held=(FAULT_CALLS=fsync FAULT_PATH=/train) # behind the first clip of each rank
begin woken 2
held=(FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_SKIP=1)
for _ in $(seq 1200); do [ "$(ls "$BOX/woken/train" | grep -c flac)" -lt 2 ] || break; sleep 0.1; done
kill -STOP "$(pid_of 0)" # who would notice it: one replica alone wakes
echo 'elsewhere 12 7' >"$BOX/woken/.mg-dist/lock"
written() { (cd "$BOX/woken" && find train .mg-dist/making/1 -type f | sort); }
written >"$BOX/before"
release
for _ in $(seq 600); do grep -q 'has taken over' "$BOX/said" && break; sleep 0.1; done
grep -q 'has taken over' "$BOX/said" || kill -CONT "$(pid_of 0)"
ended 'a woken replica' 1 30 'lock: process 12 of host elsewhere has taken over'
passes 'it puts nothing where another run is' test -z "$(comm -13 "$BOX/before" <(written))"
rm "$BOX/woken/.mg-dist/lock"
goes_on 'a woken replica' long woken
jobs=
head -8 "$BOX/jobs.jsonl" >"$BOX/fewer.jsonl"
cp -r "$BOX/whole" "$BOX/changed"
jobs=$BOX/fewer.jsonl
expect 2 'the jobs are not those that .* was begun with; --jobs-changed ok' 'a changed job file is refused' run 1 changed
one_message 'a changed job file'
like 'and nothing is touched' whole changed
printf '{"id":"more","prompt":"more","duration":1}\n' >>"$BOX/fewer.jsonl"
makes 'and taken if it is wished' run 1 changed --jobs-changed ok
passes 'what was done is kept, what is new is there' test "$(grep -c . "$BOX/changed/manifest.jsonl")" = 11
passes 'with the same clips' sh -c "head -10 '$BOX/changed/manifest.jsonl' | cmp - '$BOX/whole/manifest.jsonl'"

# A line in the middle of a list without ids moves all behind it: no clip may keep another's text.
for i in 1 2 3 4 5 6; do echo "song $i"; done >"$BOX/songs.txt"
sed '3i song between' "$BOX/songs.txt" >"$BOX/between.txt"
sed '$a song behind' "$BOX/songs.txt" >"$BOX/behind.txt"
texts() { sed 's/.*"id":"\([^"]*\)","prompt":"\([^"]*\)".*/\1 \2/' "$BOX/$1/manifest.jsonl" | sort; }
for layout in audiofolder webdataset; do
    with=(env MGDIST_LAYOUT=$layout MGDIST_SHARD_CLIPS=2 MGDIST_DURATION=0.5)
    jobs=$BOX/songs.txt
    run 1 $layout-songs >"$BOX/said" 2>&1
    cp -r "$BOX/$layout-songs" "$BOX/$layout-behind"
    jobs=$BOX/behind.txt
    makes "$layout: a line at the end" run 1 $layout-behind --jobs-changed ok
    passes "$layout: is one clip more" test "$(texts $layout-behind | tail -1)" = '0000006 song behind'
    jobs=$BOX/between.txt
    run 1 $layout-fresh >"$BOX/said" 2>&1
    expect 2 'between.txt: line 3: clip 0000002 is done, and of another job than this \(a job without an id .*, and 3 more like it; --jobs-changed again' \
        "$layout: a line in the middle is refused" run 1 $layout-songs --jobs-changed ok
    one_message "$layout: a line in the middle"
    passes "$layout: nothing is touched" test "$(texts $layout-songs | sed -n 3p)" = '0000002 song 3'
    makes "$layout: and taken if it is wished" run 1 $layout-songs --jobs-changed again
    like "$layout: the dataset of the new list" $layout-fresh $layout-songs
done
with=(env MGDIST_DURATION=0.5)
printf '{"id":"a","prompt":"one"}\n{"id":"b","audio_prompt":"none.wav"}\n' >"$BOX/ids.jsonl"
jobs=$BOX/ids.jsonl
expect 3 '1 of 2 clips failed; .*retry-failed' 'a job that fails' run 1 ids
printf '{ "prompt": "one", "id": "a" }\n{"id":"b","prompt":"two"}\n' >"$BOX/ids.jsonl"
makes 'a failed job that is mended, and one in other words' run 1 ids --jobs-changed ok
passes 'is tried again' test "$(texts ids | tr '\n' ,)" = 'a one,b two,'
printf '{"id":"a","prompt":"one"}\n{"id":"b","prompt":"two"}\n{"id":"b","prompt":"three"}\n' >"$BOX/ids.jsonl"
expect 2 'line 3: id "b" is that of line 2 too' 'a changed list with an id twice' run 1 ids --jobs-changed ok
echo '{"id":"b","prompt":"two"}' >"$BOX/ids.jsonl"
makes 'a job that is gone' run 1 ids --jobs-changed ok
printf '{"id":"a","prompt":"other"}\n{"id":"b","prompt":"two"}\n' >"$BOX/ids.jsonl"
expect 2 'line 1: clip a is done, and of another job than this; --jobs-changed again' 'and comes back as another one' run 1 ids --jobs-changed ok
makes 'is made again if that is wished' run 1 ids --jobs-changed again
passes 'alone' test "$(texts ids | tr '\n' ,)" = 'a other,b two,'
echo '{"id":"b","prompt":"two"}' >"$BOX/ids.jsonl"
makes 'a clip of a job that is gone' run 1 ids --jobs-changed ok
rm "$BOX/ids/train/a.flac"
expect 1 'a.flac' 'is lost' "$MG" verify "$BOX/ids" --again
says 'and waits for nobody' 'no clip waits, for the jobs of the damaged ones have left the list; the same mg-dist run'
makes 'and made again by nobody' run 1 ids
passes 'the rest is whole' "$MG" verify -q "$BOX/ids"
finish
