#!/bin/bash
# mg-dist report A B: two sweeps are compared point by point, and what differs by more than the spread is said.
#   scaling_compare.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

# sweep NAME 'np tp batch ms; …' [key=value …]: three repeats a point, of 0.95, 1 and 1.05 times its time.
cat >"$BOX/sweep.py" <<'END'
import json, os, sys
folder, points, more = sys.argv[1], sys.argv[2], dict(a.split("=", 1) for a in sys.argv[3:])
os.makedirs(folder)
factors = {"1": (1,), "3": (.95, 1, 1.05)}[more.pop("repeats", "3")]
line = {"status": "ok", "duration": 10, "version": more.pop("version", "0.1.0"), "settings": "s"}
out = open(folder + "/results.jsonl", "w")
for repeat, factor in enumerate(factors, 1):
    for np, tp, batch, ms in (map(float, p.split()) for p in points.split(";")):
        at = {"np": int(np), "tp": int(tp), "batch": int(batch), "repeat": repeat} | line
        figures = {"host": "node1", "backend": "cpu/avx512", "shape": "small", "dtype": "bf16", "codes": "0123", "ms_per_step": ms * factor,
                   "ms_per_step_min": ms, "ms_per_step_p95": ms, "bytes_per_step": 1e9, "read_gbps": 10, "fraction_of_floor": 8 / ms,
                   "x_real_time": 1}
        out.write(json.dumps(at | {"result": figures | more}) + "\n")
END
sweep() { local name=$1; shift; python3 "$BOX/sweep.py" "$BOX/$name" "$@"; }
sweep a '1 1 1 16; 2 2 1 10; 2 1 1 17; 1 1 8 40' 'host=old' 'device=H100'
sweep b '1 1 1 12; 2 2 1 14; 2 1 1 17.2; 4 4 1 8' 'host=new<1>' 'device=A100' version=0.2.0
printf '{"np":1,"tp":1,"batch":8,"repeat":1,"status":"failed","duration":10,"version":"0.2.0","settings":"s","reason":"it | fell, %s"}\n' \
    '\"so\"' >>"$BOX/b/results.jsonl"
expect 0 'compare.html: 3 points are in both sweeps, and a step of B takes 1.020 times' 'two sweeps' "$MG" report "$BOX/a" "$BOX/b"
says 'how many differ beyond the spread' '2 of 3 differ by more than their spread'
says 'where B gains most' 'B is faster at 1 point, the most at np1-tp1-b1: 0.75 times'
says 'where it loses most' 'B is slower at 1 point, the most at np2-tp2-b1: 1.40 times'
says 'what chance makes: a tenth of points of three repeats each' 'chance alone would make 0.3 such points'
says 'points that one sweep lacks' '2 points are in one sweep alone'
says 'other hosts and versions are named' 'device: A has H100, B has A100; host: A has old, B has new<1>; version: A has 0.1.0, B has 0.2.0'
cp "$BOX/b/compare.md" "$BOX/said"
says 'a ratio with its range' '^\| 1 \| 1 \| 1 \| 1 \| 0.750 .0.679 – 0.829. \| B is faster \| 16.000 .15.200 – 16.800. '
says 'a point that failed in B' '^\| 1 \| 1 \| 1 \| 8 \| – \| B: failed: it \\\| fell, "so" \| 40.000 .* – \|$'
says 'a point that A has not' '^\| 4 \| 4 \| .*\| A: not measured \| – \|'
cp "$BOX/b/compare.html" "$BOX/said"
says 'the page escapes' '<b>new&#60;1&#62;</b>'
fails 'and asks nobody for anything' grep -Eq '(src|href)="(http|//|/)' "$BOX/b/compare.html"
passes 'CSV and JSON have the numbers' python3 -c '
import csv, json, sys
rows = {(r["np"], r["tp"], r["batch"]): r for r in csv.DictReader(open(sys.argv[1] + "/compare.csv"))}
points = {tuple(str(p[k]) for k in ("np", "tp", "batch")): p for p in json.load(open(sys.argv[1] + "/compare.json"))["points"]}
assert list(rows) == list(points) and len(rows) == 5, rows
for at, r in rows.items():
    p = points[at]
    assert r["verdict"] == p["verdict"] and r["note"] == (p["note"] or ""), p
    assert (float(r["ratio"]) if r["ratio"] else None) == p["ratio"], p
    assert (r["a_step_ms"] == "") == (p["a"] is None) and int(r["b_repeats"]) == (p["b"] or {"repeats": 0})["repeats"], p
assert rows["1", "1", "8"]["note"] == "B: failed: it | fell, \"so\""
assert rows["2", "1", "1"]["verdict"] == "within the spread" and rows["2", "2", "1"]["verdict"] == "B is slower"' "$BOX/b"

sweep one '1 1 1 12' repeats=1 host=old
expect 0 '1 point has one repeat alone, and so no spread' 'one repeat tells no spread' "$MG" report "$BOX/a" "$BOX/one"
fails 'and nothing is said to be faster' grep -q faster "$BOX/said"
sweep large '1 1 1 99' shape=large
expect 0 'model: A has small, B has large.*Two models are compared' 'another model is named' "$MG" report "$BOX/a" "$BOX/large"
passes 'on the page too' grep -q 'id="models">Two models' "$BOX/large/compare.html"
sweep far '8 1 1 12'
expect 0 'No point is in both sweeps' 'nothing in common' "$MG" report "$BOX/a" "$BOX/far"
expect 0 'A has 0.1.0; 0.2.0, B has' 'two versions in one folder' bash -c 'cat "$1/b/results.jsonl" >>"$1/far/results.jsonl"
    "$2" report "$1/far" "$1/a" --out "$1/named.html"' - "$BOX" "$MG"
passes 'the page is where it was asked for' grep -q 'Two sweeps compared' "$BOX/named.html"
expect 2 'no results.jsonl, so no sweep' 'a folder that is no sweep' "$MG" report "$BOX/a" "$BOX"
mkdir "$BOX/none"
expect 0 'without its plot: gnuplot is not installed' 'a page without gnuplot' env PATH="$BOX/none" "$MG" report "$BOX/a" "$BOX/b"
passes 'says what is missing' grep -q 'id="missing">The plot is missing: gnuplot' "$BOX/b/compare.html"
if command -v gnuplot >/dev/null; then
    "$MG" report -q "$BOX/a" "$BOX/b"
    passes 'the plot is in the page' grep -q 'src="data:image/svg+xml;base64,' "$BOX/b/compare.html"
    passes 'whole as SVG' grep -q '</svg>' "$BOX/b/plots/compare.svg"
    passes 'and a PDF' test "$(head -c 5 "$BOX/b/plots/compare.pdf")" = %PDF-
else
    skipped 'no gnuplot: nothing is drawn'
fi
echo mine >"$BOX/b/compare.html"
expect 2 'compare.html: is there already, and is not as mg-dist wrote it; name another file' 'another file is not replaced' "$MG" report "$BOX/a" "$BOX/b"
echo mine >>"$BOX/b/compare.md"
expect 2 'compare.md: is there already, and is not as mg-dist wrote it; move it away' 'nor a table that was edited' "$MG" report "$BOX/a" "$BOX/b" --out "$BOX/b/c.html"
rm "$BOX/b/compare.md"
expect 2 'compare.csv: is there already; move it away' 'nor what may be of somebody else' "$MG" report "$BOX/a" "$BOX/b" --out "$BOX/b/c.html"
finish
