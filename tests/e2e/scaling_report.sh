#!/bin/bash
# mg-dist report of a sweep: sentences, tables and plots say what the lines say; without gnuplot the page comes all the same.
#   scaling_report.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

# Lines of a sweep whose steps take what is known: T = 2 is 1.6 times as fast, two replicas make 1.9 times as much.
mkdir "$BOX/sweep"
python3 - "$BOX/sweep/results.jsonl" <<'END'
import json, sys
def line(np, tp, batch, repeat, ms, **more):
    parts = {"products": .5, "attention": .1, "all_reduce": .25 * (tp > 1), "waiting": .05 * (tp > 1), "sampling": .05, "rest": .05}
    figures = {"host": "node<1>", "backend": "cpu/avx512", "shape": "small", "dtype": "bf16", "codes": "0123456789abcdef",
               "ms_per_step": ms, "ms_per_step_min": ms, "ms_per_step_p95": ms, "bytes_per_step": 1e9, "read_gbps": 10,
               "fraction_of_floor": 8 / ms, "x_real_time": 20 * batch * np / tp / ms, "threads": 2, "split_step_ms": ms, "binding": f"node<1>: 0 cores 0-3 numa 0", "joules_per_step": .8 * batch * np / tp, "energy_from": "rapl", "decode_first_ms": 100, "decode_batch_ms": 100 * batch}
    if tp > 1: figures |= {"sums_per_step": 73, "sum_bytes_per_step": 524288, "bare_all_reduce_ms": .4}
    figures.update({f"split_{k}_ms": v * ms for k, v in parts.items()})
    return {"np": np, "tp": tp, "batch": batch, "repeat": repeat, "status": "ok", "duration": 10, "version": "0.1.0",
            "settings": "small, 10 s", "result": figures} | more
lines = []
for repeat, factor in (1, .9), (2, 1.), (3, 1.2):
    lines += [line(1, 1, 1, repeat, 16 * factor), line(2, 2, 1, repeat, 10 * factor), line(2, 1, 1, repeat, 32 / 1.9 * factor),
              line(1, 1, 8, repeat, 40 * factor)]
lines.append({"np": 1, "tp": 2, "batch": 1, "repeat": 0, "status": "skipped", "duration": 10, "version": "0.1.0", "settings": "",
              "reason": "T = 2 does not divide <b>1</b> ranks"})
open(sys.argv[1], "w").write("".join(json.dumps(l) + "\n" for l in lines))
END
page=$BOX/sweep/report.html
# A PATH without gnuplot, whatever this machine has.
mkdir "$BOX/none"
expect 0 'without plots: gnuplot is not installed' 'a page without gnuplot' env PATH="$BOX/none" "$MG" report "$BOX/sweep"
cp "$page" "$BOX/said"
says 'it says what is missing' 'id="missing">The plots are missing: gnuplot is not installed \(Debian: gnuplot-nox\)'
says 'and has its tables' '<tr><td>2</td><td>2</td><td>1</td><td>1</td><td>3</td><td>10.000 \(9.000 – 12.000\)</td><td>5.282</td><td>5.381</td><td>5.381</td><td>2</td>'
says 'how fast a larger group is' 'T = 2 makes a clip 1.60 times as fast as T = 1 \(1.20 to 2.13 by the spread of the repeats\), and costs 1.25 times its rank time'
says 'and what would not divide' 'its rank time. That is as if 25 % of the step did not divide \(Karp and Flatt\)\.'
says 'what replicas give' '2 ranks as replicas of T = 1 make 1.90 times the audio of 1: an efficiency of 95 % \(71 to 127\)\.'
says 'which points are on the front' '3 of 4 points are on the front'
says 'the fastest and the most' 'np2-tp2-b1 has a clip first, after 5.28 s; np1-tp1-b8 makes the most audio, 4 times real time'
says 'and when it is heard' 'With the decoding it can be heard after 5.38 s; at np1-tp1-b8 the first clip after 21.2 s and the last of its batch after 21.9 s'
says 'where the time goes' 'At np1-tp1-b1 the most of a step is products with matrices, 50 %. Sums over ranks and waiting for them are at most 30 %'
says 'what sums cost, in a step and bare' 'Its sums take 2.5 ms of a step, and 0.4 ms with nothing between them'
says 'where the ranks were' '<tr><td>np1-tp1-b1, np1-tp1-b8, np2-tp1-b1, np2-tp2-b1</td><td>node&#60;1&#62;: 0 cores 0-3 numa 0</td>'
passes 'energy has a column' grep -q '<th>J a second' "$page"
says 'how near memory is' 'nearest to the memory&?.?.?s speed at np2-tp2-b1, 0.80 of the floor, and furthest at np1-tp1-b8, 0.20'
says 'codes are compared' 'the same at every point'
says 'what was skipped' 'skipped</td><td>T = 2 does not divide &#60;b&#62;1&#60;/b&#62; ranks'
fails 'no picture is asked for' grep -q '<img' "$page"
passes 'a table for a README' grep -q '^| 1 | 1 | 1 | 8 | 3 | 40.000 (36.000 – 48.000) | 21.13 | 21.23 | 21.93 | 4 | 0.20 | 0 % | – | – | – | 2 | 40 |$' "$BOX/sweep/report.md"
passes 'which names what is missing in it' grep -q '^np1-tp2-b1 was skipped: T = 2 does not divide <b>1</b> ranks\.$' "$BOX/sweep/report.md"

# A line of an older version does not tell all: the others do. Steps that are nearly alike have marks on their axis.
mkdir "$BOX/older" "$BOX/alike"
python3 - "$BOX" <<'END'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1] + "/sweep/results.jsonl")]
one = next(l for l in lines if (l["np"], l["tp"], l["batch"], l["repeat"]) == (1, 1, 1, 2))
one["result"] |= {"ms_per_step": 24.9, "split_sampling_ms": 24.9 * .05}
open(sys.argv[1] + "/alike/results.jsonl", "w").write(json.dumps(one) + "\n")
del one["result"]["decode_first_ms"], one["result"]["decode_batch_ms"]
one["result"] |= {"ms_per_step": 16, "split_sampling_ms": .8}
open(sys.argv[1] + "/older/results.jsonl", "w").write("".join(json.dumps(l) + "\n" for l in lines))
END
passes 'a sweep with a line that tells less' "$MG" report -q "$BOX/older"
passes 'has the median of those that tell it' grep -q '^| 1 | 1 | 1 | 1 | 3 | 16.000 (14.400 – 19.200) | 8.45 | 8.973 | 8.973 |' "$BOX/older/report.md"
passes 'a sweep of one point' "$MG" report -q "$BOX/alike"
passes 'has marks between 10 and 20' grep -qx 'set ytics (12, 14, 16, 18)' "$BOX/alike/plots/front.gp"

printf '{"np":2,"tp"' >>"$BOX/sweep/results.jsonl"
expect 0 'last line is cut off' 'a line that is cut off is left out' "$MG" report "$BOX/sweep"
if command -v gnuplot >/dev/null; then
    passes 'four plots in the page' test "$(grep -o 'src="data:image/svg+xml;base64,' "$page" | wc -l)" = 4
    for plot in speedup front parts floor; do
        passes "$plot is whole as SVG" grep -q '</svg>' "$BOX/sweep/plots/$plot.svg"
        passes "$plot is a PDF" test "$(head -c 5 "$BOX/sweep/plots/$plot.pdf")" = %PDF-
    done
    passes 'a speed-up has the spread of both' grep -qx '2 1.6 1.2 2.13333' "$BOX/sweep/plots/speedup.gp"
    passes 'the parts are named' grep -q 'sums over ranks' "$BOX/sweep/plots/parts.svg"
    passes 'the page has the very files' test "$(sed -n 's/.*src="data:image\/svg+xml;base64,\([^"]*\)".*/\1/p' "$page" | head -1 | base64 -d |
        sha256sum)" = "$(sha256sum <"$BOX/sweep/plots/speedup.svg")"
else
    skipped 'no gnuplot: nothing is drawn'
fi
sed -i '$d; 1s/0123456789abcdef/0000000000000000/' "$BOX/sweep/results.jsonl"
passes 'another code' "$MG" report -q "$BOX/sweep"
passes 'is said' grep -q '<b>not the same at every point' "$page"
fails 'one device is no mixture' grep -q 'id="mixed"' "$page"
sed -i 's/"host"/"device": "fast", "host"/; 1s/"fast"/"slow"/' "$BOX/sweep/results.jsonl"
passes 'two devices' "$MG" report -q "$BOX/sweep"
passes 'are both named' grep -q ' · slow; fast · ' "$page"
passes 'and that the points are not alike' grep -q 'id="mixed"><b>Not all points were measured alike' "$page"

# One rank with four threads, or two with two each, have the same processors.
sed -i '/"np": 1,/s/"threads": 2/"threads": 4/' "$BOX/sweep/results.jsonl"
passes 'ranks that share the processors' "$MG" report -q "$BOX/sweep"
cp "$page" "$BOX/said"
says 'are no larger machine' 'T = 2 makes a clip 1.60 times as fast as T = 1 \(.*\), and costs 0.62 times its processor time'
says 'nor are two replicas' 'make 1.90 times the audio of 1: an efficiency of 190 % \(.*\). Ranks were not alike: 4 threads each at np1-tp1-b1, 2 at np2-tp1-b1'

# Of two replicas one is slow: the rate is what both make, whatever the median of all their steps.
sed -i '/"np": 2, "tp": 1,/s/"x_real_time": [0-9.]*/"x_real_time": 1.5/' "$BOX/sweep/results.jsonl"
passes 'a slow replica' "$MG" report -q "$BOX/sweep"
passes 'counts' grep -q 'make 1.20 times the audio of 1' "$page"
echo mine >>"$BOX/sweep/report.md"
cp "$page" "$BOX/page"
expect 2 'report.md: is there already, and is not as mg-dist wrote it; move it away' 'a table that was edited is not replaced' "$MG" report "$BOX/sweep"
passes 'nor the page beside it' cmp "$page" "$BOX/page"
rm "$BOX/sweep/report.md"
echo mine >>"$page"
expect 2 'report.html: is there already, and is not as mg-dist wrote it; name another file with --out' 'nor a page that was edited' \
    "$MG" report "$BOX/sweep"
sed -i '/"ok"/d' "$BOX/sweep/results.jsonl"
rm "$page"
expect 1 'no point of the sweep was measured' 'a sweep of nothing' "$MG" report "$BOX/sweep"
finish
