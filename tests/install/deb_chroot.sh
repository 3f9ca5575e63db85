#!/bin/bash
# The Debian packages on a bare system: installed, the demo run there by an ordinary user, removed without a trace.
#   sudo tests/install/deb_chroot.sh FOLDER-WITH-PACKAGES [RELEASE [MIRROR]]      needs debootstrap; not part of make check
set -euo pipefail
debs=$(cd "$1" && pwd) release=${2-bookworm} mirror=${3-http://deb.debian.org/debian}
root=$(mktemp -d)
chmod 755 "$root"
trap 'umount "$root/proc" "$root/dev/shm" 2>/dev/null || true; rm -rf --one-file-system "$root" "$root".log "$root".before "$root".after' EXIT

debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" || { tail -5 "$root.log"; exit 1; }
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" "$root/debs"
mount -t tmpfs tmpfs "$root/dev/shm"
cp "$debs"/*.deb "$root/debs"
here() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
listing() { (cd "$root" && find etc usr opt srv -not -name '*.pyc' -not -path 'usr/share/doc/*' | sort); }

here apt-get update -qq
here apt-get install -y -qq --no-install-recommends $(dpkg-deb -f "$debs"/mg-dist_*.deb Depends | tr ',' '\n' | sed 's/(.*//') >/dev/null
listing >"$root.before"
here sh -c 'apt-get install -y -qq --no-install-recommends /debs/mg-dist_*.deb /debs/mg-dist-doc_*.deb' >/dev/null 2>&1
echo "installed: $(here mg-dist --version)"
here useradd -m person 2>/dev/null || here adduser --disabled-password --gecos '' person >/dev/null
here su person -c 'cd && mpirun --oversubscribe -np 2 mg-dist generate -q --model /usr/share/mg-dist/mg-demo --prompt "warm ambient pad" --duration 4 --out out'
here su person -c 'cd && mg-dist replay -q out/000000.json --out again && man -w mg-dist 2>/dev/null || true'
here apt-get purge -y -qq mg-dist mg-dist-doc >/dev/null 2>&1
listing >"$root.after"
if diff <(grep -v -e '^etc/\(passwd\|group\|shadow\|gshadow\|subuid\|subgid\|\.pwd\.lock\)' "$root.before") \
    <(grep -v -e '^etc/\(passwd\|group\|shadow\|gshadow\|subuid\|subgid\|\.pwd\.lock\)' "$root.after"); then
    echo "removed without a trace"
else
    echo "files were left" >&2
    exit 1
fi
