#!/bin/bash
# mg-dist bench scaling: a grid is measured point by point, each costs only itself, and a sweep goes on where it was killed.
#   scaling.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

sweep() { local out=$1; shift; timeout 300 "$MG" bench scaling --shape tiny --steps 5 --warmup 1 --repeats 1 --out "$BOX/$out" "$@"; }
# column NAME FILE: of the CSV, after the points.
column() { python3 -c 'import csv,sys
for r in csv.DictReader(open(sys.argv[2])): print(r["np"],r["tp"],r["batch"],r["repeat"],r["status"],r[sys.argv[1]])' "$@"; }

# What real ranks do.
expect 0 '^mpirun -n 2 --bind-to none .* bench step --shape tiny .*--tp 2 --batch 3' 'a dry run prints the commands' \
    sweep none --np 1,2 --tp 1,2 --batch 3 --dry-run
says 'and why others are left out' '^# np1-tp2-b3: skipped: T = 2 does not divide 1 rank$'
says 'of ten seconds, which are written so' '--seconds 10 --tp 2'
fails 'and makes no folder' test -e "$BOX/none"
says 'ranks are not bound: each has its share of the processors' '^mpirun -n 2 --bind-to none .*mg-dist'
expect 0 '^mpirun -n 2 --bind-to core [^-]*mg-dist' 'unless they are to be' sweep none --np 2 --tp 2 --batch 3 --dry-run --launcher-args='--bind-to core'
expect 0 ' --shape tiny ' "a variable's model does not take the place of --shape" \
    env MGDIST_MODEL="$DEMO" "$MG" bench scaling --shape tiny --np 1 --tp 1 --batch 1 --dry-run
expect 0 ' --seconds 12\.345678 ' 'the length is given whole' sweep none --np 1 --tp 1 --batch 1 --duration 12.345678 --dry-run
expect 0 '3 points measured, 1 skipped, 0 failed' 'a grid' sweep real --np 1,2 --tp 1,2 --batch 2 --launcher-args='--oversubscribe --bind-to none'
passes 'a line each' test "$(wc -l <"$BOX/real/results.jsonl")" = 4
passes 'the same codes at every point' test "$(column codes "$BOX/real/results.csv" | grep ' ok ' | cut -d' ' -f6 | sort -u | wc -l)" = 1
passes 'the steps are around the middle of the clip: of 503 columns 9 from 247, one of them to warm up' \
    grep -q '"position": 252,' "$BOX/real/results.jsonl"
passes 'parts and rest are the step' python3 -c 'import csv,sys
parts=["products_ms","attention_ms","all_reduce_ms","waiting_ms","sampling_ms","rest_ms"]
n=0
cpu=["","%d x %s"%(open("/proc/cpuinfo").read().count("\nprocessor")+1, next((l.split(":",1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")),""))]
for r in csv.DictReader(open(sys.argv[1])):
    if r["status"]!="ok": continue
    n+=1
    whole=float(r["split_step_ms"])
    assert abs(sum(float(r[p]) for p in parts)-whole)<0.01+0.01*whole, r
    assert float(r["products_ms"])>0 and float(r["step_min_ms"])<=float(r["step_ms"])<=float(r["step_p95_ms"])
    assert (float(r["all_reduce_ms"])>0)==(r["tp"]=="2"), r
    bare=r["bare_all_reduce_ms"]
    assert (bare!="")==(r["tp"]=="2") and (not bare or 0<float(bare)), r
    # 2 layers with sums of 4, 2 and 4 rows of 128 numbers; and half of the logits: 4 rows of 4 x 2048 numbers
    if bare: assert r["sums_per_step"]=="7" and float(r["sum_bytes_per_step"])==4*(2*10*128+4*4*2048//2), r
    assert r["binding"].count(" cores ")==int(r["np"]) and ": 0 cores " in r["binding"] and r["device"] in cpu, r
    # 500 frames and 3 columns more; then both clips are decoded, at once
    steps,decode,both=503e-3*(float(r["step_ms"])+float(r["sampling_ms"])),float(r["decode_first_ms"])/1e3,float(r["decode_batch_ms"])/1e3
    got=[float(r[k]) for k in ("clip_steps_s","first_sample_s","last_sample_s")]
    assert decode>0 and both==decode and all(abs(g-e)<1e-4*e for g,e in zip(got,(steps,steps+decode,steps+both))), r
    assert (r["joules_per_step"]=="")==(r["energy_from"]==""), r
    assert int(r["threads"])>0, r
assert n==3' "$BOX/real/results.csv"
cp "$BOX/real/results.jsonl" "$BOX/before"
expect 0 '3 points measured' 'the same command measures nothing again' sweep real --np 1,2 --tp 1,2 --batch 2 --launcher-args='--oversubscribe --bind-to none'
passes 'nor writes a line' cmp "$BOX/before" "$BOX/real/results.jsonl"
expect 2 'holds results of "tiny' 'other settings are refused' sweep real --np 1 --tp 1 --batch 2 --duration 5
sed -i 's/"version":"[^"]*"/"version":"0.0.1"/' "$BOX/real/results.jsonl"
expect 2 'version 0.0.1.*--mixed ok' 'another version is refused' sweep real --np 1 --tp 1 --batch 2 --launcher-args='--oversubscribe --bind-to none'
expect 0 '1 points measured' 'unless it may be' sweep real --np 1 --tp 1 --batch 2 --mixed ok --launcher-args='--oversubscribe --bind-to none'

# What a launcher may do: this one says what bench step says, but the step's time is its point's.
grep -m1 -o '"result":{.*}' "$BOX/before" | sed 's/^"result"://; s/}$//' >"$BOX/object"
cat >"$BOX/launch" <<END
#!/bin/bash
np=\$2
tp=\$(sed 's/.*--tp \([0-9]*\).*/\1/' <<<"\$*")
batch=\$(sed 's/.*--batch \([0-9]*\).*/\1/' <<<"\$*")
echo "\$np \$tp \$batch" >>"$BOX/launched"
case "\$np-\$batch" in
4-1) echo "node7: it fell over" >&2; kill -SEGV \$\$ ;;
4-2) echo "mg-dist: error: memory: 4 ranks need more" >&2; exit 5 ;;
4-3) [ ! -e "$BOX/hang" ] || exec sleep 600 ;;
4-5) echo 'no object' ; exit 0 ;;
4-7) printf 'srun: n\351ant\n' >&2; exit 1 ;; # Latin-1
4-8) printf 'mg-dist: error: ' >&2; printf 'é%.0s' {1..200} >&2; exit 1 ;;
4-9) printf '%s\n' ---- 'There are not enough slots available in the system to satisfy the 4' >&2; exit 1 ;;
esac
[ ! -e "$BOX/slow" ] || sleep 0.2
sed "s/\"ms_per_step\": [0-9.]*/\"ms_per_step\": \$np\$tp\$batch/" "$BOX/object"
END
chmod +x "$BOX/launch"
fake() { local out=$1; shift; sweep "$out" --launcher "$BOX/launch" "$@"; }
grid=(--np 2,4 --tp 2 --batch 1,2,3,5 --repeats 2)
touch "$BOX/hang"
expect 3 '3 of 8 points failed' 'points that crash, hang and print nothing' fake crash "${grid[@]}" --limit 4
rm "$BOX/hang"
expect 1 'more ranks than cores.*--launcher-args=--oversubscribe' 'more ranks than slots' fake slots --np 4 --tp 2 --batch 9 --repeats 1
column reason "$BOX/crash/results.csv" >"$BOX/said"
says 'a crash is recorded' '^4 2 1 1 failed node7: it fell over'
says 'what does not fit is skipped' '^4 2 2 1 skipped memory: 4 ranks need more'
says 'what hangs is ended' '^4 2 3 1 failed not done within 4 s'
says 'what prints nothing has failed' '^4 2 5 1 failed'
fake tongues --np 4 --tp 2 --batch 7,8 >"$BOX/log" 2>&1
column reason "$BOX/tongues/results.csv" >"$BOX/tongue"
passes 'a sentence that is not UTF-8 is told' grep -q 'failed srun: n\\xe9ant$' "$BOX/tongue"
passes 'a long one is cut between characters' grep -q 'failed é\{119\}$' "$BOX/tongue"
passes 'each costs only itself' test "$(grep -c ' ok ' "$BOX/said")" = 8
passes 'its log is there' grep -q 'it fell over' "$BOX/crash/logs/np4-tp2-b1-1.log"
expect 3 '3 of 8 points failed' 'the same command does not try them again' fake crash "${grid[@]}" --limit 4
passes 'it was tried once' test "$(grep -c '^4 2 1$' "$BOX/launched")" = 1
expect 3 '2 of 8 points failed' 'unless asked to' fake crash "${grid[@]}" --limit 60 --retry-failed
column reason "$BOX/crash/results.csv" >"$BOX/said"
says 'then it is measured' '^4 2 3 2 ok'

expect 0 '1 points measured' 'a sweep that will go on elsewhere' fake moved --np 2 --tp 1 --batch 4
sed -i 's/"device": "[^"]*"/"device": "3 x Elsewhere"/' "$BOX/moved/results.jsonl"
cp "$BOX/moved/results.jsonl" "$BOX/before"
expect 2 'holds results of "3 x Elsewhere" \(cpu/.*, and this is "[^"]+" .*--mixed ok' 'another machine is refused' fake moved --np 2 --tp 1 --batch 4,6
passes 'and its point is not kept' cmp "$BOX/before" "$BOX/moved/results.jsonl"
expect 0 '2 points measured' 'unless it may be' fake moved --np 2 --tp 1 --batch 4,6 --mixed ok
expect 0 '' 'both kinds of sweep' sweep none --np 1,2 --tp 1,2 --batch 4,6 --strong --weak --dry-run
passes 'take the least batch' test "$(grep -c -- '--batch 4' "$BOX/said"; grep -c -- '--batch' "$BOX/said")" = "3
3"
expect 2 '--strong measures one replica; give --np and --tp a number that is in both' 'no one replica' sweep none --np 4 --tp 1,2 --strong --dry-run

# Killed three times, and once with half a line: the same table.
grid=(--np 2,4,8 --tp 1,2 --batch 4,6 --repeats 2)
fake whole "${grid[@]}" >"$BOX/said" 2>&1
passes 'every second round goes backwards' cmp <(tail -n 24 "$BOX/launched" | head -n 12) <(tail -n 12 "$BOX/launched" | tac)
touch "$BOX/slow"
for n in 1 2 3; do
    "$MG" bench scaling --shape tiny --steps 5 --warmup 1 --out "$BOX/cut" --launcher "$BOX/launch" "${grid[@]}" >"$BOX/said" 2>&1 &
    job=$!
    for ((i = 0; i < 600; i++)); do
        [ "$(cat "$BOX/cut/results.jsonl" 2>/dev/null | wc -l)" -ge $((3 * n)) ] && break
        sleep 0.05
    done
    kill -9 $job
    wait $job 2>/dev/null
done
rm "$BOX/slow"
passes 'it was killed in the middle' test "$(wc -l <"$BOX/cut/results.jsonl")" -lt 24
printf '{"np":2,"tp":1,"ba' >>"$BOX/cut/results.jsonl"
expect 0 'last line was cut off' 'a line that is cut off is said' fake cut "${grid[@]}"
# All columns: this launcher's times are its points'.
passes 'the table is that of a sweep that was not killed' diff <(sort "$BOX/cut/results.csv") <(sort "$BOX/whole/results.csv")
passes 'of all repeats' test "$(column step_ms "$BOX/cut/results.csv" | grep -c ' ok ')" = 24
echo 'not json' >>"$BOX/whole/results.jsonl"
expect 1 'results.jsonl: line 25' 'a line that is none is named' fake whole "${grid[@]}"

# Ranks that a scheduler stops: no point has failed, and the sweep is over for now. srun's code is that of what it killed then.
mkdir "$BOX/told"
printf '#!/bin/sh\necho "[n2:3] mg-dist: error: stopped by SIGTERM: what" >&2\n[ ! -e "%s" ] || exec sleep 60\nexit 137\n' "$BOX/late" >"$BOX/told/srun"
chmod +x "$BOX/told/srun"
expect 75 'its ranks were told to stop: what is measured is kept, and the same command goes on' 'ranks that are told to stop' sweep preempted --launcher "$BOX/told/srun" --np 2,4 --tp 1 --batch 1
passes 'no point has failed by it' test ! -s "$BOX/preempted/results.jsonl"
printf '#!/bin/sh\necho "{\"level\":\"error\",\"message\":\"stopped by SIGTERM: what\"}" >&2\nexit 137\n' >"$BOX/told/json"
printf '#!/bin/sh\n[ "$MGDIST_LOG_FORMAT" = json ] && exec "%s"\nexec "%s"\n' "$BOX/told/json" "$BOX/told/srun" >"$BOX/told/either"
mkdir "$BOX/either" && cp "$BOX/told/either" "$BOX/either/srun" && chmod +x "$BOX/told/json" "$BOX/either/srun"
MGDIST_LOG_FORMAT=json expect 75 'its ranks were told to stop' 'also where logs are JSON' sweep json --launcher "$BOX/either/srun" --np 2 --tp 1 --batch 1
touch "$BOX/late"
expect 1 '1 of 1 points failed' 'ranks that the sweep itself told to, for they were late' sweep late-out --launcher "$BOX/told/srun" --np 2 --tp 1 --batch 1 --limit 1
rm "$BOX/late"
mv "$BOX/told/srun" "$BOX/told/mpirun"
expect 1 '1 of 1 points failed' 'and those that mpirun told to, beside one that crashed' sweep beside --launcher "$BOX/told/mpirun" --np 2 --tp 1 --batch 1

printf '#!/bin/sh\nyes noise | head -c 2000000\nyes "a rank complains" | head -c 17000000 >&2\necho "mg-dist: error: in the end" >&2\nexit 1\n' >"$BOX/told/loud"
chmod +x "$BOX/told/loud"
expect 1 '2 of 2 points failed; .*: in the end' 'ranks that say very much have failed, and the sweep goes on' \
    sweep loud --launcher "$BOX/told/loud" --np 2 --tp 1 --batch 1,2

# A node that is lost under srun: points to come would wait for it, too.
# ends CODE SAYS FAILED WHAT [OPTIONS…]: a sweep whose points all fail with WHAT, of which the shell takes $2, a point's ranks
ends() {
    local waits=
    [ ! -e "$BOX/late" ] || waits='exec sleep 60'
    printf '#!/bin/sh\necho "%s" >&2\n%s\nexit 6\n' "$4" "$waits" >"$BOX/told/srun"
    chmod +x "$BOX/told/srun"
    rm -rf "$BOX/gone"
    expect "$1" "$2" "a sweep ends with $1: $4" sweep gone --launcher "$BOX/told/srun" --np 2,4 --tp 1 --batch 4 "${@:5}"
    passes "$3 points have failed" test "$(grep -c '"status":"failed"' "$BOX/gone/results.jsonl")" = "$3"
}
stuck='all_reduce: waited 300 s for rank 1 (host n2, pid 5): it is stuck'
ends 6 'a node or a GPU was lost' 1 "mg-dist: error: $stuck"
ends 1 '2 of 2 points failed' 2 "mg-dist: warning: $stuck"
touch "$BOX/late"
ends 1 '2 of 2 points failed' 2 "mg-dist: error: $stuck" --limit 1
rm "$BOX/late"
# A point may make a GPU fail by itself, two of the same one hardly.
ends 1 '2 of 2 points failed' 2 'mg-dist: error: cuda: GPU $2 (host n2, 0000:4E:00.0): x'
ends 6 'a node or a GPU was lost' 2 'mg-dist: error: cuda: GPU 1 (host n2, 0000:4E:00.0): x of $2'
ends 6 'a node or a GPU was lost' 1 'srun: error: Task launch for StepId=5.3 failed on node n2: Communication connection failure'
cp "$BOX/launch" "$BOX/told/srun"
expect 3 '1 points measured, 0 skipped, 1 failed' 'the same command goes on without it' sweep gone --launcher "$BOX/told/srun" --np 2,4 --tp 1 --batch 4

touch "$BOX/hang"
"$MG" bench scaling --shape tiny --out "$BOX/stop" --launcher "$BOX/launch" --np 4 --tp 1 --batch 3 >"$BOX/said" 2>&1 &
job=$!
for ((i = 0; i < 600; i++)); do [ -e "$BOX/stop/logs/np4-tp1-b3-1.log" ] && break; sleep 0.05; done
expect 2 'another sweep is at work' 'a folder is of one sweep at a time' "$MG" bench scaling --shape tiny --out "$BOX/stop" --launcher "$BOX/launch" \
    --np 4 --tp 1 --batch 3
kill -TERM $job
wait $job
passes 'a signal stops it: the same command goes on' test $? = 75
passes 'in good order' test ! -s "$BOX/stop/results.jsonl"

expect 2 'no point is possible; np3-tp2-b1: T = 2 does not divide 3 ranks' 'a grid with nothing possible' sweep n --np 3 --tp 2 --batch 1
expect 2 'no point is possible; np8-tp8-b1: T = 8 does not divide 4 heads' 'more ranks than heads' sweep n --np 8 --tp 8 --batch 1
expect 2 'not a list' 'no list' sweep n --np 1,x
expect 2 'there is no such program' 'no launcher' sweep n --np 2 --tp 2 --launcher no-such-program
expect 2 'hostfile: .*No such file' 'no hostfile' sweep n --np 2 --tp 2 --hostfile "$BOX/hosts"
echo 'localhost slots=1' >"$BOX/hosts"
expect 1 '1 of 1 points failed' 'a hostfile that is too small' sweep small --np 2 --tp 2 --batch 1 --hostfile "$BOX/hosts"
expect 2 'start it without a launcher' 'under a launcher' ranks 2 "$MG" bench scaling --shape tiny --out "$BOX/n"
finish
