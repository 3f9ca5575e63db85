/* Where an encoder's bytes go: memory, and from there, once they are all there, to a file that appears whole
 * or not at all. Encoders seek back to complete their headers, so this is where the bytes can be hashed
 * without reading a file again. What libsndfile wants of a file: seek, tell, read back, length. */
#ifndef MG_AUDIO_SINK_H
#define MG_AUDIO_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_audio_sink {
    uint8_t *data;
    size_t room;
    int64_t n_data, at; /* bytes; `at` is where the next read or write begins */
    int64_t origin;     /* bytes before offset 0 of the calls below: what was written ahead of the sound */
    mg_status st;       /* the first failure of a call below */
} mg_audio_sink;

/* Zeroed it is open and empty, and closing it is legal. */
void mg_audio_sink_close(mg_audio_sink *s);

/* Bytes done; fewer (or -1) after a failure, which s->st has. */
int64_t mg_audio_sink_write(mg_audio_sink *s, const void *data, int64_t bytes);
int64_t mg_audio_sink_read(mg_audio_sink *s, void *data, int64_t bytes);
int64_t mg_audio_sink_seek(mg_audio_sink *s, int64_t offset, int whence);
int64_t mg_audio_sink_tell(mg_audio_sink *s);
int64_t mg_audio_sink_length(mg_audio_sink *s);

/* What was written so far stands before offset 0 from now on. */
void mg_audio_sink_set_origin(mg_audio_sink *s);

/* All of it to `path`, or to standard output for "-". sha256: of the bytes; NULL: not wanted. */
mg_status mg_audio_sink_finish(mg_audio_sink *s, const char *path, char sha256[65]);

#endif
