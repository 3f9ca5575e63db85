/* A frame begins with 11 bits of ones, version [2], layer [2], protection [1], bit rate [4], sampling rate
 * [2] … channel mode [2]. In the first frame of most files, behind its (empty) side information, stands a
 * header: "Xing" or "Info", flags [4], frames [4] if flag 1, bytes of the file [4] if flag 2. */
#include "audio_mpeg.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum {
    ID3_BYTES = 10,
    ID3V1_BYTES = 128,
    APE_BYTES = 32,
    MAX_TAGS = 8,
    MAX_PADDING = 1 << 14,
    LEAST_FILE = 4096, /* a smaller one is a rest: an encoder may not count the frame of its header */
    HAS_FRAMES = 1,
    HAS_BYTES = 2
};

static bool read_at(int fd, void *to, int64_t n, int64_t at)
{
    return at >= 0 && pread(fd, to, (size_t)n, (off_t)at) == n;
}

int64_t mg_mpeg_skip_id3(int fd, int64_t at)
{
    uint8_t head[ID3_BYTES];

    for (int i = 0; i < MAX_TAGS && read_at(fd, head, sizeof head, at) && memcmp(head, "ID3", 3) == 0; i++)
        at += ID3_BYTES +
              ((int64_t)(head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 |
               (head[9] & 127)) +
              (head[5] & 0x10 ? ID3_BYTES : 0); /* a footer */
    return at;
}

static bool read_frame_header(uint8_t head[4], int fd, int64_t at)
{
    return read_at(fd, head, 4, at) && head[0] == 0xFF && (head[1] & 0xE0) == 0xE0 &&
           (head[1] & 0x18) != 0x08 && (head[1] & 0x06) != 0 && (head[2] & 0xF0) != 0xF0 &&
           (head[2] & 0x0C) != 0x0C;
}

int64_t mg_mpeg_first_frame(int fd, int64_t at)
{
    const int64_t behind = mg_mpeg_skip_id3(fd, at);
    uint8_t head[4] = {0};
    int64_t n = 0;

    while (behind > at && n < MAX_PADDING && read_at(fd, head, 1, behind + n) && head[0] == 0) n++;
    return read_frame_header(head, fd, behind + n) ? behind + n : -1;
}

static uint32_t get_u32_big(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static bool is_id3v1(int fd, int64_t at)
{
    uint8_t head[3];

    return read_at(fd, head, sizeof head, at) && memcmp(head, "TAG", sizeof head) == 0;
}

/* "APETAGEX", version [4], bytes without the header [4], items [4], flags [4]: header or footer of a tag. */
static bool read_ape(uint8_t to[APE_BYTES], int64_t *bytes, int fd, int64_t at)
{
    if (!read_at(fd, to, APE_BYTES, at) || memcmp(to, "APETAGEX", 8) != 0) return false;
    *bytes = (int64_t)to[12] | (int64_t)to[13] << 8 | (int64_t)to[14] << 16 | (int64_t)to[15] << 24;
    return true;
}

int64_t mg_mpeg_end(int fd, int64_t bytes)
{
    const int64_t end = is_id3v1(fd, bytes - ID3V1_BYTES) ? bytes - ID3V1_BYTES : bytes;
    uint8_t foot[APE_BYTES];
    int64_t n;

    if (!read_ape(foot, &n, fd, end - APE_BYTES)) return end;
    const int64_t begin = end - n - (foot[23] & 0x80 ? APE_BYTES : 0);
    return begin > 0 ? begin : end;
}

/* Behind the tags that stand at the end of a file. */
static int64_t skip_end_tags(int fd, int64_t at)
{
    uint8_t head[APE_BYTES];
    int64_t n;

    if (read_ape(head, &n, fd, at)) at += APE_BYTES + n;
    return is_id3v1(fd, at) ? at + ID3V1_BYTES : at;
}

int64_t mg_mpeg_next(int fd, int64_t frame, int64_t end)
{
    uint8_t head[4], xing[16];

    if (!read_frame_header(head, fd, frame)) return end;
    const bool is_mono = (head[3] & 0xC0) == 0xC0, is_mpeg1 = (head[1] & 0x18) == 0x18;
    const int64_t side = is_mpeg1 ? (is_mono ? 17 : 32) : (is_mono ? 9 : 17);
    if (!read_at(fd, xing, sizeof xing, frame + 4 + side)) return end;
    const uint32_t flags = get_u32_big(xing + 4);
    if ((memcmp(xing, "Xing", 4) != 0 && memcmp(xing, "Info", 4) != 0) || !(flags & HAS_BYTES)) return end;
    const int64_t bytes = get_u32_big(xing + (flags & HAS_FRAMES ? 12 : 8));
    const int64_t next = bytes < LEAST_FILE ? -1 : mg_mpeg_first_frame(fd, skip_end_tags(fd, frame + bytes));
    return next >= 0 && next < end - LEAST_FILE ? next : end;
}
