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
generate 'option --format: "mp3": must be one of wav\|wav-f32' 'an unknown format' --format mp3
generate 'option --strategy: "loudness": must be one of clip\|none' 'a strategy of later' --strategy loudness
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
generate 'option --duration: 0: must be more than 0' 'no duration' --duration 0
generate 'option --duration: 0.001: shorter than one frame' 'less than a frame' --duration 0.001
generate 'option --frames: "0": must be a whole number from 1' 'no frames' --frames 0
generate 'options --duration and --frames: both' 'two lengths' --duration 3 --frames 10
generate 'options -q and -v' 'quiet and verbose' -q -v
generate 'option --tp: 3: must be one of 1, 2, 4, 8' 'three ranks to a model' --tp 3
generate 'option --batch: "0": must be' 'no clip at a time' --batch 0
generate 'option --threads: "0": must be' 'no thread' --threads 0
generate 'option --unconditional: "0": must be' 'no clip without text' --unconditional 0
generate 'option --comm-timeout: "0": must be a number from 1' 'no patience' --comm-timeout 0
passes 'nothing was written' test ! -e "$BOX/out"

expect 5 'option --device: cuda' 'no GPU in this build' "$MG" generate --model "$TINY" --prompt x --device cuda --out "$BOX/out"
MGDIST_DTYPE=fp8 expect 2 'environment MGDIST_DTYPE: "fp8": must be one of' 'the environment is checked too' \
    "$MG" generate --model "$TINY" --prompt x --out "$BOX/out"
MGDIST_GREEDY=perhaps expect 2 'environment MGDIST_GREEDY: "perhaps": must be 1 or 0' 'a flag in the environment is 1 or 0' \
    "$MG" generate --model "$TINY" --prompt x --out "$BOX/out"
finish
