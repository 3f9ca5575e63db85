#!/bin/bash
# metadata.jsonl beside the clips, as AudioFolder reads it, right after every run.   index.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"
unset MGDIST_OVERWRITE

make() { "$MG" generate -q --model "$TINY" --frames 20 --out "$BOX/out" "$@"; }
LIST=$BOX/out/metadata.jsonl
lists() { # SENTENCE FILES: in this order, each with the keys that AudioFolder and people want
    passes "$1" /usr/bin/python3 -c "
import json, os
rows = [json.loads(line) for line in open('$LIST')]
assert [r['file_name'] for r in rows] == '$2'.split(), rows
for r in rows:
    d = json.load(open('$BOX/out/' + r['file_name'].rsplit('.', 1)[0] + '.json'))
    assert os.path.exists('$BOX/out/' + r['file_name'])
    assert (r['prompt'], r['seed'], r['duration'], r['id']) == (d['prompt'] or '', d['seed'], d['duration_s'], d['id']), (r, d)"
}

expect 0 '' 'two clips' make --prompt a --prompt 'b "ö"' --seed 1
lists 'two lines' '000000.wav 000001.wav'
before=$(stat -c %Y.%i "$LIST")
expect 0 '' 'the same again' make --prompt a --seed 1
lists 'the same lines' '000000.wav 000001.wav'
expect 0 '' 'one more' make --prompt c --seed 5 --start-index next
lists 'three lines' '000000.wav 000001.wav 000002.wav'
expect 0 '' 'one is replaced by another format' make --prompt d --seed 6 --start-index 1 --format flac --overwrite
lists 'its line too' '000000.wav 000001.flac 000002.wav'
expect 0 '' 'one is replaced in place' make --prompt e --seed 7 --start-index 2 --overwrite
lists 'and its line' '000000.wav 000001.flac 000002.wav'
passes 'it has the new prompt' grep -q '"file_name":"000002.wav".*"prompt":"e"' "$LIST"
expect 0 '' 'on two replicas' ranks 2 "$MG" generate -q --model "$TINY" --frames 20 --out "$BOX/out" --prompt f --prompt g --seed 8 --tp 1 --start-index next
lists 'five lines' '000000.wav 000001.flac 000002.wav 000003.wav 000004.wav'
rm "$BOX/out/000003.wav" "$BOX/out/000003.json"
rm "$LIST"
expect 0 '' 'the list is gone' make --prompt a --seed 1
lists 'it is made again, without what is gone' '000000.wav 000001.flac 000002.wav 000004.wav'
expect 0 '' 'codes alone' make --prompt h --seed 1 --codes-only --start-index 20
lists 'are no sound' '000000.wav 000001.flac 000002.wav 000004.wav'

# What others have written.
sed -i 's/"file_name":"000000.wav"/"file_name":"000000.wav","label":"calm"/' "$LIST"
cp "$BOX/out/000000.wav" "$BOX/out/stranger.wav"
printf '{"file_name": "stranger.wav", "x": 1}\n{"file_name": "gone.wav"}\n' >>"$LIST"
touch "$BOX/out/000000.json"
expect 0 '' 'after others wrote' make --prompt a --seed 1
passes 'what was added to a line stays' grep -q '"label":"calm"' "$LIST"
passes "a stranger's line stays as it was" grep -Fqx '{"file_name": "stranger.wav", "x": 1}' "$LIST"
fails 'one without its file goes' grep -q gone.wav "$LIST"
passes 'each sound once' test "$(wc -l <"$LIST")" = 5
expect 0 '' 'the clip is another one now' make --prompt z --seed 1 --overwrite
fails 'what was said of the old one goes' grep -q calm "$LIST"
cp -r "$BOX/out" "$BOX/foreign"
printf 'file_name,prompt\n' >"$BOX/foreign/metadata.jsonl"
(cd "$BOX/foreign" && sha256sum -- *) >"$BOX/before"
expect 2 'metadata.jsonl: is there already .line 1 is no JSON object with a file_name.; give --overwrite' 'what is no such list is not replaced in silence' \
    "$MG" generate --model "$TINY" --frames 20 --out "$BOX/foreign" --prompt y --seed 1 --start-index 30
(cd "$BOX/foreign" && sha256sum -- *) >"$BOX/after"
passes 'nothing has changed' cmp "$BOX/before" "$BOX/after"
expect 0 '' 'insisting' "$MG" generate -q --model "$TINY" --frames 20 --out "$BOX/foreign" --prompt y --seed 1 --start-index 30 --overwrite
passes 'it is one now' grep -q '000030.wav' "$BOX/foreign/metadata.jsonl"

# Stopped: what was delivered is listed.
"$MG" generate --model "$TINY" --frames 200 --out "$BOX/stop" --prompt a --n 3000 --batch 1 --seed 1 >"$BOX/said" 2>&1 &
for _ in $(seq 200); do
    [ -e "$BOX/stop/000001.json" ] && break
    sleep 0.1
done
kill -TERM $!
wait $!
passes 'a stop lists what is there' sh -c "test \"\$(wc -l <'$BOX/stop/metadata.jsonl')\" = \"\$(ls '$BOX'/stop/*.wav | wc -l)\""

# Two at once.
for i in 0 1 2 3; do
    "$MG" generate -q --model "$TINY" --frames 20 --out "$BOX/many" --prompt "$i" --seed 1 --start-index "$i" >/dev/null &
done
wait
passes 'four programs at once: four lines' test "$(wc -l <"$BOX/many/metadata.jsonl")" = 4
fails 'no lock is left' test -e "$BOX/many/metadata.jsonl.lock"

if "${PYTHON:=python3}" -c 'import datasets, soundfile, librosa' 2>/dev/null; then
    passes 'AudioFolder has the prompts' env HF_HUB_OFFLINE=1 HF_HOME="$BOX/hf" "$PYTHON" -c "
from datasets import load_dataset, Audio
d = load_dataset('audiofolder', data_dir='$BOX/many', split='train').cast_column('audio', Audio(decode=False))
assert sorted(d['prompt']) == ['0', '1', '2', '3'], d['prompt']"
else
    skipped 'AudioFolder: no Python with datasets, soundfile and librosa (PYTHON=…)'
fi
finish
