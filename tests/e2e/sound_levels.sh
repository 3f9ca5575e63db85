#!/bin/bash
# What is in the files: loudness, peaks, clipped samples, silence; bit rates and qualities; tags that are ours.
#   sound_levels.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS
. "$(dirname "$0")/lib.sh" "$1" "$2"
FACTS=$4

make() { # FOLDER options …
    local out=$1
    shift
    rm -rf "${BOX:?}/$out"
    "$MG" generate -q --model "$DEMO" --prompt 'happy chiptune, fast' --duration 3 --seed 3 --out "$BOX/$out" "$@" >"$BOX/said" 2>&1 || sed 's/^/# /' "$BOX/said"
}
check() { # SENTENCE FOLDER condition on s (the object "sound"), d (all of it), peak (as read from the file)
    passes "$1" /usr/bin/python3 -c "
import json, math
d = json.load(open('$BOX/$2/000000.json')); s = d['sound']
peak = 20 * math.log10($("$FACTS" "$BOX/$2/$(cd "$BOX/$2" && ls 000000.[!j]* | head -1)" | cut -d ' ' -f 4))
print(s, peak)
assert $3"
}

make peak
check 'the highest peak is 1 dB below full scale' peak "abs(s['sample_peak_dbfs'] + 1) < 1e-3 and abs(peak + 1) < 0.01"
check 'between the samples it is higher' peak "s['true_peak_dbtp'] >= s['sample_peak_dbfs']"
check 'nothing is clipped' peak "s['clipped_samples'] == 0"
check 'the keys' peak "list(s) == ['loudness_lufs', 'true_peak_dbtp', 'sample_peak_dbfs', 'clipped_samples', 'silence_start_s', 'silence_end_s']"
fails 'no word of clipping' grep -q clipped "$BOX/said"
make other --peak-headroom 7
check 'six decibels less are six decibels less' other "abs(s['loudness_lufs'] + 6 - json.load(open('$BOX/peak/000000.json'))['sound']['loudness_lufs']) < 0.01"
make loud --strategy loudness --loudness-headroom 3
passes 'what is clipped is said' grep -Eq 'warning: clip 000000: [0-9]+ samples \([0-9.]+ %\) are clipped; give a larger --loudness-headroom, or --loudness-compressor' "$BOX/said"
check 'and recorded' loud "s['clipped_samples'] > 96000 * 1e-4 and abs(s['sample_peak_dbfs']) < 1e-6"
make raw --strategy none --format wav-f32
check 'of floats those beyond full scale are counted' raw "(s['clipped_samples'] > 0) == (peak > 0)"
make cut --strategy clip --peak-headroom 20
passes 'of those that were cut, all' grep -q 'are clipped; --strategy peak clips none' "$BOX/said"
check 'at the limit' cut "abs(s['sample_peak_dbfs'] + 20) < 1e-3 and s['clipped_samples'] > 0"
make soft --strategy loudness --loudness-headroom 3 --loudness-compressor
check 'softened, none' soft "s['clipped_samples'] == 0"
make codes --codes-only
fails 'codes alone have no sound' grep -q '"sound"' "$BOX/codes/000000.json"

# How much a lossy format keeps.
bytes() { stat -c %s "$BOX/$1"/000000.[!j]*; }
smaller() { passes "$1" test "$(bytes "$2")" -lt "$(bytes "$3")"; }
make m320 --format mp3
make m64 --format mp3 --bitrate 64
make q8 --format mp3 --quality 8
make q2 --format mp3 --quality 2
smaller 'mp3: 64 kbit/s' m64 m320
smaller 'mp3: a low quality' q2 q8
passes 'mp3: 64 kbit/s for 3 s' /usr/bin/python3 -c "assert abs($(bytes m64) - 3 * 8000) < 4000, $(bytes m64)"
check 'the rate is recorded' m64 "d['parameters']['bitrate_kbps'] == 64 and 'quality' not in d['parameters']"
make o --format ogg
make o9 --format ogg --quality 9
make o4 --format ogg --quality 4
smaller 'ogg: a high quality' o o9
passes 'ogg: 4 is the usual one' test "$("$FACTS" "$BOX/o/000000.ogg" | cut -d ' ' -f 6)" = "$("$FACTS" "$BOX/o4/000000.ogg" | cut -d ' ' -f 6)"
make u --format opus --sample-rate 48000
make u32 --format opus --sample-rate 48000 --bitrate 32
make u96 --format opus --sample-rate 48000 --bitrate 96
smaller 'opus: 32 kbit/s' u32 u
passes 'opus: 96 is the usual one' test "$("$FACTS" "$BOX/u/000000.opus" | cut -d ' ' -f 6)" = "$("$FACTS" "$BOX/u96/000000.opus" | cut -d ' ' -f 6)"
fails 'the usual ones are not recorded' grep -q -e bitrate -e quality "$BOX/m320/000000.json" "$BOX/o/000000.json" "$BOX/u/000000.json"
refused() { # PATTERN SENTENCE options
    local pattern=$1 sentence=$2
    shift 2
    expect 2 "$pattern" "$sentence" "$MG" generate --model "$DEMO" --prompt x --duration 1 --out "$BOX/no" "$@"
}
refused 'option --bitrate: goes with --format mp3 and opus, not flac' 'a rate of what has none' --format flac --bitrate 64
refused 'not ogg, which has --quality' 'a rate of Vorbis' --format ogg --bitrate 64
refused 'not opus, which has --bitrate' 'a quality of Opus' --format opus --sample-rate 48000 --quality 3
refused 'option --bitrate: 130: mp3 at 32000 Hz has 32, 40, .* 320' 'no rate of MP3' --format mp3 --bitrate 130
refused 'give one' 'both' --format mp3 --bitrate 64 --quality 3
refused 'option --bitrate: 400: opus with 1 channel has 6 to 256' 'too much for Opus' --format opus --sample-rate 48000 --bitrate 400

# Tags: nothing of libsndfile's version or libFLAC's.
make wav
make flac --format flac
make ogg --format ogg
for f in wav flac ogg; do
    fails "$f: no library's version" sh -c "strings -n 6 '$BOX/$f/000000.$f' | grep -Eq 'libsndfile-|libFLAC'"
    passes "$f: but ours" sh -c "strings -n 6 '$BOX/$f/000000.$f' | grep -Eq 'mg-dist [0-9.]+ \(libsndfile\)'"
done
finish
