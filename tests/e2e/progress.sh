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
passes 'how fast it was is said' grep -Eq 'of music in [0-9.]+ s, [0-9.]+ times as fast as it plays' "$BOX/said"
finish
