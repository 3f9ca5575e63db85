#!/bin/bash
# The bundled model makes music from two texts on two ranks.
#   demo.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS
. "$(dirname "$0")/lib.sh" "$1" "$2"
FACTS=$4

demo() { ranks "$1" "$MG" generate --model "$DEMO" --prompt 'drums' --prompt 'slow sad piano' --duration 4 --seed 7 --save-codes --out "$2"; }

expect 0 'plan: 2 ranks = 2 replicas of 1' 'two clips on two ranks' demo 2 "$BOX/two"
passes 'the path of the last clip is printed' grep -qx "$BOX/two/000001.wav" "$BOX/said"
passes 'four seconds at 32 kHz' grep -q '^128000 1 32000 ' <("$FACTS" "$BOX/two/000001.wav")
passes 'the texts make different sound' sh -c "! cmp -s '$BOX/two/000000.wav' '$BOX/two/000001.wav'"
fails 'it is not silence' grep -q ' 0.0000 [0-9a-f]*$' <("$FACTS" "$BOX/two/000000.wav")
expect 0 '' 'the same alone' demo 1 "$BOX/one"
same 'the same bytes' "$BOX/one" "$BOX/two"
finish
