#!/bin/bash
# Words that people bring along, and what is printed from the option table: aliases, help COMMAND, a manual page,
# completion, JSON lines, variables that give way.   words.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
clip() { # pattern, sentence, options
    local pattern=$1 sentence=$2
    shift 2
    expect 0 "$pattern" "$sentence" "$MG" generate --model "$TINY" --prompt x --seed 1 --out "$BOX/out" "$@"
}
clip 'cfg-coef 2\.5, top-k 7, temperature 0\.5' 'underscores and short words' --frames 4 --cfg_coef 2.5 --top_k 7 --temp 0.5
clip '\(4 frames\)' 'max-new-tokens counts the columns of the delay pattern, as transformers' --max_new_tokens=7
clip '\(4 frames\)' 'two-step-cfg is taken' --frames 4 --two_step_cfg
expect 2 'option --max-new-tokens: 3: the delay pattern takes 3 of them' 'too few for a frame' \
    "$MG" generate --model "$TINY" --prompt x --max-new-tokens 3 --out "$BOX/no"
expect 2 'options --max-new-tokens and --frames: both say how long' 'two lengths' \
    "$MG" generate --model "$TINY" --prompt x --max-new-tokens 9 --frames 4 --out "$BOX/no"
clip 'device( auto)?: ' '-vv' --frames 4 -vv
clip 'cfg-coef 2\.5' 'guidance_scale' --frames 4 --guidance_scale 2.5
for words in float16:fp16 half:fp16 torch.float16:fp16 bfloat16:bf16 float32:fp32; do
    clip "${words#*:} on cpu" "--dtype ${words%:*}" --frames 4 --dtype "${words%:*}"
done
expect 2 '"fp64": must be one of auto.fp32' 'no such format' "$MG" generate --model "$TINY" --prompt x --dtype fp64
clip 'top-k 250' 'do_sample true' --frames 4 --do_sample true
clip 'greedy' 'do_sample false is --greedy' --frames 4 --do_sample False
clip 'greedy' 'use_sampling 0, as AudioCraft says it' --frames 4 --use_sampling=0
expect 2 'options --do-sample and --greedy: they contradict' 'both' "$MG" generate --model "$TINY" --prompt x --do-sample true --greedy
instead() { # option, what is said
    expect 2 "option $1: .*$2" "$1 is answered" "$MG" generate --model "$TINY" --prompt x "$1" 1
    expect 2 "option $1: .*$2" 'by run too' "$MG" run --model "$TINY" "$1" 1
}
instead --num_beams 'or the likeliest taken .--greedy'
instead --early-stopping 'no beams'
instead --max_length 'give --max-new-tokens'
instead --descriptions 'give --prompt TEXT'
instead --output-dir 'give --out DIR'
instead --torch_dtype 'give --dtype'
instead --batch_size 'give --batch N'
instead --melody_wavs 'give --melody FILE'
clip 'cfg-coef' 'a flag with a word of Python' --frames 4 --two_step_cfg False
clip '000000.mp3' 'MP3 in capitals' --frames 4 --format MP3
expect 2 "a.b/c.: a word too many; a model is --model DIR" 'a model alone' "$MG" generate a/b/c --prompt x
expect 2 '"b": a word too many; a text .* is --prompt TEXT, each with its own' 'two texts for one --prompt' "$MG" generate --model "$TINY" --prompt a b
expect 2 'option --array: give --shard I/N' 'an array' "$MG" run --model "$TINY" --jobs x --array 0/4
expect 2 'option --shard: /8: must be I/N' 'a part without its number' "$MG" run --jobs x --check --shard /8
expect 2 'option --jobs: given twice, and only one is taken' 'two lists' "$MG" run --model "$TINY" --jobs x --jobs y
expect 2 'option --prompts: given twice, and only one is taken' 'for generate too' "$MG" generate --model "$TINY" --prompts x --prompts y
SLURM_ARRAY_TASK_ID=abc SLURM_ARRAY_TASK_COUNT=xyz expect 2 'error: SLURM_ARRAY_TASK_ID: abc: is none of the xyz' 'an array that is none' \
    "$MG" run --model "$TINY" --jobs x
expect 2 'option --limit: .*shorter list' 'a limit' "$MG" run --model "$TINY" --jobs x --limit 4
expect 2 'option --out: OUT is the first word' 'merge --out' "$MG" merge a --out b
expect 2 'option --out: OUT is the second word' 'convert --out' "$MG" convert a --out b
expect 2 'option --out: OUT is the last word' 'export --out' "$MG" export a --out b
expect 2 'option --time: give --deadline' 'plan --time' "$MG" plan --clips 10 --time 8h
expect 0 'a100' 'a GPU in capitals' "$MG" plan --shape tiny --clips 10 --gpu A100
expect 2 'is of a GPU; give --gpu' 'a CPU in capitals' "$MG" plan --shape tiny --clips 10 --gpu CPU --device-memory 1G
expect 1 'give its id, facebook/musicgen-small$' 'an address' "$MG" generate --model https://huggingface.co/facebook/musicgen-small --prompt x
expect 2 'did you mean inspect' 'info' "$MG" info x
expect 2 'did you mean models' 'download' "$MG" download facebook/musicgen-small
expect 2 'a command comes first, as in mg-dist generate --model' 'no command' "$MG" --model x --prompt y
expect 2 'is a sound; give the .json beside it, or of a dataset its line' 'replay of a sound' "$MG" replay "$BOX/out/000000.mp3"
expect 2 'is a folder; a clip is named by its metadata: .* or of a dataset its line' 'replay of a folder' "$MG" replay "$BOX/out"
expect 2 'does not divide the 3 ranks' 'two ranks a model of three' ranks 3 "$MG" generate --model "$TINY" --prompt x --tp 2
passes 'said once' test "$(grep -c 'does not divide' "$BOX/said")" = 1
echo '{"prompt": "x", "guidance_scale": 2}' >"$BOX/hf.jsonl"
expect 2 'line 1: guidance_scale: no such key; here it is cfg_coef' "a key of transformers'" \
    "$MG" generate --model "$TINY" --prompts "$BOX/hf.jsonl" --out "$BOX/no"
echo 'a song' >"$BOX/songs.txt"
expect 0 '1 clip, nothing is wrong with it' 'a layout and a format by other words' "$MG" run --jobs "$BOX/songs.txt" --check --layout hf --prompts-format text
expect 2 'option --dry-run: give --check' 'a dry run' "$MG" run --jobs x --dry-run
expect 2 'option --num_bea: unknown; ' 'part of a word is none' "$MG" generate --model "$TINY" --prompt x --num_bea 1
expect 2 'a text to make a clip of is --prompt TEXT' 'a text alone' "$MG" generate --model "$TINY" '80s pop'
expect 2 'option --out: .*/a.mp3: names a folder; one file of this name is --out - >/' 'a file for --out' \
    "$MG" generate --model "$TINY" --prompt x --out "$BOX/a.mp3"
expect 1 'hf download facebook/musicgen-small' 'AudioCraft'"'"'s short name of a model' env HF_HUB_CACHE="$BOX/none" "$MG" generate --model small --prompt x
clip '2 clips of' 'num_return_sequences' --frames 4 --num_return_sequences 2
expect 2 'option --vx: unknown|option --x: unknown' 'a cluster with a letter that is none' "$MG" generate -vx
expect 2 'option --cfg_coeff: unknown; did you mean --cfg-coef\?' 'a mistyped underscore form' "$MG" generate --cfg_coeff 3
expect 0 'usage: mg-dist decode' 'help COMMAND' "$MG" help decode
"$MG" decode --help >"$BOX/a"
passes 'is COMMAND --help' diff "$BOX/a" "$BOX/said"
expect 2 'command decod: unknown; did you mean decode' 'help of a mistyped command' "$MG" help decod
expect 0 'Commands:' 'help alone' "$MG" help
expect 0 '^mg-dist [0-9.]+(\+[0-9a-f]+(-dirty)?)? \(' 'the version names its commit' "$MG" --version

passes 'a sound file names the release alone' sh -c "strings -n 8 '$BOX/out/000000.wav' | grep -Eq '\"version\":\"[0-9.]+\"'"
passes 'its metadata the commit too' sh -c "'$MG' --version | grep -qF \"\$(sed -n 's/.*\"version\":[[:space:]]*\"\\(.*\\)\".*/\1/p' '$BOX/out/000000.json') \""

# A variable gives way to its rival, and a message about it says that it is one.
MGDIST_DURATION=3 clip '\(4 frames\)' 'MGDIST_DURATION gives way to --frames' --frames 4
MGDIST_MODEL_KEY=nokey clip '\(4 frames\)' 'MGDIST_MODEL_KEY gives way to --model' --frames 4
MGDIST_MODEL="$BOX/nowhere" expect 1 'nokey' 'MGDIST_MODEL gives way to --model-key' \
    "$MG" generate --model-key nokey --manifest "$BOX/none.json" --prompt x
MGDIST_QUIET=1 clip 'device( auto)?: ' 'MGDIST_QUIET gives way to -v' --frames 4 -v
MGDIST_DROP_PROMPT=1 clip '\(4 frames\)' 'MGDIST_DROP_PROMPT gives way to the option' --frames 4 --drop-prompt false
expect 2 'option --keep-prompt: .*leave it out' 'what is so anyhow' "$MG" generate --model "$TINY" --prompt x --keep-prompt
refuse() { # variables, pattern, sentence, options
    local variables=$1 pattern=$2 sentence=$3
    shift 3
    expect 2 "^mg-dist: error: $pattern" "$sentence" env $variables "$MG" generate --model "$TINY" --prompt x --out "$BOX/no" "$@"
}
refuse 'MGDIST_DURATION=3 MGDIST_FRAMES=4' 'environment MGDIST_DURATION and environment MGDIST_FRAMES: both' 'two variables'
refuse 'MGDIST_EXTEND_STRIDE=9 MGDIST_WINDOW=5' 'environment MGDIST_EXTEND_STRIDE: 9: must be shorter' 'a rule that a variable breaks'
refuse 'MGDIST_TP=3' 'environment MGDIST_TP: 3: must be' 'a number that is none of the set'
refuse 'MGDIST_WINDOW=40' 'environment MGDIST_WINDOW: 40: this model' 'what only the model shows' --frames 2000

# A line of JSON for each clip.
"$MG" generate -q --json --model "$TINY" --prompt 'a "b"' --prompt 'ö' --frames 4 --seed 3 --out "$BOX/json" >"$BOX/lines" 2>"$BOX/said"
passes 'as many lines as clips' test "$(wc -l <"$BOX/lines")" = 2
passes 'each a whole object with its path' python3 -c "
import json, os
for i, line in enumerate(open('$BOX/lines')):
    d = json.loads(line)
    assert os.path.getsize(d.pop('path')) > 100
    assert d == json.load(open('$BOX/json/%06d.json' % i)), d
assert d['prompt'] == 'ö' and d['seed'] == 4"
expect 2 'option --json: .*--out -' 'not beside sound on standard output' \
    "$MG" generate --json --model "$TINY" --prompt x --frames 4 --out -

# The manual page and completion.
"$MG" --help-man >"$BOX/mg-dist.1"
"$MG" --help-markdown >"$BOX/cli.md"
passes 'every option is in the manual page' python3 -c "
import re
page = open('$BOX/mg-dist.1').read().replace('\\\\-', '-')
names = set(re.findall(r'\x60--([a-z0-9-]+)', open('$BOX/cli.md').read()))
assert len(names) > 60, len(names)
assert not [n for n in names if '--' + n not in page], [n for n in names if '--' + n not in page]"
# COMMAND NAME of every option with a hyphen, "(also --NAME)" too: its form with underscores is known.
awk '/^## / { command = $2 == "mg-dist" ? $3 : "" }
    command && /^\| `/ && match($0, /`--[a-z0-9]+-[a-z0-9-]+/) && RSTART < 12 { print command, substr($0, RSTART + 3, RLENGTH - 3) }
    command && match($0, /\(also --[a-z0-9]+-[a-z0-9-]+/) { print command, substr($0, RSTART + 8, RLENGTH - 8) }' "$BOX/cli.md" >"$BOX/names"
passes 'every option with a hyphen may be written with underscores' bash -c '
    test "$(wc -l <"$2")" -gt 100 || exit 1
    while read -r command name; do
        "$1" $command --${name//-/_} --no-such-option </dev/null 2>&1 | grep -e "option --${name//-/_}: unknown" && wrong=1
    done <"$2"
    test -z "$wrong"' - "$MG" "$BOX/names"
if command -v groff >/dev/null; then
    groff -ww -man -Tutf8 -P-cbou -K utf8 "$BOX/mg-dist.1" >"$BOX/page" 2>"$BOX/warnings"
    passes 'groff has no warnings' test ! -s "$BOX/warnings"
    passes 'the page has its parts' sh -c "grep -q 'EXIT STATUS' '$BOX/page' && grep -q 'cfg.coef' '$BOX/page'"
else
    skipped 'the manual page: no groff'
fi
for shell in bash zsh fish; do
    "$MG" --completion $shell >"$BOX/complete.$shell" || verdict 1 "completion for $shell"
    passes "$shell knows --negative-prompt" grep -q negative-prompt "$BOX/complete.$shell"
    if command -v $shell >/dev/null; then passes "$shell can read it" $shell -n "$BOX/complete.$shell"; else skipped "no $shell"; fi
done
expect 2 'must be one of bash, zsh, fish' 'no other shell' "$MG" --completion tcsh
completes() { # sentence, what is proposed, words typed …
    local sentence=$1 want=$2
    shift 2
    passes "$sentence" bash -c '. "$1"; want=$2; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mg_dist
        [ "${COMPREPLY[*]}" = "$want" ] || { echo "${COMPREPLY[*]}"; exit 1; }' - "$BOX/complete.bash" "$want" "$@"
}
completes 'a command' 'verify' mg-dist ver
completes 'the commands of help' 'decode' mg-dist help dec
completes 'an option' '--cfg-coef --cfg-coef-beta' mg-dist generate --cfg
completes 'an option of all commands' '--comm-timeout' mg-dist decode --comm
completes 'words of a choice' 'wav wav-f32' mg-dist generate --format w
completes 'files elsewhere' '' mg-dist generate --model x
finish
