#!/bin/sh
# Builds the Debian packages in build-package. The same commit gives the same bytes, in whatever folder.
set -eu
cd "$(dirname "$0")/.."
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)}"
export SOURCE_DATE_EPOCH
umask 022
rm -rf build-package/*.deb build-package/_CPack_Packages
cmake --preset package --log-level=NOTICE
cmake --build --preset package
(cd build-package && cpack -G DEB >cpack.log) || {
    cat build-package/cpack.log >&2
    exit 1
}
rm -rf build-package/_CPack_Packages
lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs build-package/*.deb
for deb in build-package/*.deb; do echo "made: $deb"; done
