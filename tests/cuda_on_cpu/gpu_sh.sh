#!/bin/bash
# gpu_sh.sh ROOT MG-DIST: bench/gpu.sh over the fixture: every stage passes, a stage that fails is said and does not stop
# those after it, and the table comes last. Stages that other tests of the fixture are too run under MG_TEST_LONG alone.
set -u
root=$1 program=$2
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

fail() {
    echo "FAILED: $1"
    cat "$box/out"
    tail -n 30 "$box"/logs/*.log
    exit 1
}

quick=--quick more=''
[ -z "${MG_TEST_LONG-}" ] || quick='' more='golden-2 modes same-bytes step-tiny-2-fast'
# shellcheck disable=SC2086
bash "$root/bench/gpu.sh" $quick --dry-run "$program" --out "$box/logs" >"$box/out" 2>&1 || fail "a stage failed"
for name in doctor golden-1 $more step-tiny-1 step-tiny-2 decode; do
    grep -Eq "^$name +[0-9]+ s  passed" "$box/out" || fail "$name: did not pass"
done
tail -n 8 "$box/out" | grep -Eq '^step tiny bf16 batch 1: part of the floor +[0-9.]+ ms +read [0-9]+ GB/s +[0-9.]+' || fail "no table at the end"
tail -n 8 "$box/out" | grep -q '^EnCodec decode' || fail "no line for EnCodec"
# Where the time goes, kind by kind: of the tiny shape's two layers, and of what stands beside them.
for kind in norm_linear_384x128 linear_add_128x128 attention_16 norm_linear_8192x128 sample; do
    grep -Eq "^  $kind +[0-9.]+ us x +[124] = +[0-9.]+ ms" "$box/logs/kernels.txt" || fail "kernels.txt has no $kind: $(cat "$box/logs/kernels.txt")"
done
grep -q 'split_sampling_ms' "$box/logs/step-tiny-2.json" || fail "nobody says what draws add to a step"

tar tzf "$box/logs/results.tar.gz" | grep -q '^./step-tiny-1.json$' || fail "results.tar.gz lacks a step"

# What a stage has not said is missing in its row alone.
mkdir "$box/half" && printf 'doctor\tpassed\t1\nunit-x\tFAILED: 10%%\r20%% \303\t3\nno stage\n' >"$box/half/stages"
printf '1980, 2619, 40, 300.5, 0x0\n1980, 2619, 41, 301.5, 0x' >"$box/half/clocks.csv"
echo '{"shape": "small", "batch": 1}' >"$box/half/step-small-1.json"
echo '{"shape": "large", "batch": 64, "dtype": "bf16", "ms_per_step": 18.6, "us_embed": 3}' >"$box/half/step-large-64.json"
echo '{"ms": 57}' >"$box/half/decode.json" && echo '{"ms_per_step": 1.5}' >"$box/half/text-33.json" && echo '{}' >"$box/half/clips.json"
printf '{"what": "step", "shape": "large", "batch": 64, "ms_per_step": 77.9}\n{"what": "st' >"$box/half/transformers.json"
python3 "$root/bench/gpu_table.py" "$box/half" >"$box/out" 2>&1 || fail "half of the figures: no table"
grep -Eq '^step small .* nan ms' "$box/out" && grep -Eq '^  times faster than transformers.* 4\.2 ' "$box/out" && grep -Eq '^EnCodec decode.* 57\.0 ms' "$box/out" ||
    fail "half of the figures: not those that are there"
grep -q '^1 of 2 stages passed' "$box/out" && grep -q '^clocks while measuring: SM MHz 1980' "$box/out" || fail "odd lines: not the others"

# Whatever a log ends with: the table comes, and a stage that was skipped is none that failed or was ended.
printf '#!/bin/sh\nprintf "extended: 10%%%%\\r20%%%%\\t\\303"\nexit 77\n' >"$box/mg-dist" && chmod +x "$box/mg-dist"
bash "$root/bench/gpu.sh" --quick --dry-run "$box/mg-dist" --out "$box/odd" --only doctor >"$box/out" 2>&1 || fail "an odd log: it failed"
grep -q '^  doctor: skipped: extended: 10% 20%  *$' "$box/out" || fail "an odd log: no table"

# A stage that hangs says where.
printf '#!/bin/sh\necho "[ RUN      ] test_of_a_kernel"\nexec sleep 300\n' >"$box/mg-dist" && chmod +x "$box/mg-dist"
bash "$root/bench/gpu.sh" --quick --dry-run "$box/mg-dist" --out "$box/hung" --only 'doctor' --limit 3 >"$box/out" 2>&1 && fail "it hangs, and all is well"
grep -Eq '^doctor .*FAILED: longer than [0-9]+ s: \[ RUN      \] test_of_a_kernel' "$box/out" || fail "hung: nobody says where"

# One that no signal ends, as in a driver that hangs, is left behind. (So bash sends none but 0.)
printf '#!/bin/sh\necho $$ >"$0.pid"\nexec sleep 300\n' >"$box/mg-dist" && chmod +x "$box/mg-dist"
(
    kill() { [ "$1" != -0 ] || builtin kill "$@"; }
    export -f kill
    timeout 100 bash "$root/bench/gpu.sh" --quick --dry-run "$box/mg-dist" --out "$box/stuck" --only doctor --limit 3 >"$box/out" 2>&1
)
kill "$(cat "$box/mg-dist.pid")"
grep -q '^  doctor: FAILED: longer than [1-3] s' "$box/out" || fail "stuck: no table"

# Told to end, it ends what runs, and prints the table, with the time of all.
printf '#!/bin/sh\n[ "$1" != doctor ] || exec sleep 2\nexec sleep 300\n' >"$box/mg-dist" && chmod +x "$box/mg-dist"
bash "$root/bench/gpu.sh" --quick --dry-run "$box/mg-dist" --out "$box/ended" --only 'doctor|decode' >"$box/out" 2>&1 &
script=$!
for _ in $(seq 300); do
    [ -e "$box/ended/decode.log" ] && break
    sleep 0.1
done
kill -TERM $script
wait $script && fail "ended, and all is well"
grep -q '^  the rest: ended by a signal' "$box/out" && grep -Eq '^1 of 2 stages passed, ([2-9]|[0-9]{2,}) s' "$box/out" || fail "ended: no table"

# Some stages alone, and none when the time is over: what the others have found stays, and the table comes.
bash "$root/bench/gpu.sh" --quick --dry-run "$program" --out "$box/logs" --only 'doctor|decode' --limit 0 >"$box/out" 2>&1 && fail "no time, and all is well"
grep -Eq 'doctor: left out: no time' "$box/out" && grep -q '^step tiny bf16 batch 1' "$box/out" || fail "--limit 0: no table"
grep -q 'encode' "$box/out" && grep -Eq '^  encode: ' "$box/out" && fail "--only: another stage"

# A program that always fails: every stage says so, the script goes on to its end and returns 1.
printf '#!/bin/sh\nexit 7\n' >"$box/mg-dist" && chmod +x "$box/mg-dist"
bash "$root/bench/gpu.sh" $quick --dry-run "$box/mg-dist" --out "$box/logs" >"$box/out" 2>&1 && fail "failures were not noticed"
for name in doctor golden-1 step-tiny-1 decode; do
    grep -Eq "^$name +[0-9]+ s  FAILED: exit code" "$box/out" || fail "$name: passed without a program"
done
grep -q 'of .* stages passed' "$box/out" || fail "no summary"
