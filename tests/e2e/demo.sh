#!/bin/bash
# The bundled model makes music from two texts on two ranks.   demo.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

demo() { ranks "$1" "$MG" generate --model "$DEMO" --prompt 'drums' --prompt 'slow sad piano' --duration 4 --seed 7 --save-codes --out "$2"; }

expect 0 'plan: 2 ranks = 1 replica of 2' 'two clips on two ranks' demo 2 "$BOX/two"
passes 'the path of the last clip is printed' grep -qx "$BOX/two/000001.wav" "$BOX/said"
passes 'four seconds at 32 kHz, 16 bits' test "$(stat -c %s "$BOX/two/000001.wav")" = $((44 + 4 * 32000 * 2))
passes 'the texts make different sound' sh -c "! cmp -s '$BOX/two/000000.wav' '$BOX/two/000001.wav'"
fails 'it is not silence' sh -c "tail -c +45 '$BOX/two/000000.wav' | tr -d '\000\377' | wc -c | grep -qx 0"
expect 0 '' 'the same alone' demo 1 "$BOX/one"
same 'the same bytes' "$BOX/one" "$BOX/two"
finish
