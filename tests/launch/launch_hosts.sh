#!/bin/bash
# mg-launch over three hosts: the check names what is wrong with which host; a run over the hosts gives the bytes of
# one host; a host that falls silent is left out, and the run goes on without it.
# usage: launch_hosts.sh MG_DIST TESTS FAULTY_DISK
set -u
program=$1 tests=$2 faulty=$3
root=$(cd "$tests/.." && pwd)
. "$tests/hosts.sh"
n=0
box=$(mktemp -d)
trap 'hosts_down; rm -rf "$box"' EXIT
trap 'exit 1' INT TERM
hosts_up 3 || exit 77
unset OMPI_MCA_btl OMPI_MCA_oob_tcp_if_include
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 MGDIST_THREADS=1

ok() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { echo "FAILED: $1"; sed 's/^/  /' "$box/err" "$box/out" 2>/dev/null; exit 1; }
launch() {
    hosts_on "${hosts[0]}" timeout -k 5 "${limit:-60}" "$root/launch/mg-launch" --rsh "$hosts_rsh" --interface eth0 "$@" >"$box/out" 2>"$box/err"
}
said() { grep -q "$1" "$box/err" || fail "$2: expected '$1'"; ok "$2"; }

printf '%s slots=1\n%s slots=1 # the second\n%s slots=1\n' "${hosts[@]}" >"$box/hostfile"
ask=(generate --model "$root/models/mg-demo" --prompt piano --prompt drums --prompt bass --duration 1 --seed 5 --tp 1)

# The check
launch --hostfile "$box/hostfile" --program "$program" --check-only -- "${ask[@]}" || fail "three good hosts"
said "3 of 3 hosts are ready" "three good hosts pass the check"
launch --hosts "${hosts[0]},nowhere" --program "$program" --check-only; [ $? = 2 ] || fail "an unknown host: exit code"
said "nowhere: cannot be reached: rsh: nowhere: no such host" "an unknown host is named with its reason"
launch --hosts "${hosts[0]},${hosts[1]}" --program "$box/none" --check-only; [ $? = 2 ] || fail "no program: exit code"
said "${hosts[1]}: has no program at $box/none" "a missing program is named"
launch --hosts "${hosts[0]}" --program "$program" --check-only -- generate --model "$box/no-model"; [ $? = 2 ] || fail "no model: exit code"
said "has no model $box/no-model" "a missing model is named"
printf '%s\n%s slots=1\n' "${hosts[0]}" "${hosts[0]}" >"$box/twice"
launch --hostfile "$box/twice" --program "$program" --check-only; [ $? = 2 ] || fail "a host twice: exit code"
said "line 2: host ${hosts[0]} stands there twice" "a host that stands twice in the list is refused by line"
printf '%s cores=4\n' "${hosts[0]}" >"$box/odd"
launch --hostfile "$box/odd" --program "$program" --check-only; [ $? = 2 ] || fail "an odd word: exit code"
said "line 1: cores=4: expected slots=N" "an odd word in the list is named"

# A program that differs on one host: a wrapper that a mount hides there only
cp "$program" "$box/mg-dist"
cat >"$box/rsh" <<RSH
#!/bin/bash
host=\$1; shift
[ "\$host" = "${hosts[1]}" ] || exec "$hosts_rsh" "\$host" "\$@"
exec "$hosts_rsh" "\$host" "mount --bind /bin/true '$box/mg-dist'; \$*"
RSH
chmod +x "$box/rsh"
launch --rsh "$box/rsh" --hosts "${hosts[0]},${hosts[1]}" --program "$box/mg-dist" --check-only; [ $? = 2 ] || fail "another program: exit code"
said "${hosts[1]}: has another program than ${hosts[0]}" "another build on one host is named"

# What only one host has: commands of its own before each remote command (hosts.sh), here fake programs and disks
own() { cat >"/etc/netns/${hosts[1]}/own"; }
fake() { # NAME SCRIPT
    mkdir -p "$box/fake"
    printf '#!/bin/sh\n%s\n' "$2" >"$box/fake/$1"
    chmod +x "$box/fake/$1"
}
refused() { # SENTENCE PATTERN arguments…
    local sentence=$1 pattern=$2
    shift 2
    launch --hostfile "$box/hostfile" --program "$program" "$@" --check-only -- "${ask[@]}" --out "$box/shared/out"; [ $? = 2 ] || fail "$sentence: exit code"
    said "^mg-launch: ${hosts[1]}: $pattern" "$sentence"
    grep -q "^mg-launch: ${hosts[0]}: " "$box/err" && fail "$sentence: the first host is blamed too"
    rm -rf "$box/fake" "/etc/netns/${hosts[1]}/own"
}
mkdir -p "$box/shared"
fake date "exec /bin/date -d '60 seconds ago' \"\$@\""
echo "PATH=$box/fake:\$PATH" | own
refused 'a clock that is off' 'has a clock that is -[56][0-9] s off: synchronise it'
echo "mount -t tmpfs -o size=10m tmpfs '$box/shared'" | own
refused 'too little space' 'has [0-9]* MB free for .*, 100 are the least'
echo "mount -t tmpfs -o ro,size=200m tmpfs '$box/shared'" | own
refused 'a folder that cannot be written' 'cannot write to'
cp -r "$root/models/mg-demo" "$box/model"
printf x >>"$box/model/config.json"
echo "mount --bind '$box/model' '$root/models/mg-demo'" | own
refused 'another model' "has another model .* than ${hosts[0]}"
# shellcheck disable=SC2016
fake nvidia-smi 'case $* in *compute-apps*) ;; *) echo GPU ;; esac'
echo "PATH=$box/fake:\$PATH" | own
sed -i "s/^${hosts[1]} slots=1/${hosts[1]} slots=2/" "$box/hostfile"
refused 'fewer GPUs than slots' 'has 1 GPUs for 2 slots'
sed -i "s/^${hosts[1]} slots=2/${hosts[1]} slots=1/" "$box/hostfile"
# shellcheck disable=SC2016
fake nvidia-smi 'case $* in *compute-apps*) echo GPU-1 ;; *) echo GPU ;; esac'
echo "PATH=$box/fake:\$PATH" | own
refused 'a GPU that others use' '1 of its GPUs are in use by others'
mkdir "$box/build"
cp "$program" "$box/build/mg-dist"
printf 'one' >"$box/build/libmg_cuda.so"
printf 'two' >"$box/other.so"
echo "mount --bind '$box/other.so' '$box/build/libmg_cuda.so'" | own
refused 'another plug-in' "has another libmg_cuda.so than ${hosts[0]}" --program "$box/build/mg-dist"
echo "PATH=/nowhere" | own
launch --hostfile "$box/hostfile" --program "$program" --drop-bad --check-only -- "${ask[@]}" || fail '--drop-bad'
said "2 of 3 hosts are ready" "--drop-bad goes on without a host that fails"
rm -f "/etc/netns/${hosts[1]}/own"
printf '%s\n%s\n%s\n' "${hosts[@]}" >"$box/names" # as scontrol show hostnames prints them
launch --hostfile "$box/names" --program "$program" --check-only || fail 'plain names'
said "3 of 3 hosts are ready" "plain names are hosts too"

# The same bytes as on one host
"$program" "${ask[@]}" --out "$box/alone" >/dev/null 2>&1 || fail "the run on one host"
launch --hostfile "$box/hostfile" --program "$program" -- "${ask[@]}" --out "$box/three" || fail "the run on three hosts"
for i in 0 1 2; do cmp -s "$box/alone/00000$i.wav" "$box/three/00000$i.wav" || fail "clip $i differs"; done
ok "three hosts make the bytes that one makes"

# A mistake of the user is told once and not tried again
launch --hostfile "$box/hostfile" --program "$program" -- generate --model "$root/models/mg-demo" --prompt x --duration -3; code=$?
[ $code = 2 ] || fail "a usage mistake: exit code $code"
grep -q "start 2 of" "$box/err" && fail "a usage mistake was tried again"
ok "a usage mistake is not tried again"

# A dataset: a host falls silent, the run goes on without it; the host comes back, a rank is killed, and all three go on
for i in $(seq 300); do printf '{"id":"clip-%d","prompt":"song number %d","duration":0.5}\n' "$i" "$i"; done >"$box/jobs.jsonl"
dataset=(run --model "$root/models/mg-demo" --jobs "$box/jobs.jsonl" --seed 5 --tp 1 --log-every 2)
# Each clip takes a while to get its name: a run that lasts on any machine, and leaves the processors to others.
cat >"$box/slow" <<END
#!/bin/bash
exec env LD_PRELOAD=$faulty FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_MS=400 $program "\$@"
END
chmod +x "$box/slow"
n_clips() { find "$box/cut/train" -name '*.flac' 2>/dev/null | wc -l; }
await() { # SECONDS PATTERN
    local i
    for ((i = 0; i < $1 * 10; i++)); do grep -q "$2" "$box/err" && return 0; sleep 0.1; done
    return 1
}
(limit=400 launch --hostfile "$box/hostfile" --program "$box/slow" --restarts 3 -- "${dataset[@]}" --out "$box/cut"; echo $? >"$box/code") &
job=$!
for ((i = 0; i < 300; i++)); do [ "$(n_clips)" -gt 3 ] && break; sleep 0.1; done
begin=$SECONDS
hosts_cut "${hosts[2]}"
await 60 "start 2 of at most 4, with 2 hosts" || fail "the silent host was not left out (waited $((SECONDS - begin)) s)"
took=$((SECONDS - begin))
[ $took -le 30 ] || fail "leaving the silent host out took $took s, 30 are allowed"
said "${hosts[2]}: cannot be reached" "a host that fell silent is named and left out after $took s"
hosts_mend "${hosts[2]}"
before=$(n_clips)
for ((i = 0; i < 300; i++)); do [ "$(n_clips)" -gt $((before + 3)) ] && break; sleep 0.1; done
for pid in $(ip netns pids "${hosts[1]}"); do
    [ "$(readlink "/proc/$pid/exe")" = "$(readlink -f "$program")" ] && kill -9 "$pid"
done
await 60 "start 3 of at most 4, with 3 hosts" || fail "the host that is back does not take part"
ok "a rank is killed: the next start has the host that came back"
wait $job
[ "$(cat "$box/code")" = 0 ] || fail "the dataset: exit code $(cat "$box/code")"
(cd "$box/cut" && sha256sum --quiet -c SHA256SUMS) || fail "the dataset: sums"
[ "$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$box/cut/manifest.jsonl" | sort -u | wc -l)" = 300 ] || fail "the dataset: not every clip once"
ok "and the dataset is whole, each clip once"
head -5 "$box/jobs.jsonl" >"$box/five.jsonl"
"$program" "${dataset[@]/jobs.jsonl/five.jsonl}" --out "$box/five" >/dev/null 2>&1 || fail "five clips on one host"
for i in 1 2 3 4 5; do cmp -s "$box/five/train/clip-$i.flac" "$box/cut/train/clip-$i.flac" || fail "clip-$i differs"; done
ok "with the bytes of one host"
echo "1..$n"
