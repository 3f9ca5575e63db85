/* The bytes of a sound file as libsndfile is to see them: a file whose header does not say its length,
 * because a pipe wrote it, looks as if it did; BW64 looks as RF64, which it is; a tag (ID3) before a format
 * that has none is not there; an Ogg file of several links is several files, as are MPEG files that were put
 * one behind the other. An MPEG file looks far longer than any file is. Without a header for its frames
 * libmpg123 takes its length from the file's and from one frame, and may be off by any factor. */
#ifndef MG_AUDIO_SOURCE_H
#define MG_AUDIO_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#define MG_AUDIO_STRETCH (INT64_C(1) << 56) /* bytes that an MPEG file seems to have more */

typedef struct mg_audio_source {
    int fd;
    int64_t begin, end, at; /* the link that is read: bytes of the file */
    int64_t *links;         /* [n_links + 1]: where each begins, and the file's end */
    int64_t n_links;
    struct {
        int64_t at;
        uint8_t bytes[4];
    } patch[2]; /* four bytes of the file that are to be others */
    int n_patches;
    bool is_mpeg;
    bool is_sparse;    /* a WAV file whose samples have more bytes than their bits fill */
    bool is_too_long;  /* a WAV file beyond 4 GiB, whose header cannot say its length */
    bool is_cut;       /* the header promises more sound than the file holds (WAV, RF64, W64, AIFF, AU) */
    bool ends_in_page; /* an Ogg file that stops in the middle of a page, of which libsndfile may say nothing
                        */
} mg_audio_source;

/* A regular file, at its first link. MG_EFAIL otherwise. Close is legal on one that did not open. */
mg_status mg_audio_source_open(mg_audio_source *s, const char *path);
void mg_audio_source_close(mg_audio_source *s);

void mg_audio_source_use(mg_audio_source *s, int64_t i_link);

/* As of a file of its own. */
int64_t mg_audio_source_length(const mg_audio_source *s);
int64_t mg_audio_source_seek(mg_audio_source *s, int64_t offset, int whence);
int64_t mg_audio_source_read(mg_audio_source *s, void *data, int64_t bytes);

#endif
