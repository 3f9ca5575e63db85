/* Any bytes as a sound file, before libsndfile sees them: links that lie in the file one behind the other,
 * and bytes that are the file's but for the few that are to be others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audio_source.h"
#include "fuzz.h"

enum { MOST_LINKS = 16, PIECE = 1000, TAG_BYTES = 128 };

/* How many bytes are other ones. */
static int64_t compare(const uint8_t *is, const uint8_t *was, int64_t n)
{
    int64_t n_others = 0;

    for (int64_t i = 0; i < n; i++) n_others += is[i] != was[i];
    return n_others;
}

static void read_link(mg_audio_source *s, int64_t i, const uint8_t *file)
{
    uint8_t piece[PIECE];
    int64_t at = s->links[i], n, n_others = 0;

    mg_audio_source_use(s, i);
    FUZZ_CHECK(mg_audio_source_length(s) >= s->end - s->begin);
    while ((n = mg_audio_source_read(s, piece, PIECE)) > 0) {
        FUZZ_CHECK(at + n <= s->end);
        n_others += compare(piece, file + at, n);
        at += n;
    }
    FUZZ_CHECK(at == s->end && n_others <= 4 * s->n_patches);
    FUZZ_CHECK(mg_audio_source_seek(s, -1, SEEK_SET) == -1 && mg_audio_source_seek(s, 0, SEEK_SET) == 0);
    FUZZ_CHECK(mg_audio_source_seek(s, -TAG_BYTES, SEEK_END) < 0 ||
               mg_audio_source_read(s, piece, PIECE) <= TAG_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static int fd = -1;
    char path[64];
    mg_audio_source s;

    if (fd < 0) fd = memfd_create("sound", 0);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, bytes, 0) == (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mg_clear_error();
    FUZZ_CHECK(mg_audio_source_open(&s, path) == MG_OK); /* what it is, libsndfile says */
    FUZZ_CHECK(s.n_links >= 1 && s.links[0] >= 0 && s.links[s.n_links] <= (int64_t)bytes);
    FUZZ_CHECK(s.n_patches >= 0 && s.n_patches <= 2);
    for (int64_t i = 0; i < s.n_links; i++)
        FUZZ_CHECK(s.links[i] < s.links[i + 1] || (s.links[i] == s.links[i + 1] && s.n_links == 1));
    for (int64_t i = 0; i < s.n_links && i < MOST_LINKS; i++) read_link(&s, i, data);
    mg_audio_source_close(&s);
    return 0;
}
