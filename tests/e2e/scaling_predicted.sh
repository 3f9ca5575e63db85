#!/bin/bash
# mg-dist report of a sweep predicts each point from the others: of steps that are made of known constants it finds those.
#   scaling_predicted.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

# Matrices pass at 10 GB/s and take a tenth more with each row; keys and values at 5 GB/s; a sum takes 0.1 ms, an operation 10 us.
mkdir "$BOX/sweep"
cat >"$BOX/make.py" <<'END'
import json, sys
L, D, F, K, V, S, KEYS = 24, 1024, 4096, 4, 2048, 16, 252
SUMS, OPS = 3 * L + 1, 8 * L + 4
def step(tp, batch):
    rows = 2 * batch
    matrices = 2 * (L * (6 * D * D + 2 * D * F) + K * V * D)
    keys = 2 * 2 * L * D * (rows * KEYS + batch * S)
    return {"products": matrices / tp / 10e9 * (1 + .1 * rows) * 1e3, "attention": keys / tp / 5e9 * 1e3,
            "all_reduce": SUMS * .08 * (tp > 1), "waiting": SUMS * .02 * (tp > 1), "rest": OPS * .01}
out = open(sys.argv[1], "w")
for np, tp, batch in (1, 1, 1), (1, 1, 2), (1, 1, 4), (2, 1, 1), (2, 2, 1), (2, 2, 2), (4, 4, 1):
    parts = step(tp, batch)
    whole = sum(parts.values())
    sampling = 3.5 # of the split's steps alone
    r = {"shape": "small", "dtype": "bf16", "codes": "0", "ms_per_step": whole, "ms_per_step_min": whole, "ms_per_step_p95": whole,
         "bytes_per_step": 1, "read_gbps": 1, "fraction_of_floor": 1, "x_real_time": 1, "layers": L, "width": D, "feed_forward": F,
         "codebooks": K, "entries": V, "rows": 2 * batch, "position": KEYS - 1, "text_tokens": S,
         # the split's steps were twice as slow as the timed ones: shares count
         "split_step_ms": 2 * (whole + sampling), "split_sampling_ms": 2 * sampling}
    r |= {f"split_{k}_ms": 2 * v for k, v in parts.items()}
    print(json.dumps({"np": np, "tp": tp, "batch": batch, "repeat": 1, "status": "ok", "duration": 10, "version": "0.1.0", "settings": "",
                      "result": r}), file=out)
END
python3 "$BOX/make.py" "$BOX/sweep/results.jsonl"
passes 'a report' "$MG" report -q "$BOX/sweep"
# What rates tell nothing of is as the formulas have it: fewer rows than any pass as the fewest do, more as the only ones known.
passes 'constants that others tell are found' python3 - "$BOX" <<'END'
import re, sys
sys.argv[1:], box = ["/dev/null"], sys.argv[1]
exec(open(box + "/make.py").read())
rows = [[c.strip() for c in l.strip("| \n").split("|")] for l in open(box + "/sweep/report.md") if re.match(r"\| \d", l)]
head = [c.strip() for c in open(box + "/sweep/report.md").readline().strip("| \n").split("|")]
got = {tuple(int(r[head.index(k)]) for k in ("ranks", "T", "batch")): r[head.index("predicted, ms")] for r in rows}
def changed(tp, batch, factor):
    p = step(tp, batch)
    return sum(p.values()) + p["products"] * (factor - 1)
want = {(1, 1, 1): changed(1, 1, 1.4 / 1.2), (1, 1, 2): changed(1, 2, 1), (1, 1, 4): changed(1, 4, 1), (2, 1, 1): changed(1, 1, 1),
        (2, 2, 1): changed(2, 1, 1), (2, 2, 2): changed(2, 2, 1.2 / 1.4), (4, 4, 1): None}
for at, ms in want.items(): assert got[at] == ("–" if ms is None else f"{ms:.3f}"), (at, got[at], ms)
END
said() { grep -o 'id="say-predicted">[^<]*' "$BOX/sweep/report.html" >"$BOX/said"; }
said
says 'how many are near' 'within 15 % of the median for 6 of 6 points'
says 'which is furthest off' 'furthest off at np1-tp1-b1, 1.1[0-9] times what was measured'
says 'which is not predicted' 'Of 1 point the others tell too little'
sed -i 's/"layers": 24, //' "$BOX/sweep/results.jsonl"
passes 'lines that do not say what they computed' "$MG" report -q "$BOX/sweep"
said
says 'are not predicted' 'No point can be predicted from others'
finish
