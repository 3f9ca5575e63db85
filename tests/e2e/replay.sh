#!/bin/bash
# A clip made again from its metadata: the same bytes, or what differs.
#   replay.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"

# make FOLDER options …
make() {
    local out=$1
    shift
    "$MG" generate -q --frames 30 --seed 11 --out "$BOX/$out" "$@" >/dev/null 2>"$BOX/said" || sed 's/^/# /' "$BOX/said"
}
replay() { timeout 600 "$MG" replay -q "$@"; }
again() { # SENTENCE FOLDER/ID [options]: it is, and leaves nothing
    local sentence=$1 id=$2 before
    shift 2
    before=$(ls -A "$BOX/${id%/*}")
    expect 0 '^the same bytes: ' "$sentence" replay "$BOX/$id.json" "$@"
    is_as_before "$sentence: nothing is left" "$before" "${id%/*}"
}
is_as_before() { passes "$1" test "$2" = "$(ls -A "$BOX/$3")"; }
differs() { # PATTERN SENTENCE FOLDER/ID [options]
    local pattern=$1 sentence=$2 id=$3
    shift 3
    expect 1 "$pattern" "$sentence" replay "$BOX/$id.json" "$@"
    passes "$sentence: one message" test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1
    fails "$sentence: it is not said to be the same" grep -q 'the same bytes:' "$BOX/said"
}
edit() { LC_ALL=C sed -i "$2" "$BOX/$1"; }

# Every way to make one
P=(--model "$TINY" --prompt 'slow sad piano')
make one "${P[@]}" --prompt techno --prompt '' --unconditional 1 --save-codes
for i in 0 1 2 3; do again "clip $i of a batch" one/00000$i; done
mkdir "$BOX/here"
expect 0 '^the same bytes: ' 'where its folder may only be read' sh -c 'cd "$0/here" && LD_PRELOAD="$1" FAULT_CALLS=open FAULT_ERRNO=30 \
    FAULT_PATH="$0/one/.probe" "$2" replay -q "$0/one/000000.json"' "$BOX" "$5" "$MG"
passes 'in the current one, of which nothing is left' rmdir "$BOX/here"
make sampled "${P[@]}" --top-p 0.9 --temperature 1.3 --cfg-coef 4.7 --dtype bf16
again 'other sampling, bf16' sampled/000000
make hf "${P[@]}" --sampler hf --top-k 40 --top-p 0.8
again "transformers' rules" hf/000000
make min_p "${P[@]}" --min-p 0.3
again 'min-p' min_p/000000
make named --model "$TINY" --prompt recipe
again 'a prompt that is a word of a line' named/000000
passes 'which is in the metadata' grep -q '"min_p":.0\.3' "$BOX/min_p/000000.json"
passes 'and in the tag' grep -aq '"min_p":0\.3' "$BOX/min_p/000000.wav"
make least "${P[@]}" --min-p 1
make greedy "${P[@]}" --greedy
passes 'the least that leaves one is greedy' \
    test "$(grep codes_sha256 "$BOX/least/000000.json")" = "$(grep codes_sha256 "$BOX/greedy/000000.json")"
fails 'off, it is not recorded' grep -q min_p "$BOX/hf/000000.json"
make many "${P[@]}" -n 3 --name title
again 'the third of one prompt' many/slow-sad-piano-3
make loud "${P[@]}" --strategy loudness --loudness-headroom 20 --loudness-compressor --format flac --sample-rate 44100
again 'loudness, flac, 44.1 kHz' loud/000000
make opus "${P[@]}" --strategy rms --rms-headroom 21 --format opus --sample-rate 48000
again 'rms, opus' opus/000000
make codes "${P[@]}" --codes-only --greedy
again 'codes alone' codes/000000
make negative "${P[@]}" --negative-prompt noise
again 'a negative prompt' negative/000000
make long "${P[@]}" --frames 130 --window 1 --extend-stride 0.6
again 'in windows' long/000000
printf 'A Song\n\nla la\nla "la"\n' >"$BOX/song.txt"
make lyrics --model "$TINY" --prompt-file "$BOX/song.txt"
again 'a text file' lyrics/a-song
make continued "${P[@]}" --frames 40 --audio-prompt "$BOX/one/000001.wav" --prompt-duration 0.3 --drop-prompt
again 'an audio prompt' continued/000000
make from_codes "${P[@]}" --frames 40 --audio-prompt "$BOX/one/000001.codes.npy"
again 'codes for a prompt' from_codes/000000
make melody --model "$GOLDEN/checkpoints/tiny-melody" --tokenizer "$TINY" --prompt piano --melody "$BOX/one/000000.wav" --cfg-coef-beta 2
again 'a melody' melody/000000
passes 'it is recorded as it was called' grep -q '"melody_stem":.*false' "$BOX/melody/000000.json"
make stem --model "$GOLDEN/checkpoints/tiny-melody" --tokenizer "$TINY" --prompt piano --melody "$BOX/one/000000.wav" --cfg-coef-beta 2 --melody-stem
again 'a melody that was called a stem' stem/000000
passes 'which is recorded' grep -q '"melody_stem":.*true' "$BOX/stem/000000.json"
passes 'and changes nothing else' cmp "$BOX/melody/000000.wav" "$BOX/stem/000000.wav"
printf '%s\n' '{"prompt": "piano"}' "{\"prompt\": \"piano\", \"melody\": \"$BOX/one/000000.wav\"}" >"$BOX/some.jsonl"
make some --model "$GOLDEN/checkpoints/tiny-melody" --tokenizer "$TINY" --prompts "$BOX/some.jsonl" --cfg-coef-beta 2
again 'of a list with some melodies, a clip without' some/000000
again 'and one with' some/000001
passes 'where the weight is recorded' grep -q '"cfg_coef_beta":.*2' "$BOX/some/000001.json"
told() { "$MG" generate --model "$GOLDEN/checkpoints/tiny-melody" --tokenizer "$TINY" --melody "$BOX/one/000000.wav" --frames 10 --out "$BOX/told" "$@"; }
expect 0 'a melody is heard as it is; AudioCraft takes drums and bass out first' 'what AudioCraft does is said' told
expect 0 '' 'not of a stem' told --melody-stem
fails 'not of a stem: it is not said' grep -q 'takes drums' "$BOX/said"
expect 2 'option --melody-stem: there is no --melody' 'a stem of nothing' "$MG" generate --model "$TINY" --prompt x --melody-stem
make stereo --model "$GOLDEN/checkpoints/tiny-stereo" --tokenizer "$TINY" --prompt piano
again 'stereo' stereo/000000
AC=(--text-encoder "$GOLDEN/t5-tiny" --tokenizer "$GOLDEN/tokenizer")
make ac --model "$GOLDEN/checkpoints/ac-mono" "${AC[@]}" --prompt piano --unconditional 1
again "AudioCraft's, with text" ac/000000
again "AudioCraft's, without" ac/000001
make scalar "${P[@]}" --cpu-level scalar
again 'the level of instructions is taken over' scalar/000000

# Ranks
expect 0 '^the same bytes: ' 'on two ranks' ranks 2 "$MG" replay -q "$BOX/one/000001.json"
ranks 2 "$MG" generate -q "${P[@]}" --frames 30 --seed 11 --tp 1 --prompt techno --out "$BOX/two" >/dev/null
again 'made by the second of two replicas' two/000001
expect 2 'option --tp: 1: .*all 2 ranks' 'one group only' ranks 2 "$MG" replay -q --tp 1 "$BOX/one/000001.json"
expect 1 'nowhere.json: cannot open' 'no such file, on two ranks' ranks 2 "$MG" replay -q "$BOX/nowhere.json"

# Kept
expect 0 '^the same bytes: ' 'kept in a folder' replay "$BOX/one/000000.json" --out "$BOX/kept"
passes 'the sound' cmp "$BOX/kept/000000.wav" "$BOX/one/000000.wav"
passes 'the codes' cmp "$BOX/kept/000000.codes.npy" "$BOX/one/000000.codes.npy"
expect 0 '^the same bytes: ' 'which can be made again itself' replay "$BOX/kept/000000.json"
expect 2 'kept/000000.wav: is there already; give another --out' 'nothing is written over' replay "$BOX/one/000000.json" --out "$BOX/kept"

# Moved
mkdir "$BOX/first"
cp -r "$TINY" "$BOX/first/model"
cp "$BOX/one/000001.wav" "$BOX/first/tune 1.wav"
ln -s 'tune 1.wav' "$BOX/first/tune.wav"
(cd "$BOX/first" && "$MG" generate -q --model model --prompt x --frames 30 --audio-prompt tune.wav --prompt-duration 0.2 --seed 1 --out . >/dev/null)
cd / # not in a subshell: the sentences are counted
again 'relative paths, from another folder' first/000000
cd "$BOX"
expect 0 '^the same bytes: ' 'the metadata by a relative path' replay first/000000.json
mv "$BOX/first" "$BOX/house"
again 'the whole folder has moved' house/000000
mv "$BOX/house/model" "$BOX/elsewhere"
differs 'model: no such|model' 'the model has moved' house/000000
again 'and is given' house/000000 --model "$BOX/elsewhere"

# What differs
printf x >>"$BOX/house/tune.wav"
differs 'audio_prompt: .*tune.wav: not the file that the clip was made from' 'another audio prompt' house/000000 --model "$BOX/nowhere"
rm "$BOX/house/tune.wav"
differs 'replay: audio_prompt: tune.wav: .* neither in the current folder nor beside .*house/000000.json: start where' 'no audio prompt' house/000000 --model "$BOX/elsewhere"
cp -r "$BOX/one" "$BOX/edited"
edit edited/000000.json 's/"seed":\(.*\)11/"seed":\112/'
differs 'the codes differ.*as recorded' 'another seed, which nothing explains' edited/000000
edit edited/000001.json 's/"version":\(.*\)"0[^"]*"/"version":\1"0.0.1"/; s/"strategy":\(.*\)"peak"/"strategy":\1"clip"/'
differs 'the codes are the same, the sound is not.*version is .*, recorded is 0.0.1' 'another version' edited/000001
again 'the original' one/000001
make container "${P[@]}"
edit container/000000.json 's/"audio_sha256":\(.*\)"[0-9a-f]*"/"audio_sha256":\1"'"$(printf '0%.0s' {1..64})"'"/; s/"audio_library":\(.*\)"libsndfile-[0-9.]*"/"audio_library":\1"libsndfile-9.9"/'
expect 0 'the same codes and sound: 000000.wav; only its file is encoded otherwise \(audio library is libsndfile-[0-9.]+, recorded is libsndfile-9.9\)' \
    "another system's container" replay "$BOX/container/000000.json"
edit container/000000.json 's/"sound_sha256":\(.*\)"[0-9a-f]*"/"sound_sha256":\1"'"$(printf '0%.0s' {1..64})"'"/'
differs 'the codes are the same, the sound is not' 'another sound' container/000000
make compressed "${P[@]}" --format mp3 --bitrate 96
again 'mp3 at another bit rate' compressed/000000
chmod -R u+w "$BOX/elsewhere"
printf '\001' | dd of="$BOX/elsewhere/model.safetensors" bs=1 seek=$(($(stat -c %s "$BOX/elsewhere/model.safetensors") - 4)) conv=notrunc status=none
differs 'weights: .*elsewhere/model.safetensors: sha256 is [0-9a-f]{64}, recorded is [0-9a-f]{64}' 'other weights' one/000000 --model "$BOX/elsewhere"
expect 0 '^the same bytes: ' 'other weights of a variable, which is for other commands' \
    env MGDIST_MODEL="$BOX/elsewhere" "$MG" replay -q "$BOX/one/000000.json"
expect 0 '^the same bytes: ' 'nor number formats and instructions' \
    env MGDIST_DTYPE=int8 MGDIST_CPU_LEVEL=scalar MGDIST_KV=int8 "$MG" replay -q "$BOX/one/000000.json"
differs 'dtype is fp16, recorded is fp32' 'another number format' one/000000 --dtype fp16
best=$(sed -n 's/.*"backend":[[:space:]]*"\(.*\)".*/\1/p' "$BOX/one/000000.json")
if [ "$best" != cpu/scalar ]; then
    differs "device is cpu/scalar, recorded is $best" 'other instructions' one/000000 --cpu-level scalar
else
    skipped 'another --cpu-level: this machine has one'
fi

# What is no metadata
echo '{}' >"$BOX/bad.json"
differs 'bad.json: seed: missing' 'an empty object' bad
echo '{"seed": 1, "parameters": {"frames": 4}}' >"$BOX/bad.json"
differs 'bad.json: audio_sha256: missing' 'nothing to compare with' bad
echo '[' >"$BOX/bad.json"
differs 'bad.json: not JSON' 'not JSON' bad
cp "$BOX/one/000000.json" "$BOX/bad.json"
edit bad.json 's/"id":\(.*\)"000000"/"id":\1"..\/x"/'
differs 'bad.json: id: ' 'a name that leaves the folder' bad
cp "$BOX/one/000000.json" "$BOX/bad.json"
edit bad.json 's/"format":\(.*\)"wav"/"format":\1"midi"/'
differs 'bad.json: parameters.format: "midi": must be one of wav' 'an unknown format' bad
cp "$BOX/one/000000.json" "$BOX/bad.json"
edit bad.json 's/"temperature":\(.*\)1/"temperature":\1-1/'
expect 2 'temperature' 'a value out of range' replay "$BOX/bad.json"

cp "$BOX/one/000000.json" "$BOX/bad.json"
edit bad.json 's/"frames":\(.*\)30/"frames":\19999999/'
expect 2 'duration: .* s: a wav file holds up to' 'a clip that no WAV file holds' replay "$BOX/bad.json"

# Stopped in the middle
cp "$BOX/one/000000.json" "$BOX/endless.json"
edit endless.json 's/"frames":\(.*\)30/"frames":\160000/'
"$MG" replay "$BOX/endless.json" >"$BOX/said" 2>&1 &
for _ in $(seq 100); do
    grep -q 'plan: ' "$BOX/said" && break
    sleep 0.1
done
sleep 0.3
kill -TERM $!
wait $!
passes 'a signal stops it' test $? = 130
fails 'nothing is left anywhere' sh -c "find '$BOX' -name '.*.tmp' | grep -q ."
finish
