#!/bin/bash
# The datasets of mg-dist run in the libraries that people load them with: Hugging Face datasets, webdataset, and the
# rules of AudioCraft for a manifest.   loading.sh MG-DIST TESTS-FOLDER VENV
# VENV is the folder that make_venv.sh made, unless MG_LOADING_VENV names another.
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
HERE=$(cd "$(dirname "$0")" && pwd)
python=${MG_LOADING_VENV:-${3:-}}/bin/python
if [ ! -x "$python" ]; then
    skipped 'loading: no venv with datasets and webdataset; tests/loading/make_venv.sh makes it, MG_LOADING_VENV names it'
    exit 77
fi
export HF_HOME=$BOX/hf HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1

cat >"$BOX/jobs.jsonl" <<'END'
{"id":"a","prompt":"slow sad piano","duration":1.5,"title":"A title"}
{"id":"b.1","prompt":"quotes \" and\nlines","negative_prompt":"flute","duration":1}
{"id":"雨","prompt":"techno 🎵","duration":2,"n":2}
{"prompt":"waltz","duration":0.5,"seed":9007199254740991}
{"id":"e","prompt":"","duration":1}
END
run() { local out=$1; shift; timeout 120 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/$out" --seed 5 --name songs "$@"; }
# loads SENTENCE WHAT FOLDER
loads() { passes "$1" timeout 300 "$python" "$HERE/check_loading.py" "$2" "$BOX/$3"; }

"$python" -c 'import datasets, webdataset; print("# datasets", datasets.__version__, "webdataset", webdataset.__version__)'
for format in flac wav mp3; do
    run folder-$format --format $format >"$BOX/said" 2>&1
    loads "audiofolder of $format: Hugging Face datasets, by its folder" audiofolder folder-$format
done
loads 'and by its card, as the hub does' card folder-flac
run tars --layout webdataset --shard-clips 2 >"$BOX/said" 2>&1
loads 'shards: webdataset' webdataset tars
loads 'shards: Hugging Face datasets, by the card' card-tars tars
run craft --layout audiocraft >"$BOX/said" 2>&1
loads "AudioCraft: its manifest and what stands beside each clip" audiocraft craft
run gated --layout webdataset --shard-clips 3 --gate retry --gate-retries 9 --gate-dc 0.004 >"$BOX/said" 2>&1
passes 'with what a gate found' grep -q '"refused":"dc' "$BOX/gated/manifest.jsonl"
loads 'shards with a gate: Hugging Face datasets' card-tars gated
for i in 0 1; do run part-$i --shard $i/2 --layout webdataset >"$BOX/said" 2>&1; done
"$MG" merge -q "$BOX/merged" "$BOX"/part-? --shard-clips 4
loads 'merged shards: webdataset' webdataset merged

# What is wrong must be seen.
cp -r "$BOX/folder-flac" "$BOX/bad"
sed -i '2d' "$BOX/bad/train/metadata.jsonl"
fails 'a line missing is noticed' "$python" "$HERE/check_loading.py" audiofolder "$BOX/bad"
cp -r "$BOX/craft" "$BOX/bad-craft"
sed -i 's/"description": "slow/"description": "fast/' "$BOX/bad-craft/train/a.json"
fails 'another description is noticed' "$python" "$HERE/check_loading.py" audiocraft "$BOX/bad-craft"
finish
