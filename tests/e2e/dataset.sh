#!/bin/bash
# mg-dist run: a list of jobs becomes a dataset, the same bytes whatever ranks, batch and order made it.
#   dataset.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS
. "$(dirname "$0")/lib.sh" "$1" "$2"
FACTS=$4

cat >"$BOX/jobs.jsonl" <<'END'
{"id":"a","prompt":"slow sad piano","duration":1.5}
{"id":"b.1","prompt":"drums","duration":1}
{"id":"雨","prompt":"techno","duration":2,"n":2}
{"prompt":"waltz","duration":0.5,"seed":4}
{"id":"e","prompt":"","duration":1}
END
run() { local n=$1 out=$2; shift 2; ranks "$n" "$MG" run --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/$out" --seed 5 "$@"; }
# What a dataset is but for its state: one line a file.
facts() { (cd "$BOX/$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
like() { if [ "$(facts "$2")" = "$(facts "$3")" ] && [ -n "$(facts "$2")" ]; then verdict 0 "$1"; else verdict 1 "$1"; diff <(facts "$2") <(facts "$3") | sed 's/^/#   /'; fi; }

expect 0 'run: 6 of 6 clips.* 0 failed' 'six clips of five jobs' run 1 one --batch 2
passes 'every file has its sum' sh -c "cd '$BOX/one' && sha256sum -c SHA256SUMS"
passes 'the sums are of all files' test "$(wc -l <"$BOX/one/SHA256SUMS")" = "$(facts one | grep -vc SHA256SUMS)"
passes 'a second and a half at 32 kHz' grep -q '^48000 1 32000 ' <("$FACTS" "$BOX/one/train/a.flac")
passes 'a line of metadata for each clip' test "$(grep -c '^{"file_name":".*flac","id":' "$BOX/one/train/metadata.jsonl")" = 6
passes "a job's own seed" grep -q '"id":"0000003","prompt":"waltz",.*"seed":4,' "$BOX/one/train/metadata.jsonl"
fails 'nothing is left of the work' sh -c "ls '$BOX/one/.mg-dist/making/0' | grep ."
expect 0 '' 'four ranks, two and two' run 4 four --tp 2 --threads 1
like 'the same bytes' one four
expect 0 '' 'two replicas, one clip at a time' run 2 two --tp 1 --batch 1
like 'the same bytes' one two
expect 0 'goes on: 6 of 6 clips are done' 'the same command again has nothing to do' run 1 one
like 'and changes nothing' one four
expect 2 'was begun with seed 5, and this run has 6' 'another seed is refused' run 1 one --seed 6
expect 2 'was begun with settings temperature none, and this run has temperature 0.5:' 'and another temperature' run 1 one --temperature 0.5
expect 2 'was begun with cpu-level cpu/.*, and this run has cpu/scalar' 'and other instructions' run 1 one --cpu-level scalar --dtype fp16
# A fine-tune: the same names and shapes, the same text encoder and codec at the end of the file.
cp -r "$DEMO" "$BOX/tuned"
dd if="$DEMO/model.safetensors" of="$BOX/tuned/model.safetensors" bs=4096 skip=1000 seek=1200 count=200 conv=notrunc status=none
expect 2 'was begun with model [0-9a-f]{64}, and this run has' 'and another model of the same make' run 1 one --model "$BOX/tuned"
mv "$BOX/tuned" "$BOX/moved" && cp "$DEMO/model.safetensors" "$BOX/moved"
expect 0 'goes on: 6 of 6' 'but not the same one in another place' run 1 one --model "$BOX/moved"
expect 2 'was begun with layout audiofolder, and this run has webdataset' 'and another layout' run 1 one --layout webdataset

expect 0 '' 'shards of two clips' run 2 tars --layout webdataset --shard-clips 2 --name set
passes 'three of them' test "$(cd "$BOX/tars" && echo set-*.tar)" = 'set-000000.tar set-000001.tar set-000002.tar'
MGDIST_SHARD_SIZE=1B expect 0 '' 'shards of a size, as a variable says' run 1 small --layout webdataset --name set
passes 'one for each clip' test "$(find "$BOX/small" -name 'set-*.tar' | wc -l)" = 6
passes 'in the order of the jobs, keys without dots' test "$(tar tf "$BOX/tars/set-000000.tar" | tr '\n' ' ')" = 'a.flac a.json b_1.flac b_1.json '
passes 'with the sound of the other layout' sh -c "tar xOf '$BOX/tars/set-000000.tar' a.flac | cmp - '$BOX/one/train/a.flac'"
passes 'the sums are right' sh -c "cd '$BOX/tars' && sha256sum -c SHA256SUMS"
expect 0 '' 'for AudioCraft' run 1 craft --layout audiocraft
passes 'its manifest has a line for each clip' test "$(grep -c '^{"path":"train/.*","duration":.*"sample_rate":32000' "$BOX/craft/egs/train/data.jsonl")" = 6
passes 'its card shows the sounds alone' grep -qF 'path: "train/**/*.flac"' "$BOX/craft/README.md"
passes 'and each clip its description' grep -q '"description": "slow sad piano"' "$BOX/craft/train/a.json"

printf '{"prompt":"x","duration":1}\n{"colour":1}\n{"id":"../x"}\n' >"$BOX/bad.jsonl"
expect 2 'line 2: colour: no such key.*and 1 more' 'bad jobs are refused' ranks 1 "$MG" run --model "$DEMO" --jobs "$BOX/bad.jsonl" --out "$BOX/bad"
expect 2 'line 3: id: "../x": may not hold' '--check says all of them' "$MG" run --jobs "$BOX/bad.jsonl" --out "$BOX/bad" --check
expect 0 '6 clips, nothing is wrong' 'and nothing of good ones' "$MG" run --jobs "$BOX/jobs.jsonl" --check
printf '{"id":"good","prompt":"x","duration":1}\n{"id":"lost","prompt":"x","duration":1,"audio_prompt":"none.wav","prompt_duration":0.5}\n' >"$BOX/half.jsonl"
expect 3 '1 of 2 clips failed; failures.jsonl says why' 'a job that cannot be made is no end of the run' \
    ranks 1 "$MG" run --model "$DEMO" --jobs "$BOX/half.jsonl" --out "$BOX/half"
says 'the log names it' 'error: clip lost: .*none.wav: cannot open'
passes 'it is listed with its reason' grep -q '"id":"lost","line":2,"reason":".*none.wav: cannot open: No such file' "$BOX/half/failures.jsonl"
expect 0 '^finished on .*process' 'status after a run' "$MG" status "$BOX/half"
passes 'done and failed' grep -q '^1 of 2 clips done, 1 failed, 0 left' "$BOX/said"
expect 0 '"failed": 1,' 'the same as JSON' "$MG" status "$BOX/half" --json
expect 2 'no run has begun here' 'status of another folder' "$MG" status "$BOX"
expect 0 '1 clip waits for the next run' 'retry-failed' "$MG" retry-failed "$BOX/half"
expect 0 '^1 of 2 clips done, 0 failed, 1 left' 'which status knows' "$MG" status "$BOX/half"
says 'it is not finished' '^stopped on'
expect 0 '"eta_s":[[:space:]]*(0[.]0*)?[1-9]' 'and how long it may take' "$MG" status "$BOX/half" --json
expect 0 'no clip has failed, and 1 waits for the next run anyway' 'retry-failed of none' "$MG" retry-failed "$BOX/half"
cp "$BOX/one/train/a.flac" "$BOX/none.wav"
expect 0 '2 of 2 clips, ' 'and with the missing file there the next run makes it' \
    ranks 1 "$MG" run --model "$DEMO" --jobs "$BOX/half.jsonl" --out "$BOX/half"
passes 'no failure is left' test ! -s "$BOX/half/failures.jsonl"
printf '{"prompt":"%s","duration":0.2}\n' "$(yes 'slow calm piano, ' | head -250 | tr -d '\n')" >"$BOX/text.jsonl"
expect 0 '1 of 1 clips, ' 'a text of more than 512 tokens' ranks 1 "$MG" run --model "$DEMO" --jobs "$BOX/text.jsonl" --out "$BOX/text"
gzip -c "$BOX/jobs.jsonl" >"$BOX/packed.jsonl.gz"
expect 0 '' 'packed jobs from standard input' sh -c "'$MG' run --model '$DEMO' --jobs - --out '$BOX/stdin' --seed 5 <'$BOX/packed.jsonl.gz'"
like 'are the same jobs' one stdin
finish
