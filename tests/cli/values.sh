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

clip 'cfg-coef 3, top-k 250, temperature 1, seed' 'the defaults are AudioCraft'"'"'s'
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
clip 'temperature 1, min-p 0\.1' 'min-p beside the others' --min-p 0.1
field min_p 0.1
clip 'greedy' 'a flag' --greedy
field greedy true
clip 'generation_config.json says do_sample true, used is --greedy' 'what the model says otherwise is printed' --greedy
clip 'generation_config.json says guidance_scale 3, used is 1' 'its guidance too' --cfg-coef 1
clip 'from generation_config.json: guidance_scale 3, do_sample true' 'what the model says is used'
clip 'top-k 50, temperature 1, sampler hf' 'the defaults of transformers' --sampler hf
clip 'top-k 9, top-p 0\.9, temperature 1, sampler hf' 'top-k and top-p at once, with transformers' --sampler hf --top-p 0.9 --top-k 9
clip 'greedy' 'no temperature' --temperature 0
clip 'in windows of 0\.1 s, a new one every 0\.06 s' 'the step is 0.6 of the window' --frames 10 --window 0.1
clip 'in windows of 0\.1 s, a new one every 0\.04 s' 'or as asked' --frames 10 --window 0.1 --extend-stride 0.05
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
field strategy '"peak"'
field version '"[0-9.]+(\+[0-9a-f]+(-dirty)?)?"'
field sha256 '"[0-9a-f]{64}"'
passes 'the hash is the weight file'"'"'s' grep -q "$(sha256sum <"$TINY/model.safetensors" | cut -d' ' -f1)" "$BOX/out/000000.json"

# A checkpoint's own sampling, and what wins over it.
mkdir "$BOX/own"
cp "$TINY"/* "$BOX/own"
own() { # generation_config.json, pattern, sentence, options
    local config=$1 pattern=$2 sentence=$3
    shift 3
    printf '%s\n' "$config" >"$BOX/own/generation_config.json"
    expect 0 "$pattern" "$sentence" "$MG" generate --model "$BOX/own" --prompt x --frames 4 --seed 1 --out "$BOX/out" "$@"
}
ALL='{"guidance_scale": 2.5, "top_k": 40, "temperature": 0.8, "do_sample": true}'
own "$ALL" 'cfg-coef 2\.5, top-k 40, temperature 0\.8, seed' 'the model'"'"'s own sampling'
own "$ALL" 'from generation_config.json: guidance_scale 2\.5, top_k 40, temperature 0\.8, do_sample true' 'and that it is'
own "$ALL" 'cfg-coef 3, top-k 7, temperature 0\.8' 'an option wins over it' --top-k 7 --cfg-coef 3
own "$ALL" 'top-p 0\.5, temperature 0\.8' 'a top-p takes the place of its top-k' --top-p 0.5
own '{"top_p": 0.5}' 'top-p 0\.5, temperature 1' 'its top-p'
own '{"top_p": 0.5}' 'top-k 9, temperature 1' 'a top-k takes the place of its top-p' --top-k 9
own '{"top_p": 1.0, "top_k": 50}' 'top-k 50, temperature 1' 'a top-p of 1 is off, as transformers has it'
own '{"guidance_scale": 0}' 'cfg-coef 1, top-k 250' 'no guidance up to 1, as transformers has it'
own '{"guidance_scale": 0}' 'generation_config.json says guidance_scale 0, used is 1' 'and it says so'
own '{"guidance_scale": 0.5}' 'cfg-coef 0\.5, top-k 250' 'an option may be below it' --cfg-coef 0.5
own '{"do_sample": false}' 'greedy' 'a model that does not sample'
own '{"do_sample": false}' 'top-k 250, temperature 1' 'it does when it is told how' --temperature 1
own '{"max_length": 5}' 'in windows of 0\.1 s, a new one every 0\.06 s' 'the length it was made for is its window' --frames 10
own '{"max_length": 5}' 'in windows of 0\.16 s, a new one every 0\.08 s' 'an option wins over that too' --frames 10 --window 0.16

# Names
passes 'a list with ids and numbers' sh -c "printf '%s\n' '{\"id\": \"intro\", \"n\": 2}' '{\"prompt\": \"x\"}' |
    '$MG' generate -q --model '$TINY' --prompts - --frames 4 --seed 5 --out '$BOX/ids'"
passes 'ids with a number each, then the clip'"'"'s' sh -c "cd '$BOX/ids' && test -s intro-0.wav -a -s intro-1.json -a -s 000002.wav"
passes 'each has its seed' grep -Eq '"seed":[[:space:]]*6,?$' "$BOX/ids/intro-1.json"
passes 'titles' "$MG" generate -q --model "$TINY" --prompt 'Café del Mar!' --prompt 'café, del mar' --prompt '' --frames 4 --name title \
    --out "$BOX/titles"
passes 'first words, never the same twice' sh -c "cd '$BOX/titles' && test -s cafe-del-mar.wav -a -s cafe-del-mar-2.wav -a -s clip.json"
printf '\nSong of the Sea \nThe waves, the waves\n' >"$BOX/lyrics.txt"
passes 'lyrics' "$MG" generate -q --model "$TINY" --prompt-file "$BOX/lyrics.txt" --frames 4 --out "$BOX/titles"
passes 'the first line is the title, and the name' test -s "$BOX/titles/song-of-the-sea.wav"
passes 'all of the file is the prompt' grep -q 'Song of the Sea \(\\n\|\\u000a\)The waves, the waves"' "$BOX/titles/song-of-the-sea.json"
passes 'or numbers, if that is asked for' "$MG" generate -q --model "$TINY" --prompt-file "$BOX/lyrics.txt" --frames 4 --name index \
    --out "$BOX/numbers"
passes 'and they are' test -s "$BOX/numbers/000000.wav"
passes 'seeds of one prompt'"'"'s clips' "$MG" generate -q --model "$TINY" --prompt a --prompt b -n 3 --frames 4 --seed 10 --out "$BOX/n"
passes 'clip 4 is the second of the second prompt' grep -Eq '"prompt":[[:space:]]*"b"' "$BOX/n/000004.json"
passes 'with its own seed' grep -Eq '"seed":[[:space:]]*14,?$' "$BOX/n/000004.json"
"$MG" generate -q --model "$TINY" --prompt b --frames 4 --seed 14 --out "$BOX/again" >/dev/null
passes 'which makes it again' cmp "$BOX/n/000004.wav" "$BOX/again/000000.wav"
"$MG" generate -q --model "$TINY" --prompt b --frames 4 --seed 14 --out - >"$BOX/piped.wav" 2>"$BOX/said"
passes 'standard output has the same sound' cmp "$BOX/piped.wav" "$BOX/again/000000.wav"

# What rank 0 read is what every rank makes, odd characters and all.
printf '%s\n' '{"id": "odd", "prompt": "a \"b\" \\ \u00e9 \ud83c\udfb9\n\u0001 c", "seed": 3, "temperature": 0.7, "frames": 9, "cfg_coef": 2.1}' \
    '{"text_states": "", "n": 2, "top_p": 0.3, "duration": 0.13}' >"$BOX/odd.jsonl"
for n in 1 2 4; do
    passes "a list on $n ranks" ranks $n "$MG" generate -q --model "$TINY" --prompts "$BOX/odd.jsonl" --seed 8 --save-codes --out "$BOX/odd$n"
done
same 'two ranks make the same of it' "$BOX/odd1" "$BOX/odd2"
same 'and four' "$BOX/odd1" "$BOX/odd4"

printf '\357\273\277one\r\n\r\ntwo\n' | "$MG" generate -q --model "$TINY" --prompts - --unconditional 1 --prompt zero --frames 4 \
    --out "$BOX/list" >"$BOX/said"
passes 'prompts from options, then standard input, then none' test "$(wc -l <"$BOX/said")" = 4
passes 'the first is the option'"'"'s' grep -q '"zero"' "$BOX/list/000000.json"
passes 'the last line of the file' grep -q '"two"' "$BOX/list/000002.json"
passes 'no text is null' grep -Eq '"prompt":[[:space:]]*null' "$BOX/list/000003.json"
printf 'one\ntwo\n' >"$BOX/prompts.txt"
expect 0 '000001.wav' 'a file of prompts under mpirun, standard input for rank 0 alone' \
    ranks 2 "$MG" generate -q --model "$TINY" --prompts - --frames 4 --out "$BOX/two" <"$BOX/prompts.txt"
# --cpu-util-target: a share of the cores, and --threads before it.
threads() { "$MG" bench t5 -q --json --tokens 2 --steps 1 "$@" | grep -o '"threads": [0-9]*' | cut -d' ' -f2; }
cores=$(threads)
passes 'one core bound, one thread' [ "$(taskset -c "$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')" "$MG" bench t5 -q --json --tokens 2 \
    --steps 1 | grep -c '"threads": 1,')" = 1 ]
passes 'all cores' [ "$(threads --cpu-util-target 1)" = "$cores" ]
passes 'half of them' [ "$(threads --cpu-util-target 0.5)" = $(((cores + 1) / 2)) ]
passes 'at least one' [ "$(threads --cpu-util-target 0.01)" = 1 ]
passes '--num-threads is --threads, and wins' [ "$(threads --num-threads 3 --cpu-util-target 0.5)" = 3 ]
expect 2 'cpu-util-target.*from 0.01 to 1' 'more than all is refused' "$MG" bench t5 --cpu-util-target 1.5
# Nothing that is opened takes the place of a stream that is closed.
expect 1 'standard input: cannot read' 'standard input that is closed' \
    sh -c '"$0" generate --model "$1" --prompts - --out "$2" <&-' "$MG" "$TINY" "$BOX/closed"
expect 1 'standard output: cannot write' 'standard output that is closed' \
    sh -c '"$0" generate --model "$1" --prompt x --frames 4 --out "$2" >&-' "$MG" "$TINY" "$BOX/closed"
expect 0 '^/' 'standard error that is closed' sh -c '"$0" generate -v --model "$1" --prompt x --frames 4 --out "$2" 2>&-' "$MG" "$TINY" "$BOX/closed"
finish
