#!/bin/bash
# A disk that fills while clips are written, and what is printed onto one.   full_disk.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/lib.sh" "$1" "$2"

FULL=$BOX/full
mkdir "$FULL"
# 40 frames are 25,600 samples: 51 kB a clip of 16 bits, 102 kB of floats.
make_clips() { ranks "$1" "$MG" generate --model "$TINY" --unconditional 3 --frames 40 --seed 1 "${@:2}"; }
whole() { # every WAV there is of its whole size, and has its metadata
    local f
    for f in "$1"/*.wav; do [ "$(stat -c %s "$f")" -ge 51200 ] && [ -s "${f%.wav}.json" ] || return 1; done
}

if mount -t tmpfs -o size=128k tmpfs "$FULL" 2>/dev/null; then
    trap 'umount "$FULL"; rm -rf "$BOX"' EXIT
    for n in 1 2; do
        expect 3 'clip 000002: .*No space left' "a full disk stops one clip, not the others ($n ranks)" make_clips $n --tp $n --out "$FULL"
        passes 'the failed clip is listed' grep -q '1 of 3 clips failed: 000002' "$BOX/said"
        says 'only what came of it is counted as music' '^generate: 1\.6 s of music'
        passes 'the delivered one is printed' grep -q "^$FULL/000001.wav" "$BOX/said"
        passes 'nothing is half-written' tidy "$FULL"
        passes 'what is there is whole' whole "$FULL"
        rm -f "$FULL"/*
    done
    head -c 125000 /dev/zero >"$FULL/ballast"
    expect 1 'clip 000000: .*No space left' 'a disk without any room' make_clips 1 --out "$FULL"
    passes 'nothing is half-written' tidy "$FULL"
else
    skipped 'no tmpfs can be mounted here'
fi

# The same by a limit on the size of files, which needs no rights.
limited() { (ulimit -f 64 && make_clips "$@"); }
expect 1 'clip 000000: .*File too large' 'a file beyond the limit' limited 1 --format wav-f32 --out "$BOX/limited"
passes 'nothing is half-written' tidy "$BOX/limited"
passes 'no sound is there' sh -c "! ls '$BOX/limited' | grep -q wav"
expect 1 'clip 000000: .*File too large' 'a limit that the codes are within' limited 1 --save-codes --format wav-f32 --out "$BOX/limited"
passes 'a clip that fails leaves nothing' sh -c "! ls -A '$BOX/limited' | grep -q ."

# What is printed onto a full disk, or to nobody, is no success.
printed() { "$@" >/dev/full; }
to_nobody() { "$@" >&-; }
expect 1 'standard output: cannot write: No space left on device' 'inspect' printed "$MG" inspect "$TINY"
expect 1 'standard output: cannot write' 'inspect --json' printed "$MG" inspect "$TINY" --json
expect 1 'standard output: cannot write' 'models' printed "$MG" models
expect 1 'standard output: cannot write' 'plan' printed "$MG" plan --model "$TINY" --clips 10
expect 1 'standard output: cannot write' 'help' printed "$MG" generate --help
expect 1 'standard output: cannot write' 'a list of options' printed "$MG" --completion bash
expect 1 'standard output: cannot write' '--version' printed "$MG" --version
expect 1 'standard output: cannot write' 'to nobody' to_nobody "$MG" inspect "$TINY"
finish
