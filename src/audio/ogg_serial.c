/* A page (RFC 3533): "OggS", version 0, flags, position [8], serial [4], sequence [4], checksum [4], the
 * number of segments, the length of each [1], their data. The checksum is over the page with a checksum of
 * zero. */
#include "ogg_serial.h"

#include <string.h>

enum { SERIAL_AT = 14, CHECKSUM_AT = 22, N_SEGMENTS_AT = 26, HEADER_BYTES = 27 };
#define POLYNOMIAL 0x04c11db7u

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> 8 * i);
}

static void make_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i << 24;
        for (int bit = 0; bit < 8; bit++) v = v << 1 ^ (v & 1u << 31 ? POLYNOMIAL : 0);
        table[i] = v;
    }
}

static uint32_t checksum(const uint32_t table[256], const uint8_t *data, int64_t bytes)
{
    uint32_t v = 0;

    for (int64_t i = 0; i < bytes; i++) v = v << 8 ^ table[(v >> 24 ^ data[i]) & 0xff];
    return v;
}

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
    uint32_t table[256];
    int64_t length;

    make_table(table);
    for (int64_t at = 0; at < bytes; at += length) {
        length = page_length(data + at, bytes - at);
        if (length == 0) return mg_fail(MG_EFAIL, "ogg: byte %lld: no whole page begins here", (long long)at);
        put_u32(data + at + SERIAL_AT, serial);
        put_u32(data + at + CHECKSUM_AT, 0);
        put_u32(data + at + CHECKSUM_AT, checksum(table, data + at, length));
    }
    return MG_OK;
}
