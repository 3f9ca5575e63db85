#!/bin/bash
# The quality gate of mg-dist run: models that were made bad in one way each, and one that is good; clips that are made
# again are the same whatever ranks, batch and interruptions there were, and each can be made from its metadata.
#   dataset_gate.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

for i in $(seq 1 12); do printf '{"id":"clip-%d","prompt":"song number %d","duration":%d.5}\n' "$i" "$i" $((i % 2 + 1)); done >"$BOX/jobs.jsonl"
head -2 "$BOX/jobs.jsonl" >"$BOX/two.jsonl"
run() { # RANKS OUT MODEL JOBS …
    local n=$1 out=$2 model=$3 jobs=$4
    shift 4
    ranks "$n" "$MG" run -v --model "$model" --jobs "$BOX/$jobs.jsonl" --out "$BOX/$out" --seed 5 --threads 1 --tp 1 "$@"
}
facts() { (cd "$BOX/$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
like() { passes "$1" test -n "$(facts "$2")" -a "$(facts "$2")" = "$(facts "$3")"; }

# ---- Models that are bad: some tensors of the demo are filled with one half-precision number ----
bad_model() { # NAME HEX TENSOR…
    local name=$1 hex=$2 tensor
    shift 2
    cp -r "$DEMO" "$BOX/$name"
    chmod -R u+w "$BOX/$name"
    for tensor in "$@"; do fill "$BOX/$name/model.safetensors" "$tensor" "$hex"; done
}
codec() { local layer; for layer in "$@"; do echo "audio_encoder.decoder.layers.$layer"; done; }
bad_model silent 0000 $(codec 15.conv.weight_g 15.conv.bias)
bad_model offset 3c00 $(codec 15.conv.bias)
bad_model nan 7bff $(codec {3,6,9,12,15}.conv.weight_g {4,7,10,13}.block.{1,3}.conv.weight_g) # beyond what a float holds
bad_model stuck 0000 decoder.lm_heads.{0,1,2,3}.weight # all codes are equally likely, and the first one wins
for gate in off warn; do
    expect 3 'clip clip-[12]: sound: not a number in [0-9]+ samples' "not a number, gate $gate: no clip, whatever the gate" \
        run 1 "nan-$gate" "$BOX/nan" two --gate $gate
    passes 'each is a line of failures.jsonl' test "$(grep -c '"reason":"sound: not a number' "$BOX/nan-$gate/failures.jsonl")" = 2
done
expect 3 'gate: not a number: it is made again' 'not a number, gate retry' run 1 nan-retry "$BOX/nan" two --gate retry --gate-retries 1
passes 'tried so often' grep -q 'made 2 times, and refused before for: not a number"' "$BOX/nan-retry/failures.jsonl"
expect 0 'clip clip-[12]: gate: silence.*: it is kept' 'silence, gate warn' run 1 silent-warn "$BOX/silent" two --gate warn
passes 'its metadata says so' test "$(grep -c '"gate":{"found":"silence.*","attempt":0,"refused":"","silence":1.0,' "$BOX/silent-warn/train/metadata.jsonl")" = 2
expect 3 '2 of 2 clips failed' 'silence, gate retry' run 1 silent-retry "$BOX/silent" two --gate retry --gate-retries 2
passes 'failed after three' test "$(grep -c '"reason":"sound: silence 1 (limit 0.8).*made 3 times' "$BOX/silent-retry/failures.jsonl")" = 2
passes 'no file of theirs is left' sh -c "! find '$BOX/silent-retry' -name '*.flac' | grep ."
expect 0 'gate: dc: it is kept' 'an offset' run 1 dc "$BOX/offset" two --gate warn
expect 0 'gate: clipping: it is kept' 'clipping: a level far too high' run 1 loud "$DEMO" two --gate warn --strategy rms --rms-headroom 0
expect 0 'gate: .*repeat, loop: it is kept' 'one code on and on' run 1 greedy "$BOX/stuck" two --gate warn --greedy
expect 0 '' 'the same model, each code drawn' run 1 drawn "$BOX/stuck" two --gate warn --top-k 0
fails 'repeats nothing' grep -q 'repeat\|loop: it' "$BOX/said"
prompted() { # OUT PROMPT SECONDS: a job that goes on from a clip
    printf '{"id":"a","prompt":"x","duration":3,"audio_prompt":"%s","prompt_duration":%s}\n' "$2" "$3" >"$BOX/$1.jsonl"
}
prompted good loud/train/clip-1.flac 2
prompted quiet silent-warn/train/clip-1.flac 2.48
expect 0 'gate: repeat, loop: it is kept' 'an audio prompt of two seconds hides nothing of the one behind it' \
    run 1 good "$BOX/stuck" good --gate warn --greedy
expect 0 '' 'a silent one' run 1 quiet "$BOX/stuck" quiet --gate warn --top-k 0
fails "is no fault of the model's" grep -q 'gate: ' "$BOX/said"
bad_model hot 7000 $(codec 15.conv.weight_g)
expect 0 'gate: clipping: it is kept' 'a sound far beyond full scale' run 1 hot-wav "$BOX/hot" two --gate warn --strategy none
expect 0 '' 'the same as floats, which hold it' run 1 floats "$BOX/hot" two --gate warn --strategy none --format wav-f32
fails 'has lost nothing' grep -q 'gate: ' "$BOX/said"
echo '{"id":"a","prompt":"","duration":1}' >"$BOX/wordless.jsonl"
expect 0 'gate: dead channel: it is kept' 'a channel below the other one' run 1 stereo "$GOLDEN/checkpoints/tiny-stereo" wordless --gate warn \
    --gate-dead-channel 0 --gate-repeat 1 --gate-loop 1 --gate-clipping 1 --gate-silence 1 --gate-dc 1

# ---- A good model, and a gate so narrow that some clips do not pass ----
narrow=(--gate retry --gate-retries 8 --gate-dc "${NARROW_DC:-0.004}")
expect 0 'gate: dc: it is made again' 'some clips are made again' run 1 one "$DEMO" jobs "${narrow[@]}"
passes 'some at once, some later' sh -c "grep -q '\"attempt\":0' '$BOX/one/manifest.jsonl' && grep -q '\"attempt\":[2-9]' '$BOX/one/manifest.jsonl'"
passes 'and say what was refused' grep -q '"gate":{"found":"","attempt":2,"refused":"dc; dc",' "$BOX/one/manifest.jsonl"
expect 0 '' 'three replicas' run 3 three "$DEMO" jobs "${narrow[@]}" --batch 1
like 'the same bytes' one three
ranks 2 sh -c 'echo $$ >"$0.$OMPI_COMM_WORLD_RANK"; exec "$@"' "$BOX/rank" "$MG" run --model "$DEMO" \
    --jobs "$BOX/jobs.jsonl" --out "$BOX/torn" --seed 5 --threads 1 --tp 1 "${narrow[@]}" >"$BOX/said" 2>&1 &
for _ in $(seq 200); do
    grep -q 'it is made again' "$BOX/said" && break
    sleep 0.05
done
kill -9 "$(cat "$BOX/rank.0")"
wait
expect 0 '' 'a run that was killed among them, and goes on' run 1 torn "$DEMO" jobs "${narrow[@]}"
like 'the same bytes' one torn
expect 2 'was begun with gate retry: .*, and this run has off' 'another gate is another dataset' run 1 one "$DEMO" jobs

# ---- The seed that is recorded makes the clip ----
line=$(grep -m1 '"attempt":[1-9]' "$BOX/one/manifest.jsonl")
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' <<<"$line") seed=$(sed 's/.*"seed":\([0-9]*\).*/\1/' <<<"$line")
sed -n "s/^{\(\"id\":\"$id\",.*\)/{\"seed\":$seed,\1/p" "$BOX/jobs.jsonl" >"$BOX/again.jsonl"
expect 0 '' 'a clip that was made again, from its seed alone' run 1 again "$DEMO" again
passes 'has the same bytes' cmp "$BOX/again/train/$id.flac" "$BOX/one/train/$id.flac"
finish
