#!/bin/bash
# The figures of mg-dist run: how near it comes to the bare step loop, and to R times one replica. Each measurement
# alternates with what it is held against, so that a machine whose speed drifts changes both; medians are printed.
#   bench/run_ratio.sh [--model DIR] [--batch N] [--clips N] [--seconds S] [--rounds N] [--many N]
# --rounds 0 leaves the ratios out; --many N also makes N short clips in one run and prints its memory and open files, from early to late.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/models/mg-demo batch=4 clips=64 seconds=10 rounds=5 many=0
while [ $# -gt 1 ]; do
    case $1 in
    --model) model=$2 ;;
    --batch) batch=$2 ;;
    --clips) clips=$2 ;;
    --seconds) seconds=$2 ;;
    --rounds) rounds=$2 ;;
    --many) many=$2 ;;
    *) echo "run_ratio: $1: no such option" >&2; exit 2 ;;
    esac
    shift 2
done
mg=$root/build/mg-dist loop=$root/build/tests/e2e/step_loop
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
jobs() { for i in $(seq 1 "$1"); do printf '{"id":"c%d","prompt":"song number %d","duration":%s}\n' "$i" "$i" "$2"; done; }
jobs "$clips" "$seconds" >"$box/jobs.jsonl"
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
divide() { awk "BEGIN { printf \"%.4f\", $1 / $2 }"; }

# Clips a second, from the first job dealt to the last clip recorded.
rate_of() { # RANKS THREADS
    rm -rf "$box/out"
    mpirun -np "$1" --bind-to none --oversubscribe "$mg" run -q --model "$model" --jobs "$box/jobs.jsonl" --out "$box/out" --seed 1 \
        --dtype fp32 --tp 1 --threads "$2" --batch "$batch" 2>"$box/said" || { cat "$box/said" >&2; exit 1; }
    sed -n 's/.*"clips_per_s": *\([0-9.e+-]*\).*/\1/p' "$box/out/.mg-dist/status.json"
}
bare_rate() { "$loop" "$model" "$model" "$clips" "$seconds" "$batch" "$1" | awk '{ print $3 }'; }

echo "# $(date -u +%F), $(nproc) cores, $(basename "$model"), $clips clips of $seconds s, batch $batch, $rounds rounds"
for i in $(seq "$rounds"); do
    bare=$(bare_rate 1) run=$(rate_of 1 1)
    divide "$run" "$bare" >>"$box/loop"; echo >>"$box/loop"
    echo "# $i: bare loop $bare clips/s, run $run clips/s: $(tail -1 "$box/loop")"
done
[ "$rounds" = 0 ] || echo "run over the bare step loop, one thread:        $(median <"$box/loop") (goal 0.97)"
for i in $(seq "$rounds"); do
    one=$(rate_of 1 2) two=$(rate_of 2 1)
    divide "$two" "$one" >>"$box/replicas"; echo >>"$box/replicas"
    echo "# $i: 1 x 2 threads $one clips/s, 2 x 1 thread $two clips/s: $(tail -1 "$box/replicas")"
done
[ "$rounds" = 0 ] || echo "2 replicas x 1 thread over 1 x 2 threads:       $(median <"$box/replicas") (goal 0.97)"

[ "$many" -gt 0 ] || exit 0
jobs "$many" 0.1 >"$box/many.jsonl"
"$mg" run -q --model "$model" --jobs "$box/many.jsonl" --out "$box/many" --seed 1 --batch 8 &
pid=$!
echo "# $many clips of 0.1 s in one run: done, memory in MB, open files"
while kill -0 $pid 2>/dev/null; do
    sleep "${MG_EVERY:-5}"
    done_now=$(sed -n 's/.*"done": *\([0-9]*\).*/\1/p' "$box/many/.mg-dist/status.json" 2>/dev/null | head -1 || true)
    mb=$(awk '/VmRSS/ { print $2 / 1024 }' /proc/$pid/status 2>/dev/null || true)
    files=$(ls /proc/$pid/fd 2>/dev/null | wc -l)
    [ -n "$mb" ] && [ "$files" -gt 0 ] && echo "$done_now $mb $files" | tee -a "$box/flat"
done
wait $pid
awk '{ mb[NR] = $2; f[NR] = $3 } END { a = int(NR / 4) + 1; printf "memory after a quarter %.1f MB, at the end %.1f MB; open files %d and %d\n", mb[a], mb[NR], f[a], f[NR] }' "$box/flat"
