#!/bin/sh
# House rules that a machine can check.   lint.sh RULE [ROOT]   prints "file:line: what" and exits 1 on a find.
#   include   who may include what (docs/ARCHITECTURE.md, "Layers")
#   circles   headers that include each other (circles.sh finds the files that need each other)
#   size      files to 500 lines, lines to 140 columns, functions to 90 lines
#   text      words that have no place: notes to self, one machine's paths, printf and exit in libraries
#   prose     sentences of headers to 25 words, in the rooms that have been gone through
#   names     file names are unique in src, kernels and parallel; what begins with #! can be started
#   links     every relative link in a *.md leads to a file, and to a heading if it names one
#   format    clang-format finds nothing to change
#   sources   no rule: lists the source files
set -eu
rule=${1:?a rule}
here=$(cd "$(dirname "$0")" && pwd)
cd "${2:-$here/../..}"
LC_ALL=C
export LC_ALL

# Only folders that are ours: a build folder or an output folder may hold anything.
sources() {
    for d in src kernels parallel tests bench; do
        [ ! -d "$d" ] || find "$d" -name golden -prune -o -type f \( -name '*.[ch]' -o -name '*.cc' -o -name '*.cu*' \) -print
    done | sort
}

libraries() { sources | grep -E '^(src/[a-z]+|kernels|parallel)/' | grep -Ev '^src/(cli|clips|commands)/' || true; }

texts() {
    sources
    for d in . .ci src kernels parallel tests bench cmake docs launch hostfiles; do
        [ ! -d "$d" ] || find "$d" $([ "$d" = . ] && echo -maxdepth 1 || true) -name golden -prune -o -type f \
            \( -name '*.md' -o -name '*.sh' -o -name '*.txt' -o -name '*.cmake' -o -name Makefile -o -path .ci/run \
            -o -name CMakePresets.json \) -print
    done | sed 's|^\./||' | sort -u
}

# awk over a list of files; an empty list is a clean house, not a read of stdin.
over() {
    list=$1
    shift
    [ -z "$list" ] || awk "$@" $list
}

case $rule in
sources) sources; exit 0 ;;
include) found=$(over "$(sources)" -v all="$(sources)" -f "$here/include.awk") ;;
circles)
    found=$(sources | grep '\.h$' | xargs -r awk '/^[ \t]*#[ \t]*include[ \t]*"/ { split($0, part, "\""); name = FILENAME
        sub(/.*\//, "", name); print name, part[2] }' | tsort 2>&1 >/dev/null | sed -n 's/^tsort: //p' |
        grep -v 'contains a loop' | sed 's/$/:1: includes itself by way of others/' || true)
    ;;
size) found=$(over "$(sources)" -f "$here/size.awk") ;;
prose)
    found=$(
        over "$(sources | grep -E '^(src|kernels|parallel)/.*\.h$' || true)" -f "$here/prose.awk"
        over "$(texts | grep '\.md$' | grep -vE '^docs/(CLI|GPU_KERNELS)\.md$')" -f "$here/wrap.awk" # those two are generated
    )
    ;;
text)
    found=$(
        over "$(libraries)" -f "$here/calls.awk"
        sources | grep -E '^src/(clips|commands)/' | xargs -r grep -HnE '(^|[^A-Za-z_])(printf|puts|putchar)\(' |
            sed 's/^\([^:]*:[0-9]*:\).*/\1 not by mg_print (show.h), which escapes names/' || true
        parent=$(dirname "$PWD") # of a checkout in a folder that every system has, nothing can be said
        case $parent in /tmp | /var/tmp | /srv | /opt | /usr/src) parent='' ;; esac
        over "$(texts)" -v parent="$parent" -f "$here/words.awk"
    )
    ;;
names)
    found=$(sources | grep -E '^(src|kernels|parallel)/' | awk '{ n = $0; sub(/.*\//, "", n)
        if (n in seen) print $0 ":1: the name is taken by " seen[n]
        seen[n] = $0 }'
        for d in .ci tests bench cmake launch; do
            [ ! -d "$d" ] || find "$d" -type f \( -name '*.sh' -o -name '*.py' -o -name '*.sbatch' \) ! -perm -u+x -exec \
                awk '/^#!/ { print FILENAME ":1: begins with #! and is not executable" } { nextfile }' {} +
        done)
    ;;
links)
    found=$(over "$(texts | grep '\.md$')" -f "$here/links.awk" | while IFS='	' read -r at target heading; do
        [ -e "$target" ] || echo "$at: no such file: $target"
        [ ! -e "$target" ] || [ -z "$heading" ] || awk -f "$here/anchors.awk" "$target" | grep -qxF -- "$heading" ||
            echo "$at: no such heading: $target#$heading"
    done)
    ;;
format)
    if ! command -v clang-format >/dev/null; then
        echo "SKIPPED: clang-format not found (make deps-check installs it)"
        exit 77
    fi
    if ! clang-format --version | grep -q 'version 14\.'; then
        echo "SKIPPED: clang-format is not version 14, and each version breaks lines in its own way"
        exit 77
    fi
    found=$(sources | xargs -r clang-format --dry-run -Werror 2>&1 | grep -E ': (error|warning):' || true)
    ;;
*) echo "lint: $rule: no such rule" >&2; exit 2 ;;
esac

[ -z "$found" ] && exit 0
printf '%s\n' "$found"
exit 1
