#!/bin/bash
# A slow network between two hosts (tests/hosts.sh, tbf): the sums of a step take as much longer as their bytes say, and
# their share of the step rises as that predicts.
# usage: slow_network.sh MG-DIST      (skipped with code 77 where namespaces or tbf are not to be had)
set -u
mg=$1
. "$(cd "$(dirname "$0")/.." && pwd)/hosts.sh"
folder=$(mktemp -d)
trap 'hosts_down; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
fail() {
    echo "FAILED: $1"
    sed 's/^/  /' "$folder/out"
    exit 1
}
command -v tc >/dev/null || { hosts_skip 'tc not found (Debian: iproute2)'; exit 77; }
hosts_up 2 || exit 77
unset OMPI_MCA_btl OMPI_MCA_oob_tcp_if_include
printf '%s slots=1\n' "${hosts[@]}" >"$folder/hostfile"

sweep() { # NAME REPEATS: groups of two over both hosts, on one thread each; the repeats that it lacks
    hosts_on "${hosts[0]}" timeout -k 5 100 "$mg" bench scaling --np 2 --tp 2 --batch 4 --shape tiny --steps 5 --warmup 2 --repeats "$2" \
        --out "$folder/$1" --hostfile "$folder/hostfile" --bench-args="--threads 1" --launcher-args="--mca plm_rsh_agent $hosts_rsh \
            --mca btl self,tcp --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 --bind-to none" >"$folder/out" 2>&1 ||
        fail "the sweep $1"
}
limit() { # MBIT: of both cables
    local h
    for h in "${hosts[@]}"; do
        hosts_on "$h" tc qdisc replace dev eth0 root tbf rate "$1mbit" burst 4kb latency 2s 2>"$folder/out" || {
            hosts_skip "tbf: $(head -1 "$folder/out")"
            exit 77
        }
    done
}

# Each rank sends the bytes of its sums once, in packets of 1448 bytes that take 1514 on the wire; what the step does besides
# takes its time as before. Code 3: the best repeat takes much longer than that, as where others use the processors.
cat >"$folder/check.py" <<'END'
import csv, sys
def best(name): # the repeat with the least time in sums
    rows = [r for r in csv.DictReader(open(f"{sys.argv[1]}/{name}/results.csv"))]
    assert rows and all(r["status"] == "ok" for r in rows), rows
    rows = [{k: float(r[k]) for k in r if k.endswith("_ms") or k == "sum_bytes_per_step"} for r in rows]
    for r in rows: r["sums"] = r["all_reduce_ms"] + r["waiting_ms"]
    return min(rows, key=lambda r: r["sums"])
plain, mbit = best("plain"), int(sys.argv[2])
slow = best(f"slow{mbit}")
wire = slow["sum_bytes_per_step"] * 8 * 1514 / 1448 / mbit / 1e3
sums = plain["bare_all_reduce_ms"] + wire # others' work makes ranks wait, but hardly in bare sums
share, predicted = slow["sums"] / slow["split_step_ms"], sums / (slow["split_step_ms"] - slow["sums"] + sums)
print(f"{mbit} Mbit/s: {slow['sum_bytes_per_step']:.0f} bytes a step, {wire:.1f} ms on the wire; sums {plain['sums']:.2f} -> {slow['sums']:.2f} ms, "
      f"predicted {sums:.2f}; bare {plain['bare_all_reduce_ms']:.2f} -> {slow['bare_all_reduce_ms']:.2f} ms; "
      f"{plain['sums'] / plain['split_step_ms']:.0%} -> {share:.0%} of the step, predicted {predicted:.0%}")
assert slow["sums"] > 0.8 * sums and slow["bare_all_reduce_ms"] > 0.8 * wire, "sums are faster than their bytes allow"
assert share > predicted - 0.1, "their share is less than the model says"
sys.exit(3 if slow["sums"] > 1.4 * sums or share > predicted + 0.1 else 0)
END

sweep plain 2
for mbit in 400 100; do
    limit $mbit
    for ((repeats = 1; repeats <= 4; repeats++)); do
        sweep slow$mbit $repeats
        said=$(python3 "$folder/check.py" "$folder" $mbit 2>>"$folder/out")
        code=$?
        [ $code = 3 ] || break
    done
    echo "$said"
    [ $code != 3 ] || echo "this machine is too busy to say that sums take no longer than that"
    [ $code = 0 ] || [ $code = 3 ] || fail 'the prediction'
done
