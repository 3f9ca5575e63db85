#!/bin/bash
# Keys and values in 8 bits: recorded, replayed, planned, and the same bytes however the work is dealt.
#   kv.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

make() { # FOLDER RANKS options …
    local out=$1 n=$2
    shift 2
    ranks "$n" "$MG" generate --model "$DEMO" --prompt 'happy chiptune, fast' --prompt 'slow piano' --duration 2 --seed 3 \
        --tp "$n" --out "$BOX/$out" "$@"
}
sounds() { cmp "$BOX/$1/000000.wav" "$BOX/$2/000000.wav" && cmp "$BOX/$1/000001.wav" "$BOX/$2/000001.wav"; }
need_mb() { sed -n 's/.*language model \([0-9.]*\),.*/\1/p' "$BOX/said"; }

expect 0 'int8 on cpu' 'as it was' make plain 1 --dtype int8 --threads 1
plain_mb=$(need_mb)
fails 'no word of keys' grep -q '"kv"' "$BOX/plain/000000.json"
expect 0 'int8, kv int8 on cpu' 'the plan names it' make kv 1 --dtype int8 --kv int8 --threads 1
passes 'and counts it' awk -v a="$(need_mb)" -v b="$plain_mb" 'BEGIN { exit !(a > 0 && a < b) }'
passes 'it is recorded' grep -Eq '"kv":[[:space:]]*"int8"' "$BOX/kv/000000.json"
fails 'it is another sound' sounds plain kv
expect 0 '' 'two threads, a clip at a time' make one 1 --dtype int8 --kv int8 --threads 2 --batch 1
passes 'the same sound' sounds kv one
for n in 2 4; do
    expect 0 '' "$n ranks" make "kv$n" "$n" --dtype int8 --kv int8 --threads 1
    passes 'the same sound' sounds kv "kv$n"
done
expect 0 '' 'with fp32 matrices' make f 1 --dtype fp32 --kv int8 --threads 1
expect 0 'replay: the same bytes|same' 'a replay holds it' "$MG" replay "$BOX/kv/000000.json" --threads 1
expect 1 'kv' 'other keys are another clip' "$MG" replay "$BOX/plain/000000.json" --kv int8 --threads 1
expect 0 '' 'a clip that is there' env -u MGDIST_OVERWRITE "$MG" generate --model "$DEMO" --prompt x --duration 0.2 --dtype int8 --kv int8 --out "$BOX/x"
expect 2 'option --kv: "int4": must be' 'another word' make no 1 --kv int4
finish
