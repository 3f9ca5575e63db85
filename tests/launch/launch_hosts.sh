#!/bin/bash
# mg-launch over three hosts: the check names what is wrong with which host; a run over the hosts gives the bytes of
# one host; a host that falls silent is left out, and the run goes on without it.
# usage: launch_hosts.sh MG_DIST TESTS
set -u
program=$1 tests=$2
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

# A host falls silent in the middle: it is left out, and the run completes without it
long=(generate --model "$root/models/mg-demo" --duration 60 --n 6 --prompt pad --seed 5 --tp 1 --batch 1 --out "$box/cut")
(limit=170 launch --hostfile "$box/hostfile" --program "$program" --restarts 2 -- "${long[@]}"; echo $? >"$box/code") &
job=$!
for ((i = 0; i < 100; i++)); do grep -q "starting 3 ranks" "$box/err" 2>/dev/null && break; sleep 0.1; done
sleep 2
begin=$SECONDS
hosts_cut "${hosts[2]}"
for ((i = 0; i < 400; i++)); do grep -q "start 2 of at most 3, with 2 hosts" "$box/err" && break; sleep 0.1; done
took=$((SECONDS - begin))
grep -q "start 2 of at most 3, with 2 hosts" "$box/err" || fail "the silent host was not left out (waited $took s)"
[ $took -le 40 ] || fail "leaving the silent host out took $took s"
said "${hosts[2]}: cannot be reached" "a host that fell silent is named and left out after $took s"
wait $job
[ "$(cat "$box/code")" = 0 ] || fail "the run without it: exit code $(cat "$box/code")"
[ "$(find "$box/cut" -name '*.wav' | wc -l)" = 6 ] || fail "clips are missing"
ok "the run completes without it"
echo "1..$n"
