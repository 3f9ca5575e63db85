#include "audio_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "out_file.h"
#include "stop.h"
#include "text.h"
#include "write_out.h"

enum { FIRST_BYTES = 1 << 16 };

void mg_audio_sink_close(mg_audio_sink *s)
{
    free(s->data);
    *s = (mg_audio_sink){0};
}

static mg_status put_in_memory(mg_audio_sink *s, const void *data, int64_t bytes)
{
    const int64_t end = s->at + bytes;

    if ((size_t)end > s->room) {
        const size_t wanted = (size_t)end + FIRST_BYTES;
        MG_RETURN(mg_grow(&s->data, &s->room, wanted, 1, "sound file"));
    }
    if (s->at > s->n_data) memset(s->data + s->n_data, 0, (size_t)(s->at - s->n_data));
    memcpy(s->data + s->at, data, (size_t)bytes);
    s->at = end;
    if (end > s->n_data) s->n_data = end;
    return MG_OK;
}

int64_t mg_audio_sink_write(mg_audio_sink *s, const void *data, int64_t bytes)
{
    if (s->st != MG_OK || bytes <= 0) return 0;
    s->st = put_in_memory(s, data, bytes);
    return s->st == MG_OK ? bytes : 0;
}

int64_t mg_audio_sink_read(mg_audio_sink *s, void *data, int64_t bytes)
{
    const int64_t left = s->n_data > s->at ? s->n_data - s->at : 0, n = bytes < left ? bytes : left;

    if (n > 0) memcpy(data, s->data + s->at, (size_t)n);
    s->at += n;
    return n;
}

static int64_t from_origin(const mg_audio_sink *s, int64_t at)
{
    return at < s->origin ? -1 : at - s->origin;
}

int64_t mg_audio_sink_seek(mg_audio_sink *s, int64_t offset, int whence)
{
    if (whence == SEEK_SET) offset += s->origin;
    const int64_t at = offset + (whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->n_data : 0);

    if (at < 0) return -1;
    s->at = at;
    return from_origin(s, at);
}

int64_t mg_audio_sink_tell(mg_audio_sink *s)
{
    return from_origin(s, s->at);
}

int64_t mg_audio_sink_length(mg_audio_sink *s)
{
    return from_origin(s, s->n_data);
}

void mg_audio_sink_set_origin(mg_audio_sink *s)
{
    s->origin += mg_audio_sink_tell(s);
}

/* Whoever reads may rest, and a signal to stop is heeded then: so few bytes never wait where there is room.
 */
static mg_status write_stdout(const uint8_t *data, int64_t bytes)
{
    enum { AT_ONCE = 4096, WAIT_MS = 200 };
    int error = 0;

    for (int64_t at = 0, n; at < bytes && error == 0; at += n) {
        while (poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, WAIT_MS) <= 0)
            MG_RETURN(mg_stop_check());
        n = bytes - at < AT_ONCE ? bytes - at : AT_ONCE;
        error = mg_write_out(STDOUT_FILENO, data + at, (size_t)n);
    }
    if (error == EPIPE)
        return mg_fail(MG_EFAIL, "standard output: its reader closed it before the sound was all written");
    return error ? mg_fail(MG_EFAIL, "standard output: cannot write: %s", strerror(error)) : MG_OK;
}

mg_status mg_audio_sink_finish(mg_audio_sink *s, const char *path, char sha256[65])
{
    MG_RETURN(s->st);
    if (sha256) MG_RETURN(mg_hash_bytes(sha256, s->data, (size_t)s->n_data));
    if (strcmp(path, "-") == 0) return write_stdout(s->data, s->n_data);
    return mg_out_file_put(path, s->data, (size_t)s->n_data);
}
