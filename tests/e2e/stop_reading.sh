#!/bin/bash
# A signal while files are read that take long: weights, hashes, packs, jobs, sounds.
#   stop_reading.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"
FAULTY=$5
OUT=$BOX/out
MODEL=$BOX/model
cp -rL "$DEMO" "$MODEL"
make=(generate -q --model "$MODEL" --unconditional 1 --frames 4 --seed 1 --threads 1 --out "$OUT")

# slow RANKS CALLS FILE command …: each of these calls on it takes a second (MS), and all of them ten seconds or minutes; it
# returns when the first one has come.
slow() {
    local n=$1 calls=$2 file=$3
    shift 3
    rm -rf "$OUT" "$BOX/met"
    start "$n" env LD_PRELOAD="$FAULTY" FAULT_CALLS="$calls" FAULT_PATH="$file" FAULT_MS="${MS:-1000}" FAULT_MET="$BOX/met" "$MG" "$@"
    for _ in $(seq 300); do
        [ -e "$BOX/met" ] && return
        sleep 0.1
    done
    verdict 1 'the first call comes'
}

# stops SENTENCE SIGNAL CODE: it does, soon, whole, and says so once.
stops() {
    kill -"$2" "$(pid_of 0)"
    over "$1" 4 3
    passes "$1: exit code $3" test "$job_code" = "$3"
    says "$1: it says so" "error: (\[.*\] )?stopped by $4"
    says_once "$1: one message"
    passes "$1: nothing is half-written" tidy "$BOX"
}

for signal in INT TERM USR1; do
    slow 1 read model.safetensors "${make[@]}"
    stops "$signal while weights are read" $signal 130 "$([ $signal = INT ] && echo Ctrl-C || echo SIG$signal)"
done

slow 1 take model.safetensors "${make[@]}" --pack-cache "$BOX/packs"
stops 'while weights are hashed' INT 130 Ctrl-C
passes 'while weights are hashed: there is no note of it' test -z "$(ls -A "$BOX/packs")"
expect 0 '' 'a pack is made' "$MG" "${make[@]}" --pack-cache "$BOX/packs"
slow 1 take model.safetensors bench load "$MODEL"
stops 'bench load' INT 130 Ctrl-C

# Two ranks: both are told, or only one, which ends the other.
for who in 0 '0 1'; do
    slow 2 read model.safetensors "${make[@]}" --tp 2
    for _ in $(seq 100); do
        [ -s "$BOX/rank.1" ] && break
        sleep 0.1
    done
    # shellcheck disable=SC2046
    kill -TERM $(for r in $who; do pid_of "$r"; done)
    over "rank $who of 2" 6 3
    passes "rank $who of 2: exit code 130" test "$job_code" = 130
    silenced || says_once "rank $who of 2: one message"
done

# Jobs: the file of a run has no end, or nobody writes into it.
list='{"id": "a", "prompt": "slow piano", "duration": 1}'
for _ in $(seq 5000); do echo "$list"; done >"$BOX/same.jsonl"
sed '=' "$BOX/same.jsonl" | sed 'N; s/\([0-9]*\)\n{"id": "a"/{"id": "a\1"/' >"$BOX/jobs.jsonl"
slow 1 take jobs.jsonl run --model "$MODEL" --jobs "$BOX/jobs.jsonl" --out "$OUT"
stops 'run: while jobs are read' INT 75 Ctrl-C
slow 1 read model.safetensors run --model "$MODEL" --jobs "$BOX/jobs.jsonl" --out "$OUT"
stops 'run: while weights are read' TERM 75 SIGTERM

listening() { # it has its handlers
    local i
    for ((i = 0; i < 600; i++)); do
        [ -s "$BOX/rank.0" ] && [ "$(readlink "/proc/$(pid_of 0)/exe")" = "$(readlink -f "$MG")" ] &&
            [ $((0x0$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$(pid_of 0)/status") & 2)) -ne 0 ] && break
        sleep 0.05
    done
    sleep 0.5
}
mkfifo "$BOX/pipe"
start 1 "$MG" run --model "$MODEL" --jobs "$BOX/pipe" --out "$OUT"
listening
stops 'run: nobody opens the pipe' TERM 75 SIGTERM
sleep 100 >"$BOX/pipe" &
writer=$!
start 1 "$MG" run --model "$MODEL" --jobs "$BOX/pipe" --out "$OUT"
listening
stops 'run: nobody writes into the pipe' TERM 75 SIGTERM
start 1 "$MG" generate --model "$MODEL" --prompts "$BOX/pipe" --out "$BOX/clips"
listening
stops 'generate: nobody writes into the pipe' TERM 130 SIGTERM
kill $writer

# Sounds: an hour of silence; of codes, whose decoding takes minutes.
{
    printf 'RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\0\x7d\0\0\0\xfa\0\0\x02\0\x10\0data\xff\xff\xff\xff'
    head -c $((3600 * 64000)) /dev/zero
} >"$BOX/hour.wav"
MS=50 slow 1 read hour.wav encode --model "$MODEL" --out "$OUT" "$BOX/hour.wav"
stops 'encode: while the sound is read' INT 130 Ctrl-C
{
    printf '\x93NUMPY\x01\0\x76\0%-117s\n' "{'descr': '<i4', 'fortran_order': False, 'shape': (4, 180000), }"
    head -c $((4 * 180000 * 4)) /dev/zero
} >"$BOX/hour.codes.npy"
start 1 "$MG" decode --model "$MODEL" --threads 1 --out "$OUT" "$BOX/hour.codes.npy"
for _ in $(seq 300); do
    grep -q 'decode: 1 file' "$BOX/said" && break
    sleep 0.1
done
sleep 1
stops 'decode: while the codes pass the codec' INT 130 Ctrl-C

# A dataset.
head -8 "$BOX/jobs.jsonl" >"$BOX/few.jsonl"
expect 0 'finished|8 clips' 'a dataset' "$MG" run --model "$MODEL" --jobs "$BOX/few.jsonl" --layout webdataset --out "$BOX/dataset"
slow 1 take 0000.tar verify "$BOX/dataset"
stops 'verify: while a shard is hashed' INT 130 Ctrl-C
passes 'verify: the stop is no finding' test "$(wc -l <"$BOX/said")" = 1
finish
