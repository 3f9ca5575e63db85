#!/bin/bash
# Progress counts the frames of all replicas, and the end says how fast it was.   progress.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

# Clips of one replica alone, the other's is short: what is shown must be of both, and go on when rank 0 is done. The plain
# level makes it last longer than the five seconds between two lines.
printf '{"prompt": "a", "duration": 1}\n{"prompt": "b", "duration": 150}\n' >"$BOX/list.jsonl"
expect 0 'generate: +[0-9]+ %, [0-9]+ of 7550 frames' 'all frames are counted' ranks 2 "$MG" generate --model "$DEMO" \
    --prompts "$BOX/list.jsonl" --tp 1 --threads 1 --cpu-level scalar --dtype fp32 --seed 1 --codes-only --out "$BOX/out"
passes 'of another replica too, and never fewer than before' awk '
    match($0, /%, [0-9]+ of 7550 frames/) { n = substr($0, RSTART + 3) + 0; if (n < last) wrong = 1; last = n }
    END { exit wrong || last <= 50 }' "$BOX/said"
# On a terminal a bar is written over and over: where it is narrow, in its one line, and not on one that cannot.
narrow() { # TERM [COLUMNS]
    TERM=$1 script -qec "stty cols ${2:-40}; '$MG' generate --model '$DEMO' --prompt a --duration 15 --threads 1 --cpu-level scalar --dtype fp32 \
        --seed 1 --codes-only --out '$BOX/narrow' 2>&1 >/dev/null" /dev/null </dev/null >"$BOX/typed"
}
if command -v script >/dev/null; then
    narrow xterm
    passes 'a bar on a narrow terminal' grep -q '\[[#-]\{9\}' "$BOX/typed"
    passes 'no wider than it' awk 'BEGIN { RS = "\r" } /\[[#-]/ && index($0, "\033") > 40 { wrong = 1 } END { exit wrong }' "$BOX/typed"
    passes 'it says how much is done and how long it takes' grep -q '\[[#-]*\] *[0-9]* %  .* left' "$BOX/typed"
    narrow xterm 20
    passes 'without a bar where there is no room for one' grep -q 'generate *[0-9]* %  [0-9?]' "$BOX/typed"
    narrow dumb
    fails 'none on a dumb terminal' grep -q "$(printf '\033')" "$BOX/typed"
else
    skipped 'script not found'
fi
# The longest clip begins first: 203 steps, and the short ones beside it; in the order of the list it would be alone for 180.
printf '{"frames": %s}\n' 20 20 20 20 200 >"$BOX/lengths.jsonl"
expect 0 '; 20[0-9] steps of ' 'clips of many lengths' "$MG" generate --model "$TINY" --prompts "$BOX/lengths.jsonl" --batch 2 --seed 1 \
    --codes-only --out "$BOX/lengths"
passes 'their names are in the order of the list' grep -q '"frames":200' <(tr -d ' \n\t' <"$BOX/lengths/000004.json")
passes 'how fast it was is said' grep -Eq 'of music in [0-9.]+ s, [0-9.]+ times as fast as it plays' "$BOX/said"
finish
