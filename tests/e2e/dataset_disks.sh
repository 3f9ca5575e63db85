#!/bin/bash
# mg-dist run on disks of its own: one that fills up, one that is read-only, one too small for a shard. They are
# mounted in a namespace of this test's; SKIPPED where none may be made.
#   dataset_disks.sh MG-DIST TESTS-FOLDER …
if [ "${MG_OWN_MOUNTS-}" != yes ]; then
    if ! unshare -rm true 2>/dev/null; then
        echo 'SKIPPED: no namespace for mounts can be made here'
        exit 77
    fi
    MG_OWN_MOUNTS=yes exec unshare -rm bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh" "$1" "$2"

DISK=$BOX/disk
mkdir "$DISK"
mount -t tmpfs -o size=600k tmpfs "$DISK" || { echo 'SKIPPED: no tmpfs can be mounted here'; exit 77; }
trap 'umount "$DISK"; rm -rf "$BOX"' EXIT
for i in $(seq 1 14); do printf '{"id":"clip-%d","prompt":"song number %d","duration":2}\n' "$i" "$i"; done >"$BOX/jobs.jsonl"
run() { # OUT …
    local out=$1
    shift
    timeout 600 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$out" --seed 5 --threads 1 "$@"
}
facts() { (cd "$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
like() { passes "$1" test -n "$(facts "$2")" -a "$(facts "$2")" = "$(facts "$3")"; }
makes() {
    local sentence=$1
    shift
    "$@" >"$BOX/said" 2>&1
    verdict $? "$sentence"
}
one_message() { passes "$1: one message" test "$(grep -c 'mg-dist: error' "$BOX/said")" = 1; }

for layout in $([ "${MG_TEST_SANITIZED-}" ] || echo audiofolder) webdataset; do # a shard's clips are files before
    more="--layout $layout --shard-clips 8"
    makes "$layout: a run with room" run "$BOX/$layout" $more
    mount -o remount,size=600k "$DISK"
    expect 1 'No space left on device|disk is full' "$layout: a disk that fills up ends the run" run "$DISK/$layout" $more
    one_message "$layout: a full disk"
    passes "$layout: nothing half is left" tidy "$DISK/$layout"
    expect 1 'No space left|disk is full|are free, and' "$layout: and ends it again while it is full" run "$DISK/$layout" $more
    mount -o remount,size=100m "$DISK"
    makes "$layout: with room again the same command completes it" run "$DISK/$layout" $more
    like "$layout: the same bytes" "$BOX/$layout" "$DISK/$layout"
    mount -o remount,ro "$DISK"
    expect 1 'Read-only file system' "$layout: a read-only disk is refused" run "$DISK/new-$layout" $more
    one_message "$layout: a read-only disk"
    expect 1 'Read-only file system|readonly' "$layout: also where a dataset is" run "$DISK/$layout" $more
    one_message "$layout: a read-only dataset"
    mount -o remount,rw "$DISK"
    rm -rf "$DISK/$layout"
done
mount -o remount,size=400k "$DISK"
expect 1 'MB are free, and a shard with the clips that wait for it takes .* MB at least' 'no room for even one shard' \
    run "$DISK/small" --layout webdataset --format wav
one_message 'no room'
passes 'nothing was made' sh -c "! ls '$DISK/small/.mg-dist/parts' | grep ."
finish
