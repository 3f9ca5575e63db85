/* A page (RFC 3533): "OggS", version 0, flags, position [8], serial [4], sequence [4], checksum [4], the
 * number of segments, the length of each [1], their data. libogg makes the checksum. Its ogg_sync_pageout
 * would find the pages too, but copies the file to do so and skips what it does not like: here that is a
 * fault. */
#include "ogg_serial.h"

#include <ogg/ogg.h>
#include <string.h>

enum { SERIAL_AT = 14, N_SEGMENTS_AT = 26, HEADER_BYTES = 27 };

/* The length of the page that begins here; 0 if none does, or not a whole one. */
static int64_t page_length(const uint8_t *page, int64_t bytes)
{
    if (bytes < HEADER_BYTES || memcmp(page, "OggS", 5) != 0) return 0; /* with the version, 0 */
    const int n_segments = page[N_SEGMENTS_AT];
    int64_t length = HEADER_BYTES + n_segments;
    if (length > bytes) return 0;
    for (int i = 0; i < n_segments; i++) length += page[HEADER_BYTES + i];
    return length <= bytes ? length : 0;
}

mg_status mg_ogg_serial_set(uint8_t *data, int64_t bytes, uint32_t serial)
{
    int64_t length;

    for (int64_t at = 0; at < bytes; at += length) {
        length = page_length(data + at, bytes - at);
        if (length == 0) return mg_fail(MG_EFAIL, "ogg: byte %lld: no whole page begins here", (long long)at);
        for (int i = 0; i < 4; i++) data[at + SERIAL_AT + i] = (uint8_t)(serial >> 8 * i);
        const int header = HEADER_BYTES + data[at + N_SEGMENTS_AT];
        ogg_page page = {data + at, header, data + at + header, (long)length - header};
        ogg_page_checksum_set(&page);
    }
    return MG_OK;
}
