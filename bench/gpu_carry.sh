#!/bin/sh
# gpu_carry.sh BUILD FILE.tar.zst: a build with its tests and the libraries that it opens, in one file, for a machine that
# has a GPU and none of them. BUILD was made with -DMG_CUDA=on (targets gpu_tests, compare_clip, golden_wav and
# sound_facts too). There, as root, with the checkout (or a link to it) at the same path as here:
#   tar xf FILE.tar.zst -C / --skip-old-files --keep-directory-symlink    what that system has of its own stays
#   bench/gpu.sh --built BUILD
# The C library, libstdc++ and libgcc are that system's: it must not be older than this one.
set -eu
build=$(cd "${1:?a build}" && pwd)
file=$(realpath "${2:?a file}")
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

# ---- The build ----
to=$box$build
mkdir -p "$to"
(cd "$build" && find . \( -name '*_gpu' -o -path './share/*' -o -path './tests/e2e/*' \) -type f ! -path '*/CMakeFiles/*' \
    ! -name '*.cmake' -exec cp --parents {} "$to" \;)
cp "$build/mg-dist" "$build/libmg_cuda.so" "$to"
find "$to" -type f -perm -u+x -exec sh -c 'strip "$1" 2>/dev/null || true' - {} \;

# ---- What it opens: libraries, and Open MPI with its plug-ins ----
lib=/usr/lib/x86_64-linux-gnu
copy() { cp --parents -P "$@" "$box"; }
for folder in $lib/openmpi/lib $lib/pmix2/lib/pmix /usr/share/openmpi /usr/share/pmix /etc/openmpi; do
    [ ! -d "$folder" ] || (cd / && find "$folder" \( -type f -o -type l \) ! -name '*.a' ! -name '*.jar' -exec cp --parents -P {} "$box" \;)
done
copy /usr/bin/orterun /usr/bin/orted /usr/bin/ompi_info
ln -s orterun "$box/usr/bin/mpirun"
find "$to" "$box$lib" -type f \( -name '*.so*' -o -perm -u+x \) -exec ldd {} \; 2>/dev/null | awk '$3 ~ /^\// { print $3 }' |
    sort -u | grep -vE '/(libc|libm|libgcc_s|libstdc\+\+|libpthread|libdl|librt)\.so' | while read -r name; do
    real=$(readlink -f "$name")
    mkdir -p "$box$lib"
    cp "$real" "$box$lib/$(basename "$name")"
done
missing=$(find "$to" -type f -perm -u+x -exec ldd {} \; 2>/dev/null | grep 'not found' | sort -u || true)
[ -z "$missing" ] || { echo "gpu_carry: what the build needs is not here: $missing" >&2 && exit 1; }
tar c -C "$box" --owner=0 --group=0 . | zstd -q -19 -T0 -f -o "$file"
ls -l "$file"
