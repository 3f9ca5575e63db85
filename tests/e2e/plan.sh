#!/bin/bash
# mg-dist plan: its memory table against the plan that generate prints, what it chooses, and the job that it writes.
. "$(dirname "$0")/lib.sh"
unset MGDIST_OVERWRITE

cd "$BOX" || exit 1
cat >near.awk <<'E2'
# near.awk: two numbers, within 5 %
{ d = $1 - $2; if (d < 0) d = -d; exit !($1 > 0 && d <= 0.05 * $2) }
E2
near() { echo "$1 $2" | awk -f near.awk; }
# value KEY PATTERN: of the first layout of $BOX/said whose text holds the pattern
value() { sed 's/{"tp"/\n&/g' "$BOX/said" | grep -E -m1 -- "$2" | sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p"; }

# Memory.
for tp in 1 2; do
    ranks $tp "$MG" generate --model "$DEMO" --prompt 'a quiet piano melody in the evening' -n 2 --duration 2 --batch 2 \
        --device cpu --tp $tp --out made-$tp >"said-$tp" 2>&1
    leader=$(sed -n 's/.*; \([0-9.]*\) MB a rank.*/\1/p' "said-$tp")
    other=$(sed -n 's/.*every other rank \([0-9.]*\) MB.*/\1/p' "said-$tp")
    expect 0 '"layouts"' "a plan for T = $tp" "$MG" plan --model "$DEMO" --duration 2 --clips 100 --gpus-per-node 2 --tp $tp --json
    got=$(value leader_bytes '"batch":2,')
    passes "T = $tp: memory of the leader, as generate's plan ($leader MB)" near "$(awk "BEGIN{print $got / 1e6}")" "$leader"
    [ $tp = 1 ] && continue
    got=$(value other_bytes '"batch":2,')
    passes "T = $tp: memory of the other rank ($other MB)" near "$(awk "BEGIN{print $got / 1e6}")" "$other"
done

# The pages' tables are what it says: model, T or --dtype, bytes with nothing, half and all outside, and of a layer.
gb() { awk -v v="$(value "$1" "$2")" -v unit="$3" 'BEGIN { printf "%.*f", unit == 1e9 ? 1 : 0, v / unit }'; }
row() { echo "| $1 | $2 | $(gb leader_bytes "$3" 1e9) GB | $(gb half_outside_bytes "$3" 1e9) GB | $(gb all_outside_bytes "$3" 1e9) GB | $(gb layer_bytes "$3" 1e6) MB |"; }
for shape in small medium large; do
    "$MG" plan --shape $shape --duration 30 --gpu a100 --gpus-per-node 4 --clips 1 --json >said
    for tp in 1 2 4; do
        passes "GPU.md: $shape, T = $tp" grep -Fqx "$(row $shape $tp "\"tp\":$tp,.*half_outside")" "$TESTS/../docs/GPU.md"
    done
    for dtype in fp32 bf16 int8 int4; do
        "$MG" plan --shape $shape --duration 30 --dtype $dtype --clips 1 --json >said
        passes "INSTALL.md: $shape, $dtype" grep -Fqx "$(row $shape $dtype half_outside)" "$TESTS/../docs/INSTALL.md"
    done
done

# Where layers are, and keys in 8 bits: as generate says it. What generate says of its layers is "0-1 memory, 2-3 file".
one() { "$MG" generate --model "$DEMO" --prompt 'a quiet piano melody in the evening' --duration 2 --batch 1 --device cpu --overwrite \
    --out made-one "$@" >said-one 2>&1; }
n_outside() { awk '/plan: layers .* file$/ { n = split($(NF - 1), a, "-"); print a[n] - a[1] + 1 }' said-one; }
as_generate() { # SENTENCE options …: the same memory and the same layers
    local sentence=$1
    shift
    passes "$sentence: generate" one "$@"
    expect 0 '"layouts"' "$sentence: plan" "$MG" plan --model "$DEMO" --duration 2 --clips 1 --json "$@"
    passes "$sentence: as many layers outside ($(n_outside))" test "$(value layers_outside '"batch":1,')" = "$(n_outside | grep . || echo 0)"
    near "$(awk "BEGIN{print $(value leader_bytes '"batch":1,') / 1e6}")" "$(sed -n 's/.*; \([0-9.]*\) MB a rank.*/\1/p' said-one)"
    verdict $? "$sentence: the same memory"
}
as_generate 'keys in 8 bits' --dtype int8 --kv int8
passes 'it is named' grep -q '"kv":"int8"' said
as_generate 'two layers outside' --dtype bf16 --offload layers=2
as_generate 'all layers outside' --dtype bf16 --offload layers=4
as_generate 'three layers outside' --dtype bf16 --offload layers=3
as_generate 'a limit' --dtype bf16 --host-memory "$(awk "BEGIN{print $(value leader_bytes '"batch":1,') / 1e6 + 0.2}")M"
passes 'which leaves some in memory' grep -q 'plan: layers 0 memory, 1-3 file' said-one
expect 5 'no layout fits: .* 0.0 GB are there for all ranks of a node' 'a memory for nothing' "$MG" plan --model "$DEMO" --clips 1 --host-memory 9M
expect 2 'layers=5: the model has 4' 'more layers than there are' "$MG" plan --model "$DEMO" --clips 1 --offload layers=5
expect 2 'must be none, auto or layers=N' 'another word' "$MG" plan --model "$DEMO" --clips 1 --offload some
expect 2 'the GPU keeps keys and values' 'keys in 8 bits on a GPU' "$MG" plan --shape small --clips 1 --gpu h100 --kv int8
expect 2 'the GPU computes in bf16' 'matrices in 8 bits on a GPU' "$MG" plan --shape small --clips 1 --gpu h100 --dtype int8
expect 2 'is of a GPU' "a GPU's memory of a CPU" "$MG" plan --shape small --clips 1 --device-memory 8G
expect 2 'give one' 'two limits of a CPU' "$MG" plan --shape small --clips 1 --gpu-mem 8G --host-memory 8G

# What run takes by itself.
ranks 2 "$MG" generate --model "$DEMO" --prompt x -n 40 --duration 0.1 --device cpu --codes-only --overwrite --out many >said-many 2>&1
passes 'says why so many at once' grep -Eq 'plan: 2 ranks = 2 replicas of 1; 8 clips at a time, as many as suit a CPU,' said-many
expect 0 '"layouts"' 'the same by plan' "$MG" plan --model "$DEMO" --clips 1000 --ranks-per-node 2 --json
passes 'one row is what runs unasked' test "$(grep -o '"unasked":true' said | wc -l)" = 1
passes 'T = 1 with 8 clips' test "$(value batch '"unasked":true')$(value tp '"unasked":true')" = 81

# What is chosen fits, and is one that was asked for.
expect 0 'h100' 'a plan for two nodes' "$MG" plan --shape large --nodes 2 --gpus-per-node 4 --gpu h100 --clips 50000 --deadline 8h
says 'memory of four ranks that share it' 'T = 4, one clip'
says 'it says why' '^why: T = [1248] with'
says 'how far its table is to be believed' '^time: .*, from a table of datasheets: on the one GPU .* 1\.4 to 2\.4 times'
says 'and what the clips take of a disk' '^disk: 32 GB of 16-bit samples'
says 'and what is twice as fast' '^twice as fast: [0-9]+ nodes instead of 2'
passes 'one layout is chosen' test "$(grep -c '^\* ' said)" = 1
expect 0 'does not fit' 'a smaller memory' "$MG" plan --shape large --gpus-per-node 4 --gpu a100 --gpu-mem 6G \
    --clips 500 --offload none
says 'takes more ranks a model, and what fits' '^\* +[24] +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+'
says 'and says so' 'T = 1 does not fit'
expect 0 '"tp":2' 'as JSON' "$MG" plan --shape small --gpus-per-node 2 --clips 32 --json
for part in products attention all_reduce sampling launches; do
    passes "with the time of $part" grep -q "\"${part}_s\":[0-9]" said
done
passes 'what the clips take of a disk' grep -q '"sound_bytes":20480000,' said
passes 'weights alone are read at the start: as long for any batch' python3 -c '
import json, sys
plan = json.load(open(sys.argv[1]))
start_s = [l["run_s"] - -(-plan["clips"] // (l["batch"] * l["replicas"])) * 3600 * l["batch"] * l["replicas"] / l["clips_h"]
           for l in plan["layouts"] if l["tp"] == 1]
assert len(start_s) > 2 and max(start_s) - min(start_s) < 1e-6 * max(start_s), start_s' said
passes 'one chosen' test "$(grep -o '"chosen":true' said | wc -l)" = 1

expect 0 'come from outside its memory' 'what fits no T stays outside' "$MG" plan --shape large --gpu a100 --device-memory 4G --clips 20
says 'it waits for layers' 'waits for layers from outside'
expect 5 'no layout fits' 'but not without leave' "$MG" plan --shape large --gpu a100 --device-memory 4G --clips 20 --offload none

# Constants of these ranks: that they are there and are used, not how fast they are.
if [ "${MG_TEST_SANITIZED-}" ]; then
    expect 0 'measured on' 'measured' "$MG" plan --model "$DEMO" --clips 10 --measure --json --threads 1
else
    expect 0 'measured on' 'measured with two ranks' ranks 2 "$MG" plan --model "$DEMO" --ranks-per-node 2 --tp 2 --clips 10 --measure --json \
        --threads "$(nproc)"
    says 'more threads than processors are warned of' 'more ranks and threads than processors'
    passes 'sums take time' awk "BEGIN{exit !($(value all_reduce_s '"batch":1,') > 0)}"
fi
passes 'three rates of products' test "$(grep -o '"rows"' said | wc -l)" = 3
# Of two times, of one sound and of four at once, follow what a sound takes and what a lot takes, however many are in it.
# Where something else disturbs the first, nothing is left for the former. Both come of what was measured: not both are 0.
passes 'sounds decoded at once' python3 -c '
import re, sys
said = open(sys.argv[1]).read()
sound_s, lot_s, n = map(float, re.search(r"\"decode_sound_s\":([^,]+),.*\"decode_lot_s\":([^,]+),\"decoded_at_once\":([^,]+),", said).groups())
assert sound_s >= 0 and lot_s >= 0 and sound_s + lot_s > 0 and n == 4, (sound_s, lot_s, n)' said

if [ -z "${MG_TEST_SANITIZED-}" ]; then
    expect 0 'measured on' 'measured with one rank of one thread' taskset -c "$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')" \
        "$MG" plan --model "$DEMO" --clips 10 --measure --sbatch measured.sbatch
    fails 'which nothing warns of' grep -q 'more ranks and threads' said
    passes 'and is what the job has' grep -qx '#SBATCH --cpus-per-task=1' measured.sbatch
    expect 2 '1 rank of .* measures, and --ranks-per-node is 2; start as many' 'one rank for two' \
        "$MG" plan --model "$DEMO" --clips 10 --ranks-per-node 2 --measure --threads 1
fi

# The job, with stand-ins for srun and scontrol.
mkdir bin
cat >bin/srun <<'E2'
#!/bin/bash
while [[ $1 = --* ]]; do shift; done
exec mpirun -np "$SLURM_NTASKS" --oversubscribe --bind-to none "$@"
E2
printf '#!/bin/sh\necho requeued\n' >bin/scontrol
chmod +x bin/*
printf '{"id": "a", "prompt": "one"}\n{"id": "b", "prompt": "it'"'"'s two"}\n' >"it's jobs.jsonl"
expect 0 'start it with: sbatch' 'a job is written' "$MG" plan --model "$DEMO" --clips 2 -d 1 --ranks-per-node 2 --tp 2 --threads 1 --sbatch job.sbatch \
    --jobs "it's jobs.jsonl" --out 'the set'
passes 'with its nodes' grep -qx '#SBATCH --nodes=1' job.sbatch
passes 'its ranks' grep -qx '#SBATCH --ntasks-per-node=2' job.sbatch
passes 'and its time' grep -Eqx '#SBATCH --time=[0-9]+-[0-9]{2}:[0-9]{2}:00' job.sbatch
before_ranks() { sed -n '/^trap mg_told/,/^eval /p' "$1"; }
passes 'it begins as run.sbatch' diff <(before_ranks job.sbatch) <(before_ranks "$TESTS/../launch/slurm/run.sbatch")
passes 'which has something to compare' test "$(before_ranks job.sbatch | wc -l)" = 12
passes 'and ends as that' grep -q '^run_dataset srun --mpi=pmix --kill-on-bad-exit=1 ' job.sbatch
expect 0 '2 clips' 'the job runs as it is' env PATH="$PWD/bin:$PATH" MG_DIST="$MG" SLURM_NTASKS=2 SLURM_JOB_ID=1 timeout 300 bash job.sbatch
passes 'its clips are there' "$MG" status 'the set'
passes 'both of them' test "$(find 'the set' -name '*.flac' | wc -l)" = 2
passes 'which is told in its own measure' grep -Eqx '# Predicted: [0-9.]+ s, [0-9.e-]*[1-9][0-9.e-]* node hours; .*' job.sbatch
passes 'its threads' grep -qx '#SBATCH --cpus-per-task=1' job.sbatch
expect 2 '--sbatch: the job needs the cores of a rank; give --threads N' 'ranks of a CPU without their cores' \
    "$MG" plan --model "$DEMO" --clips 2 --gpu CPU --sbatch none.sbatch
fails 'which writes nothing' test -e none.sbatch
expect 2 'is there already' 'a job that is there' "$MG" plan --model "$DEMO" --clips 2 --threads 1 --sbatch job.sbatch
expect 0 'start it with' 'is replaced when asked' "$MG" plan --model "$DEMO" --clips 2 --gpu h100 --sbatch job.sbatch --overwrite
"$MG" plan -q --clips 2 -d 1.2345678 --threads 1 --model "$DEMO" --lm "$DEMO" --text-encoder "$DEMO" --style-encoder "$DEMO" --codec "$DEMO" --tokenizer "$DEMO" \
    --sbatch parts.sbatch >/dev/null
for part in model lm text-encoder style-encoder codec tokenizer; do
    passes "the job has --$part" grep -q -- "^    --$part '$DEMO' " parts.sbatch
done
"$MG" plan -q --clips 2 --threads 1 --model "$TINY" --lora "$GOLDEN/lora/plain" --sbatch lora.sbatch >/dev/null
passes 'and --lora' grep -qF -- "    --lora '$GOLDEN/lora/plain' " lora.sbatch
names=$("$MG" plan --help | sed -n '/^Model:/,/^[A-Z][a-z]*:$/s/^ *\(-., \)*--\([a-z-]*\) .*/\2/p' | tr '\n' ' ')
passes 'which are all that name a model' test "$names" = 'model lm lora text-encoder style-encoder codec tokenizer '
passes 'and the whole length' grep -q -- '--duration 1.2345678 ' parts.sbatch
passes 'which is written as people do' grep -q -- '--duration 10 ' lora.sbatch
passes 'on GPUs each rank has one' grep -qx '#SBATCH --gpus-per-node=1' job.sbatch
fails 'and as many cores as the site gives with it' grep -q '^#SBATCH --cpus-per-task' job.sbatch
expect 0 'start it with' 'two GPUs, one model' "$MG" plan --model "$DEMO" --clips 2 --gpu h100 --gpus-per-node 2 --tp 2 --sbatch job.sbatch --overwrite
passes 'which may open the memory of each other' grep -qx '#SBATCH --gpus-per-node=2' job.sbatch
memory() { "$MG" plan --shape small --gpu a100 --clips 1 "$@" | awk '$1 == "sum" { print int($2); exit }'; }
passes '--gemm fast takes more memory of a GPU' test "$(memory --gemm fast)" -gt "$(memory)"
expect 0 'start it with' '--gemm fast is planned' "$MG" plan --model "$DEMO" --clips 2 --gpu h100 --gemm fast --sbatch job.sbatch --overwrite
passes 'and in the job' grep -q -- ' --gemm fast' job.sbatch
"$MG" plan --shape tiny --clips 2 >whole
expect 0 'layouts' 'a shape, whatever model a variable names' env MGDIST_MODEL="$DEMO" MGDIST_LM="$DEMO" "$MG" plan --shape tiny --clips 2
passes 'is what is planned for' diff whole said
"$MG" plan --model "$DEMO" --clips 2 >whole
expect 0 'layouts' 'a language model alone, as generate takes it' "$MG" plan --lm "$DEMO" --text-encoder "$DEMO" --codec "$DEMO" --clips 2
passes 'is what is planned for' diff whole said
expect 1 'no-such' 'one that is not there' "$MG" plan --lm no-such --clips 2
expect 2 'needs --model' 'a shape has no weights to run' "$MG" plan --shape small --clips 2 --sbatch other.sbatch

# The time limit: on GPUs as far above the prediction as that was off.
predicted_h() { awk -v s="$(value run_s '"chosen":true')" 'BEGIN { print s / 3600 }'; }
limit_h() { sed -n 's/^#SBATCH --time=//p' job.sbatch | awk -F'[:-]' '{ print $1 * 24 + $2 + $3 / 60 }'; }
for device in h100 cpu; do
    "$MG" plan --model "$DEMO" --gpu $device --threads 2 --clips 3000000 --sbatch job.sbatch --overwrite --json >said 2>&1
    spare=1.5
    [ $device = cpu ] || spare=2.4
    passes "the time limit on $device: $spare times the prediction, and ten minutes" \
        near "$(limit_h)" "$(awk "BEGIN { print $spare * $(predicted_h) + 1 / 6 }")"
done
expect 0 'steps took 1\.4 to 2\.4 times as long' 'a plan of a GPU says so' "$MG" plan --shape small --gpu gh200 --clips 5

# A device in the host's memory: both count there, and layers outside would take it all the same.
expect 0 '^twice as fast: .*or h100-nvl instead of gb10' 'a faster one must have the memory' "$MG" plan --shape large --duration 30 --dtype fp32 --clips 3000 --gpu gb10
on_gb10() { "$MG" plan --shape large --duration 30 --clips 5 --gpu gb10 "$@"; }
expect 0 'most of its step' 'a DGX Spark' on_gb10
fails 'of which no layer is outside' grep -q 'outside *[0-9]' said
expect 5 'needs 9\.4 GB a rank, and 8\.0 GB are there; take a shorter --duration' 'its memory is limited as a device' on_gb10 --device-memory 8G
expect 5 'and 8\.0 GB are there' 'and as the host' on_gb10 --host-memory 8G
expect 5 'no layout fits' 'two ranks take of one memory' on_gb10 --gpus-per-node 2 --tp 1 --device-memory 16G
expect 0 'why' 'which are not too much for two devices' "$MG" plan --shape large --duration 30 --clips 5 --gpu l40s --gpus-per-node 2 --tp 1 --device-memory 16G
expect 2 '--gpu: V100: too old: compute capability 8\.0' 'a GPU that nothing here runs on' "$MG" plan --shape small --clips 5 --gpu V100

# Bad input.
expect 2 'options --overwrite, --jobs, --out: have no effect without --sbatch' 'options of a job that is not written' \
    "$MG" plan --shape small --clips 5 --overwrite --jobs x --out y
expect 0 'layouts' 'variables are for other commands' env MGDIST_OUT=x MGDIST_CODEC=x "$MG" plan --shape small --clips 5
expect 2 'options --text-encoder, --codec: have no effect without a model' 'parts of no model' \
    "$MG" plan --clips 5 --text-encoder no-such --codec no-such
expect 2 'option --shape: has no effect beside --model' 'a size beside a model' "$MG" plan --clips 5 --model "$DEMO" --shape small
expect 2 'option --gemm: has no effect on a CPU' 'products of a GPU on a CPU' "$MG" plan --shape small --clips 5 --gemm fast
expect 2 'options --gemm, --host-memory: have no effect on bench allreduce' 'of a measurement without either' \
    "$MG" bench allreduce --gemm exact --host-memory 4G
expect 2 'option --offload: has no effect on bench step' 'layers outside of a step' "$MG" bench step --offload auto
expect 2 '--clips: "-5"' 'negative clips' "$MG" plan --shape small --clips -5
expect 2 'clips: missing' 'no clips' "$MG" plan --shape small
expect 2 'no such device; known are h100 .*a100.* cpu' 'no such device' "$MG" plan --shape small --clips 5 --gpu h1000
expect 2 'not a time as 8h' 'a deadline that is no time' "$MG" plan --shape small --clips 5 --deadline soon
expect 2 '--deadline: 1h: the run takes .* on 1 node; .* nodes would do' 'a deadline that more nodes keep' \
    "$MG" plan --shape small --clips 100000 --deadline 1h --nodes 1
n=$(sed -n 's/.*; \([0-9]*\) nodes would do.*/\1/p' said)
expect 0 'why' 'that many do' "$MG" plan --shape small --clips 100000 --deadline 1h --nodes "$n"
expect 2 'nodes would do' 'and one less does not' "$MG" plan --shape small --clips 100000 --deadline 1h --nodes $((n - 1))
expect 0 "^nodes: $n are the least that end within 1h; $((n - 1)) take " 'which is found without --nodes' \
    "$MG" plan --shape small --clips 100000 --within 1h
says 'with what it costs' '^time: [0-9.]+ (min|h), [0-9.]+ node hours'
expect 0 "start it with" 'and is what the job takes' "$MG" plan --model "$DEMO" --gpu h100 --clips 3000000 --within 1h --sbatch job.sbatch --overwrite
passes 'of several nodes' grep -Eqx '#SBATCH --nodes=([2-9]|[1-9][0-9]+)' job.sbatch
expect 2 "on 2 nodes, all that --max-nodes allows; $n nodes would do" 'where fewer may be taken' \
    "$MG" plan --shape small --clips 100000 --within 1h --max-nodes 2
expect 2 '--max-nodes: has no effect but with --deadline and without --nodes' 'a limit of what is given' \
    "$MG" plan --shape small --clips 5 --nodes 2 --within 9h --max-nodes 4
# On a CPU the cores that a rank has.
expect 0 '56 cores a rank \(--threads N: others\)' 'a CPU of the table' "$MG" plan --shape small --clips 50
"$MG" plan --shape small --clips 50 --json >said
all_s=$(value run_s '"chosen":true')
"$MG" plan --shape small --clips 50 --threads 2 --json >said
passes 'two of its cores take longer' awk "BEGIN { exit !($(value run_s '"chosen":true') > 5 * $all_s) }"
expect 0 ', from a table of datasheets: 2 cores a rank; --measure' 'and it says so' "$MG" plan --shape small --clips 50 --threads 2

# A run of seconds has hours that are not 0, a deadline may be a time of the clock.
expect 0 '^\* .* 0\.00[0-9]*[1-9] +0\.00[0-9]*[1-9]$' 'a short run' "$MG" plan --shape tiny --clips 1
clock() { date -d "$1" "+%Y-%m-%dT%H:%M${2-}"; }
expect 0 "^nodes: ($n|$((n - 1))) are the least that end within $(clock '+61 minutes')" 'a time of the clock' \
    "$MG" plan --shape small --clips 100000 --within "$(clock '+61 minutes')"
expect 0 'nodes: ' 'with seconds' "$MG" plan --shape small --clips 100000 --within "$(clock '+61 minutes' :%S)"
expect 2 'is past' 'a time that is past' "$MG" plan --shape small --clips 5 --deadline "$(clock '-1 hour')"
for time in 2026-02-31T08:00 2026-12-04T25:00 2026-12-04T T08:00 2026-12-04T08:00x; do
    expect 2 'nor as 2026-12-04T08:00' "$time" "$MG" plan --shape small --clips 5 --deadline $time
done
run_s() { "$MG" plan --shape large --clips 5 --nodes "$1" --json >said && value run_s '"chosen":true'; }
last=$(awk "BEGIN { print ($(run_s 5) + $(run_s 4)) / 2 }")
expect 2 '; 5 nodes would do' 'a node for each clip is not too many' "$MG" plan --shape large --clips 5 --nodes 4 --deadline "${last}s"
expect 2 'no number of nodes' 'a deadline that none keeps' "$MG" plan --shape large --clips 2 --deadline 1s
expect 2 'no number of nodes up to 100000' 'nor of those that may be asked for' "$MG" plan --shape large --clips 1000000000000 --deadline 1h
expect 5 'no layout fits: T = 2 with one clip needs' 'what fits no T' "$MG" plan --shape large --gpus-per-node 2 --gpu l4 --gpu-mem 1G --clips 10
expect 2 'T = 2 does not divide the 3 ranks of a node' 'a T that the ranks forbid' "$MG" plan --shape small --clips 2 --gpus-per-node 3 --tp 2
expect 2 'T = 8 does not divide 4 heads' 'a T that the heads forbid' "$MG" plan --shape tiny --clips 2 --gpus-per-node 8 --tp 8
expect 2 'measures ranks of a CPU' 'another machine is not measured here' "$MG" plan --shape small --clips 2 --gpu h100 --measure
finish
