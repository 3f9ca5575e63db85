#!/bin/bash
# mg-dist status from another shell, while a run works and after it.
#   dataset_status.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

FAULTY=$5

# The run stands still with its second clip for as long as $BOX/hold is there.
for i in $(seq 1 8); do printf '{"id":"clip-%d","prompt":"song number %d","duration":1}\n' "$i" "$i"; done >"$BOX/jobs.jsonl"
touch "$BOX/hold"
LD_PRELOAD="$FAULTY" FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_SKIP=1 FAULT_HOLD="$BOX/hold" \
    timeout 200 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/d" --seed 5 --batch 2 >"$BOX/run" 2>&1 &
for _ in $(seq 600); do ls "$BOX/d/train"/*.flac >"$BOX/note" 2>&1 && break; sleep 0.1; done
timeout 200 "$MG" status "$BOX/d" --watch --json >"$BOX/objects" 2>"$BOX/note" &
timeout 200 "$MG" status "$BOX/d" --watch >"$BOX/watched" 2>&1 &
watcher=$!
expect 0 '^running on .*process' 'status while a run works' "$MG" status "$BOX/d"
passes 'what a replica has at hand' grep -q '^  replica 0 on .*: [0-9]* clips*, at hand:' "$BOX/said"
for what in verify report; do
    expect 1 'run.db: another process has it open: a run is at work here .*; wait for its end, or stop it' "$what does not look meanwhile" "$MG" $what "$BOX/d"
done
for _ in $(seq 600); do [ "$(grep -c '^running on' "$BOX/watched")" -lt 2 ] || break; sleep 0.1; done
rm "$BOX/hold"
wait $watcher
passes '--watch looks again and again' test $? = 0
cp "$BOX/watched" "$BOX/said"
passes 'until the run ends' test "$(grep -E '^(running|stopped|finished) on' "$BOX/said" | tail -1 | cut -d' ' -f1)" = finished
passes 'more than once' test "$(grep -c '^running on' "$BOX/said")" -gt 1
wait
passes 'the run has ended too' test -s "$BOX/d/SHA256SUMS"
passes '--json --watch: an object each time, and the counts go up' python3 -c "
import json
text, at, seen = open('$BOX/objects').read(), 0, []
decoder = json.JSONDecoder()
while text[at:].strip():
    at += len(text[at:]) - len(text[at:].lstrip())
    value, at = decoder.raw_decode(text, at)
    seen.append(value)
assert len(seen) > 1 and seen[-1]['state'] == 'finished' and seen[0]['state'] == 'running', seen
assert [s['done'] for s in seen] == sorted(s['done'] for s in seen) and seen[-1]['done'] == seen[-1]['total'] == 8, seen
assert all(s['done'] + s['failed'] + s['left'] == s['total'] for s in seen)
assert seen[0]['replicas'][0]['replica'] == 0"
expect 0 '^finished on' 'after it' "$MG" status "$BOX/d" --watch
expect 0 '^8 of 8 clips done, 0 failed, 0 left' 'all of them' "$MG" status "$BOX/d"
expect 0 'goes on: 8 of 8' 'two replicas with nothing to do' ranks 2 "$MG" run --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/d" \
    --seed 5 --tp 1
expect 0 '^  replica 1 on [^ ]+: 0 clips$' 'have said where they are' "$MG" status "$BOX/d"
passes 'the first one too' grep -Eq '^  replica 0 on [^ ]+: 0 clips' "$BOX/said"
expect 0 '^finished on' 'a status that is replaced while it is read' env LD_PRELOAD="$FAULTY" FAULT_CALLS=open FAULT_ERRNO=116 \
    FAULT_PATH=status.json FAULT_COUNT=2 "$MG" status "$BOX/d"
sed -i 's/"state": "finished"/"state": "running"/; s/"time": [0-9]*/"time": 1000000000/' "$BOX/d/.mg-dist/status.json"
sh -c 'exit 0' &
ended=$!
wait $ended
sed -i "s/\"pid\": [0-9]*/\"pid\": $ended/" "$BOX/d/.mg-dist/status.json"
expect 0 "^cut off on .* \(process $ended\), which is gone; start the same mg-dist run again to go on" 'a run that was killed on this host' \
    timeout 60 "$MG" status "$BOX/d" --watch
expect 0 '"state":.*"cut off"' 'as an object, too' "$MG" status "$BOX/d" --json
sed -i "s/\"time\": [0-9]*/\"time\": $(date +%s)/" "$BOX/d/.mg-dist/status.json"
expect 0 "^cut off on .* which is gone" 'one that has just let go of its lock' "$MG" status "$BOX/d"
touch "$BOX/d/.mg-dist/lock"
expect 0 '^running on ' 'but not while somebody holds it' "$MG" status "$BOX/d"
rm "$BOX/d/.mg-dist/lock"
sed -i 's/"time": [0-9]*/"time": 1000000000/' "$BOX/d/.mg-dist/status.json"
sed -i "s/\"pid\": [0-9]*/\"pid\": $$/" "$BOX/d/.mg-dist/status.json"
expect 0 'not heard of for [0-9]* s: it may be gone' 'a run that is silent' "$MG" status "$BOX/d"
python3 - "$BOX/d/.mg-dist/status.json" <<'END'
import json, sys, time
s = json.load(open(sys.argv[1]))
s["time"] = int(time.time())
s["replicas"][1]["silent_s"] = 75
json.dump(s, open(sys.argv[1], "w"))
END
expect 0 '^  replica 1 on .*; not heard of for 75 s' 'a replica that is silent' "$MG" status "$BOX/d"
echo '{' >"$BOX/d/.mg-dist/status.json"
expect 1 'status.json' 'a file that is none' "$MG" status "$BOX/d"
expect 2 'no run has begun here' 'another folder' "$MG" status "$BOX"
finish
