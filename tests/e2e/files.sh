#!/bin/bash
# What lies in the folder after a run: names, formats, levels, rates, tags, codes, metadata; and standard output.
#   files.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS
. "$(dirname "$0")/lib.sh" "$1" "$2"
FACTS=$4

# make FOLDER options …: 20 frames, 12,800 of sound at 32 kHz, unless the options say otherwise.
make() {
    local out=$1
    shift
    "$MG" generate -q --model "$TINY" --frames 20 --seed 7 --out "$BOX/$out" "$@" 2>"$BOX/said"
}
# fact N FILE: 1 frames, 2 channels, 3 rate, 4 peak, 5 rms, 6 hash of the samples.
fact() { "$FACTS" "$BOX/$2" | cut -d ' ' -f "$1"; }
is() { # SENTENCE GOT WANTED
    passes "$1" test "$2" = "$3"
    [ "$2" = "$3" ] || echo "# got '$2', wanted '$3'"
}
near() { # SENTENCE GOT WANTED SLACK
    passes "$1: $2 is near $3" awk -v a="$2" -v b="$3" -v e="$4" 'BEGIN { exit !(a != "" && a - b <= e && b - a <= e) }'
}
files() { (cd "$BOX/$1" && ls -I metadata.jsonl | tr '\n' ' '); }
# value FOLDER/ID KEY: of the metadata.
value() { sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\(.*[^,]\),*\$/\1/p" "$BOX/$1.json" | tr -d '"'; }

# Names
is 'the path of each sound is printed' "$(make index --prompt piano --prompt techno | tr '\n' ' ')" \
    "$BOX/index/000000.wav $BOX/index/000001.wav "
is 'a number each, and its metadata' "$(files index)" '000000.json 000000.wav 000001.json 000001.wav '
make title --name title --prompt 'Slow, sad piano!' --prompt 'slow sad PIANO' >/dev/null
is 'names out of the words, never the same' "$(files title)" \
    'slow-sad-piano-2.json slow-sad-piano-2.wav slow-sad-piano.json slow-sad-piano.wav '
printf '\n  My Song \n\nfirst line\nsecond line\n' >"$BOX/song.txt"
make lyrics --prompt-file "$BOX/song.txt" >/dev/null
is 'a text file gives its title' "$(files lyrics)" 'my-song.json my-song.wav '
is 'which the metadata has' "$(value lyrics/my-song title)" 'My Song'
passes 'and the sound file' grep -aq 'My Song' "$BOX/lyrics/my-song.wav"
printf '{"id": "one", "prompt": "piano", "seed": 3}\n{"prompt": "techno", "id": "two.b"}\n' >"$BOX/list.jsonl"
make ids --prompts "$BOX/list.jsonl" >/dev/null
is 'ids name files' "$(files ids)" 'one.json one.wav two.b.json two.b.wav '
is 'and are recorded' "$(value ids/one id) $(value ids/one seed)" 'one 3'
long=$(printf '%0199d' 0)
printf '{"id": "%s1"}\n{"id": "%s2", "n": 2}\n' "$long" "$long" >"$BOX/long.jsonl"
make long --prompts "$BOX/long.jsonl" >/dev/null
is 'ids of 200 bytes too' "$(files long | tr ' ' '\n' | sed "s/^$long/…/" | tr '\n' ' ')" \
    '…1.json …1.wav …2-0.json …2-0.wav …2-1.json …2-1.wav '
make many --prompt piano -n 3 >/dev/null
is 'clips of one prompt' "$(files many)" '000000.json 000000.wav 000001.json 000001.wav 000002.json 000002.wav '
is 'each has its own seed' "$(value many/000000 seed) $(value many/000002 seed)" '7 9'

# Formats
for format in wav wav-f32 flac ogg opus mp3; do
    suffix=${format%-f32}
    rate=32000 frames=12800
    [ $format = opus ] && rate=48000 frames=19200
    expect 0 '' "$format: made" ranks 1 "$MG" generate -q --model "$TINY" --frames 20 --seed 7 --prompt piano \
        --format $format --sample-rate $rate --out "$BOX/$format"
    is "$format: its name" "$(files $format)" "$(printf '%s\n' 000000.json 000000.$suffix | sort | tr '\n' ' ')"
    is "$format: its length, channels and rate" "$("$FACTS" "$BOX/$format/000000.$suffix" | cut -d ' ' -f 1-3)" "$frames 1 $rate"
    is "$format: its hash is recorded" "$(value $format/000000 audio_sha256)" \
        "$(sha256sum <"$BOX/$format/000000.$suffix" | cut -c 1-64)"
    passes "$format: it says who made it" grep -aq 'mg-dist' "$BOX/$format/000000.$suffix"
    passes "$format: and from what" sh -c "tr -d '\\000' <'$BOX/$format/000000.$suffix' | grep -aq '\"prompt\":\"piano\"'"
    fails "$format: but not where" grep -aq "\"host\"\|$BOX" "$BOX/$format/000000.$suffix"
    ranks 2 "$MG" generate -q --model "$TINY" --frames 20 --seed 7 --prompt piano --format $format --sample-rate $rate \
        --out "$BOX/again" >/dev/null 2>&1
    passes "$format: the same bytes again, on two ranks" cmp "$BOX/$format/000000.$suffix" "$BOX/again/000000.$suffix"
    [ $format = opus ] || # it takes out what does not swing, and an untrained model's sound mostly does not
        near "$format: the level is the same" "$(fact 5 $format/000000.$suffix)" "$(fact 5 wav/000000.wav)" 0.02
done
is 'flac has the integers of wav' "$(fact 6 flac/000000.flac)" "$(fact 6 wav/000000.wav)"
expect 2 'option --format: opus.*--sample-rate 48000' 'opus does not have 32 kHz' make no --prompt x --format opus
fails 'and nothing was made' test -e "$BOX/no"

# Levels
level() { make "$1" --prompt piano --format wav-f32 --strategy "$@" >/dev/null; }
level none
level peak --peak-headroom 6
near 'peak: the highest stands 6 dB below' "$(fact 4 peak/000000.wav)" 0.5012 0.0001
level clip --peak-headroom 20
passes 'clip: nothing above' test "$(fact 4 clip/000000.wav)" = "$(awk -v p="$(fact 4 none/000000.wav)" 'BEGIN { printf "%.4f", (p > 0.1 ? 0.1 : p) }')"
level rms --rms-headroom 26
near 'rms: 26 dB below' "$(fact 5 rms/000000.wav)" 0.0501 0.0005
level loudness --loudness-headroom 30
fails 'loudness: another level' test "$(fact 5 loudness/000000.wav)" = "$(fact 5 none/000000.wav)"
make compressed --prompt piano --format wav-f32 --strategy loudness --loudness-headroom 3 --loudness-compressor >/dev/null
passes 'loudness: compressed, not cut' test "$(fact 4 compressed/000000.wav)" != 1.0000
is 'the strategy is recorded' "$(value rms/000000 strategy) $(value rms/000000 rms_headroom_db)" 'rms 26'

# Rates
make rate --prompt piano --sample-rate 44100 --save-codes >/dev/null
is 'another rate' "$("$FACTS" "$BOX/rate/000000.wav" | cut -d ' ' -f 1-3)" '17640 1 44100'
is 'as the metadata says' "$(value rate/000000 sampling_rate) $(value rate/000000 samples)" '44100 17640'

# Codes
is 'codes beside the sound' "$(files rate)" '000000.codes.npy 000000.json 000000.wav '
is 'their hash is recorded' "$(value rate/000000 codes_sha256)" \
    "$(tail -c +129 "$BOX/rate/000000.codes.npy" | sha256sum | cut -c 1-64)"
passes 'codes do not change the sound' cmp "$BOX/wav/000000.wav" <(make plain --prompt piano --save-codes >/dev/null && cat "$BOX/plain/000000.wav")
is 'codes and no sound: the path' "$(make codes --prompt piano --codes-only)" "$BOX/codes/000000.codes.npy"
is 'codes and no sound' "$(files codes)" '000000.codes.npy 000000.json '
passes 'the same codes' cmp "$BOX/codes/000000.codes.npy" "$BOX/rate/000000.codes.npy"
is 'the metadata knows of no sound' "$(value codes/000000 audio_file)" null

# An audio prompt, kept and dropped
prompted() { make "$1" --prompt piano --frames 30 --audio-prompt "$BOX/wav/000000.wav" --prompt-duration 0.2 "${@:2}" >/dev/null; }
prompted kept --save-codes
is 'the prompt is part of the length' "$(fact 1 kept/000000.wav)" 19200
prompted dropped --save-codes --drop-prompt
is 'or is left out' "$(fact 1 dropped/000000.wav)" 12800
passes 'the codes have it either way' cmp "$BOX/kept/000000.codes.npy" "$BOX/dropped/000000.codes.npy"
is 'and the metadata says how much' "$(value dropped/000000 prompt_frames) $(value dropped/000000 drop_prompt)" '10 true'
passes 'the prompt has its hash' grep -q "\"sha256\":[[:space:]]*\"$(sha256sum <"$BOX/wav/000000.wav" | cut -c 1-64)\"" "$BOX/kept/000000.json"

# Codes alone, of a language model alone: no codec says how many frames a second has.
mkdir "$BOX/lm"
cp "$GOLDEN/checkpoints/ac-mono/state_dict.bin" "$BOX/lm"
alone() { passes "$1" "$MG" generate -q --lm "$BOX/lm/state_dict.bin" --codes-only --seed 3 "${@:2}"; }
alone 'a language model alone' --unconditional 1 --frames 30 --out "$BOX/alone"
alone 'goes on from the first of its codes' --frames 40 --out "$BOX/on" --audio-prompt "$BOX/alone/000000.codes.npy" --prompt-duration 0.2
is 'from as many as were asked for' "$(value on/000000 prompt_frames)" 10

# Standard output
for n in 1 2; do
    (cd "$BOX" && mkdir -p empty && cd empty &&
        ranks $n "$MG" generate --model "$TINY" --frames 20 --seed 7 --prompt piano --out - >"$BOX/stdout.wav" 2>"$BOX/said")
    is "standard output, $n rank(s): it ends well" $? 0
    passes "standard output, $n rank(s): the bytes of the file, and nothing else" cmp "$BOX/stdout.wav" "$BOX/wav/000000.wav"
    passes "standard output, $n rank(s): no file" sh -c "! ls -A '$BOX/empty' | grep -q ."
    [ $n = 2 ] || says 'standard output: the rest is on stderr' '^standard output$'
done
passes 'of several ranks no rest: mpirun of Open MPI 5 would mix it with the sound' test ! -s "$BOX/said"
# The same bytes while they are made: stereo, windows, a prompt that is left out, floats; and where they cannot be.
heard() { # heard WHAT RANKS OPTION...
    local what=$1 n=$2
    shift 2
    rm -rf "$BOX/heard"
    passes "$what: a file" "$MG" generate -q --seed 7 --prompt piano --out "$BOX/heard" "$@"
    ranks "$n" "$MG" generate -q --seed 7 --prompt piano --out - "$@" >"$BOX/stdout.wav" 2>"$BOX/said"
    is "$what: heard" $? 0
    passes "$what: the file's bytes" cmp "$BOX/stdout.wav" "$(ls "$BOX"/heard/*.wav)"
}
heard 'clip' 1 --model "$TINY" --frames 70 --strategy clip
heard 'clip, two ranks' 2 --model "$TINY" --frames 70 --strategy clip
heard 'floats' 1 --model "$TINY" --frames 70 --strategy none --format wav-f32
heard 'stereo' 1 --model "$GOLDEN/checkpoints/tiny-stereo" --tokenizer "$TINY" --frames 70 --strategy clip
heard 'windows' 1 --model "$TINY" --frames 120 --window 1 --extend-stride 0.5 --strategy clip
heard 'behind a prompt' 1 --model "$TINY" --frames 90 --strategy clip --audio-prompt "$BOX/wav/000000.wav" --drop-prompt
heard 'another rate' 1 --model "$TINY" --frames 70 --strategy clip --sample-rate 16000
expect 1 'standard output: its reader closed it' 'a reader that goes' sh -c "{ '$MG' generate -q --model '$TINY' --prompt a --frames 400 --strategy clip --out -; echo \$? >'$BOX/rc'; } | head -c 1000 >/dev/null; exit \$(cat '$BOX/rc')"
mkfifo "$BOX/fifo"
sleep 60 <"$BOX/fifo" &
reader=$!
timeout -s KILL 30 "$MG" generate -q --model "$TINY" --prompt a --frames 3000 --strategy clip --out - >"$BOX/fifo" 2>"$BOX/said" &
maker=$!
sleep 2
pkill -TERM -P $maker
wait $maker
is 'a reader that rests: a signal ends the run' $? 130
kill $reader
expect 2 'option --out: -: 2 clips' 'one clip at most' "$MG" generate -q --model "$TINY" --prompt a --prompt b --frames 4 --out -
expect 2 'option --out: -: .*--save-codes' 'no codes' "$MG" generate -q --model "$TINY" --prompt a --frames 4 --save-codes --out -
if command -v script >/dev/null; then
    expect 2 'option --out: -: standard output is a terminal; give what takes the sound: \| aplay, or >clip.wav' 'no sound onto a terminal' \
        script -qec "'$MG' generate -q --model '$TINY' --prompt a --frames 20 --out -" /dev/null </dev/null
else
    skipped 'script not found'
fi
expect 1 'standard output: ' 'a full device' sh -c "'$MG' generate -q --model '$TINY' --prompt a --frames 20 --out - >/dev/full"
finish
