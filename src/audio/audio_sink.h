/* Where an encoder's bytes go: a file that appears whole or not at all, or memory. What libsndfile wants of a
 * file (seek, tell, read back, length) works on both. */
#ifndef MG_AUDIO_SINK_H
#define MG_AUDIO_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "out_file.h"
#include "status.h"

typedef struct mg_audio_sink {
    mg_out_file file; /* its fd is -1 if the bytes go to memory */
    uint8_t *data;
    size_t room;
    int64_t n_data, at; /* bytes; `at` is where the next read or write begins */
    int64_t origin;     /* bytes before offset 0 of the calls below: what was written ahead of the sound */
    mg_status st;       /* the first failure of a call below */
} mg_audio_sink;

/* path NULL: memory. Close is legal on a zeroed one whose file.fd is -1; a file not finished is gone then. */
mg_status mg_audio_sink_open(mg_audio_sink *s, const char *path);
void mg_audio_sink_close(mg_audio_sink *s);

/* Bytes done; fewer (or -1) after a failure, which s->st has. */
int64_t mg_audio_sink_write(mg_audio_sink *s, const void *data, int64_t bytes);
int64_t mg_audio_sink_read(mg_audio_sink *s, void *data, int64_t bytes);
int64_t mg_audio_sink_seek(mg_audio_sink *s, int64_t offset, int whence);
int64_t mg_audio_sink_tell(mg_audio_sink *s);
int64_t mg_audio_sink_length(mg_audio_sink *s);

/* What was written so far stands before offset 0 from now on. */
void mg_audio_sink_set_origin(mg_audio_sink *s);

/* The file gets its name; memory goes to `path` as a whole, or to standard output for "-". */
mg_status mg_audio_sink_finish(mg_audio_sink *s, const char *path);

#endif
