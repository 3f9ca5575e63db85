#!/bin/sh
# What libsndfile's headers before 1.1 lack is MP3: the room compiles without.   before_mpeg.sh CC TESTS-FOLDER
set -eu
cc=$1 root=$2/..
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
header=$(printf '#include <sndfile.h>\n' | "$cc" -E - | sed -n 's/^# [0-9]* "\(.*sndfile\.h\)".*/\1/p' | head -1)
sed 's/SF_FORMAT_MPEG/SF_LATER_MPEG/; s/\(SFC*_[SETG_]*\)BITRATE_MODE/\1LATER_MODE/' "$header" >"$box/sndfile.h"
for file in audio_read audio_write; do
    "$cc" -std=gnu17 -D_GNU_SOURCE -DMG_SNDFILE_BEFORE_MPEG -Wall -Wextra -Werror -fsyntax-only -I"$box" -I"$root/src/audio" \
        -I"$root/src/io" -I"$root/src/base" "$root/src/audio/$file.c"
done
