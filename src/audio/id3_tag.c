/* "ID3", version 4.0, flags, size; then frames: four letters, size, flags [2], text. Sizes have 7 bits a
 * byte. A text begins with its encoding, 3 for UTF-8; a comment's with encoding, language, an empty
 * description.
 *
 * By hand: libid3tag is unmaintained since 2004; TagLib's C interface has no TSSE frame and wants a path, not
 * bytes. */
#include "id3_tag.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 10, LARGEST = (1 << 28) - 1 };
static const char text_begin[] = {3};
static const char comment_begin[] = {3, 'u', 'n', 'd', 0}; /* of no known language */

static void put_size(uint8_t *at, int64_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> 7 * (3 - i) & 0x7f);
}

/* Puts a frame at `at`, unless that is NULL; its length. */
static int64_t put_frame(uint8_t *at, const char *id, const char *begin, size_t begin_bytes, const char *text)
{
    if (!text || !text[0]) return 0;
    const size_t text_bytes = strlen(text), n = begin_bytes + text_bytes;

    if (at) {
        memset(at, 0, HEADER_BYTES);
        memcpy(at, id, 4);
        put_size(at + 4, (int64_t)n);
        memcpy(at + HEADER_BYTES, begin, begin_bytes);
        memcpy(at + HEADER_BYTES + begin_bytes, text, text_bytes);
    }
    return HEADER_BYTES + (int64_t)n;
}

static int64_t put_frames(uint8_t *at, const mg_audio_tags *tags)
{
    int64_t n = 0;

    n += put_frame(at, "TIT2", text_begin, sizeof text_begin, tags->title);
    n += put_frame(at ? at + n : NULL, "TSSE", text_begin, sizeof text_begin, tags->software);
    n += put_frame(at ? at + n : NULL, "COMM", comment_begin, sizeof comment_begin, tags->comment);
    return n;
}

mg_status mg_id3_tag_make(uint8_t **out, int64_t *bytes, const mg_audio_tags *tags)
{
    const int64_t n = put_frames(NULL, tags);

    *out = NULL, *bytes = 0;
    if (n == 0) return MG_OK;
    if (n > LARGEST) return mg_fail(MG_EFAIL, "tags: %lld bytes are more than ID3 holds", (long long)n);
    uint8_t *tag = calloc(1, (size_t)(HEADER_BYTES + n));
    if (!tag) return mg_fail(MG_ENOMEM, "tags: %lld bytes", (long long)n);
    memcpy(tag, "ID3\4", 4);
    put_size(tag + 6, n);
    put_frames(tag + HEADER_BYTES, tags);
    *out = tag, *bytes = HEADER_BYTES + n;
    return MG_OK;
}
