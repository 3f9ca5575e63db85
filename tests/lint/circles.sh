#!/bin/sh
# Files that need each other.   circles.sh BUILD   prints "a.c b.c: need each other" and exits 1 on a find.
# An object file needs another if it uses a name that the other defines. Headers may lie: a function can be
# declared in one file's header and stand in another file. The linker's names do not. Of the includes,
# `lint.sh circles` looks at the headers among themselves.
set -eu
cd "${1:?a build folder}"
LC_ALL=C
export LC_ALL
command -v nm >/dev/null || { echo "SKIPPED: nm not found"; exit 77; }
[ -n "$(find . -name status.c.o)" ] || { echo "$1: no objects: build first"; exit 1; }

# "FILE T name" and "FILE U name"; then an edge for every name that one file uses and another one defines.
loops=$(find . -name '*.[co].o' ! -path '*/tests/*' | sort | xargs nm -A -P |
    sed -n 's|^\(.*/\)\{0,1\}\([^/]*\)\.o: \([^ ]*\) \([TDBRVWU]\)\( .*\)\{0,1\}$|\2 \4 \3|p' |
    awk '$2 != "U" { at[$3] = $1; next } { use[++n] = $1 SUBSEP $3 }
    END { for (i = 1; i <= n; i++) { split(use[i], u, SUBSEP); if (u[2] in at && at[u[2]] != u[1]) print u[1], at[u[2]] } }' |
    sort -u | tsort 2>&1 >/dev/null | sed -n 's/^tsort: //p' | grep -v 'contains a loop' || true)

[ -z "$loops" ] && exit 0
echo "files that need each other, in a circle:"
printf '%s\n' "$loops"
exit 1
