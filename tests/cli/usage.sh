#!/bin/bash
# What is refused before any work, with which words: always exit code 2, and one line.   usage.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"

refused() {
    local pattern=$1 sentence=$2
    shift 2
    expect 2 "^mg-dist: error: .*$pattern" "$sentence" "$MG" "$@"
    passes "$sentence: in one line" test "$(wc -l <"$BOX/said")" = 1
}
generate() { # pattern, sentence, options
    local pattern=$1 sentence=$2
    shift 2
    refused "$pattern" "$sentence" generate --model "$TINY" --prompt x --seed 1 --out "$BOX/out" "$@"
}

refused 'no command given' 'no command'
refused 'command generat: unknown; did you mean generate\?' 'a mistyped command gets a suggestion' generat
refused 'command frobnicate: unknown; see mg-dist --help' 'a strange command gets none' frobnicate
refused 'DIR: missing; mg-dist status DIR' 'no folder: the usage is said' status
refused 'option --out: its value is empty; give DIR, or leave it out' 'an empty folder is not the root' \
    run --model "$TINY" --jobs "$TESTS/../examples/captions.csv" --out ''
refused 'option --out: its value is empty' 'of generate neither' generate --model "$TINY" --prompt x --out ''
refused 'option --out: its value is empty' 'nor of a sweep' bench-scaling --out ''
refused 'OUT: its value is empty' 'nor of a merge' merge '' "$BOX/a"
refused 'SHARD: its value is empty' 'nor a shard' merge "$BOX/a" ''
refused 'option --model: its value is empty; give DIR\|ID' 'an empty model' generate --prompt x --model ''
refused 'option --model: missing' 'no model' generate --prompt x
refused 'nothing to make; give --prompt' 'nothing to make' generate --model "$TINY"

generate 'option --top-q: unknown; did you mean --top-[kp]\?' 'a mistyped option gets a suggestion' --top-q 3
generate 'option --guidance-scal: unknown; did you mean --guidance-scale\?' 'aliases are suggested too' --guidance-scal 3
generate 'option --zzzzzz: unknown; see mg-dist generate --help' 'a strange option gets none' --zzzzzz
generate 'option --x: unknown' 'an unknown letter' -x
generate '"loose": a word too many' 'a loose word' loose
generate 'option --seed: the value N is missing' 'a value is missing at the end' --seed
generate 'option --seed: the value N is missing' 'the next option is no value' --seed --greedy
generate 'option --greedy: takes no value' 'a flag takes no value' --greedy=yes
generate 'option --dtype: "fp8": must be one of auto\|fp32\|bf16\|fp16' 'a word out of the set' --dtype fp8
generate 'option --format: "aac": must be one of wav\|wav-f32\|flac\|ogg\|opus\|mp3' 'an unknown format' --format aac
generate 'option --strategy: "loud": must be one of peak\|loudness\|rms\|clip\|none' 'an unknown strategy' --strategy loud
generate 'option --sampler: "torch": must be one of audiocraft\|hf' 'an unknown sampler' --sampler torch
generate 'option --name: "prompt": must be one of index\|title' 'an unknown naming' --name prompt
generate 'option --top-k: "many": must be a whole number from 0 to 1000000000' 'no number' --top-k many
generate 'option --top-k: "2\.5": must be a whole number' 'a fraction for a whole number' --top-k 2.5
generate 'option --top-k: "-1": must be a whole number from 0' 'below the range' --top-k -1
generate 'option --top-k: "": must be a whole number' 'an empty value' --top-k=
generate 'option --seed: "9007199254740992": must be a whole number from 0 to 9007199254740991' 'a seed beyond 2\^53 - 1' \
    --seed 9007199254740992
generate 'option --seed: "99999999999999999999": must be' 'a seed beyond any integer' --seed 99999999999999999999
generate 'option --top-p: "1\.5": must be a number from 0 to 1' 'a probability above 1' --top-p 1.5
generate 'option --temperature: "nan": must be a number' 'NaN is no number' --temperature nan
generate 'option --temperature: "1e999": must be a number' 'nor is infinity' --temperature 1e999
generate 'option --cfg-coef: "3x": must be a number' 'a tail behind the number' --guidance-scale 3x
generate 'option --duration: "0": must be a number of seconds from 0.001' 'no duration' --duration 0
generate 'option --duration: 0.001: shorter than one frame' 'less than a frame' --duration 0.001
generate 'option --frames: "0": must be a whole number from 1' 'no frames' --frames 0
generate 'options --duration and --frames: both' 'two lengths' --duration 3 --frames 10
generate 'options -q and -v' 'quiet and verbose' -q -v
generate 'option --tp: 3: must be one of 1, 2, 4, 8' 'three ranks to a model' --tp 3
generate 'option --batch: "0": must be' 'no clip at a time' --batch 0
generate 'option --threads: "0": must be' 'no thread' --threads 0
generate 'option --unconditional: "0": must be' 'no clip without text' --unconditional 0
generate 'option --comm-timeout: "0": must be a number of seconds from 1' 'no patience' --comm-timeout 0
generate 'option --n: "0": must be' 'no clip for each prompt' -n 0
generate 'option --window: "0": must be a number of seconds from 0.001' 'no window' --window 0
generate 'option --extend-stride: "0": must be a number of seconds from 0.001' 'no step' --extend-stride 0
generate 'option --prompt-duration: "0": must be a number of seconds from 0.001' 'nothing of a prompt' --audio-prompt x.wav --prompt-duration 0
generate 'option --extend-stride: 18: must be shorter than the window, 10 s' 'a step beyond the window' --window 10 --extend-stride 18
generate 'option --extend-stride: 5: must be shorter than the window, 4 s' 'or beyond the model'"'"'s own window' --duration 9 --extend-stride 5
generate 'option --window: 60: .*table ends at 597 frames \(11\.94 s\)' 'a window beyond the positions' --window 60
generate 'option --window: 0\.03: shorter than two frames' 'a window of one frame' --window 0.03
generate 'option --drop-prompt: there is no --audio-prompt' 'no prompt to drop' --drop-prompt
generate 'option --prompt-duration: there is no --audio-prompt' 'no prompt to cut' --prompt-duration 1
generate 'option --cfg-coef-beta: .*no --melody' 'double guidance without a melody' --cfg-coef-beta 2
generate 'option --loudness-compressor: goes with --strategy loudness' 'a compressor without its strategy' --loudness-compressor
generate 'option --peak-headroom: "-1": must be a number from 0' 'a headroom above full scale' --peak-headroom=-1
generate 'option --negative-prompt: given 2 times for 1 prompt;' 'two negatives for one prompt' --negative-prompt a --negative-prompt b
generate 'option --audio-prompt: given 2 times for 3 prompts' 'two sounds for three prompts' --prompt y --prompt z --audio-prompt a --audio-prompt b
expect 2 'option --melody: given 2 times for 3 prompts' 'two tunes for three sounds' "$MG" generate --model "$TINY" \
    --audio-prompt a --audio-prompt b --audio-prompt c --melody d --melody e --out "$BOX/out"
generate 'option --out: -: 2 clips; standard output takes one' 'two clips to standard output' --prompt y --out -
generate 'option --out: -: .*leave out --save-codes' 'sound and codes to standard output' --save-codes --out -
generate 'option --out: -: .*leave out --codes-only' 'codes to standard output' --codes-only --out -
generate 'byte 2 of the text is not UTF-8' 'a negative prompt that is not UTF-8' --negative-prompt "$(printf 'a\377')"

# Files of prompts
lines() { printf '%s\n' "$@" >"$BOX/list.jsonl"; }
listed() { # pattern, sentence, lines …
    local pattern=$1 sentence=$2
    shift 2
    lines "$@"
    refused "list.jsonl: $pattern" "$sentence" generate --model "$TINY" --seed 1 --prompts "$BOX/list.jsonl" --out "$BOX/out"
}
listed 'line 2: promt: no such key' 'an unknown key' '{"prompt": "x"}' '{"promt": "x"}'
listed 'line 1: seed: given twice' 'a key twice' '{"seed": 1, "seed": 1}'
listed 'line 1: duration: "8": must be a number from 0\.001' 'a duration of another type' '{"duration": "8"}'
listed 'line 3: not JSON' 'a broken line' '{}' '' '{"prompt": "x"'
listed 'line 1: duration and frames both' 'two lengths' '{"duration": 1, "frames": 3}'
listed 'line 1: id: "\.\./x": may not hold' 'an id that leads elsewhere' '{"id": "../x"}'
listed 'line 2: id: "a": an earlier clip has this name' 'an id twice' '{"id": "a"}' '{"id": "a"}'
listed 'line 2: id: "a-1": an earlier clip has this name' 'the id of one of several' '{"id": "a", "n": 2}' '{"id": "a-1"}'
lines '{"prompt": "x", "frames": 4, "cfg_coef_beta": 2}'
refused 'cfg_coef_beta: 2: weighs the text against a melody' 'double guidance without a melody in a list' \
    generate --model "$TINY" --prompts "$BOX/list.jsonl" --out "$BOX/out" -q

# Text that is too long
: >"$BOX/empty.txt"
head -c 1000000 /dev/zero | tr '\0' a >"$BOX/million.txt"
refused 'empty.txt: holds no text' 'an empty prompt file' generate --model "$TINY" --prompt-file "$BOX/empty.txt" --out "$BOX/out"
refused 'million.txt: longer than 65536 bytes' 'a lyrics file of 1 MB' generate --model "$TINY" --prompt-file "$BOX/million.txt" \
    --out "$BOX/out"
yes la | head -10000 | tr '\n' ' ' >"$BOX/tokens.txt"
refused 'tokens, at most 2048 are taken' 'a text of 10,000 words' generate -q --model "$TINY" --prompt-file "$BOX/tokens.txt" \
    --out "$BOX/out" --seed 1

# What the model cannot follow
printf 'RIFF....WAVE' >"$BOX/bad.wav"
followed() { # CODE PATTERN SENTENCE options: one error, whichever way it is asked
    local code=$1 pattern=$2 sentence=$3
    shift 3
    expect "$code" "^mg-dist: error: .*$pattern" "$sentence" "$MG" generate -q --model "$TINY" --seed 1 --out "$BOX/out" "$@"
    passes "$sentence: in one line" test "$(wc -l <"$BOX/said")" = 1
}
"$MG" generate -q --model "$TINY" --frames 20 --save-codes --prompt x --out "$BOX/made" >/dev/null
"$MG" generate -q --model "$GOLDEN/checkpoints/tiny-stereo" --tokenizer "$TINY" --frames 20 --codes-only --prompt x \
    --out "$BOX/made/stereo" >/dev/null
followed 1 'nowhere.wav: cannot open' 'an audio prompt that is not there' --prompt x --audio-prompt "$BOX/nowhere.wav"
followed 1 'bad.wav: ' 'an audio prompt that is no sound' --prompt x --prompt y --audio-prompt "$BOX/bad.wav"
followed 1 'nowhere.wav: cannot open' 'a melody that is not there' --melody "$BOX/nowhere.wav"
followed 1 'nowhere.npy: cannot open' 'text states that are not there' --text-states "$BOX/nowhere.npy"
followed 1 'holds int32; text states are float16' 'codes for text states' --text-states "$BOX/made/000000.codes.npy"
followed 1 'codes of 8 codebooks, and this model has 4' 'another model'"'"'s codes' --audio-prompt "$BOX/made/stereo/000000.codes.npy"
followed 2 'tiny-mono follows texts alone' 'a melody for a model without' --prompt x --melody "$BOX/made/000000.wav"
followed 2 '20 frames \(0\.40 s\), which count toward the limit, and the clip has 20 frames' 'a prompt as long as the clip' \
    --audio-prompt "$BOX/made/000000.wav" --frames 20
followed 2 'count toward the limit, and the model'"'"'s window is 15 frames' 'a prompt longer than the window' \
    --audio-prompt "$BOX/made/000000.codes.npy" --frames 40 --window 0.3 --extend-stride 0.1
passes 'a shorter piece of it will do' "$MG" generate -q --model "$TINY" --audio-prompt "$BOX/made/000000.wav" --frames 20 \
    --prompt-duration 0.2 --out "$BOX/made"
lines '{"id": "bad", "melody": "nowhere.wav"}' '{"id": "good", "prompt": "x", "frames": 4}'
expect 3 'clip bad: .*/nowhere.wav: cannot open' 'one bad request of two' \
    "$MG" generate -q --model "$TINY" --prompts "$BOX/list.jsonl" --out "$BOX/made"
passes 'the good one is made' test -s "$BOX/made/good.wav"
lines '{"id": "bad", "frames": 4, "melody": "made/000000.wav"}' '{"id": "better", "prompt": "x", "frames": 4}'
expect 3 'clip bad: .*follows texts alone' 'one of two that the model cannot make, on two ranks' \
    ranks 2 "$MG" generate -q --model "$TINY" --prompts "$BOX/list.jsonl" --out "$BOX/made"
passes 'it is said once' test "$(grep -c 'follows texts alone' "$BOX/said")" = 1
passes 'the better one is made' test -s "$BOX/made/better.wav"

passes 'nothing was written' test ! -e "$BOX/out"

CUDA_VISIBLE_DEVICES='' expect 5 'option --device: cuda|cuda: no (NVIDIA )?(driver|GPU)' 'no GPU, or no plug-in for it' "$MG" generate --model "$TINY" --prompt x --device cuda --out "$BOX/out"
MGDIST_DTYPE=fp8 expect 2 'environment MGDIST_DTYPE: "fp8": must be one of' 'the environment is checked too' \
    "$MG" generate --model "$TINY" --prompt x --out "$BOX/out"
MGDIST_GREEDY=perhaps expect 2 'environment MGDIST_GREEDY: "perhaps": must be 1 or 0' 'a flag in the environment is 1 or 0' \
    "$MG" generate --model "$TINY" --prompt x --out "$BOX/out"
finish
