#!/bin/bash
# Values arrive: by option, alias, letter, = and environment, in that order.   values.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"

clip() { # pattern, sentence, options
    local pattern=$1 sentence=$2
    shift 2
    expect 0 "$pattern" "$sentence" "$MG" generate --model "$TINY" --prompt x --frames 4 --out "$BOX/out" "$@"
}
field() { # key, value of out/000000.json
    passes "metadata: $1 is $2" grep -Eq "\"$1\":[[:space:]]*$2,?\$" "$BOX/out/000000.json"
}

clip 'cfg-coef 3, top-k 250, temperature 1' 'the defaults are AudioCraft'"'"'s'
clip 'cfg-coef 2\.5' 'an option' --cfg-coef 2.5
clip 'cfg-coef 2\.5' 'an option with =' --cfg-coef=2.5
clip 'cfg-coef 2\.5' 'an alias' --guidance-scale 2.5
clip 'seed 77' 'a letter' -s 77
field seed 77
clip 'seed 9007199254740991' 'the largest seed' --seed 9007199254740991
field seed 9007199254740991
clip 'seed [0-9]+ \(drawn' 'a seed is drawn and printed'
clip 'top-p 0\.9' 'top-p takes the place of top-k' --top-p 0.9
field top_p 0.9
clip 'greedy' 'a flag' --greedy
field greedy true
clip 'generation_config.json says do_sample true, used is --greedy' 'what the model says otherwise is printed' --greedy
clip 'generation_config.json says guidance_scale 3, used is 1' 'its guidance too' --cfg-coef 1
clip 'fp16 on cpu' 'a choice' --dtype fp16
field dtype '"fp16"'
clip 'on cpu/scalar' 'the instructions' --cpu-level scalar
field backend '"cpu/scalar"'
clip 'about twice as fast' '-v has a hint' -v
field threads '[0-9]+'
clip '^/' '-q prints paths alone' -q
passes '-q prints one line' test "$(wc -l <"$BOX/said")" = 1
clip 'top-k 5,' 'the last of two wins' --top-k 9 --top-k 5
MGDIST_TOP_K=7 clip 'top-k 7,' 'a value from the environment'
MGDIST_TOP_K=7 clip 'top-k 5,' 'the command line wins over it' --top-k 5
MGDIST_GREEDY=1 clip 'greedy' 'a flag from the environment'
MGDIST_GREEDY=0 clip 'top-k 250' 'a flag that the environment turns off'
MGDIST_QUIET=1 clip '^/' 'quiet from the environment'

"$MG" generate -q --model "$TINY" --prompt x --duration 0.42 --out "$BOX/out" >/dev/null
field frames 21
field samples 13440
field prompt '"x"'
field format '"wav"'
field strategy '"clip"'
field version '"[0-9.]+"'
field sha256 '"[0-9a-f]{64}"'
passes 'the hash is the weight file'"'"'s' grep -q "$(sha256sum <"$TINY/model.safetensors" | cut -d' ' -f1)" "$BOX/out/000000.json"

printf '\357\273\277one\r\n\r\ntwo\n' | "$MG" generate -q --model "$TINY" --prompts - --unconditional 1 --prompt zero --frames 4 \
    --out "$BOX/list" >"$BOX/said"
passes 'prompts from options, then standard input, then none' test "$(wc -l <"$BOX/said")" = 4
passes 'the first is the option'"'"'s' grep -q '"zero"' "$BOX/list/000000.json"
passes 'the last line of the file' grep -q '"two"' "$BOX/list/000002.json"
passes 'no text is null' grep -Eq '"prompt":[[:space:]]*null' "$BOX/list/000003.json"
printf 'one\ntwo\n' >"$BOX/prompts.txt"
expect 0 '000001.wav' 'a file of prompts under mpirun, standard input for rank 0 alone' \
    ranks 2 "$MG" generate -q --model "$TINY" --prompts - --frames 4 --out "$BOX/two" <"$BOX/prompts.txt"
finish
