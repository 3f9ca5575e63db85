#!/bin/bash
# What only aarch64 compiles, looked at by clang, which knows that processor everywhere: syntax, types and warnings of the
# kernels of level neon and of what chooses them. What they compute is held by tests/aarch64.sh, in an emulator.
#   aarch64.sh ROOT
set -eu
root=$1

# The C library's headers are this machine's; these are another processor's.
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
mkdir "$box/bits" "$box/gnu"
printf '#define __WORDSIZE 64\n#define __WORDSIZE_TIME64_COMPAT32 0\n' >"$box/bits/wordsize.h"
: >"$box/gnu/stubs.h"
printf '#define HWCAP_ASIMDDP (1 << 20)\n' >"$box/bits/hwcap.h"
here=$(clang -print-target-triple 2>/dev/null | sed 's/-pc-/-/') || true
look() {
    clang --target=aarch64-linux-gnu -std=gnu17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Wshadow -Wconversion -Werror \
        -Wno-enum-float-conversion -isystem "$box" -isystem "/usr/include/$here" -I"$root/kernels/cpu" -I"$root/kernels" \
        -I"$root/src/base" "$@"
}
if ! printf '#include <%s.h>\n' arm_neon math stdatomic stdio stdlib string sys/auxv | look -x c - 2>/dev/null; then
    echo 'SKIPPED: no clang that can compile for aarch64 here: the kernels of level neon were not looked at'
    exit 77
fi

n=0
for source in "$root"/kernels/cpu/*_neon*.c $(grep -l __aarch64__ "$root"/kernels/cpu/*.c); do
    case $source in
    *_neondot.c) look -march=armv8.2-a+dotprod "$source" ;;
    *) look "$source" ;;
    esac
    n=$((n + 1))
done
echo "$n files compile for aarch64"
[ "$n" -gt 3 ]
