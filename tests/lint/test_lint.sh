#!/bin/sh
# Each rule must catch a violation of itself, name the file, and pass a clean house.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
n=0

fail() {
    echo "FAILED: $1"
    exit 1
}

# A small clean house.
clean() {
    rm -rf "$box/house"
    mkdir -p "$box/house/src/base" "$box/house/src/io" "$box/house/src/engine" "$box/house/kernels/cpu" "$box/house/docs"
    cd "$box/house"
    cp "$here/../../.clang-format" .
    printf '#ifndef MG_A_H\n#define MG_A_H\n\nint mg_a(void);\n\n#endif\n' >src/base/a.h
    printf '/* printf("in a comment") */\n#include "a.h"\n\n#include <stdio.h>\n\nint mg_a(void)\n{\n    return 0;\n}\n' >src/base/a.c
    printf '#ifndef MG_PLAN_H\n#define MG_PLAN_H\n\n#endif\n' >src/engine/plan.h
    printf '# House\n\nSee [docs](docs/A.md).\n' >README.md
    printf '# A\n\nBack [home](../README.md#house), out [there](https://example.org).\n' >docs/A.md
}

# caught RULE FILE: the rule fails and names the file.
caught() {
    n=$((n + 1))
    if said=$("$here/lint.sh" "$1" .); then fail "$1 passed what it must not: $2"; fi
    case $said in
    *"$2"*) ;;
    *) fail "$1 does not name $2 but says: $said" ;;
    esac
}

clean
for rule in include circles size prose text names links; do
    "$here/lint.sh" $rule . || fail "$rule on a clean house"
done

clean; echo '#include "plan.h"' >>src/base/a.c; caught include src/base/a.c
clean; echo '#include "../engine/plan.h"' >>src/io/b.c; caught include src/io/b.c
clean; echo '#include <mpi.h>' >>src/io/b.c; caught include src/io/b.c
clean; echo '#include <cjson/cJSON.h>' >>src/engine/b.c; caught include src/engine/b.c
clean; echo '#include <sndfile.h>' >>src/io/b.c; caught include src/io/b.c
clean; echo '#include <cuda_runtime.h>' >>kernels/cpu/b.c; caught include kernels/cpu/b.c
clean; echo 'int f(const mg_ops *ops) { return ops->iface->add(ops); }' >>src/engine/b.c; caught include src/engine/b.c
clean; echo '#include "plan_impl.h"' >>src/engine/b.c; caught include src/engine/b.c
clean; echo '#include <assert.h>' >>src/base/a.c; caught include src/base/a.c

clean; echo '#include "plan.h"' >>src/base/a.h; echo '#include "a.h"' >>src/engine/plan.h; caught circles a.h

# Two objects that need each other, and two of which one needs the other.
if command -v nm >/dev/null && command -v cc >/dev/null; then
    clean
    echo 'int mg_a(void) { return 0; }' | cc -x c -c -o src/base/status.c.o -
    echo 'int mg_a(void); int mg_b(void) { return mg_a(); }' | cc -x c -c -o src/base/b.c.o -
    "$here/circles.sh" src/base || fail "circles.sh on a clean house"
    echo 'int mg_b(void); int mg_a(void) { return mg_b(); }' | cc -x c -c -o src/base/status.c.o -
    n=$((n + 1))
    if "$here/circles.sh" src/base >/dev/null; then fail "circles.sh passed a circle"; fi
fi

clean; awk 'BEGIN { for (i = 0; i < 501; i++) print "" }' >>src/base/a.c; caught size src/base/a.c
clean; awk 'BEGIN { printf "/* "; for (i = 0; i < 140; i++) printf "x"; print " */" }' >>src/base/a.c; caught size src/base/a.c
clean; awk 'BEGIN { print "int f(void)\n{"; for (i = 0; i < 90; i++) print "    g();"; print "}" }' >>src/base/a.c
caught size src/base/a.c

clean; awk 'BEGIN { printf "/* Short. One two"; for (i = 0; i < 24; i++) printf " word"; print ". */" }' >>src/base/a.h; caught prose src/base/a.h
clean; awk 'BEGIN { for (i = 0; i < 30; i++) printf "word "; print "" }' >>docs/A.md; caught prose docs/A.md
clean; printf '/* TO%s: later */\n' DO >>src/base/a.c; caught text src/base/a.c
clean; printf 'void f(void)\n{\n    printf("x");\n}\n' >>src/base/a.c; caught text src/base/a.c
clean; printf 'void f(void)\n{\n    exit(1);\n}\n' >>kernels/cpu/b.c; caught text kernels/cpu/b.c
clean; mkdir src/clips; printf 'void f(void)\n{\n    printf("x");\n}\n' >>src/clips/c.c; caught text src/clips/c.c
clean; printf 'void f(void)\n{\n    fprintf(stderr, "x");\n}\n' >>src/io/b.c; caught text src/io/b.c
clean; echo "look in $box/other" >>docs/A.md; caught text docs/A.md

clean; : >src/io/a.c; caught names src/io/a.c
clean; mkdir tests; printf '#!/bin/sh\n' >tests/a.sh; caught names tests/a.sh; chmod +x tests/a.sh; "$here/lint.sh" names . || fail 'a script'
clean; echo 'See [nothing](missing.md).' >>docs/A.md; caught links docs/A.md
clean; printf '# One `thing`, two\n[it](#one-thing-two), [it](A.md#one-thing-two)\n' >docs/A.md; "$here/lint.sh" links . || fail 'a heading'
clean; printf '# One\nSee [nothing](A.md#two).\n' >docs/A.md; caught links docs/A.md

if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    clean
    "$here/lint.sh" format . || fail "format on a clean house"
    echo 'int   f( void ) ;' >>src/base/a.c; caught format src/base/a.c
else
    echo "SKIPPED: no clang-format of version 14: its rule was not tried"
fi
echo "ok: $n violations caught"
