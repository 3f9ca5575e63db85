#!/bin/bash
# The README's commands on a system that has nothing yet: a fresh Debian or Ubuntu in a chroot, as root or as a user with
# sudo, where PID 1 reaps no zombie (as in many containers).
#   tests/chroot.sh SUITE root|user [TARGET …]      SUITE: bookworm, trixie, noble …; TARGETS of make.sh: demo check
# As root, with debootstrap and a network. The bare systems are kept in $MG_CHROOTS (default: below /var/tmp) and copied
# for each run. What is tried is the committed tree. The end says what passed, where the log is, and the hash of the demo's
# sound, which processors of one level have in common, whatever the system.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:?a suite: bookworm, trixie, noble} who=${2:?root or user}
shift 2
targets=${*:-demo check}
kept=${MG_CHROOTS:-/var/tmp/mg-chroots}
base=$kept/$suite
[ "$(id -u)" = 0 ] || { echo "chroot: must be root" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "chroot: debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }

case $suite in
bookworm | trixie | forky | sid) mirror=http://deb.debian.org/debian script=() options=() ;;
*)
    mirror=http://archive.ubuntu.com/ubuntu
    script=(/usr/share/debootstrap/scripts/gutsy) # what Ubuntu's own are links to; this debootstrap may know no newer name
    options=(--components=main,universe --no-check-gpg)
    ;;
esac
if [ ! -e "$base/done" ]; then
    rm -rf "$base"
    mkdir -p "$base"
    debootstrap --variant=minbase --include=ca-certificates,sudo "${options[@]}" "$suite" "$base/system" "$mirror" "${script[@]}" >"$base/log" 2>&1 ||
        { tail -5 "$base/log"; echo "chroot: $suite: cannot be made from $mirror" >&2; exit 2; }
    touch "$base/done"
fi

place=srv # where the source is in there
system=$(mktemp -d "$kept/$suite-$who.XXXXXX")
log=$system.log
tidy() {
    [ -z "${unshare-}" ] || pkill -9 -P "$unshare" 2>/dev/null || true # PID 1 of the namespace: all of it ends
    wait 2>/dev/null || true
    rm -rf --one-file-system "$system"
}
trap tidy EXIT
trap 'exit 130' INT TERM
cp -a "$base/system/." "$system"
mkdir -p "$system/$place/mg-dist"
git archive HEAD | tar -x -C "$system/$place/mg-dist"
rm -f "$system/etc/resolv.conf" # a link into a system that does not run
cp /etc/resolv.conf "$system/etc/resolv.conf"
cp /etc/hosts "$system/etc/hosts"
cat >"$system/$place/try" <<'END'
#!/bin/sh
# try PLACE WHO TARGET …: each target, and its exit code behind it.
cd "/$1/mg-dist"
who=$2
shift 2
HOME=$(getent passwd "$(id -u)" | cut -d: -f6) # as a login sets it; Open MPI 5 wants one
export HOME
if [ "$who" = user ]; then
    useradd -m somebody
    echo 'somebody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/somebody
    chown -R somebody .
fi
code=0
for target; do
    echo "== ./make.sh $target"
    begin=$(date +%s)
    if [ "$who" = user ]; then
        su somebody -c "HOME=~somebody nice ./make.sh $target" || code=$?
    else
        nice ./make.sh "$target" || code=$?
    fi
    echo "== ./make.sh $target: exit code $code after $(($(date +%s) - begin)) s"
    [ $code = 0 ] || break
done
if [ -e out/demo/000000.wav ]; then (cd out/demo && sha256sum 000000.wav); fi
echo $code >../code
END
chmod +x "$system/$place/try"

# A shell would reap: it becomes a sleeper when it has started the work.
unshare --mount --pid --fork --propagation private sh -c '
    mount -t proc proc "$0/proc"
    mount --rbind /sys "$0/sys"
    mount -t tmpfs -o mode=755 tmpfs "$0/dev"
    for d in null zero full random urandom tty; do touch "$0/dev/$d" && mount --bind "/dev/$d" "$0/dev/$d"; done
    mkdir "$0/dev/shm" "$0/dev/pts" && mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts" && ln -s pts/ptmx "$0/dev/ptmx"
    ln -s /proc/self/fd "$0/dev/fd"
    s=$0 p=$1
    shift
    (exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 chroot "$s" "/$p/try" "$p" "$@") &
    exec sleep infinity' "$system" "$place" "$who" $targets >"$log" 2>&1 &
unshare=$!
until [ -e "$system/$place/code" ]; do
    sleep 2
    kill -0 $unshare 2>/dev/null || break
done
code=$(cat "$system/$place/code" 2>/dev/null || echo 1)
grep -E '^(== |[0-9a-f]{64} |[0-9]+ passed|generate: .* of music|release:|Listen)' "$log" || true
[ "$code" = 0 ] || tail -40 "$log"
echo "chroot: $suite as $who, $(date +%F): $targets: $([ "$code" = 0 ] && echo passed || echo "FAILED ($code)"); $log"
exit "$code"
