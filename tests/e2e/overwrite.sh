#!/bin/bash
# Nothing that is there is replaced in silence, and the same clip is not made again.
#   overwrite.sh MG-DIST TESTS-FOLDER COMPARE-CLIP SOUND-FACTS FAULTY-DISK
. "$(dirname "$0")/lib.sh" "$1" "$2"
FAULTY=$5
unset MGDIST_OVERWRITE

make() { "$MG" generate --model "$TINY" --frames 20 --out "$BOX/out" "$@"; }
sums() { (cd "$BOX/out" && sha256sum -- *) >"$BOX/$1"; }
stays() { # SENTENCE
    sums now
    passes "$1: nothing has changed" cmp "$BOX/before" "$BOX/now"
}
refused() { # PATTERN SENTENCE options …
    local pattern=$1 sentence=$2
    shift 2
    expect 2 "$pattern.*give --overwrite, another --out or --start-index next" "$sentence" make "$@"
    passes "$sentence: before anything is loaded" test "$(grep -c 'plan:' "$BOX/said")" = 0
    stays "$sentence"
}

expect 0 "^$BOX/out/000000.wav$" 'a first clip' make --prompt a --seed 1 --save-codes
sums before
expect 0 "^$BOX/out/000000.wav$" 'the same again' make --prompt a --seed 1 --save-codes
passes 'it says so' grep -q '1 of 1 clips is there already' "$BOX/said"
passes 'and loads nothing' test "$(grep -c 'plan:' "$BOX/said")" = 0
stays 'the same again'
expect 0 "^$BOX/out/000000.wav$" 'without asking for its codes' make --prompt a --seed 1
stays 'without its codes'
refused '000000.wav: is there already .another clip: its prompt differs' 'another prompt' --prompt b --seed 1
refused 'another clip: its seed differs' 'another seed' --prompt a --seed 2
refused 'another clip: its seed differs' 'a seed that is drawn' --prompt a
refused 'another clip: its top_k differs' 'other sampling' --prompt a --seed 1 --top-k 3
refused 'another clip: its min_p differs' 'a cut that was off' --prompt a --seed 1 --min-p 0.1
refused 'another clip: its frames differs' 'another length' --prompt a --seed 1 --frames 21
refused 'another clip: its format differs' 'another format' --prompt a --seed 1 --format flac
refused 'another clip: its sample_rate differs' 'another rate' --prompt a --seed 1 --sample-rate 44100
refused 'another clip: its strategy differs' 'another level' --prompt a --seed 1 --strategy rms
refused 'another clip: its dtype differs' 'another number format' --prompt a --seed 1 --dtype bf16
refused 'another clip: its prompt_duration_s differs' 'an audio prompt' --prompt a --seed 1 --audio-prompt "$BOX/out/000000.codes.npy" --prompt-duration 0.1
cp -r "$TINY" "$BOX/tiny"
refused 'another clip: its model differs' 'another model' --prompt a --seed 1 --model "$BOX/tiny"
expect 2 'its prompt differs' 'on two ranks' ranks 2 "$MG" generate --model "$TINY" --frames 20 --out "$BOX/out" --prompt b --seed 1 --tp 1
stays 'on two ranks'

# A name in the cache that leads to another snapshot by now, though its files are older than the clip.
export HF_HUB_CACHE=$BOX/hub
snapshot() { # DIGIT FOLDER
    local repo=$HF_HUB_CACHE/models--some--model commit f hash
    commit=$(printf "$1%.0s" {1..40})
    mkdir -p "$repo/blobs" "$repo/refs" "$repo/snapshots/$commit"
    printf %s "$commit" >"$repo/refs/main"
    for f in "$2"/*; do
        hash=$(sha256sum "$f" | cut -c 1-64)
        [ -e "$repo/blobs/$hash" ] || cp "$f" "$repo/blobs/$hash"
        touch -d 2001-01-01 "$repo/blobs/$hash"
        ln -sf "../../blobs/$hash" "$repo/snapshots/$commit/$(basename "$f")"
    done
}
snapshot 1 "$BOX/tiny"
expect 0 "^$BOX/out/000040.wav$" 'of a cached model' make --prompt a --seed 1 --model some/model --start-index 40
truncate -s -1 "$BOX/tiny/model.safetensors" && printf '<' >>"$BOX/tiny/model.safetensors"
snapshot 2 "$BOX/tiny"
sums before
refused '000040.wav: is there already .another clip: its model differs' 'a later snapshot' --prompt a --seed 1 --model some/model --start-index 40
snapshot 3 "$TINY"
expect 0 "^$BOX/out/000040.wav$" 'a third one of the same files' make --prompt a --seed 1 --model some/model --start-index 40
stays 'a third one of the same files'
rm "$BOX/out/000040".*

# Of several, those that are missing are made.
expect 0 "^$BOX/out/000001.wav$" 'one more' make --prompt a --prompt b --seed 1
passes 'one was there' grep -q '1 of 2 clips is there already' "$BOX/said"
passes 'both are delivered' grep -q "^$BOX/out/000000.wav$" "$BOX/said"
expect 0 "^$BOX/out/000002.wav$" 'behind those in the folder' make --prompt c --seed 9 --start-index next
expect 0 "^$BOX/out/000012.wav$" 'from a number on' make --prompt c --prompt d --seed 9 --start-index 11
expect 0 "^$BOX/out/000013.wav$" 'behind a gap' ranks 2 "$MG" generate --model "$TINY" --frames 20 --out "$BOX/out" --prompt e --seed 9 --start-index next
expect 2 'start-index: "x": must be next, or a whole number' 'no number' make --prompt a --start-index x

expect 0 "^$BOX/out/a-title.wav$" 'a name of words' make --prompt 'A title' --name title --seed 1
expect 2 'a-title.wav: is there already .*; give --overwrite or another --out$' 'which no other number makes another one' \
    make --prompt 'a title' --name title --seed 2 --start-index next

# What is no clip of ours, or no longer.
printf x >"$BOX/out/000020.flac"
sums before
refused '000020.flac: is there already .no metadata says what it is' 'a stranger' --prompt a --seed 1 --start-index 20
printf x >>"$BOX/out/000002.wav"
sums before
refused '000002.wav: is there already .its files are not those' 'a sound that was changed' --prompt c --seed 9 --start-index 2
rm "$BOX/out/000001.wav"
sums before
refused '000001.json: is there already .its files are not those' 'a sound that is gone' --prompt b --seed 2 --start-index 1

# --overwrite: what is there goes, all of it.
expect 0 "^$BOX/out/000000.flac$" 'insisting' make --prompt b --seed 5 --format flac --overwrite
passes 'the other sound is gone' test ! -e "$BOX/out/000000.wav"
passes 'and the other codes' test ! -e "$BOX/out/000000.codes.npy"
expect 0 '^the same bytes' 'what is there is one clip' "$MG" replay -q "$BOX/out/000000.json"

mkdir "$BOX/out/000030.json" "$BOX/out/000031.wav"
for name in 000030.json 000031.wav; do
    expect 2 "$name: is a folder, which --overwrite does not replace; give another --out" "a folder called $name" \
        make --prompt b --seed 5 --start-index "$((10#${name%.*}))" --overwrite
    passes 'before anything is loaded' test "$(grep -c 'plan:' "$BOX/said")" = 0
    passes 'it is there still' test -d "$BOX/out/$name"
done
rmdir "$BOX/out/000030.json" "$BOX/out/000031.wav"

# A file or a link to nothing where a folder is to be: every command that writes refuses it.
echo mine >"$BOX/file"
ln -s nowhere "$BOX/link"
echo a >"$BOX/jobs.txt"
for place in "$BOX/file" "$BOX/link" "$BOX/file/below"; do
    of=$(basename "$place")
    at=$BOX/${of/below/file}
    refuses() { expect 2 "^mg-dist: error: $at: is there already, and is no folder; name another" "$1 into $of" "$MG" "$@" "$place"; }
    refuses generate --model "$TINY" --prompt a --seed 1 --frames 20 --out
    refuses encode "$TESTS/../examples/tune.ogg" --model "$TINY" --out
    refuses decode "$BOX/codes.npy" --model "$TINY" --out
    refuses replay "$BOX/out/000000.json" --out
    refuses run --model "$TINY" --jobs "$BOX/jobs.txt" --duration 1 --out
    refuses bench-scaling --np 1 --tp 1 --batch 1 --shape tiny --out
done
expect 2 'link: is there already; give another OUT' 'convert into a link to nothing' "$MG" convert "$TINY" "$BOX/link"
expect 2 'link: is there already; give --overwrite or another OUT' 'export onto one' "$MG" export --pointer a/b "$BOX/link"
passes 'the link leads nowhere still, and the file is what it was' sh -c "test -L '$BOX/link' -a ! -e '$BOX/nowhere' && grep -qx mine '$BOX/file'"
mkdir "$BOX/sweep"
echo mine >"$BOX/sweep/results.csv"
expect 2 'results.csv: is there already; it is of no sweep' 'a table of something else' \
    "$MG" bench scaling --np 1 --tp 1 --batch 1 --shape tiny --out "$BOX/sweep"
passes 'is not replaced' grep -qx mine "$BOX/sweep/results.csv"

# A folder that is looked through for longer than ranks wait for each other, before and after the work.
slowly() { # CALL FILE: these calls on it take 5 s
    ranks 2 env LD_PRELOAD="$FAULTY" FAULT_CALLS="$1" FAULT_PATH="$BOX/late/$2" FAULT_MS=5000 FAULT_COUNT=2 \
        "$MG" generate --model "$TINY" --frames 20 --out "$BOX/late" --seed 1 --tp 1 --comm-timeout 2 "${@:3}"
}
expect 0 '' 'a folder' make --out "$BOX/late" --prompt a --seed 1
expect 0 "^$BOX/late/000000.wav$" 'while what is there is hashed, ranks wait' slowly take 000000.wav --prompt a
expect 0 "^$BOX/late/000001.wav$" 'and while the list of sounds is made' slowly open metadata.jsonl --prompt b --overwrite --start-index 1

# Two calls at once that want the same name: the second one looked while nothing was there.
touch "$BOX/hold"
LD_PRELOAD="$FAULTY" FAULT_CALLS=rename FAULT_PATH=two/000000.wav FAULT_HOLD="$BOX/hold" FAULT_MET="$BOX/met" \
    timeout 300 "$MG" generate --model "$TINY" --frames 20 --out "$BOX/two" --prompt first --seed 1 >"$BOX/first" 2>&1 &
first=$!
for _ in $(seq 600); do [ ! -e "$BOX/met" ] || break; sleep 0.1; done
timeout 300 "$MG" generate --model "$TINY" --frames 20 --out "$BOX/two" --prompt second --seed 2 >"$BOX/said" 2>&1 &
second=$!
for _ in $(seq 600); do ! grep -q plan: "$BOX/said" || break; sleep 0.1; done
rm "$BOX/hold"
wait $first
passes 'of two calls at once the first has the name' test $? = 0
wait $second
passes 'the second one fails' test $? = 1
says 'and says why' '000000.wav: is there by now, made by another call, and is not replaced'
passes 'the clip is the first one' "$MG" replay -q "$BOX/two/000000.json"
passes 'with its text' grep -q '"prompt":"first"' "$BOX/two/metadata.jsonl"
fails 'and no lock is left' sh -c "ls -A '$BOX/two' | grep lock"
touch "$BOX/two/.000003.mg-dist.lock"
expect 0 '' 'a lock that a killed call left' "$MG" generate --model "$TINY" --frames 20 --out "$BOX/two" --prompt c --start-index next
fails 'is removed by the next one' test -e "$BOX/two/.000003.mg-dist.lock"

# The same of encode and decode: codes and sounds of one name.
mkdir "$BOX/other"
cp "$BOX/two/000000.wav" "$BOX/other/tune.wav"
convert() { # COMMAND FROM: into $BOX/same
    timeout 300 "$MG" "$1" "$2" --model "$TINY" --threads 1 --out "$BOX/same"
}
at_once() { # COMMAND FILE FIRST SECOND
    rm -f "$BOX/met"
    touch "$BOX/hold"
    LD_PRELOAD="$FAULTY" FAULT_CALLS=rename FAULT_PATH="same/$2" FAULT_HOLD="$BOX/hold" FAULT_MET="$BOX/met" convert "$1" "$3" >"$BOX/first" 2>&1 &
    first=$!
    for _ in $(seq 600); do [ ! -e "$BOX/met" ] || break; sleep 0.1; done
    convert "$1" "$4" >"$BOX/said" 2>&1 &
    second=$!
    for _ in $(seq 600); do ! grep -q "$1: 1 file" "$BOX/said" || break; sleep 0.1; done
    rm "$BOX/hold"
    wait $first
    passes "$1: of two calls at once the first has the name" test $? = 0
    wait $second
    passes "$1: the second one fails" test $? = 1
    says "$1: and says why" "$2: is there already; another call has made it by now, and it is not replaced; give another --out"
    "$MG" "$1" "$3" --model "$TINY" --threads 1 --out "$BOX/alone" >/dev/null 2>&1
    passes "$1: the file is the first one's" cmp "$BOX/same/$2" "$BOX/alone/$2"
    fails "$1: and no lock is left" sh -c "ls -A '$BOX/same' | grep lock"
}
at_once encode tune.codes.npy "$TESTS/../examples/tune.ogg" "$BOX/other/tune.wav"
mkdir "$BOX/codes"
cp "$BOX/same/tune.codes.npy" "$BOX/codes"
"$MG" encode "$BOX/other/tune.wav" --model "$TINY" --out "$BOX/other" >/dev/null 2>&1
at_once decode tune.wav "$BOX/codes/tune.codes.npy" "$BOX/other/tune.codes.npy"

# The other call is suspended, or a file server does not answer: a stop ends the wait.
mkdir "$BOX/stuck"
exec 9>"$BOX/stuck/.tune.mg-dist.lock"
passes 'a lock that nobody lets go' flock 9
"$MG" encode "$TESTS/../examples/tune.ogg" --model "$TINY" --threads 1 --out "$BOX/stuck" >"$BOX/said" 2>&1 9>&- &
job=$!
for _ in $(seq 600); do ! ls -l /proc/$job/fd | grep -q 'tune.mg-dist.lock$' || break; sleep 0.1; done
kill -USR1 $job
passes 'SIGUSR1 ends who waits for it' gone 10 $job
lives $job && kill -KILL $job
wait $job
passes 'with exit code 130' test $? = 130
says 'and says so' 'stopped by SIGUSR1'
passes 'the lock stays, for it is another'"'"'s, and nothing is written' test "$(ls -A "$BOX/stuck")" = .tune.mg-dist.lock
exec 9>&-

# A dataset's card: ours is written anew, another or an edited one is kept.
clips() { "$MG" run --model "$TINY" --jobs "$BOX/jobs.txt" --duration 0.2 --seed 1 --out "$BOX/set" "$@"; }
expect 0 '' 'a dataset' clips
passes 'its card' grep -q '^| clips | 1 of 1 |' "$BOX/set/README.md"
echo b >>"$BOX/jobs.txt"
expect 0 '' 'of one clip more' clips --jobs-changed ok
passes 'the card is written anew' grep -q '^| clips | 2 of 2 |' "$BOX/set/README.md"
sed -i 's/^| clips/| my clips/' "$BOX/set/README.md"
cp "$BOX/set/README.md" "$BOX/card"
echo c >>"$BOX/jobs.txt"
expect 0 'README.md: is not as mg-dist wrote it, and is kept; remove it to have it written anew' 'a card that was edited' clips --jobs-changed ok
passes 'it is what it was' cmp "$BOX/card" "$BOX/set/README.md"
passes 'and in the list of sums' sh -c "cd '$BOX/set' && sha256sum -c --quiet SHA256SUMS"
mkdir "$BOX/mine"
echo mine >"$BOX/mine/README.md"
expect 2 'mine: holds other things .README.md. and is no dataset of ours; name a new folder' "a folder with somebody's README" \
    "$MG" run --model "$TINY" --jobs "$BOX/jobs.txt" --duration 0.2 --seed 1 --out "$BOX/mine"
passes 'no temporary file is left' tidy "$BOX"
finish
