#include "audio_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio_mpeg.h"
#include "stop.h"
#include "text.h"

enum { OGG_HEADER_BYTES = 27, OGG_BEGIN = 2, MAX_CHUNKS = 1000, TAG_BYTES = 128 };
#define SIZE_UNKNOWN 0x7FFF0000u /* sox, ffmpeg and others write a size like this, or 0, into a pipe */

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool read_at(const mg_audio_source *s, void *to, int64_t n, int64_t at)
{
    return pread(s->fd, to, (size_t)n, (off_t)at) == n;
}

/* An open regular file (a pipe cannot be sought in, and would make us wait), or -1 with *why. */
static int open_regular(const char *path, int64_t *bytes, const char **why)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *why = fd < 0 || fstat(fd, &info) != 0 ? strerror(errno)
           : S_ISDIR(info.st_mode)         ? strerror(EISDIR)
           : !S_ISREG(info.st_mode)        ? "it is no regular file; save the sound to one"
                                           : NULL;
    *bytes = *why ? 0 : (int64_t)info.st_size;
    if (!*why) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static uint32_t get_u32_big(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static uint64_t get_u64(const uint8_t *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static void add_patch(mg_audio_source *s, int64_t at, const uint8_t bytes[4])
{
    s->patch[s->n_patches].at = at;
    memcpy(s->patch[s->n_patches++].bytes, bytes, 4);
}

/* Do chunks stand from here to the file's end? */
static bool chunks_follow(const mg_audio_source *s, int64_t at, int64_t end)
{
    uint8_t chunk[8];

    for (int i = 0; i < MAX_CHUNKS && read_at(s, chunk, sizeof chunk, at); i++) {
        for (int k = 0; k < 4; k++)
            if (chunk[k] < ' ' || chunk[k] > '~') return false;
        const uint32_t size = get_u32(chunk + 4);
        at += (int64_t)sizeof chunk + size;
        if (at == end || at + size % 2 == end) return true;
        at += size % 2;
    }
    return false;
}

/* The data chunk of a WAV file against the file's length; `long_bytes` is the size that ds64 says. A size
 * that may stand for an unknown one is a size where other chunks begin behind it. */
static void look_at_data(mg_audio_source *s, int64_t at, uint32_t size, uint64_t long_bytes, int64_t left)
{
    const int64_t data = at + 8;
    const bool is_unknown = (size == 0 || size >= SIZE_UNKNOWN) &&
                            !(size < left && chunks_follow(s, data + size + size % 2, data + left));

    if (long_bytes) {
        s->is_cut = long_bytes > (uint64_t)left;
    } else if (left > UINT32_MAX) {
        s->is_too_long = true;
    } else if (is_unknown && left > 0 && left != size) {
        const uint8_t bytes[4] = {(uint8_t)left, (uint8_t)(left >> 8), (uint8_t)(left >> 16),
                                  (uint8_t)(left >> 24)};
        add_patch(s, at + 4, bytes);
    } else {
        s->is_cut = size > left;
    }
}

/* Tag [2], channels [2], rates [8], bytes of a frame [2], bits [2]: libsndfile goes by the bits alone. */
static void look_at_format(mg_audio_source *s, int64_t at)
{
    uint8_t fmt[16];

    if (!read_at(s, fmt, sizeof fmt, at)) return;
    const int tag = fmt[0] | fmt[1] << 8, n_channels = fmt[2] | fmt[3] << 8;
    const int frame_bytes = fmt[12] | fmt[13] << 8, bits = fmt[14] | fmt[15] << 8;
    if (tag == 1 || tag == 3 || tag == 0xFFFE) s->is_sparse = frame_bytes > n_channels * ((bits + 7) / 8);
}

static void look_at_riff(mg_audio_source *s, const uint8_t head[12], int64_t begin, int64_t file_bytes)
{
    uint8_t chunk[8], ds64[16];
    uint64_t long_bytes = 0;
    int64_t at = begin + 12;

    if (memcmp(head + 8, "WAVE", 4) != 0) return;
    if (memcmp(head, "BW64", 4) == 0) add_patch(s, begin, (const uint8_t *)"RF64");
    for (int i = 0; i < MAX_CHUNKS && read_at(s, chunk, sizeof chunk, at); i++) {
        const uint32_t size = get_u32(chunk + 4);
        const int64_t data = at + (int64_t)sizeof chunk;
        if (memcmp(chunk, "fmt ", 4) == 0) look_at_format(s, data);
        if (memcmp(chunk, "data", 4) == 0) {
            look_at_data(s, at, size, long_bytes, file_bytes - data);
            return;
        }
        if (head[1] != 'I' && memcmp(chunk, "ds64", 4) == 0 && read_at(s, ds64, sizeof ds64, data))
            long_bytes = get_u64(ds64 + 8);
        at = data + size + size % 2;
    }
}

static void look_at_aiff(mg_audio_source *s, int64_t begin, int64_t file_bytes)
{
    uint8_t chunk[8];
    int64_t at = begin + 12;

    for (int i = 0; i < MAX_CHUNKS && read_at(s, chunk, sizeof chunk, at); i++) {
        const uint32_t size = get_u32_big(chunk + 4);
        at += (int64_t)sizeof chunk;
        if (memcmp(chunk, "SSND", 4) == 0) {
            s->is_cut = size < SIZE_UNKNOWN && size > file_bytes - at;
            return;
        }
        at += size + size % 2;
    }
}

/* What the header promises, where libsndfile says nothing of it. */
static void look_at_header(mg_audio_source *s, int64_t begin, int64_t file_bytes)
{
    uint8_t head[24];

    if (!read_at(s, head, sizeof head, begin)) return;
    const int64_t bytes = file_bytes - begin;
    if (memcmp(head, "RIFF", 4) == 0 || memcmp(head, "RF64", 4) == 0 || memcmp(head, "BW64", 4) == 0)
        look_at_riff(s, head, begin, file_bytes);
    if (memcmp(head, "FORM", 4) == 0) look_at_aiff(s, begin, file_bytes);
    if (memcmp(head, ".snd", 4) == 0)
        s->is_cut = get_u32_big(head + 8) < SIZE_UNKNOWN &&
                    (int64_t)get_u32_big(head + 4) + (int64_t)get_u32_big(head + 8) > bytes;
    if (memcmp(head, "riff\x2e\x91\xcf\x11", 8) == 0) /* W64 */
        s->is_cut = get_u64(head + 16) < INT64_MAX && get_u64(head + 16) > (uint64_t)bytes;
}

/* Where the sound begins behind tags, if it is of a format that libsndfile loses its way in behind them. */
static int64_t skip_tags(const mg_audio_source *s)
{
    static const char *const magics[] = {"RIFF", "RF64", "BW64", "FORM", "riff", ".snd", "caff"};
    const int64_t at = mg_mpeg_skip_id3(s->fd, 0);
    uint8_t head[4];

    for (size_t k = 0; k < sizeof magics / sizeof *magics && read_at(s, head, sizeof head, at); k++)
        if (memcmp(head, magics[k], sizeof head) == 0) return at;
    return 0;
}

static mg_status add_link(mg_audio_source *s, size_t *capacity, int64_t at)
{
    MG_RETURN(mg_grow(&s->links, capacity, (size_t)s->n_links + 2, sizeof *s->links, "sound"));
    s->links[s->n_links++] = at;
    return MG_OK;
}

/* Where the links of an Ogg file begin: at the first of the pages that say so, one for each of its streams.
 */
static mg_status find_ogg_links(mg_audio_source *s, size_t *capacity, int64_t file_bytes)
{
    uint8_t page[OGG_HEADER_BYTES + 255];
    bool begins = false;

    for (int64_t at = 0; read_at(s, page, OGG_HEADER_BYTES, at) && memcmp(page, "OggS", 5) == 0;) {
        const int n_segments = page[26];
        int64_t length = OGG_HEADER_BYTES + n_segments;
        MG_RETURN(mg_stop_check());
        const bool began = begins;
        s->ends_in_page = at + length > file_bytes;
        if (!read_at(s, page + OGG_HEADER_BYTES, n_segments, at + OGG_HEADER_BYTES)) break;
        for (int i = 0; i < n_segments; i++) length += page[OGG_HEADER_BYTES + i];
        begins = page[5] & OGG_BEGIN;
        if (begins && !began) MG_RETURN(add_link(s, capacity, at));
        at += length;
        s->ends_in_page = at > file_bytes;
    }
    return MG_OK;
}

/* Those of MPEG are files that cat put one behind the other: the first one's header knows only of itself. */
static mg_status find_links(mg_audio_source *s, int64_t begin, int64_t file_bytes)
{
    const int64_t frame = mg_mpeg_first_frame(s->fd, begin);
    size_t capacity = 0;
    int64_t end = frame >= 0 ? mg_mpeg_end(s->fd, file_bytes) : file_bytes;

    s->is_mpeg = frame >= 0 && frame < end;
    if (s->is_mpeg) {
        for (int64_t at = frame; at < end; at = mg_mpeg_next(s->fd, at, end))
            MG_RETURN(add_link(s, &capacity, at));
    } else {
        MG_RETURN(find_ogg_links(s, &capacity, file_bytes));
        if (!s->n_links) MG_RETURN(add_link(s, &capacity, begin));
        s->links[0] = begin; /* whatever stands before: libsndfile's business */
    }
    s->links[s->n_links] = end;
    return MG_OK;
}

mg_status mg_audio_source_open(mg_audio_source *s, const char *path)
{
    const char *why;
    int64_t bytes;

    *s = (mg_audio_source){.fd = -1};
    s->fd = open_regular(path, &bytes, &why);
    if (s->fd < 0) return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, why);
    const int64_t begin = skip_tags(s);
    look_at_header(s, begin, bytes);
    MG_RETURN(find_links(s, begin, bytes));
    mg_audio_source_use(s, 0);
    return MG_OK;
}

void mg_audio_source_close(mg_audio_source *s)
{
    if (s->fd >= 0) close(s->fd);
    free(s->links);
    *s = (mg_audio_source){.fd = -1};
}

void mg_audio_source_use(mg_audio_source *s, int64_t i_link)
{
    s->begin = s->at = s->links[i_link];
    s->end = s->links[i_link + 1];
}

/* Where the link ends as libsndfile sees it. */
static int64_t shown_end(const mg_audio_source *s)
{
    return s->end + (s->is_mpeg ? MG_AUDIO_STRETCH : 0);
}

int64_t mg_audio_source_length(const mg_audio_source *s)
{
    return shown_end(s) - s->begin;
}

int64_t mg_audio_source_seek(mg_audio_source *s, int64_t offset, int whence)
{
    const int64_t at = offset + (whence == SEEK_SET ? s->begin : whence == SEEK_CUR ? s->at : shown_end(s));

    if (at < s->begin) return -1;
    s->at = at;
    return at - s->begin;
}

/* Nothing; but who looks for a tag at the end finds that there is none. */
static int64_t read_behind(mg_audio_source *s, void *data, int64_t bytes)
{
    const int64_t left = shown_end(s) - s->at;

    if (!s->is_mpeg || left <= 0 || left > TAG_BYTES) return 0;
    if (bytes > left) bytes = left;
    memset(data, 0, (size_t)bytes);
    s->at += bytes;
    return bytes;
}

int64_t mg_audio_source_read(mg_audio_source *s, void *data, int64_t bytes)
{
    int64_t done = 0;

    if (s->at >= s->end) return read_behind(s, data, bytes);
    if (bytes > s->end - s->at) bytes = s->end - s->at;
    while (done < bytes) {
        const ssize_t n = pread(s->fd, (char *)data + done, (size_t)(bytes - done), (off_t)(s->at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break; /* a file that has become shorter ends here */
        done += n;
    }
    for (int i = 0; i < s->n_patches; i++)
        for (int k = 0; k < 4; k++) {
            const int64_t at = s->patch[i].at + k - s->at;
            if (at >= 0 && at < done) ((uint8_t *)data)[at] = s->patch[i].bytes[k];
        }
    s->at += done;
    return done;
}
