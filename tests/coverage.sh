#!/usr/bin/env bash
# Lines that the release tests reach, by folder, from gcov: one table.   make coverage
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset coverage --log-level=WARNING >/dev/null
cmake --build --preset coverage >build-coverage/build.log || { grep -m 20 'error:' build-coverage/build.log; exit 1; }
find build-coverage -name '*.gcda' -delete
# A test that fails leaves its lines uncounted: it is said, and the table comes all the same.
ctest --preset coverage -j"$(nproc)" >build-coverage/test.log || sed -n '/tests FAILED/,$p' build-coverage/test.log
find build-coverage -name '*.gcda' -path '*mg*' | sed 's/\.gcda$/.gcno/' | while read -r f; do gcov -n -s "$PWD" -r "$f" 2>/dev/null; done |
    awk -F"[':%]" '/^File / { file = $2 }
        /^Lines executed:/ && file ~ /^(src|kernels|parallel)\/.*\.(c|cc|h)$/ {
            split($0, part, " of "); percent = $2; lines = part[2]
            if (lines + 0 > n[file] + 0 || percent / 100 * lines > hit[file]) { n[file] = lines; hit[file] = percent / 100 * lines }
        }
        END { for (f in n) { d = f; sub(/\/[^\/]*$/, "", d); N[d] += n[f]; H[d] += hit[f]; NN += n[f]; HH += hit[f] }
              for (d in N) printf "%-26s %6d lines %5.1f %%\n", d, N[d], 100 * H[d] / N[d] | "sort"
              close("sort"); printf "%-26s %6d lines %5.1f %%\n", "all", NN, 100 * HH / NN }'
