#!/bin/bash
# The pipeline people know: a grand piano improvisation, a jazz trio, and a song with lyrics that is longer than the
# model's window; then the same piano continued. Short on the demo model; as long as it gets on a real one, where
# MGDIST_TEST_MODEL names its folder or id.   pipeline.sh MG-DIST TESTS-FOLDER
real=${MGDIST_TEST_MODEL:-}
. "$(dirname "$0")/lib.sh" "$1" "$2"

PIANO='grand piano jazz improvisation'
TRIO='jazz trio with upright bass, brushed drums and a warm piano'
cat >"$BOX/lyrics.txt" <<'END'

The Harbour at Night

A slow ballad, piano and soft drums

Lights on the water, nobody home,
ships going out where the cold winds roam.

Sing me the harbour, sing me the sea,
sing me the morning that brings you to me.
END

# number FILE OFFSET BYTES: little-endian.
number() { od -An -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '; }
# seconds DURATION CHANNELS FILE: a 16-bit WAV file at 32 kHz of that length; other chunks may stand before the sound.
seconds() {
    local at=12 id
    while id=$(dd if="$3" bs=1 skip=$at count=4 status=none) && [ -n "$id" ] && [ "$id" != data ]; do
        at=$((at + 8 + $(number "$3" $((at + 4)) 4)))
    done
    test "$(number "$3" $((at + 4)) 4)" = $(($1 * 32000 * 2 * $2))
}
field() { grep -Eq "\"$1\":[[:space:]]*$2,?\$" "$3"; } # key, value, file

# pipeline MODEL OUT SECONDS LONG WINDOW CHANNELS
pipeline() {
    local model=$1 out=$2 dur=$3 long=$4 window=$5 channels=$6 how=()
    [ "$window" = own ] || how=(--window "$window")
    expect 0 "2 clips of $dur s" "piano and trio, $dur s" timeout 3000 "$MG" generate --model "$model" --prompt "$PIANO" \
        --prompt "$TRIO" --duration "$dur" --seed 7 --name title --out "$out"
    passes 'the paths are printed in order' sh -c "grep '^$out' '$BOX/said' | head -1 | grep -qx '$out/grand-piano-jazz-improvisation.wav'"
    for name in grand-piano-jazz-improvisation jazz-trio-with-upright-bass-brushed-drums-and-a; do
        passes "$name: $dur s of sound" seconds "$dur" "$channels" "$out/$name.wav"
        passes "$name: its metadata" field frames $((dur * 50)) "$out/$name.json"
        fails "$name: it is not silence" sh -c "tail -c +45 '$out/$name.wav' | tr -d '\000\377' | wc -c | grep -qx 0"
    done
    passes 'the piano'"'"'s seed' field seed 7 "$out/grand-piano-jazz-improvisation.json"
    passes 'the trio'"'"'s seed is the next' field seed 8 "$out/jazz-trio-with-upright-bass-brushed-drums-and-a.json"

    expect 0 'in windows of' "a song with lyrics, $long s" timeout 6000 "$MG" generate --model "$model" --prompt-file "$BOX/lyrics.txt" \
        --duration "$long" --seed 7 "${how[@]}" --strategy loudness --out "$out"
    passes 'it is called by its title' seconds "$long" "$channels" "$out/the-harbour-at-night.wav"
    passes 'the title is in the metadata' grep -q 'The Harbour at Night' "$out/the-harbour-at-night.json"
    passes 'and so is the last line' grep -q 'that brings you to me' "$out/the-harbour-at-night.json"

    expect 0 "2 clips of $((dur + 1)) s" 'the piano goes on, in two ways' timeout 3000 "$MG" generate --model "$model" --prompt "$PIANO" \
        -n 2 --audio-prompt "$out/grand-piano-jazz-improvisation.wav" --prompt-duration 1 --duration $((dur + 1)) --seed 9 \
        --format flac --save-codes --out "$out/more"
    passes 'both are there' test -s "$out/more/000000.flac" -a -s "$out/more/000001.flac" -a -s "$out/more/000001.codes.npy"
    fails 'they differ' cmp "$out/more/000000.flac" "$out/more/000001.flac"
    expect 0 "$out/tail/000000.wav" 'from its codes, without the beginning' timeout 3000 "$MG" generate -q --model "$model" --prompt "$PIANO" \
        --audio-prompt "$out/more/000000.codes.npy" --prompt-duration 1 --drop-prompt --duration "$dur" --seed 9 --out "$out/tail"
    passes 'a second shorter' seconds $((dur - 1)) "$channels" "$out/tail/000000.wav"
    passes 'nothing half-written' tidy "$out"
}

pipeline "$DEMO" "$BOX/demo" 2 5 2.5 1

# A list that mixes them, into one folder.
cp "$BOX/demo/grand-piano-jazz-improvisation.wav" "$BOX/piano.wav"
cat >"$BOX/list.jsonl" <<END
{"id": "piano", "prompt": "$PIANO", "duration": 2, "seed": 7}
{"id": "trio", "title": "Trio", "prompt": "$TRIO", "duration": 3, "window": 2, "top_p": 0.9, "n": 2}
{"id": "more", "prompt": "$PIANO", "duration": 3, "audio_prompt": "piano.wav", "prompt_duration": 1.5, "negative_prompt": "drums"}
{"duration": 1, "greedy": true}
END
expect 0 '5 clips of 1 to 3 s' 'a list of requests on two ranks' ranks 2 "$MG" generate --model "$DEMO" --prompts "$BOX/list.jsonl" --seed 1 \
    --out "$BOX/list"
for name in piano trio-0 trio-1 more 000004; do passes "list: $name" test -s "$BOX/list/$name.wav" -a -s "$BOX/list/$name.json"; done
passes 'the same request and seed is the same clip, whatever is beside it' cmp "$BOX/piano.wav" "$BOX/list/piano.wav"
passes 'standard output' sh -c "'$MG' generate -q --model '$DEMO' --prompt '$PIANO' --duration 2 --seed 7 --out - >'$BOX/piped.wav' 2>'$BOX/note'"
passes 'has the same bytes' cmp "$BOX/piano.wav" "$BOX/piped.wav"

if [ -n "$real" ]; then
    channels=$(timeout 3000 "$MG" generate -q --model "$real" --prompt "$PIANO" --duration 1 --seed 1 --out - >"$BOX/real.wav" && number "$BOX/real.wav" 22 2)
    pipeline "$real" "$BOX/real" 30 45 own "${channels:-1}"
else
    skipped 'a real model: MGDIST_TEST_MODEL is not set'
fi
finish
