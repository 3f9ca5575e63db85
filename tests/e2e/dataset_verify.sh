#!/bin/bash
# mg-dist verify of a dataset: every kind of damage is one line that names the thing, and the exit code is 1.
#   dataset_verify.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"
FAULTY=$5

cat >"$BOX/jobs.jsonl" <<'END'
{"id":"a","prompt":"slow sad piano","duration":1.5,"title":"A song"}
{"id":"b.1","prompt":"drums","negative_prompt":"flute","duration":1}
{"id":"雨","prompt":"techno","duration":1,"n":2}
{"prompt":"waltz","duration":0.5,"seed":4}
{"id":"e","prompt":"","duration":1}
{"id":"lost","prompt":"x","duration":1,"audio_prompt":"none.wav","prompt_duration":0.5}
END
run() { local out=$1; shift; timeout 600 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/$out" --seed 5 --shard-clips 2 "$@"; }
# A dataset to damage.
fresh() { rm -rf "$BOX/d"; cp -a "$BOX/$1" "$BOX/d"; }
# finds PATTERN SENTENCE: exactly one line, besides the summary, and exit code 1; the remedy is in it.
finds() {
    "$MG" verify -q "$BOX/d" >"$BOX/lines" 2>"$BOX/said"
    local code=$?
    if [ $code = 1 ] && [ "$(wc -l <"$BOX/lines")" = 2 ] && head -1 "$BOX/lines" | grep -Eq -- "$1.*; ." &&
        grep -q ': 1 thing is wrong' "$BOX/said"; then
        verdict 0 "$2"
    else
        verdict 1 "$2"
        echo "# exit code $code; expected one line like: $1; it said:"
        sed 's/^/#   /' "$BOX/lines" "$BOX/said"
    fi
}
# flip FILE OFFSET: another byte there.
flip() {
    local old
    old=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | od -An -tu1)
    printf "$(printf '\\%03o' $((old ^ 64)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

for layout in audiofolder webdataset audiocraft; do
    run $layout --layout $layout >"$BOX/said" 2>&1
    expect 0 "^$layout: 6 clips, 6.0 s of sound, .* 1 job failed" "$layout: nothing is wrong" "$MG" verify "$BOX/$layout"
    expect 0 '"passed": true' 'the same as JSON' "$MG" verify "$BOX/$layout" --json
    cp -r "$BOX/$layout" "$BOX/bare" && rm -rf "$BOX/bare/.mg-dist"
    expect 0 'without .mg-dist' 'nor without the state' "$MG" verify "$BOX/bare/"
    rm -rf "$BOX/bare"
    expect 0 '3 clips made again' 'three clips made again have the same bytes' "$MG" verify "$BOX/$layout" --replay 3 --model "$DEMO"
    says 'and not from the seed of the call' 'generate: 3 clips .* seeds of their own'
    fails 'nothing is left of them' sh -c "ls -A '$BOX' | grep replay"
    mkdir -p "$BOX/elsewhere"
    expect 0 '1 clip made again' 'where the dataset may only be read' sh -c 'cd "$0/elsewhere" && LD_PRELOAD="$1" FAULT_CALLS=open \
        FAULT_ERRNO=30 FAULT_PATH="$0/.probe" "$2" verify -q "$0/$3" --replay 1 --model "$4"' "$BOX" "$FAULTY" "$MG" "$layout" "$DEMO"
    passes 'nothing is left of it' rmdir "$BOX/elsewhere"
    for list in manifest.jsonl SHA256SUMS failures.jsonl README.md; do
        fresh $layout; rm "$BOX/d/$list"
        finds "^$list: missing" "$list missing"
        rm -r "$BOX/d/.mg-dist"
        finds "^$list: missing" 'without the state too'
    done
    fresh $layout; sed -i '1s/"file":/"flie":/' "$BOX/d/manifest.jsonl"
    expect 1 '^manifest.jsonl: cannot be made again: its line has no file' 'a clip whose line has no file' "$MG" verify -q "$BOX/d" --replay 6 --model "$DEMO"
    says 'the other five are, the last one too' '^.*5 clips made again'
    fresh $layout; echo >>"$BOX/d/README.md"
    finds '^README.md: its sha256 is not that of SHA256SUMS' 'another card'
    fresh $layout; sed -i 's/"seed":4,/"seed":5,/' "$BOX/d/manifest.jsonl"
    finds 'seed' 'another seed in the manifest'
    fresh $layout; sed -i '1s/^{/[/' "$BOX/d/manifest.jsonl"
    expect 1 'manifest.jsonl: line 1: ' 'a broken line in the manifest' "$MG" verify -q "$BOX/d"
    fresh $layout; touch "$BOX/d/notes.txt"
    finds '^notes.txt: not of the dataset: no list names it' 'a file that no list names'
    fresh $layout; sed -i '2s/^......../00000000/' "$BOX/d/SHA256SUMS"
    finds '^SHA256SUMS: line 2: is not the hash of' 'a wrong hash in SHA256SUMS'
    fresh $layout; sed -i '2d' "$BOX/d/SHA256SUMS"
    finds '^SHA256SUMS: no line for' 'a line missing in SHA256SUMS'
    fresh $layout; echo 'no sums' >"$BOX/d/SHA256SUMS"
    finds '^SHA256SUMS: line 1: is no hash' 'no sums at all'
    fresh $layout; sed -i 's/"sha256":"......../"sha256":"00000000/' "$BOX/d/manifest.jsonl"
    expect 1 'manifest.jsonl' 'wrong hashes in the manifest' "$MG" verify -q "$BOX/d"
    fresh $layout; cat "$BOX/d/manifest.jsonl" "$BOX/d/manifest.jsonl" >"$BOX/twice"; cp "$BOX/twice" "$BOX/d/manifest.jsonl"
    expect 1 'id a is there twice' 'ids twice' "$MG" verify -q "$BOX/d"
    fresh $layout; echo '{"id":"a","line":1,"reason":"x","tries":1}' >>"$BOX/d/failures.jsonl"
    finds '^failures.jsonl: line 2: a failed, and is in manifest.jsonl too' 'done and failed'
    fresh $layout; : >"$BOX/d/failures.jsonl"
    finds '^failures.jsonl: has 0 jobs, and .mg-dist/run.db 1' 'a failure that is gone'
    fresh $layout; sqlite3 "$BOX/d/.mg-dist/run.db" "UPDATE job SET state='waiting' WHERE id='e'" &&
        finds 'manifest.jsonl: line 6: e, which .mg-dist/run.db does not have as done' 'a clip that the state does not have'
    fresh $layout; sqlite3 "$BOX/d/.mg-dist/run.db" "UPDATE note SET value='running' WHERE name='state'" &&
        finds '^.mg-dist/run.db: a run was cut off here' 'a run that was cut off'
    fresh $layout; head -c 3000 "$BOX/$layout/.mg-dist/run.db" >"$BOX/d/.mg-dist/run.db"
    expect 1 'run.db: damaged, or not the state of a dataset' 'a state that is none' "$MG" verify -q "$BOX/d"
done

for layout in audiofolder audiocraft; do
    fresh $layout; touch "$BOX/d/train/"$'\xff.flac'
    finds '^train/.xff.flac: not of the dataset: no list names it' 'a file whose name is no UTF-8'
    fresh $layout; sqlite3 "$BOX/d/.mg-dist/run.db" "UPDATE job SET state='waiting' WHERE id='lost'" &&
        cp "$BOX/d/train/a.flac" "$BOX/d/train/lost.flac" &&
        finds '^train/lost.flac: not recorded: its run was cut off' 'a clip that nobody recorded'
    fresh $layout; rm "$BOX/d/train/雨-1.flac"
    finds '^train/雨-1.flac: missing' "$layout: a clip missing"
    expect 1 '1 clip waits for the next mg-dist run' 'it waits again' "$MG" verify "$BOX/d" --again
    run d --layout $layout >"$BOX/said" 2>&1
    expect 0 '6 clips' 'the next run makes it again' "$MG" verify -q "$BOX/d"
    passes 'the same bytes' diff -r -x .mg-dist "$BOX/d" "$BOX/$layout"
    fresh $layout; flip "$BOX/d/train/a.flac" 4000
    finds '^train/a.flac: damaged: its sha256 is' 'a byte of a clip is another'
    fresh $layout; truncate -s 2000 "$BOX/d/train/a.flac"
    finds '^train/a.flac: damaged' 'a clip that is cut off'
    fresh $layout; cp "$BOX/d/train/a.flac" "$BOX/d/train/z.flac"
    finds '^train/z.flac: not of the dataset' 'a clip too many'
    fresh $layout; touch "$BOX/d/train/.a.flac.77.tmp"
    finds '^train/.a.flac.77.tmp: not of the dataset.*being written' 'the rest of a file'
    list=train/metadata.jsonl
    [ $layout = audiofolder ] || list=egs/train/data.jsonl
    fresh $layout; sed -i 3d "$BOX/d/$list"
    finds "^$list: no line for train/雨-0.flac" 'a line missing in the metadata'
    fresh $layout; sed -i '3p' "$BOX/d/$list"
    finds "^$list: line 4: train/雨-0.flac is there twice" 'a line twice'
    fresh $layout; rm "$BOX/d/$list"
    finds "^$list: missing" 'no metadata'
    fresh $layout; sed -i 2d "$BOX/d/manifest.jsonl"
    finds '^manifest.jsonl: no line for train/b.1.flac' 'a line missing in the manifest'
done
fresh audiofolder; sed -i 's/slow sad piano/fast glad piano/' "$BOX/d/train/metadata.jsonl"
finds '^train/metadata.jsonl: line 1: .* of train/a.flac: is not that of manifest.jsonl' 'another text in the metadata'
fresh audiocraft; sed -i 's/slow sad piano/fast glad piano/' "$BOX/d/train/a.json"
finds '^train/a.json: description: is not' 'another description for AudioCraft'
fresh audiocraft; rm "$BOX/d/train/a.json"
finds 'train/a.json: cannot open' 'no description for AudioCraft'

tar=music-000001.tar
fresh webdataset; rm "$BOX/d/$tar"
finds "^$tar: missing, with its 2 clips" 'a shard missing'
expect 1 '4 clips wait for the next mg-dist run' 'its clips and those behind them wait again' "$MG" verify "$BOX/d" --again
run d --layout webdataset >"$BOX/said" 2>&1
passes 'the next run makes the same bytes' diff -r -x .mg-dist "$BOX/d" "$BOX/webdataset"
fresh webdataset; flip "$BOX/d/$tar" 4000
finds "^$tar: 雨-0.flac is damaged" 'a byte of a clip in a shard'
fresh webdataset; flip "$BOX/d/$tar" 10
finds "^$tar: damaged at byte 0" 'a byte of a header in a shard'
fresh webdataset; truncate -s 10000 "$BOX/d/$tar"
finds "^$tar: cut off" 'a shard that is cut off'
fresh webdataset; truncate -s -512 "$BOX/d/$tar"
finds "^$tar: cut off" 'a shard without its end'
fresh webdataset; cp "$BOX/d/$tar" "$BOX/d/music-000003.tar"
finds '^music-000003.tar: not of the dataset' 'a shard too many'
fresh webdataset; sed -i 3d "$BOX/d/manifest.jsonl"
expect 1 'manifest.jsonl: music-000001.tar: 雨-0.flac is where 雨-1.flac should be' 'a clip missing in the manifest' "$MG" verify -q "$BOX/d"

# A job that failed, in front of others: its clip comes into a shard behind theirs.
cat >"$BOX/late.jsonl" <<'END'
{"id":"x.0","prompt":"drums","duration":0.5}
{"id":"late","prompt":"x","duration":1,"audio_prompt":"late.flac","prompt_duration":0.5}
{"id":"__x","prompt":"waltz","duration":0.5}
{"id":"y","prompt":"waltz","duration":0.5}
END
late() { timeout 600 "$MG" run -q --model "$DEMO" --jobs "$BOX/late.jsonl" --out "$BOX/late" --seed 5 --layout webdataset --shard-clips 2; }
late >"$BOX/said" 2>&1
cp "$BOX/audiofolder/train/a.flac" "$BOX/late.flac"
"$MG" retry-failed "$BOX/late" >"$BOX/said" 2>&1
expect 0 'not complete: 1 clip waits' 'a failure that is to be tried again is no damage' "$MG" verify -q "$BOX/late"
late >"$BOX/said" 2>&1
passes 'names in shards that every loader takes' test "$(cat "$BOX/late"/music-*.tar | tar tif - | tr '\n' ' ')" = \
    'x_0.flac x_0.json -_x.flac -_x.json y.flac y.json late.flac late.json '
expect 0 '^webdataset: 4 clips' 'a clip of a second try, in a shard behind its neighbours' "$MG" verify -q "$BOX/late"
expect 0 'report.html: 4 of 4 clips' 'it is found there' "$MG" report "$BOX/late" --clips 9
sed -i 3d "$BOX/late/manifest.jsonl"
expect 1 'manifest.jsonl: music-000000.tar: -_x.flac is in it, and not in manifest.jsonl' 'and missed' "$MG" verify -q "$BOX/late"

expect 2 'option --replay: needs --model' 'a replay without a model' "$MG" verify "$BOX/audiofolder" --replay 1
expect 2 'is no dataset of mg-dist run' 'a replay of a model' "$MG" verify "$DEMO" --replay 1 --model "$DEMO"
expect 2 'is for --replay' 'a model without a replay' "$MG" verify "$BOX/audiofolder" --model "$DEMO"
expect 0 '^audiofolder' 'a model that a variable names is for other commands' env MGDIST_MODEL="$DEMO" "$MG" verify -q "$BOX/audiofolder"
expect 0 'codec sounds' 'a model is verified as ever' env MGDIST_MODEL="$TINY" "$MG" verify "$DEMO"
fresh audiofolder
"$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/other" --seed 6 >"$BOX/said" 2>&1
cp "$BOX/other/train/a.flac" "$BOX/d/train/a.flac"
sum=$(sha256sum <"$BOX/d/train/a.flac" | cut -c-64)
sed -i "s|[0-9a-f]*  train/a.flac|$sum  train/a.flac|" "$BOX/d/SHA256SUMS"
sed -i "1s|\"sha256\":\"[0-9a-f]*\"|\"sha256\":\"$sum\"|" "$BOX/d/manifest.jsonl"
rm -r "$BOX/d/.mg-dist"
expect 1 'train/a.flac: made again it is another sound' 'a clip that is not of its recipe' "$MG" verify -q "$BOX/d" --replay 6 --model "$DEMO"
# Another comment in the file: the same sound, other bytes.
python3 - "$BOX/other/train/a.flac" "$BOX/d/train/a.flac" <<'END' 2>"$BOX/note"
import sys
data = bytearray(open(sys.argv[1], 'rb').read())
at = data.find(b'"program":"mg-dist"')
data[at + 11:at + 18] = b'ng-dist'
open(sys.argv[2], 'wb').write(data)
END
old=$sum sum=$(sha256sum <"$BOX/d/train/a.flac" | cut -c-64)
sed -i "s/$old/$sum/" "$BOX/d/SHA256SUMS" "$BOX/d/manifest.jsonl"
sed -i "1s|\(\"seed\":\)[0-9]*|\1$(sed -n '1s/.*,"seed":\([0-9]*\),"duration.*/\1/p' "$BOX/other/manifest.jsonl")|; 1s|\(\\\\\"seed\\\\\":\)[0-9]*|\1$(sed -n '1s/.*\\"seed\\":\([0-9]*\),.*/\1/p' "$BOX/other/manifest.jsonl")|" "$BOX/d/manifest.jsonl"
expect 1 'train/a.flac: made again it is the same sound in another container' 'a difference of the container alone is said as that' "$MG" verify -q "$BOX/d" --replay 6 --model "$DEMO"
fails 'and is not taken for another sound' grep -q 'another sound' "$BOX/said"
"$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/mp3" --format mp3 --strategy loudness --sample-rate 44100 --temperature 0.8 >"$BOX/said" 2>&1
expect 0 '6 clips made again' 'MP3, another rate, level and temperature: the same bytes again' "$MG" verify -q "$BOX/mp3" --replay 9 --model "$DEMO"
fails 'all of it' grep -q 'another container' "$BOX/said"
"$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/opus" --format opus --sample-rate 48000 >"$BOX/said" 2>&1
expect 0 '6 clips made again' 'Opus too, on two ranks' ranks 2 "$MG" verify -q "$BOX/opus" --replay 9 --model "$DEMO"
fails 'all of it' grep -q 'another container' "$BOX/said"

# ---- One clip from its line alone ----
mkdir "$BOX/laptop"
line() { grep "\"id\":\"$1\"" "$BOX/audiofolder/$2" >"$BOX/laptop/line.json"; } # ID LIST
again() { "$MG" replay -q "$BOX/laptop/line.json" "$@"; }
for id in a b.1 雨-1 e; do
    line "$id" manifest.jsonl
    expect 0 "^the same bytes: $id.flac" "clip $id again from its line" again --model "$DEMO"
done
tar xf "$BOX/webdataset/music-000000.tar" -C "$BOX/laptop" b_1.json b_1.flac 2>"$BOX/note"
expect 0 '^the same bytes: b.1.flac' 'a sample of a shard' "$MG" replay -q "$BOX/laptop/b_1.json" --model "$DEMO"
rm -f "$BOX/laptop"/b_1.*
line a manifest.jsonl
expect 2 "option --model: missing: a dataset's line does not say" 'a line names no model' again
expect 1 'not the same bytes \(the sound file differs\): dtype is bf16, recorded is fp16' 'what differs is said' again --model "$DEMO" --dtype bf16
sed -i 's/\\"seed\\":[0-9]*/\\"seed\\":1/' "$BOX/laptop/line.json"
expect 1 'not the same bytes \(the sound file differs\)' 'another seed' again --model "$DEMO"
fails 'and no model is blamed' grep -q 'weight files\|weights:' "$BOX/said"
line a train/metadata.jsonl
expect 2 "nothing to compare with: the clip's line of manifest.jsonl" 'a line without a hash' again --model "$DEMO"
expect 0 'made: .*/kept/a.flac; nothing to compare with' 'is made if somebody wants it' again --model "$DEMO" --out "$BOX/kept"
passes 'the same bytes' cmp "$BOX/kept/a.flac" "$BOX/audiofolder/train/a.flac"
cp "$BOX/audiofolder/train/a.flac" "$BOX/laptop"
expect 0 '^the same bytes: a.flac' 'or compared with the sound beside it' again --model "$DEMO"
passes 'nothing is left' test "$(ls -A "$BOX/laptop" | tr '\n' ' ')" = 'a.flac line.json '
cp "$BOX/audiofolder/manifest.jsonl" "$BOX/laptop/line.json"
expect 2 'has the lines of several clips; give one of them' 'all lines at once' again --model "$DEMO"
finish
