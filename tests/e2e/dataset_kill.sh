#!/bin/bash
# kill -9 of a random rank or of mpirun at random moments of a run, again and again until the dataset is whole: every
# clip is there once, and the bytes are those of a run that nobody disturbed. MG_KILLS=N kills N times in each layout.
#   dataset_kill.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"
KILLS=${MG_KILLS:-5}

for i in $(seq 1 $((KILLS * 8 + 40))); do
    printf '{"id":"clip-%d","prompt":"song number %d","duration":%d.5}\n' "$i" "$i" $((i % 3))
done >"$BOX/jobs.jsonl"
n_jobs=$(wc -l <"$BOX/jobs.jsonl")
facts() { (cd "$BOX/$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
run() {
    local out=$1
    shift
    exec mpirun -np 3 --oversubscribe --bind-to none \
        "$MG" run --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/$out" --seed 5 --tp 1 --threads 1 -q "$@"
}
# The processes below $1, $1 itself included.
family() { echo "$1"; for child in $(pgrep -P "$1"); do family "$child"; done; }

# A rank that is killed while mpirun still greets it leaves Open MPI 4.1's mpirun waiting for ever, with nobody below it.
end_if_alone() {
    local alone=0 child
    while lives "$1" && [ $alone -lt 100 ]; do
        alone=$((alone + 1))
        for child in $(pgrep -P "$1"); do lives "$child" && alone=0; done
        sleep 0.2
    done
    lives "$1" && echo "# mpirun was left alone and is ended" && kill -9 "$1"
}

disturb() { # OUT LAYOUT…
    local killed=0 out=$1 launcher victims code
    shift
    while :; do
        (run "$out" "$@") >>"$BOX/log" 2>&1 &
        launcher=$!
        if [ "$killed" -lt "$KILLS" ]; then
            sleep "$(echo "scale=2; 0.2 + $whole_s * ($RANDOM % 100) / 100 / ($KILLS + 1)" | bc)"
            victims=($(family "$launcher"))
            kill -9 "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null && killed=$((killed + 1))
        fi
        end_if_alone "$launcher"
        wait "$launcher"
        code=$?
        [ "$code" = 0 ] && break
        [ "$killed" -le "$KILLS" ] || return 1
    done
    echo "# $out: killed $killed times"
    [ "$killed" -gt 0 ] # or nothing was shown
}

for layout in audiofolder webdataset; do
    more="--layout $layout --shard-clips 7"
    begin=$(date +%s.%N)
    (run "whole-$layout" $more) >"$BOX/log" 2>&1
    code=$?
    whole_s=$(echo "$(date +%s.%N) - $begin" | bc)
    verdict $code "$layout: a run that nobody disturbs"
    disturb "torn-$layout" $more
    verdict $? "$layout: a run that was killed again and again comes to its end"
    if [ "$(facts "whole-$layout")" = "$(facts "torn-$layout")" ] && [ -n "$(facts "torn-$layout")" ]; then
        verdict 0 "$layout: the same bytes"
    else
        verdict 1 "$layout: the same bytes"
        diff <(facts "whole-$layout") <(facts "torn-$layout") | sed 's/^/#   /'
        tail -5 "$BOX/log" | sed 's/^/#   /'
    fi
    passes "$layout: every clip once" test "$(sort -u "$BOX/torn-$layout/manifest.jsonl" | grep -o '"id":"clip-[0-9]*"' | sort -u | wc -l)" = "$n_jobs"
    passes "$layout: the sums are right" sh -c "cd '$BOX/torn-$layout' && sha256sum -c SHA256SUMS"
    passes "$layout: nothing half is left" tidy "$BOX/torn-$layout"
    passes "$layout: no part is left" sh -c "! ls '$BOX/torn-$layout/.mg-dist/parts' | grep ."
done
finish
