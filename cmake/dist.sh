#!/bin/sh
# Writes mg-dist-VERSION.tar.gz of the committed tree, with the commit's name in the file `commit`. Same commit, same bytes.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^project(mg-dist VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=mg-dist-$version
[ -z "$(git status --porcelain)" ] || echo "dist: note: what is not committed is left out" >&2
git archive --format=tar --prefix="$name/" --add-virtual-file="$name/commit:$(git rev-parse --short=10 HEAD)" HEAD |
    gzip -9n >"$name.tar.gz"
echo "made: $name.tar.gz"
