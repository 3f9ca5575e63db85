#!/bin/bash
# What a log gets: whole lines, the plan as one, no carriage returns, also through launchers that tag each line.
#   log.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"
# Each clip's codes take a while to get their name: a run of several seconds on any machine.
slow=(env LD_PRELOAD="$5" FAULT_CALLS=rename FAULT_PATH=.npy FAULT_MS=800)

"${slow[@]}" "$MG" generate --model "$DEMO" --unconditional 12 --duration 1 --threads 1 --batch 1 --seed 1 --codes-only --out "$BOX/out" \
    >"$BOX/paths" 2>"$BOX/log"
passes 'a run of several seconds' test "$(grep -c 'generate: .* of music in' "$BOX/log")" = 1
passes 'progress is there' grep -Eq 'generate: .*[0-9]+ *%|generate: .*[0-9]+/[0-9]+|generate: [0-9]+ of' "$BOX/log"
fails 'no carriage return, no escape' grep -q "$(printf '[\r\033]')" "$BOX/log"
passes 'the plan is one line' test "$(grep -c '^plan: ' "$BOX/log")" = 1
passes 'with the parts in it' grep -Eq '^plan: 1 rank .*MB a rank \(text encoder .*language model .*codec .*host buffers' "$BOX/log"
passes 'every line says whose it is' test "$(grep -Evc '^(plan|generate|load|mg-dist): ' "$BOX/log")" = 0
passes 'the last line ends' test "$(tail -c1 "$BOX/log" | od -An -c | tr -d ' ')" = '\n'
"$MG" generate -v --model "$DEMO" --unconditional 1 --frames 4 --out "$BOX/out" >"$BOX/paths" 2>"$BOX/log"
passes 'with -v the table' test "$(grep -c '^plan: ' "$BOX/log")" -ge 6
# Whoever read the log has gone: the run goes on.
mkfifo "$BOX/pipe"
head -n 1 "$BOX/pipe" >"$BOX/said" &
"$MG" generate -v --model "$DEMO" --unconditional 1 --frames 60 --out "$BOX/unread" >"$BOX/paths" 2>"$BOX/pipe"
code=$?
wait $!
passes 'a log that nobody reads any more ends nothing' test $code = 0
passes 'and the clip is there' test -s "$BOX/unread/000000.wav"
ranks 2 true || { skipped 'no mpirun here'; finish; }
timeout 600 mpirun --tag-output -np 2 --oversubscribe --bind-to none "${slow[@]}" "$MG" generate --model "$DEMO" --unconditional 24 \
    --duration 1 --threads 1 --batch 1 --seed 1 --codes-only --out "$BOX/out" >"$BOX/log" 2>&1
passes 'tagged: each line is tagged once' test "$(grep -c '^\[1,[01]\]<std' "$BOX/log")" = "$(grep -c . "$BOX/log")"
passes 'tagged: none in the middle of a line' test "$(grep -c '.\[1,[01]\]<std' "$BOX/log")" = 0
passes 'tagged: progress is there' grep -Eq 'generate: +[0-9]+ %' "$BOX/log"
passes 'tagged: one line of plan' test "$(grep -c 'plan: ' "$BOX/log")" = 1
finish
