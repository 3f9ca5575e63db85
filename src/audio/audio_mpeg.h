/* MPEG sound (MP3, MP2): where one file ends and the next begins in what was put together by cat, and what
 * stands behind the sound. */
#ifndef MG_AUDIO_MPEG_H
#define MG_AUDIO_MPEG_H

#include <stdint.h>

/* The first byte that is of no ID3 tag, from `at` on. */
int64_t mg_mpeg_skip_id3(int fd, int64_t at);

/* The first frame, here or behind tags and the zeros that follow them; -1: none. */
int64_t mg_mpeg_first_frame(int fd, int64_t at);

/* Where a file of `bytes` ends without the tags at its end (ID3v1, APE). */
int64_t mg_mpeg_end(int fd, int64_t bytes);

/* The first frame of the next file, by what the header at `frame` says of the length of its own; `end`: there
 * is none. */
int64_t mg_mpeg_next(int fd, int64_t frame, int64_t end);

#endif
