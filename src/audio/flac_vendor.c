/* "fLaC", then blocks of metadata (RFC 9639): a type whose highest bit marks the last one, a length [3], the
 * data. Block 4 is Vorbis' comments: the vendor's length [4, little-endian] and name, then the comments. No
 * block says where another one is but the table of seek points, which counts from the first frame. */
#include "flac_vendor.h"

#include <stdbool.h>
#include <string.h>

enum { MARK_BYTES = 4, HEADER_BYTES = 4, COMMENTS = 4, VENDOR_AT = HEADER_BYTES + 4 };

static int64_t block_length(const uint8_t *block)
{
    return (int64_t)block[1] << 16 | block[2] << 8 | block[3];
}

/* The vendor of a whole block of comments of this length; -1 if it is none. */
static int64_t vendor_length(const uint8_t *block, int64_t length)
{
    const uint8_t *at = block + HEADER_BYTES;

    if (length < VENDOR_AT - HEADER_BYTES) return -1;
    const int64_t n = (int64_t)at[3] << 24 | at[2] << 16 | at[1] << 8 | at[0];
    return n <= length - (VENDOR_AT - HEADER_BYTES) ? n : -1;
}

mg_status mg_flac_vendor_remove(uint8_t *data, int64_t *bytes)
{
    bool is_last = *bytes == 0; /* a sound without a frame is an empty file */

    if (*bytes > 0 && (*bytes < MARK_BYTES || memcmp(data, "fLaC", MARK_BYTES) != 0))
        return mg_fail(MG_EFAIL, "flac: no FLAC file");
    for (int64_t at = MARK_BYTES; !is_last;) {
        if (at + HEADER_BYTES > *bytes || at + HEADER_BYTES + block_length(data + at) > *bytes)
            return mg_fail(MG_EFAIL, "flac: byte %lld: no whole block begins here", (long long)at);
        uint8_t *block = data + at;
        int64_t length = block_length(block);
        is_last = (block[0] & 0x80) != 0;
        if ((block[0] & 0x7F) == COMMENTS) {
            const int64_t n = vendor_length(block, length);
            if (n < 0) return mg_fail(MG_EFAIL, "flac: byte %lld: comments that are none", (long long)at);
            memset(block + HEADER_BYTES, 0, 4);
            memmove(block + VENDOR_AT, block + VENDOR_AT + n, (size_t)(*bytes - at - VENDOR_AT - n));
            length -= n;
            *bytes -= n;
            block[1] = (uint8_t)(length >> 16), block[2] = (uint8_t)(length >> 8), block[3] = (uint8_t)length;
        }
        at += HEADER_BYTES + length;
    }
    return MG_OK;
}
