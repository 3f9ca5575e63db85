#!/bin/bash
# The container for CPUs, built from the committed tree and started by run_tests.sh: three clips of the demo model, with the
# bytes of the program here. Images, settings and clips are in a folder of their own, removed at the end.
#   sudo tests/install/container.sh MG-DIST      needs buildah, podman and runc, the network, 3 GB; not part of make check
# Where the base image cannot be pulled, debootstrap makes it, or the base that tests/chroot.sh keeps is taken.
set -euo pipefail
mg=$(readlink -f "$1")
source=$(cd "$(dirname "$0")/../.." && pwd)
kept=${MG_CHROOTS:-/var/tmp/mg-chroots}/bookworm
box=$(mktemp -d /var/tmp/mg-container.XXXXXX)
export CONTAINERS_STORAGE_CONF=$box/storage.conf CONTAINERS_CONF=$box/containers.conf
tidy() {
    buildah rm -a >/dev/null 2>&1 || true
    umount -l "$box/storage/overlay" 2>/dev/null || true
    rm -rf --one-file-system "$box"
}
trap tidy EXIT
trap 'exit 130' INT TERM
mkdir -p "$box/source" "$box/mounted" "$box/cache"

printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n' "$box" "$box" >"$CONTAINERS_STORAGE_CONF"
cat >"$CONTAINERS_CONF" <<'END' # modest, for machines that are containers themselves
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END

base=docker.io/library/debian:12
if ! timeout 300 buildah pull -q "$base" >/dev/null 2>"$box/log"; then
    echo "container.sh: $base cannot be pulled ($(tail -1 "$box/log")): made by debootstrap"
    if [ ! -e "$kept/done" ]; then
        kept=$box
        debootstrap --variant=minbase --include=ca-certificates bookworm "$kept/system" http://deb.debian.org/debian >"$box/log" ||
            { tail -5 "$box/log"; exit 1; }
    fi
    image=$(buildah from scratch)
    buildah add -q "$image" "$kept/system" / >/dev/null
    buildah commit -q "$image" "$base" >/dev/null
    buildah rm "$image" >/dev/null
fi

git -C "$source" archive HEAD | tar -x -C "$box/source"
(cd "$box/source" && nice buildah build --isolation chroot --pull-never -f launch/container/Containerfile -t mg-dist . >"$box/log" 2>&1) ||
    { tail -20 "$box/log"; exit 1; }
echo "built: $(podman images --format '{{.Size}}' localhost/mg-dist), $(podman run --rm mg-dist --version | head -1)"

model=/opt/mg-dist/share/mg-dist/mg-demo
printf 'Kepler Waltz\nround the sun\n' >"$box/mounted/lyrics.txt"
(cd "$box/mounted" && HF_HOME=$box/cache MODEL_SMALL=$model MODEL_MEDIUM=$model MODEL_LARGE=$model DURATION=2 RANKS=2 \
    "$box/source/launch/container/run_tests.sh" mg-dist)
same() { # FILE options …: the clip that this machine's program makes
    local file=$box/mounted/$1
    shift
    rm -rf "$box/here"
    "$mg" generate -q --model "$source/models/mg-demo" --duration 2 --seed 1 --out "$box/here" "$@" >/dev/null
    cmp "$file" "$box"/here/*.wav
}
same out_small.wav --prompt 'warm ambient pad with soft piano'
same out_medium.wav --prompt '80s pop track with bassy drums and synth'
same output/kepler-waltz.wav --prompt-file "$box/mounted/lyrics.txt"
echo "the three clips are those of $("$mg" --version | head -1) here"
