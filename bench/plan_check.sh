#!/bin/bash
# How near `plan --measure` comes to `bench scaling` on this machine: measures the constants once for each number of
# ranks and T, sweeps the same points, and prints a table with the ratio of each prediction to its measured median.
# Predicted is the step without its draws, as the sweep times it.
#
#   bench/plan_check.sh [--model DIR|--shape S] [--dtype D] [--np 1,2] [--tp 1,2] [--batch 1,4,8] [--repeats 3]
#                       [--steps 60] [--launcher-args "--bind-to core"] [--program build/mg-dist] [--out DIR]
#
# Leave the machine alone meanwhile, and start no more ranks than it has cores. A thread a rank. Exit code 1 if fewer
# than 8 of 10 points lie within 15 %.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/models/mg-demo shape='' dtype=fp32 np=1,2 tp=1,2 batch=1,4,8 repeats=3 steps=60 args='--bind-to core'
program=$root/build/mg-dist out=plan-check
while [ $# -gt 1 ]; do
    case $1 in
    --model) model=$2 ;;
    --shape) model='' shape=$2 ;;
    --dtype) dtype=$2 ;;
    --np) np=$2 ;;
    --tp) tp=$2 ;;
    --batch) batch=$2 ;;
    --repeats) repeats=$2 ;;
    --steps) steps=$2 ;;
    --launcher-args) args=$2 ;;
    --program) program=$2 ;;
    --out) out=$2 ;;
    *) break ;;
    esac
    shift 2
done
[ $# -eq 0 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2; }
what=(--model "$model")
[ -n "$model" ] || what=(--shape "$shape")
mkdir -p "$out" || exit 1

echo "load before: $(cut -d' ' -f1-3 /proc/loadavg); $(nproc) processors" >&2
for n in ${np//,/ }; do
    for t in ${tp//,/ }; do
        [ $((n % t)) -eq 0 ] || continue
        start=()
        # the words of --launcher-args are several
        # shellcheck disable=SC2206
        [ "$n" = 1 ] || start=(mpirun -n "$n" $args)
        "${start[@]}" "$program" plan "${what[@]}" --ranks-per-node "$n" --clips 1000 --measure --tp "$t" --threads 1 \
            --dtype "$dtype" --json >"$out/plan-$n-$t.json" || exit 1
    done
done
"$program" bench scaling "${what[@]}" --np "$np" --tp "$tp" --batch "$batch" --repeats "$repeats" --steps "$steps" \
    --bench-args="--threads 1 --dtype $dtype" --launcher-args="$args" --out "$out/sweep" || exit 1

python3 - "$out" <<'E2'
import collections, json, statistics, sys

out = sys.argv[1]
steps = collections.defaultdict(list)
for line in open(out + "/sweep/results.jsonl"):
    r = json.loads(line)
    if r["status"] == "ok":
        steps[r["np"], r["tp"], r["batch"]].append(r["result"]["ms_per_step"])
print("| ranks | T | batch | measured, ms (spread) | predicted, ms | ratio |\n|--:|--:|--:|--:|--:|--:|")
near = 0
for (np, tp, batch), ms in sorted(steps.items()):
    layouts = json.load(open(f"{out}/plan-{np}-{tp}.json"))["layouts"]
    found = [l for l in layouts if l["tp"] == tp and l["batch"] == batch]
    if not found:
        sys.exit(f"plan has no layout of batch {batch}: give powers of two up to 128")
    predicted, median = (found[0]["step_s"] - found[0]["sampling_s"]) * 1e3, statistics.median(ms)
    near += abs(predicted / median - 1) <= 0.15
    print(f"| {np} | {tp} | {batch} | {median:.3f} ({min(ms):.3f} – {max(ms):.3f}) | {predicted:.3f} | {predicted / median:.2f} |")
print(f"\n{near} of {len(steps)} points within 15 %")
sys.exit(near < 0.8 * len(steps))
E2
