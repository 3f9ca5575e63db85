#!/bin/bash
# Names out of files on a terminal: no control or direction character of theirs reaches it, and long lists are short.
#   shown.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"
TINY=$TESTS/golden/checkpoints/tiny-mono
export MGDIST_MANIFEST=$BOX/manifest.json HF_HUB_CACHE=$BOX/hub
EVIL=$'\e[31mred\a\e[2J' ESCAPED='\\x1b\[31mred\\x07\\x1b\[2J'
RLO=$'\u202e'

# plain TEXT…: the command's output holds nothing that a terminal obeys.
plain() {
    local text=$1
    passes "$text: no control or direction character" \
        sh -c "! LC_ALL=C grep -qP '[\\x00-\\x08\\x0b-\\x1f\\x7f]|\\xc2[\\x80-\\x9f]|\\xe2\\x80[\\x8e\\x8f\\xa8-\\xae]|\\xe2\\x81[\\xa6-\\xa9]' '$BOX/said'"
}
said() { # DESCRIPTION PATTERN COMMAND…: both streams
    local text=$1 pattern=$2
    shift 2
    "$@" >"$BOX/said" 2>&1
    passes "$text: escaped" grep -q -e "$pattern" "$BOX/said"
    plain "$text"
}

# A safetensors file of one tensor with such a name; JSON has the escapes.
mkdir "$BOX/model"
cp "$TINY"/*.json "$BOX/model"
header='{"\u001b[31mred\u0007\u001b[2J\nmg-dist: error: forged\u202e":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
{
    printf "\\x$(printf %02x ${#header})\\0\\0\\0\\0\\0\\0\\0"
    printf %s "$header"
    printf '\0\0\0\0'
} >"$BOX/model/model.safetensors"
said 'inspect, a tensor' "$ESCAPED\\\\nmg-dist: error: forged\\\\u202e" "$MG" inspect "$BOX/model"
said 'inspect --keys' "$ESCAPED\\\\nmg-dist: error: forged\\\\u202e" "$MG" inspect --keys "$BOX/model"
said 'verify, a tensor' "$ESCAPED\\\\nmg-dist: error: forged\\\\u202e" "$MG" verify "$BOX/model"
said 'generate, a tensor' "$ESCAPED\\\\nmg-dist: error: forged\\\\u202e" "$MG" generate --model "$BOX/model" --prompt x --out "$BOX/out"
passes 'no line is forged' sh -c "! grep -q '^mg-dist: error: forged' '$BOX/said'"
"$MG" inspect --json "$BOX/model" >"$BOX/said" 2>&1
plain 'inspect --json'

sed 's/"model_type": *"musicgen"/"model_type": "\\u001b[31mred\\u0007\\u001b[2J"/' "$TINY/config.json" >"$BOX/model/config.json"
said 'a model_type' "$ESCAPED" "$MG" inspect "$BOX/model"
said 'a path' "$ESCAPED" "$MG" generate --model "$BOX/$EVIL" --prompt x --out "$BOX/out"
said 'a path, right to left' '\\u202egnp' "$MG" generate --model "$BOX/${RLO}gnp" --prompt x --out "$BOX/out"
said 'an option' "$ESCAPED" "$MG" generate "--$EVIL"
said 'a command' "$ESCAPED" "$MG" "$EVIL"
"$MG" models add key "$TINY" --notes "note $EVIL" >/dev/null 2>&1
said 'a note' "$ESCAPED" "$MG" models

# Many lines of one pattern are one; -v has them all.
sed 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 1024/' "$TINY/config.json" >"$BOX/model/config.json"
cp "$TINY/model.safetensors" "$BOX/model"
"$MG" generate --model "$BOX/model" --prompt x --out "$BOX/out" >"$BOX/said" 2>&1
passes 'a thousand layers are missing: a screen' test "$(wc -l <"$BOX/said")" -le 24
passes 'grouped by pattern, with their count' \
    grep -q 'decoder.model.decoder.layers.{[0-9]*..1023}.fc1.weight .*([0-9]*)$' "$BOX/said"
"$MG" generate -v --model "$BOX/model" --prompt x --out "$BOX/out" >"$BOX/said" 2>&1
passes '-v: every one' test "$(grep -c '^  missing ' "$BOX/said")" -gt 10000
finish
