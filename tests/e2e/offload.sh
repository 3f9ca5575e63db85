#!/bin/bash
# A language model larger than memory: its layers stay in the file, and the sound is the same.
#   offload.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

make() { # FOLDER RANKS options …
    local out=$1 n=$2
    shift 2
    ranks "$n" "$MG" generate --model "$DEMO" --prompt 'happy chiptune, fast' --prompt 'slow piano' --duration 1 \
        --seed 3 --dtype bf16 --threads 1 --out "$BOX/$out" "$@"
}
need_mb() { sed -n 's/.*; \([0-9.]*\) MB a rank.*/\1/p' "$BOX/said"; }
same_sound() { cmp "$BOX/whole/000000.wav" "$BOX/$1/000000.wav" && cmp "$BOX/whole/000001.wav" "$BOX/$1/000001.wav"; }

expect 0 'plan: ' 'all layers in memory' make whole 1 --batch 1
whole_mb=$(need_mb)
fails 'then no word of layers' grep -q 'plan: layers' "$BOX/said"
for split in '1 0-2 memory, 3 file' '2 0-1 memory, 2-3 file' '3 0 memory, 1-3 file' '4 0-3 file'; do
    expect 0 "plan: layers ${split#* }\$" "${split%% *} layers outside" make "l${split%% *}" 1 --batch 1 --offload "layers=${split%% *}"
    passes 'the same sound' same_sound "l${split%% *}"
done
least_mb=$(need_mb)
passes 'less memory is planned' awk -v a="$least_mb" -v b="$whole_mb" 'BEGIN { exit !(a > 0 && a < b) }'
expect 0 'plan: layers 0 memory, 1-3 file' 'two ranks that share the model' make pair 2 --tp 2 --offload layers=3
passes 'the same sound' same_sound pair
bar() { # options …: the last of the bar of the loading, on a terminal
    script -qec "'$MG' generate --model '$DEMO' --prompt x --duration 0.1 --seed 3 --dtype bf16 --codes-only --out '$BOX/bar' $*" /dev/null |
        tr '\r' '\n' | grep '^load ' | tail -n 1
}
says() { grep -Eq "$1" <<<"$2"; }
if command -v script >/dev/null; then # of bsdutils, which Debian always has
    passes 'all layers outside: the bar of the loading ends at 100 %' says '^load \[#{30}\] 100 %' "$(bar --offload layers=4)"
    passes 'none outside: too' says '^load \[#{30}\] 100 %' "$(bar --offload none)"
fi
if [ "$(uname -m)" = x86_64 ]; then
    expect 0 'plan: layers' 'in 8 bits' make eight_out 1 --offload layers=3 --dtype int8
    expect 0 '' 'in 8 bits, all in memory' make eight 1 --dtype int8
    passes 'the same sound' cmp "$BOX/eight/000000.wav" "$BOX/eight_out/000000.wav"
fi

limit=$(awk -v a="$least_mb" -v b="$whole_mb" 'BEGIN { printf "%.2fM", (a + b) / 2 }')
expect 0 'plan: layers .*-3 file' 'a limit chooses how many' make limit 1 --host-memory "$limit" --batch 1
passes 'the same sound' same_sound limit
fails 'not all of them' grep -q 'plan: layers 0-3 file' "$BOX/said"
expect 0 '2 clips? at a time' 'whole, with room for both clips' make roomy 1 --host-memory 1G
fails 'nothing is outside' grep -q 'plan: layers' "$BOX/said"
expect 5 "needs [0-9]+ MB for 1 clip at a time, and [0-9]+ MB are available" 'not without leave' make no 1 --host-memory "$limit" --batch 1 --offload none
expect 5 'needs [0-9]+ MB for 1 clip at a time with 4 layers outside, and 9 MB are available' 'less than a layer needs' make no 1 --host-memory 9M
expect 5 'needs .* are available; use a shorter --duration' 'a clip whose sound alone is too much' make no 1 --host-memory 1G --duration 60000
expect 2 'layers=5: the model has 4' 'more layers than there are' make no 1 --offload layers=5
expect 2 'option --offload: "some": must be none, auto or layers=N' 'another word' make no 1 --offload some
expect 2 'option --host-memory: "4 GBit": must be a number of bytes' 'not a size' make no 1 --host-memory '4 GBit'
finish
