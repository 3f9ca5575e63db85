#!/bin/bash
# bench/peers.py: turns, ratios, what is not there and what computes something else, with programs of known times.
. "$(dirname "$0")/lib.sh"

if [ -z "${MG_TEST_SANITIZED-}" ]; then # no program of ours computes here
# Each notes its turn; mg-dist takes 50, 40, 80 ms, every peer 100.
cat >"$BOX/mg-dist" <<'E2'
#!/bin/sh
echo ours >>"$BOX/turns"
n=$(grep -c ours "$BOX/turns")
case $2 in
step) times='"ms_per_step": '$(echo 50 40 80 | cut -d ' ' -f $(((n - 1) % 3 + 1)))', "read_gbps": 30, "device": "d"' ;;
*) times='"ms": 25' ;;
esac
echo '{"what": "'"$2"'", "version": "v", "backend": "cpu/x", '"$times"'}'
E2
cat >"$BOX/python" <<'E2'
#!/bin/sh
case $1 in
*make_checkpoint.py) exit 0 ;;
*baseline_transformers.py)
    for what in decode encode t5; do echo '{"what": "'$what'", "ms": 75}'; done
    exit 0
    ;;
esac
difference=0.0001
case $2 in
openvino-fp32) difference=1.4 ;; # another graph
openvino-encode) difference=0.016 ;; # of codes that is too much
openvino-t5) echo '{"missing": "No package metadata was found for openvino"}'; exit 0 ;;
openvino-int8) echo '{"missing": "No module named openvino"}'; exit 0 ;;
torch-int8) exit 3 ;;
torch-compile-fp32) sleep 30 ;;
esac
case $1:$2 in # each from its own script
*/peer_part.py:*code | */peer_part.py:*t5) what=ms ;;
*/peer_step.py:*-fp32) what=ms_per_step ;;
*) exit 4 ;;
esac
echo '{"versions": {"torch": "2.5.1"}, "difference": '$difference', "precision": "p"}'
while read -r steps; do
    echo theirs >>"$BOX/turns"
    [ "$steps" -gt 0 ] && echo '{"'$what'": 100.0, "cpu_s": 0.0}'
done
E2
chmod +x "$BOX/mg-dist" "$BOX/python"
export BOX
peers() { python3 "$TESTS/../bench/peers.py" --program "$BOX/mg-dist" --python "$BOX/python" --out "$BOX/results" "$@"; }

expect 0 '^peers: torch 2\.5\.1$' 'peers.py measures two peers' peers --peers transformers-fp32,openvino-fp32
passes 'they take turns' test "$(tr '\n' ' ' <"$BOX/turns" | cut -c 1-36)" = 'ours theirs ours theirs ours theirs '
says 'a line has both medians, the median of the ratios and their spread' \
    '^\| step, 2 rows \| fp32 \| 50\.0 \| transformers-fp32 \| 100\.0 \| \*\*2\.00\*\*.* \| 1\.25 – 2\.50 \| 0\.0001 \|$'
says 'a peer of other logits has no ratio' '\| openvino-fp32 \| 100\.0 \| none: other results.* \|  \| 1 \|$'
says 'the level and the bandwidth stand above' '^mg-dist v, cpu/x, 2 threads, d; memory read 30\.0 GB/s'
csv=$(echo "$BOX"/results/*-peers.csv)
passes 'the raw numbers have a row a round' test "$(grep -c '^transformers-fp32,step,small,fp32,1,2,1,ms_per_step,100.0' "$csv")" = 3
if command -v gnuplot >/dev/null; then
    passes 'the bars have the one right peer' grep -q 'transformers-fp32' "${csv%.csv}.svg"
    fails 'and not the wrong one' grep -q 'openvino-fp32' "${csv%.csv}.svg"
fi
mkdir "$BOX/few"
for word in sh timeout cut grep; do ln -s "$(command -v $word)" "$BOX/few"; done
expect 0 'no bars: gnuplot is not installed' 'without gnuplot it goes on' env PATH="$BOX/few" \
    "$(python3 -c 'import sys; print(sys.executable)')" "$TESTS/../bench/peers.py" --program "$BOX/mg-dist" \
    --python "$BOX/python" --out "$BOX/results" --quick --peers transformers-fp32

expect 0 'EnCodec decode, 10 s \| fp32 \| 25\.0 \| PyTorch fp32 \| 75\.0 \| \*\*3\.00\*\*' 'what cannot be measured is no end' \
    peers --quick --peers openvino-int8,torch-int8,parts
passes 'the last line names it, with the reason' test "$(tail -n 1 "$BOX/said" | cut -d '|' -f 2)" = \
    " not measured: openvino-int8 (No module named openvino); torch-int8 (exit 3, see its messages above) "
expect 0 '^\| T5, 14 tokens \| fp32 \| 25\.0 \| onnxruntime-t5 \| 100\.0 \| \*\*4\.00\*\*.* \| 4\.00 – 4\.00 \| 0\.0001 \|$' \
    'EnCodec and T5 have peers too' peers --peers openvino-encode,openvino-decode,onnxruntime-t5,openvino-t5
says 'and each its line' '^\| EnCodec decode, 10 s \| fp32 \| 25\.0 \| openvino-decode \| 100\.0 \| \*\*4\.00\*\*'
says 'other codes have no ratio' '\| openvino-encode \| 100\.0 \| none: other results.* \|  \| 0\.02 \|$'
says 'the level stands above, without the bandwidth, which only a step measures' '^mg-dist v, cpu/x, 2 threads$'
says 'one that VENV lacks is named' '^\| not measured: openvino-t5 \(No package metadata was found for openvino\) \|'
passes 'their raw numbers have a row a round' \
    test "$(grep -c '^openvino-decode,decode,,fp32,1,2,1,ms,100.0' "$BOX"/results/*-peers.csv)" = 3

expect 0 '^\| not measured: torch-compile-fp32 \(gave up after 1 s\) \|' 'a peer that is not ready in time is given up' \
    peers --quick --limit 1 --peers torch-compile-fp32
expect 2 'nobody: no such peer' 'an unknown peer is refused' peers --peers nobody
fi

# What it reads is what the program writes.
expect 0 '"version": .*"ms_per_step": .*"read_gbps": .*"device": ' 'mg-dist bench step has the keys' \
    "$MG" bench step --shape tiny --steps 1 --warmup 0 --json
expect 0 '' 'two steps' "$MG" bench step --shape tiny --steps 2 --warmup 0
passes 'have a mean in their middle' awk '{ v[$1] = $2 } END { off = v["ms_per_step"] - (v["ms_per_step_min"] + v["ms_per_step_p95"]) / 2
    exit !(v["ms_per_step"] > 0 && off * off < 4e-6) }' "$BOX/said"
expect 2 '--prefill: 5000: passes the table of 2048 positions' 'more columns than positions' "$MG" bench step --shape tiny --prefill 5000
gflop() { ranks "$1" "$MG" bench step --shape tiny --steps 1 --warmup 0 --threads 1 --tp 1 --prefill 1000 2>/dev/null |
    awk '{ v[$1] = $2 } END { print v["prefill_gflops"] * v["prefill_ms"] }'; }
if [ "${MG_TEST_SANITIZED-}" ]; then passes 'a prefill' awk "BEGIN { exit !($(gflop 1) > 0) }"; else
    passes 'two replicas compute twice as much' awk "BEGIN { ratio = $(gflop 2) / $(gflop 1); exit !(ratio > 1.7 && ratio < 2.3) }"
fi
expect 2 'options --shape, --batch, --seconds, --dtype: have no effect on bench t5' 'options of another measurement' \
    "$MG" bench t5 --tokens 1 --steps 1 --shape large --batch 2 --seconds 1 --dtype bf16
expect 2 'option --seconds: has no effect beside --position' 'a length of nothing' \
    "$MG" bench step --shape tiny --steps 1 --seconds 2 --position 3
expect 0 '"position": 51,' 'around the middle of 103 columns' "$MG" bench step --shape tiny --steps 1 --warmup 0 --seconds 2 --json
expect 2 'option --shape: has no effect beside MODEL' 'two sizes' "$MG" bench step "$TINY" --shape tiny --steps 1
expect 0 '"backend": .*"version": .*"ms": ' 'so has bench t5' "$MG" bench t5 --tokens 1 --steps 1 --json
for half in encode decode; do
    expect 0 '"backend": .*"version": .*"ms": ' "so has bench $half" "$MG" bench $half --seconds 0.1 --steps 1 --json
done

# bench/run.py: both programs have all processors that it may use, and both draw codes; theirs is between two of ours.
passes 'run.py is fair to transformers' python3 -B -c '
import os, sys, types
sys.path.insert(0, sys.argv[1])
import run
said = []
def execute(command):
    said.append(command)
    text = "{\"what\": \"step\", \"ms_per_step\": 100}" if "python" in command else "{\"ms_per_step\": 40, \"split_sampling_ms\": 10}"
    return types.SimpleNamespace(out=text, others=0)
run.execute = execute
run.compare_steps("mg-dist", "python", "bf16")
assert ["python" in c for c in said] == [False, True, False], said
assert said[1][said[1].index("--threads") + 1] == str(len(os.sched_getaffinity(0))), said[1]
assert run.table[-1][1:4] == ("50.0 ms", "100.0 ms", "2.00"), run.table
run.ours("mg-dist", "allreduce", ranks=2)
assert "--bind-to none -np 2" in " ".join(said[-1]), said[-1]' "$TESTS/../bench"
finish
