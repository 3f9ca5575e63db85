#!/bin/bash
# Bad jobs and folders for mg-dist run: each is named with its line and reason before anything is loaded, --check names all
# of them, and nothing is written. And odd input that is good: quotes and newlines in CSV, other scripts, long ids.
#   dataset_input.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

run() { timeout 600 "$MG" run --model "$DEMO" --seed 5 --threads 1 -q "$@"; }
bad() { # SENTENCE PATTERN TEXT [options]: refused in one message, by --check too, and no folder is made
    local sentence=$1 pattern=$2 file=$BOX/bad.jsonl
    printf "$3" >"$file"
    shift 3
    expect 2 "$pattern" "$sentence" run --jobs "$file" --out "$BOX/none" "$@"
    passes "$sentence: one message" test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1
    fails "$sentence: nothing is made" test -e "$BOX/none"
    expect 2 "$pattern" "$sentence: --check says so" "$MG" run --jobs "$file" --out "$BOX/none2" --check "$@"
    fails "$sentence: --check makes no folder" test -e "$BOX/none2"
}

bad 'no JSON' 'bad.jsonl: line 2: ' '{"prompt":"a"}\n{"prompt":"b"\n{"prompt":"c"}\n'
bad 'no object' 'bad.jsonl: line 1: ' '[1]\n' --jobs-format json
bad 'an escaped NUL' 'line 1: not JSON: an escaped NUL' '{"id":"a\\u0000b"}\n'
bad 'a table without a prompt' 'line 1: no column is called prompt' 'id,colour\na,b\n' --jobs-format csv
bad 'an unknown key' 'bad.jsonl: line 2: colour: no such key' '{"prompt":"a"}\n{"colour":"b"}\n'
bad 'a wrong type' 'bad.jsonl: line 1: duration: ' '{"duration":"long"}\n'
bad 'an id twice' 'line 3: id "x" is that of line 1 too' '{"id":"x"}\n{"id":"y"}\n{"id":"x"}\n'
for id in ../../x /etc/passwd a/b . .. .hidden 'a\\\\b' 'a:b' 'a\\nb' 'x ' 'x.' ''; do
    bad "the id \"$id\"" 'line 1: id: ' "{\"id\":\"$id\"}\n"
done
bad 'an id of 300 letters' 'line 1: id: .*200 bytes' "{\"id\":\"$(printf 'a%.0s' $(seq 300))\"}\n"
bad 'an id of 100 letters that are 300 bytes' 'line 1: id: .*200 bytes' "{\"id\":\"$(printf '雨%.0s' $(seq 100))\"}\n"
bad 'ids that differ in case' 'line 2: id "CLIP" and "clip" of line 1 are one file where names ignore case' '{"id":"clip"}\n{"id":"CLIP"}\n'
bad 'ids that differ in case in another script' 'line 2: .*are one file' '{"id":"ДОЖДЬ"}\n{"id":"дождь"}\n'
bad 'ids that differ in composition' 'line 2: id .* is that of line 1 too' '{"id":"caf\xC3\xA9"}\n{"id":"cafe\xCC\x81"}\n'
bad 'an id that is made by n' 'line 2: id "a-1" is that of line 1 too' '{"id":"a","n":2}\n{"id":"a-1"}\n'
for seed in 9007199254740992 1e30 -1 1.5 '"7"'; do
    bad "the seed $seed" 'line 1: seed: ' "{\"seed\":$seed}\n"
done
bad 'no UTF-8' 'line 2: ' '{"prompt":"a"}\n{"prompt":"\xFF\xFE"}\n'
bad 'no job at all' 'holds no job' '\n\n'
csv=(--jobs-format csv)
bad 'CSV: a quote that does not end' 'line 3: ' 'id,prompt\na,b\nc,"d\n' "${csv[@]}"
bad 'CSV: a field too many' 'line 2: ' 'id,prompt\na,b,c\n' "${csv[@]}"
bad 'CSV: a column of no key' 'line 2: colour: no such key' 'prompt,colour\na,b\n' "${csv[@]}"
bad 'CSV: a column twice' 'line 1: ' 'prompt,prompt\na,b\n' "${csv[@]}"

printf '{"prompt":"a"}\n{"id":"../x"}\n{"seed":-1}\n{"colour":1}\nnonsense\n{"id":"x"}\n{"id":"X"}\n{"id":"k"}\n{"id":"k"}\n' >"$BOX/many.jsonl"
expect 2 'line 7: id "X" and "x"' '--check says all that is wrong' "$MG" run --jobs "$BOX/many.jsonl" --out "$BOX/none" --check
for line in 2 3 4 5 9; do passes "line $line too" grep -q "line $line: " "$BOX/said"; done
fails 'and makes nothing' test -e "$BOX/none"

# A column of a wrong name is in every line: the first of them are said, and how many follow.
for ((i = 0; i < 40; i++)); do echo '{"prompt":"a","mood":"b"}'; done >"$BOX/moods.jsonl"
echo '{"seed":-1}' >>"$BOX/moods.jsonl"
expect 2 'the same in 35 more lines' '--check: what is wrong in every line' "$MG" run --jobs "$BOX/moods.jsonl" --check
passes 'is not said forty times' test "$(grep -c "mood: no such key" "$BOX/said")" = 5
passes 'and hides nothing' grep -q 'line 41: seed' "$BOX/said"
printf 'prompt,melody\na,%s\nb,nowhere.wav\n' "$TESTS/../examples/tune.ogg" >"$BOX/tunes.csv"
expect 2 'tunes.csv: line 3: melody: .*nowhere.wav: cannot open: No such file' '--check: a melody that is not there' "$MG" run --jobs "$BOX/tunes.csv" --check
expect 2 'melody: .*tunes.csv: the jobs name some, and the model .* follows texts alone; take one that follows a melody' \
    'melodies for a model that follows texts alone' run --jobs "$BOX/tunes.csv" --out "$BOX/none" --duration 0.5
says_once 'melodies for a model that follows texts alone: one message'
fails 'and no folder: what the start made itself is gone' test -e "$BOX/none"

# ---- Folders ----
echo '{"prompt":"a","duration":0.5}' >"$BOX/one.jsonl"
mkdir "$BOX/photos"
touch "$BOX/photos/holiday.jpg"
expect 2 'photos: holds other things \(holiday.jpg\) and is no dataset of ours' 'a folder with other things' run --jobs "$BOX/one.jsonl" --out "$BOX/photos"
fails 'stays as it was' sh -c "ls -A '$BOX/photos' | grep -v holiday"
expect 2 'one.jsonl: is there already' 'a file in the place of the folder' run --jobs "$BOX/one.jsonl" --out "$BOX/one.jsonl"
passes 'generate, into a folder' "$MG" generate -q --model "$DEMO" --prompt a --duration 0.5 --out "$BOX/clips" --threads 1
expect 2 'clips: holds other things' 'the clips of generate are no dataset' run --jobs "$BOX/one.jsonl" --out "$BOX/clips"
expect 2 'option --out: -: a dataset is a folder' 'nor does it go to standard output' run --jobs "$BOX/one.jsonl" --out -
passes 'a dataset' run --jobs "$BOX/one.jsonl" --out "$BOX/whole"
expect 2 'whole/train/x: is in the dataset .*/whole, whose' 'a dataset in another one' run --jobs "$BOX/one.jsonl" --out "$BOX/whole/train/x"
expect 2 'whole/train: is in the dataset' 'clips of generate among its own' "$MG" generate --model "$DEMO" --prompt a --out "$BOX/whole/train"
sound=$(ls "$BOX"/whole/train/*.flac)
expect 2 'whole: is in the dataset' 'codes beside its lists' "$MG" encode --model "$DEMO" "$sound" --out "$BOX/whole"
grep . "$BOX/whole/manifest.jsonl" >"$BOX/line.json"
expect 2 'whole: is in the dataset' 'a clip made again' "$MG" replay "$BOX/line.json" --model "$DEMO" --out "$BOX/whole"
expect 2 'whole/train: is in the dataset' 'a page among its sounds' "$MG" report "$BOX/whole" --out "$BOX/whole/train/report.html"
expect 2 'whole: is in the dataset' 'a page of another name beside its lists' "$MG" report "$BOX/whole" --out "$BOX/whole/page.html"
expect 0 'report.html' 'its own page is where it belongs' "$MG" report "$BOX/whole" --clips 0 --measure 0 --out "$BOX/whole/report.html"
expect 2 'whole/model: is in the dataset' 'a model' "$MG" convert "$DEMO" "$BOX/whole/model"
expect 2 'whole: is in the dataset' 'a checkpoint' "$MG" export --pointer facebook/encodec_32khz "$BOX/whole/"
expect 2 'whole: is in the dataset' 'a job script' "$MG" plan --model "$DEMO" --clips 9 --sbatch "$BOX/whole/job.sbatch"
expect 2 'whole/sweep: is in the dataset' 'a sweep' "$MG" bench scaling --model "$DEMO" --out "$BOX/whole/sweep"
expect 2 'whole: is in the dataset' 'its own figures' run --jobs "$BOX/one.jsonl" --out "$BOX/whole" --metrics "$BOX/whole/metrics.prom"
expect 2 'new: is in the dataset' 'those of a new one' run --jobs "$BOX/one.jsonl" --out "$BOX/new" --metrics "$BOX/new/metrics.prom"
fails 'which is gone again' test -e "$BOX/new"
expect 2 'whole/x: is in the dataset' '--check says so of its folder' "$MG" run --jobs "$BOX/one.jsonl" --out "$BOX/whole/x" --check
cp -rL "$DEMO" "$BOX/broken" && echo nonsense >"$BOX/broken/spiece.model"
expect 4 'spiece.model: not a SentencePiece model' 'a tokenizer that is none' \
    timeout 600 "$MG" run --model "$BOX/broken" --seed 5 -q --jobs "$BOX/one.jsonl" --out "$BOX/none"
fails 'leaves nothing' test -e "$BOX/none"
expect 1 'making/0: cannot make files' 'a disk that fails when all is loaded' env LD_PRELOAD="$5" FAULT_CALLS=open FAULT_ERRNO=28 \
    FAULT_PATH=/making/ "$MG" run --model "$DEMO" --seed 5 --threads 1 -q --jobs "$BOX/one.jsonl" --out "$BOX/whole"
expect 1 'run.db: .*disk is full; what is recorded stays: make room' 'a state without room' env LD_PRELOAD="$5" FAULT_CALLS=write \
    FAULT_ERRNO=28 FAULT_PATH=/whole/.mg-dist/run.db "$MG" run --model "$DEMO" --seed 5 -q --jobs "$BOX/one.jsonl" --out "$BOX/whole"
expect 5 'memory: ' 'a start that does not fit' run --jobs "$BOX/one.jsonl" --out "$BOX/whole" --host-memory 1M
passes 'it is whole still' "$MG" verify -q "$BOX/whole"
mkdir -p "$BOX/odd/.mg-dist"
echo nonsense >"$BOX/odd/.mg-dist/run.db"
expect 1 'run.db: damaged, or not the state of a dataset' 'a state that is none' run --jobs "$BOX/one.jsonl" --out "$BOX/odd"
expect 1 'nowhere.jsonl' 'no such job file' run --jobs "$BOX/nowhere.jsonl" --out "$BOX/none"

# A job that no file of its format holds fails before it is made, and the others are made.
printf '{"id":"a","prompt":"x","duration":0.1}\n{"id":"b","prompt":"x","duration":3000}\n' >"$BOX/lengths.jsonl"
expect 3 'clip b: duration: 3000\.00 s: a wav-f32 file holds up to 2796\.18 s at 384000 Hz' 'a clip beyond its format' \
    run --jobs "$BOX/lengths.jsonl" --out "$BOX/lengths" --format wav-f32 --sample-rate 384000
passes 'the other one is made' test -s "$BOX/lengths/train/a.wav"

# ---- Odd, and good ----
printf '\xEF\xBB\xBFytid,start_s,end_s,aspect_list,caption,author_id\r\n-abc,0,10,"[""a"", ""b""]","slow, ""sad""\r\npiano",4\r\n"_d",0,10,x,drums,5\r\n' >"$BOX/caps.csv"
expect 0 '2 clips, nothing is wrong' 'MusicCaps with a byte order mark, quotes and newlines' "$MG" run --jobs "$BOX/caps.csv" --check
printf '{"id":"-abc","prompt":"slow, \\"sad\\"\\r\\npiano","duration":0.5}\n{"id":"_d","prompt":"drums","duration":0.5}\n' >"$BOX/caps.jsonl"
passes 'a run of it' run --jobs "$BOX/caps.csv" --duration 0.5 --out "$BOX/csv"
passes 'and one of the same jobs as JSON lines' run --jobs "$BOX/caps.jsonl" --out "$BOX/json"
for id in -abc _d; do passes "clip $id has the same bytes" cmp "$BOX/csv/train/$id.flac" "$BOX/json/train/$id.flac"; done
long=$(printf '雨%.0s' $(seq 66))
printf '{"id":"%s","duration":0.1}\n{"id":"Дождь №1","duration":0.1}\n{"id":"مطر","duration":0.1,"seed":9007199254740991}\n{"id":"%s","duration":0.1}\n' \
    "$long" "$(printf 'a%.0s' $(seq 200))" >"$BOX/scripts.jsonl"
for layout in audiofolder webdataset; do
    passes "$layout: ids in other scripts and of 200 bytes" run --jobs "$BOX/scripts.jsonl" --out "$BOX/$layout" --layout $layout
    passes "$layout: the sums are right" sh -c "cd '$BOX/$layout' && sha256sum -c SHA256SUMS"
done
passes 'each names its file' test -s "$BOX/audiofolder/train/$long.flac" -a -s "$BOX/audiofolder/train/Дождь №1.flac" -a -s "$BOX/audiofolder/train/مطر.flac"
passes 'in a shard too' sh -c "tar tf '$BOX/webdataset/music-000000.tar' | grep -q '^$long.json$'"
# An audio prompt that does not say how much of it is all of it, as in generate.
printf '{"id":"all","prompt":"x","duration":7,"seed":3,"audio_prompt":"%s"}\n' "$TESTS/../examples/intro.ogg" >"$BOX/goes_on.jsonl"
passes 'an audio prompt without a prompt_duration' run --jobs "$BOX/goes_on.jsonl" --out "$BOX/goes_on"
passes 'the same by generate' "$MG" generate -q --model "$DEMO" --threads 1 --format flac --prompts "$BOX/goes_on.jsonl" --out "$BOX/generated"
passes 'has the same bytes' cmp "$BOX/goes_on/train/all.flac" "$BOX/generated/all.flac"
passes 'the largest seed' grep -q '"seed":9007199254740991' "$BOX/audiofolder/manifest.jsonl"
finish
