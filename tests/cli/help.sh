#!/bin/bash
# Help, version and the generated page.   help.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"

expect 0 '^  generate +make sound' 'help lists the commands' "$MG" --help
expect 0 '^usage: mg-dist generate --model DIR' 'a command has help' "$MG" generate --help
expect 0 '^usage: mg-dist bench' 'every command has help' "$MG" bench --help
expect 0 'MGDIST_NAME' 'help speaks of the environment' "$MG" generate -h
expect 0 'default: audiocraft' 'help shows defaults' "$MG" generate --help
expect 0 '--guidance-scale\)' 'help shows aliases' "$MG" generate --help
expect 0 'auto\|fp32\|bf16\|fp16' 'help shows the words of a choice' "$MG" generate --help
expect 0 '^mg-dist [0-9]+\.[0-9]+\.[0-9]+' 'the version is printed' "$MG" --version
expect 0 '^mg-dist [0-9]+\.[0-9]+\.[0-9]+' 'the version, after a command' "$MG" generate --version
expect 0 '^usage' 'help asks for nothing else' "$MG" generate --prompt x --help

for command in --help 'generate --help' --version --help-markdown; do
    "$MG" $command >"$BOX/out" 2>"$BOX/err"
    passes "$command goes to stdout" test -s "$BOX/out"
    fails "$command leaves stderr empty" test -s "$BOX/err"
done
passes 'no line of help is wider than a terminal of 110 columns' \
    awk 'length($0) > 110 { exit 1 }' <("$MG" generate --help)

"$MG" --help-markdown >"$BOX/CLI.md"
passes 'docs/CLI.md is what the program prints (mg-dist --help-markdown > docs/CLI.md)' \
    diff "$TESTS/../docs/CLI.md" "$BOX/CLI.md"
for option in model text-encoder codec tokenizer prompt prompts prompt-file unconditional n duration frames audio-prompt \
    prompt-duration drop-prompt melody negative-prompt text-states cfg-coef cfg-coef-beta sampler top-k top-p \
    temperature greedy seed window extend-stride tp batch dtype device threads out name format sample-rate strategy \
    peak-headroom rms-headroom loudness-headroom loudness-compressor save-codes codes-only quiet verbose help version; do
    passes "--$option is documented" grep -q -- "--$option" "$BOX/CLI.md"
done
finish
