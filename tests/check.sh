#!/usr/bin/env bash
# Every stage, the quick ones first; a red stage does not hide the others.   tests/check.sh [STAGE …]
# While the tests of one stage run, and mostly wait, the next ones are built with the time that is left over.
# The summary says how to run a failed test again; its last line counts all tests of all stages.
# A test that lacked something this machine could not have (it prints SKIPPED: why) counts as skipped, not as passed.
set -uo pipefail
cd "$(dirname "$0")/.."
stages=${*:-release cuda-on-cpu asan tsan fuzz}
jobs=$((3 * $(nproc))) # many tests mostly wait
[ "$jobs" -le 6 ] || jobs=6
passed=0 failed=0 skipped=0
report=() again=()

folder() { [ "$1" = release ] && echo build || echo "build-$1"; }

# name<TAB>passed|partly skipped|failed|skipped of each test in a LastTest.log
outcomes() {
    awk '/^[0-9]+\/[0-9]+ Testing: / { name = $3; skip = 0 }
         /^SKIPPED:/ { skip = 1 }
         /^Test Passed\./ || /^Test Pass Reason:/ { print name "\t" (skip ? "partly skipped" : "passed") }
         /^Test Failed\./ || /^Test Fail Reason:/ || /^Test timeout/ || /^Test: Exception/ { print name "\tfailed" }
         /^Test Skipped\./ || /^Skipped$/ { print name "\tskipped" }' "$1"
}

# MG_CHECK_OPTIONS: what a new folder is configured with besides.
build() { # STAGE
    { [ -f "$(folder "$1")/build.ninja" ] || cmake --preset "$1" ${MG_CHECK_OPTIONS-} --log-level=WARNING >/dev/null; } &&
        cmake --build --preset "$1"
}
# CTest starts first what took longest before; where there was no run before, as in tests/costs.txt.
expect_costs() { # FOLDER
    [ -f "$1/Testing/Temporary/CTestCostData.txt" ] || install -D -m 644 tests/costs.txt "$1/Testing/Temporary/CTestCostData.txt"
}
# Of the stages behind $1, with a priority below every test's; what is wrong with them is said when they are built in turn.
build_ahead() {
    local s behind=''
    chrt --idle --pid 0 "$BASHPID" || return 0
    for s in $stages; do
        [ -z "$behind" ] || build "$s"
        [ "$s" != "$1" ] || behind=yes
    done
}
# A process of the group that is no zombie: where PID 1 reaps nothing, zombies stay.
is_alive() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v group="$1" '{ sub(/.*\) /, "") } $3 == group && $1 != "Z" { found = 1 } END { exit !found }'
}
# Ninja leaves nothing half-built when it is told to stop.
stop_ahead() {
    [ -n "$ahead" ] || return 0
    kill -TERM -- "-$ahead" 2>/dev/null
    wait "$ahead" 2>/dev/null
    while is_alive "$ahead"; do sleep 0.1; done
    ahead=''
}
# The level neon in an emulator: by hand, for it takes long. Its tests and its clips are counted as it says them.
emulated() {
    local said p f s=0
    said=$(mktemp)
    tests/aarch64.sh 2>&1 | tee "$said"
    case ${PIPESTATUS[0]} in
    0) f=0 ;;
    77) f=0 s=1 ;;
    *) f=1 again+=("tests/aarch64.sh") ;;
    esac
    p=$(grep -cE ' Passed |: the same bytes$' "$said")
    rm "$said"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    report+=("$(printf '%-12s %4d passed, %d failed, %d skipped, %d s' aarch64: "$p" "$f" "$s" $((SECONDS - begin)))")
}
ahead=''
trap stop_ahead EXIT

for stage in $stages; do
    dir=$(folder "$stage")
    begin=$SECONDS
    echo "== $stage"
    if [ "$stage" = aarch64 ]; then
        emulated
        continue
    fi
    if ! build "$stage"; then
        report+=("$stage: does not build")
        again+=("cmake --build --preset $stage")
        failed=$((failed + 1))
        continue
    fi
    log=$dir/Testing/Temporary/LastTest.log
    rm -f "$log"
    expect_costs "$dir"
    set -m # it is a group of processes
    build_ahead "$stage" >/dev/null 2>&1 &
    ahead=$!
    set +m
    ctest --preset "$stage" -j"$jobs"
    status=$?
    stop_ahead
    list=$(outcomes "$log" 2>/dev/null)
    skips=$(grep -h '^SKIPPED:' "$log" 2>/dev/null | sort -u)
    # What failed is run once more, alone: on a busy machine a test that waits may have lost its time. It is said.
    if [ $status -ne 0 ] && grep -q 'failed$' <<<"$list"; then
        ctest --preset "$stage" -j1 --rerun-failed
        second=$(outcomes "$log" 2>/dev/null)
        while IFS=$'\t' read -r name outcome; do
            if [[ $outcome == passed || $outcome == 'partly skipped' ]] && grep -q "^$name"$'\t'failed <<<"$list"; then
                list=$(sed "s|^$name\tfailed$|$name\t$outcome|" <<<"$list")
                report+=("$stage: $name failed, and passed when it ran again alone")
                status=0
            fi
        done <<<"$second"
    fi
    p=$(grep -c 'passed$' <<<"$list") f=$(grep -c 'failed$' <<<"$list") s=$(grep -c 'skipped$' <<<"$list")
    [ $status -eq 0 ] || [ "$f" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    report+=("$(printf '%-12s %4d passed, %d failed, %d skipped, %d s' "$stage:" "$p" "$f" "$s" $((SECONDS - begin)))")
    while IFS=$'\t' read -r name outcome; do
        [ "$outcome" != failed ] || again+=("ctest --preset $stage -R '^$name\$' --verbose")
    done <<<"$list"
    [ -z "$skips" ] || sed 's/^/  /' <<<"$skips"
done

echo
printf '%s\n' "${report[@]}"
if [ ${#again[@]} -gt 0 ]; then
    echo "To run what failed again:"
    printf '    %s\n' "${again[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
