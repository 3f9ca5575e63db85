#!/bin/bash
# The codec on the command line: sound to codes and back, against the references, and what is not sound.
#   codec.sh MG-DIST TESTS-FOLDER COMPARE-CLIP
. "$(dirname "$0")/lib.sh" "$1" "$2"
unset MGDIST_OVERWRITE
COMPARE=$3
WAV=$(dirname "$3")/golden_wav
NPY=$(dirname "$3")/golden_npy
STEREO=$GOLDEN/checkpoints/tiny-stereo
MONO_HF=$GOLDEN/hf/tiny-mono.safetensors
STEREO_HF=$GOLDEN/hf/tiny-stereo.safetensors
AUDIOGEN=$GOLDEN/audiocraft/ac-audiogen.safetensors

# codes FILE DTYPE ROWS COLUMNS: an array of zeros.
codes() {
    local dict="{'descr': '$2', 'fortran_order': False, 'shape': ($3, $4), }" size=${2#??} length
    length=$(((10 + ${#dict} + 1 + 63) / 64 * 64 - 10))
    {
        printf '\x93NUMPY\x01\x00'
        printf "\\x$(printf %02x $((length % 256)))\\x$(printf %02x $((length / 256)))"
        printf "%-$((length - 1))s\n" "$dict"
        head -c $(($3 * $4 * size)) /dev/zero
    } >"$1"
}

mkdir "$BOX/in"
"$WAV" "$GOLDEN/hf/tiny-mono.codec.safetensors" encode_audio 32000 "$BOX/in/mono.wav"
"$NPY" "$GOLDEN/hf/tiny-mono.codec.safetensors" encode_codes 0 0 "$BOX/mono.npy"
"$WAV" "$STEREO_HF" prompt_audio_0 32000 "$BOX/in/stereo.wav"
"$NPY" "$STEREO_HF" prompted_alone_0_cfg3_codes 0 12 "$BOX/stereo.npy"
"$WAV" "$AUDIOGEN" codec_encode_audio 16000 "$BOX/in/gen.wav"
"$NPY" "$AUDIOGEN" codec_encode_codes 0 0 "$BOX/gen.npy"

expect 0 "^$BOX/codes/mono.codes.npy$" 'a sound becomes codes' "$MG" encode "$BOX/in/mono.wav" --model "$TINY" --out "$BOX/codes"
passes "they are the reference's" cmp "$BOX/codes/mono.codes.npy" "$BOX/mono.npy"
expect 0 'mono.codes.npy' 'the codec alone, from its own folder' \
    "$MG" encode "$BOX/in/mono.wav" --codec "$GOLDEN/checkpoints/encodec-hf" --out "$BOX/alone" --threads 1
passes 'gives the same' cmp "$BOX/alone/mono.codes.npy" "$BOX/mono.npy"
expect 0 'stereo.codes.npy' 'a stereo model encodes left and right' "$MG" encode "$BOX/in/stereo.wav" --model "$STEREO" --out "$BOX/codes"
passes 'in turn, as the reference' cmp "$BOX/codes/stereo.codes.npy" "$BOX/stereo.npy"
expect 0 'gen.codes.npy' "AudioGen's codec, 16 kHz" \
    "$MG" encode "$BOX/in/gen.wav" --codec "$GOLDEN/checkpoints/ac-audiogen" --out "$BOX/codes"
passes "its codes are AudioCraft's" cmp "$BOX/codes/gen.codes.npy" "$BOX/gen.npy"
expect 0 'stereo.codes.npy' 'stereo mixed down' "$MG" encode "$BOX/in/stereo.wav" --model "$STEREO" --channels 1 --out "$BOX/mixed"
expect 0 'mono.codes.npy' 'mono on both sides' "$MG" encode "$BOX/in/mono.wav" --model "$TINY" --channels 2 --out "$BOX/mixed"
passes 'a mix has half the rows' test "$(wc -c <"$BOX/codes/stereo.codes.npy")" -gt "$(wc -c <"$BOX/mixed/stereo.codes.npy")"
passes 'both sides have twice the rows' test "$(wc -c <"$BOX/mixed/mono.codes.npy")" = $((128 + 8 * 24 * 4))
expect 0 'mono.codes.npy' 'other instructions' "$MG" encode "$BOX/in/mono.wav" --model "$TINY" --cpu-level scalar --out "$BOX/scalar"
passes 'the same codes' cmp "$BOX/scalar/mono.codes.npy" "$BOX/mono.npy"

"$NPY" "$MONO_HF" text_cfg3_codes 1 0 "$BOX/in/text.codes.npy"
"$NPY" "$STEREO_HF" text_cfg3_codes 2 0 "$BOX/in/both.npy"
exact="--format wav-f32 --strategy none"
expect 0 "^$BOX/sound/text.wav$" 'codes become sound' "$MG" decode "$BOX/in/text.codes.npy" --model "$TINY" --out "$BOX/sound" $exact
passes "it is the reference's" "$COMPARE" "$MONO_HF" text_cfg3 1 "$BOX/in/text.codes.npy" "$BOX/sound/text.wav"
fails "and not another text's" "$COMPARE" "$MONO_HF" text_cfg3 2 "$BOX/in/text.codes.npy" "$BOX/sound/text.wav"
expect 0 'both.wav' 'twice the rows are stereo' "$MG" decode "$BOX/in/both.npy" --model "$STEREO" --out "$BOX/sound" $exact
passes "it is the reference's too" "$COMPARE" "$STEREO_HF" text_cfg3 2 "$BOX/in/both.npy" "$BOX/sound/both.wav"
expect 0 'text.flac' 'another format' "$MG" decode "$BOX/in/text.codes.npy" --model "$TINY" --out "$BOX/sound" --format flac --strategy loudness
expect 0 'text.opus' 'another rate' "$MG" decode "$BOX/in/text.codes.npy" --model "$TINY" --out "$BOX/sound" --format opus --sample-rate 48000
expect 0 'text.codes.npy' 'which can be encoded again' "$MG" encode "$BOX/sound/text.flac" --model "$TINY" --out "$BOX/again"
expect 0 'text.wav' 'and decoded' "$MG" decode "$BOX/again/text.codes.npy" --codec "$TINY" --out "$BOX/again"

cp -r "$DEMO" "$BOX/loud" # a codec whose sound is beyond full scale: its last bias is 2
chmod -R u+w "$BOX/loud"
fill "$BOX/loud/model.safetensors" audio_encoder.decoder.layers.15.conv.bias 4000
"$MG" encode "$BOX/in/mono.wav" --model "$DEMO" --out "$BOX/loud" --threads 1 >"$BOX/said" 2>&1
for how in 'none wav' 'clip flac'; do
    expect 0 'mono.*: [0-9]* samples .100 %. are clipped; --strategy peak clips none' "cut samples are said: $how" \
        "$MG" decode "$BOX/loud/mono.codes.npy" --model "$BOX/loud" --out "$BOX/loud" --strategy ${how% *} --format ${how#* }
done
expect 0 '' 'floats are not cut' "$MG" decode "$BOX/loud/mono.codes.npy" --model "$BOX/loud" --out "$BOX/floats" $exact
fails 'nothing is said' grep -q clipped "$BOX/said"

expect 0 'text.wav' 'two ranks share the files' ranks 2 "$MG" decode "$BOX/in/text.codes.npy" "$BOX/in/both.npy" \
    --model "$TINY" --out "$BOX/two" --threads 1
expect 0 'both.wav' 'one rank' "$MG" decode "$BOX/in/text.codes.npy" "$BOX/in/both.npy" --model "$TINY" --out "$BOX/one" --threads 1
passes 'the same bytes' cmp "$BOX/two/text.wav" "$BOX/one/text.wav"
passes 'of both' cmp "$BOX/two/both.wav" "$BOX/one/both.wav"

# What is wrong with one file is one sentence, and the others are done.
mkdir "$BOX/bad"
echo 'no sound' >"$BOX/bad/words.wav"
: >"$BOX/bad/nothing.wav"
head -c 44 "$BOX/in/mono.wav" >"$BOX/bad/short.wav"
head -c -4 "$BOX/in/mono.wav" >"$BOX/bad/nan.wav"
printf '\x00\x00\xc0\x7f' >>"$BOX/bad/nan.wav"
cp "$BOX/in/stereo.wav" "$BOX/bad/three.wav"
for patch in 22:3 28:0 29:220 30:5 32:12; do # channels, bytes a second, bytes a frame
    printf "\\x$(printf %02x "${patch#*:}")" | dd of="$BOX/bad/three.wav" bs=1 seek="${patch%:*}" conv=notrunc 2>/dev/null
done
# bad COMMAND FILE PATTERN: named in one sentence, beside a good file and alone.
bad() {
    local good=$BOX/in/mono.wav
    [ "$1" = encode ] || good=$BOX/in/text.codes.npy
    expect 3 "^mg-dist: error: .*$2.*$3" "$1, $2: the other file is done" \
        "$MG" "$1" "$BOX/bad/$2" "$good" --model "$TINY" --overwrite --out "$BOX/rest"
    passes "$1, $2: one sentence, and the account" test "$(grep -c '^mg-dist: error' "$BOX/said")" = 2
    passes "$1, $2: the path of the other is printed" grep -q "^$BOX/rest/" "$BOX/said"
    expect 1 "^mg-dist: error: .*$2.*$3" "$1, $2: alone" "$MG" "$1" "$BOX/bad/$2" --model "$TINY" --out "$BOX/none"
    passes "$1, $2: alone, one sentence" test "$(grep -c '^mg-dist: error' "$BOX/said")" = 1
}
bad encode words.wav 'not a sound file'
bad encode nothing.wav 'not a sound file'
bad encode short.wav 'not a sound file'
bad encode nan.wav 'not a number'
expect 0 'three.codes.npy' 'three channels are mixed down to one, as generate does' \
    "$MG" encode "$BOX/bad/three.wav" --model "$TINY" --out "$BOX/rest"
expect 0 'three.codes.npy' 'and when asked' "$MG" encode "$BOX/bad/three.wav" --channels 1 --model "$STEREO" --overwrite --out "$BOX/rest"
expect 1 '3 channels: two cannot be made of them; --channels 1 mixes' 'but not to two' \
    "$MG" encode "$BOX/bad/three.wav" --channels 2 --model "$TINY" --overwrite --out "$BOX/rest"
bad encode not-there.wav 'cannot open'

cp "$BOX/in/mono.wav" "$BOX/bad/sound.npy"
"$NPY" "$GOLDEN/hf/tiny-variant.codec.safetensors" decode_codes 0 0 "$BOX/bad/large.npy"
codes "$BOX/bad/three.npy" '<i4' 3 20
codes "$BOX/bad/floats.npy" '<f4' 4 20
codes "$BOX/bad/long.npy" '<i8' 4 20
codes "$BOX/bad/empty.npy" '<i4' 4 0
codes "$BOX/in/zeros.npy" '<i4' 4 3
expect 0 'zeros.wav' 'codes of zeros are codes' "$MG" decode "$BOX/in/zeros.npy" --model "$TINY" --out "$BOX/sound"
bad decode sound.npy 'not a .npy file'
bad decode large.npy 'codes: [0-9]*: codebook [0-9], frame [0-9]*: must be in 0 … 63'
bad decode three.npy '3 codebooks: this codec has 4, or 8 for stereo'
bad decode floats.npy 'holds float32: codes are integers'
expect 0 'long.wav' 'int64 is read' "$MG" decode "$BOX/bad/long.npy" --model "$TINY" --out "$BOX/sound"
bad decode empty.npy 'holds no frame'
bad decode not-there.npy 'cannot open'
codes "$BOX/bad/hours.npy" '<i4' 4 280000
expect 1 'hours.npy: .*5600\.00 s: a wav file holds up to 5592\.[0-9]* s at 384000 Hz' 'sound that no file of its format holds' \
    "$MG" decode "$BOX/bad/hours.npy" --model "$TINY" --out "$BOX/none" --sample-rate 384000
fails 'which leaves no file' test -e "$BOX/none/hours.wav"
cp "$BOX/bad/large.npy" "$BOX/bad/a"
expect 1 '^mg-dist: error: a: codes: [0-9]*: codebook' 'a name that is a word of the sentence' \
    sh -c 'cd "$1" && "$2" decode a --model "$3" --out ../none' - "$BOX/bad" "$MG" "$TINY"
passes 'nothing half-written' tidy "$BOX"
passes 'nothing at all from bad files' test -z "$(ls -A "$BOX/none")"

cp "$BOX/in/mono.wav" "$BOX/mono.flac"
expect 2 'both would become .*mono.codes.npy' 'two files of one name' \
    "$MG" encode "$BOX/in/mono.wav" "$BOX/mono.flac" --model "$TINY" --out "$BOX/none"
cp "$BOX/codes/mono.codes.npy" "$BOX/before.npy"
expect 2 '^mg-dist: error: .*codes/mono.codes.npy: is there already; give --overwrite or another --out' 'nothing is replaced' \
    "$MG" encode "$BOX/in/gen.wav.x" "$BOX/in/mono.wav" --model "$BOX/no-such-model" --out "$BOX/codes"
passes 'nothing was' cmp "$BOX/codes/mono.codes.npy" "$BOX/before.npy"
expect 2 '^mg-dist: error: .*sound/text.wav: is there already; give --overwrite or another --out' 'no sound either' \
    ranks 2 "$MG" decode "$BOX/in/text.codes.npy" --model "$TINY" --out "$BOX/sound"
printf x >"$BOX/codes/mono.codes.npy"
expect 0 'mono.codes.npy' 'but by --overwrite' "$MG" encode "$BOX/in/mono.wav" --model "$TINY" --overwrite --out "$BOX/codes"
passes 'it was' cmp "$BOX/codes/mono.codes.npy" "$BOX/before.npy"
expect 2 'option --codec: missing' 'no codec' "$MG" encode "$BOX/in/mono.wav"
expect 2 'AUDIO: missing' 'no file' "$MG" encode --model "$TINY"
expect 2 'option --format: opus: .* not 32000' 'a format that this rate does not go into' \
    "$MG" decode "$BOX/in/text.codes.npy" --model "$TINY" --format opus --out "$BOX/none"
expect 1 'no-such-model' 'no such codec' "$MG" encode "$BOX/in/mono.wav" --codec "$BOX/no-such-model" --out "$BOX/none"
expect 4 'model_type: "t5" is not supported' 'a text encoder is no codec' "$MG" encode "$BOX/in/mono.wav" --codec "$GOLDEN/t5-tiny" --out "$BOX/none"
finish
