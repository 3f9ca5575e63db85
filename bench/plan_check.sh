#!/bin/bash
# How near `plan --measure` comes to `bench scaling` on this machine: measures the constants once for each number of
# ranks and T, sweeps the same points, and prints a table with the ratio of each prediction to its measured median.
# Predicted is the step without its draws, as the sweep times it. Of a model (not a shape) a second table holds the
# sweep's seconds till a clip's steps are done, and till the first and the last clip of a batch are sound, against those
# of `generate` of the same points, whose metadata say them.
#
#   bench/plan_check.sh [--model DIR|--shape S] [--dtype D] [--np 1,2] [--tp 1,2] [--batch 1,4,8] [--repeats 3]
#                       [--steps 60] [--duration 10] [--launcher-args "--bind-to core"] [--program build/mg-dist] [--out DIR]
#
# Leave the machine alone meanwhile, and start no more ranks than it has cores. A thread a rank. Exit code 1 if fewer
# than 8 of 10 points lie within 15 %.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/models/mg-demo shape='' dtype=fp32 np=1,2 tp=1,2 batch=1,4,8 repeats=3 steps=60 duration=10 args='--bind-to core'
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
    --duration) duration=$2 ;;
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
        "${start[@]}" "$program" plan "${what[@]}" --ranks-per-node "$n" --clips 1000 --duration "$duration" --measure \
            --tp "$t" --threads 1 --dtype "$dtype" --json >"$out/plan-$n-$t.json" || exit 1
    done
done
"$program" bench scaling "${what[@]}" --np "$np" --tp "$tp" --batch "$batch" --repeats "$repeats" --steps "$steps" \
    --duration "$duration" --bench-args="--threads 1 --dtype $dtype" --launcher-args="$args" --out "$out/sweep" || exit 1

# generate N T B REPEAT: B clips at once in each replica, and none after them.
generate() {
    local start=()
    # shellcheck disable=SC2206
    [ "$1" = 1 ] || start=(mpirun -n "$1" $args)
    "${start[@]}" "$program" generate -q --model "$model" --prompt 'a quiet piano melody in the evening' -n $(($3 * $1 / $2)) \
        --batch "$3" --tp "$2" --threads 1 --dtype "$dtype" --device cpu --duration "$duration" --overwrite \
        --out "$out/made/$1-$2-$3-$4"
}
if [ -n "$model" ]; then
    for r in $(seq "$repeats"); do
        for n in ${np//,/ }; do
            for t in ${tp//,/ }; do
                [ $((n % t)) -eq 0 ] || continue
                for b in ${batch//,/ }; do generate "$n" "$t" "$b" "$r" >>"$out/made.log" 2>&1 || exit 1; done
            done
        done
    done
fi

python3 - "$out" <<'E2'
import collections, csv, glob, itertools, json, statistics, sys

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

# Clips that were decoded together, as many as have the same mean time.
def heard(folder, batch):
    timings = [json.load(open(f))["timings"] for f in sorted(glob.glob(folder + "/*.json")) if not f.endswith("index.json")]
    lots = [(time, len(list(of))) for time, of in itertools.groupby(t["codec_s"] for t in timings[:batch])]
    steps = max(t["lm_s"] for t in timings)
    return steps, steps + lots[0][0] * lots[0][1], steps + sum(time * n for time, n in lots), lots[0][1]

made, said = collections.defaultdict(list), collections.defaultdict(list)
for r in csv.DictReader(open(out + "/sweep/results.csv")):
    at = tuple(int(r[k]) for k in ("np", "tp", "batch"))
    if r["status"] == "ok":
        said[at].append([float(r[k]) for k in ("clip_steps_s", "first_sample_s", "last_sample_s")])
for folder in glob.glob(out + "/made/*"):
    at = tuple(int(n) for n in folder.rsplit("/", 1)[1].split("-"))
    made[at[:3]].append(heard(folder, at[2]))
if made:
    print("\n| ranks | T | batch | steps, s: sweep, generate | first sample | last sample | clips of the first lot |\n|--:|--:|--:|--:|--:|--:|--:|")
for at in sorted(made):
    row = []
    for i in range(3):
        s, g = (statistics.median(v[i] for v in of[at]) for of in (said, made))
        row.append(f"{s:.3f}, {g:.3f} ({s / g:.2f})")
    print("| " + " | ".join(str(v) for v in (*at, *row, ", ".join(str(m[3]) for m in made[at]))) + " |")
print(f"\n{near} of {len(steps)} points within 15 %")
sys.exit(near < 0.8 * len(steps))
E2
