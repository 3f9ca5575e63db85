/* From a file to pieces of text: unpacks, and finds where a line, a CSV record or a JSON value ends. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "job_reader_impl.h"
#include "stop.h"
#include "utf8.h"

enum { CHUNK_BYTES = 1 << 17 };

void mg_job_where(char out[MG_JOB_WHERE_SIZE], const char *name, int64_t line)
{
    snprintf(out, MG_JOB_WHERE_SIZE, "%.*s: line %" PRId64, mg_utf8_fit(name, 4000), name, line);
}

mg_status mg_job_bytes_open(mg_job_bytes *b, const char *path)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    const int fd = is_stdin ? dup(STDIN_FILENO) : -1;

    *b = (mg_job_bytes){.name = is_stdin ? "standard input" : path, .line = 1};
    errno = 0;
    b->file = is_stdin ? gzdopen(fd, "rb") : gzopen(path, "rbe");
    if (b->file) {
        gzbuffer(b->file, CHUNK_BYTES);
        return MG_OK;
    }
    const int code = errno;
    if (fd >= 0) close(fd);
    if (code == EINTR) MG_RETURN(mg_stop_check()); /* a pipe that nobody writes into */
    return mg_fail(MG_EFAIL, "%s: cannot open: %s", b->name, code ? strerror(code) : "no memory");
}

mg_status mg_job_bytes_open_text(mg_job_bytes *b, const char *name, const char *text, int64_t text_bytes)
{
    *b = (mg_job_bytes){.name = name, .memory = text, .memory_bytes = text_bytes, .line = 1};
    return MG_OK;
}

void mg_job_bytes_close(mg_job_bytes *b)
{
    if (b->file) gzclose(b->file);
    free(b->data);
    *b = (mg_job_bytes){0};
}

static mg_status make_room(mg_job_bytes *b)
{
    if (b->at > 0) {
        memmove(b->data, b->data + b->at, b->n - b->at);
        b->n -= b->at;
        b->at = 0;
    }
    if (b->capacity - b->n >= CHUNK_BYTES) return MG_OK;
    const size_t capacity = 2 * b->capacity + 2 * CHUNK_BYTES;
    char *larger = realloc(b->data, capacity + 1);
    if (!larger) return mg_fail(MG_ENOMEM, "%s: %zu bytes", b->name, capacity);
    b->data = larger;
    b->capacity = capacity;
    return MG_OK;
}

static mg_status read_more(mg_job_bytes *b)
{
    int code = Z_OK;

    MG_RETURN(make_room(b));
    if (!b->file) {
        const size_t now = b->memory_bytes < CHUNK_BYTES ? (size_t)b->memory_bytes : CHUNK_BYTES;
        if (now > 0) memcpy(b->data + b->n, b->memory, now);
        b->memory += now, b->memory_bytes -= (int64_t)now, b->n += now;
        b->ended = b->memory_bytes == 0;
        return MG_OK;
    }
    MG_RETURN(mg_stop_check());
    errno = 0;
    const int got = gzread(b->file, b->data + b->n, CHUNK_BYTES);
    const char *why = gzerror(b->file, &code);
    if (got < 0) MG_RETURN(mg_stop_check());
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
        const bool of_system = code == Z_ERRNO && errno;
        return mg_fail(MG_EFAIL, "%s: cannot read: %s", b->name,
                       of_system             ? strerror(errno)
                       : code == Z_BUF_ERROR ? "the packed file is cut off"
                                             : why);
    }
    b->n += (size_t)got;
    b->ended = got == 0;
    return MG_OK;
}

mg_status mg_job_bytes_need(mg_job_bytes *b, size_t n)
{
    while (b->n - b->at < n && !b->ended) MG_RETURN(read_more(b));
    return MG_OK;
}

/* How far a search came: it goes on there when more bytes have been read. */
typedef struct scan {
    size_t i;       /* from `at` */
    bool in_string; /* or in a quoted field */
    bool within;    /* a field has begun: a quote in it is a character of its text */
    bool escaped;
    int depth;
} scan;

static bool find_line(scan *s, const char *p, size_t n)
{
    const char *newline = memchr(p + s->i, '\n', n - s->i);

    s->i = newline ? (size_t)(newline - p) : n;
    return newline != NULL;
}

/* A quote that begins a field opens it, the next one closes it; of a doubled one the second opens again.
 * Between strokes a field begins behind its blanks. */
static bool find_record(scan *s, const char *p, size_t n, char delimiter)
{
    for (; s->i < n; s->i++) {
        const char c = p[s->i];
        if (c == '"' && !s->within) {
            s->in_string = !s->in_string;
        } else if (!s->in_string) {
            if (c == '\n') return true;
            const bool is_blank = delimiter == '|' && (c == ' ' || c == '\t');
            s->within = c != delimiter && (s->within || !is_blank);
        }
    }
    return false;
}

/* Ends at the ',' or ']' of the array around it. */
static bool find_value(scan *s, const char *p, size_t n)
{
    for (; s->i < n; s->i++) {
        const char c = p[s->i];
        if (s->in_string) {
            if (c == '"' && !s->escaped) s->in_string = false;
            s->escaped = c == '\\' && !s->escaped;
            continue;
        }
        if (c == '"') s->in_string = true;
        if (s->depth == 0 && (c == ',' || c == ']')) return true;
        s->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (s->depth < 0) s->depth = 0;
    }
    return false;
}

static bool find(scan *s, mg_job_cut how, const mg_job_bytes *b)
{
    const char *p = b->data + b->at;
    const size_t n = b->n - b->at;

    if (how == MG_JOB_VALUE) return find_value(s, p, n);
    return how == MG_JOB_ROW ? find_record(s, p, n, b->delimiter) : find_line(s, p, n);
}

static int64_t count_lines(const char *p, size_t n)
{
    int64_t lines = 0;

    for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))); p++) lines++;
    return lines;
}

/* Take n bytes and the delimiter behind them, if there is one. */
static void take(mg_job_bytes *b, mg_job_piece *piece, size_t n, bool delimited, mg_job_cut how)
{
    *piece = (mg_job_piece){b->data + b->at, n, b->line};
    const size_t all = n + (delimited && how != MG_JOB_VALUE);
    b->line += count_lines(piece->text, all);
    b->at += all;
    if (delimited && how != MG_JOB_VALUE) piece->text[n] = '\0';
}

/* Behind a piece that is longer than we keep: a line at a time, so that what follows can still be read. */
static mg_status pass_over(mg_job_bytes *b)
{
    const char *newline = NULL;

    while (!newline) {
        const char *from = b->data + b->at;
        const size_t left = b->n - b->at;
        newline = memchr(from, '\n', left);
        const size_t all = newline ? (size_t)(newline - from) + 1 : left;
        b->line += newline != NULL;
        b->at += all;
        if (newline || b->ended) break;
        MG_RETURN(read_more(b));
    }
    return MG_OK;
}

mg_status mg_job_bytes_cut(mg_job_bytes *b, mg_job_piece *piece, mg_job_cut how)
{
    scan s = {0};
    bool found = false;
    const int64_t line = b->line;

    *piece = (mg_job_piece){0};
    MG_RETURN(mg_job_bytes_need(b, 1));
    if (b->n == b->at) return MG_OK;
    while (!(found = find(&s, how, b)) && !b->ended && s.i <= MG_JOB_RECORD_BYTES) MG_RETURN(read_more(b));
    if (s.i > MG_JOB_RECORD_BYTES) {
        MG_RETURN(pass_over(b));
        return mg_fail(MG_EUSAGE, "%s: line %lld: longer than %d bytes, the limit for a job", b->name,
                       (long long)line, MG_JOB_RECORD_BYTES);
    }
    if (!found && (s.in_string || (how == MG_JOB_VALUE))) {
        b->at = b->n;
        return mg_fail(MG_EUSAGE, "%s: line %lld: %s", b->name, (long long)line,
                       how == MG_JOB_VALUE ? "the array has no end" : "a quote is opened and never closed");
    }
    take(b, piece, s.i, found, how);
    if (!found) b->data[b->n] = '\0';
    return MG_OK;
}

char *mg_job_trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t n = strlen(text); n > 0 && strchr(" \t", text[n - 1]); n--) text[n - 1] = '\0';
    return text;
}

const char *mg_job_skip(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p) && *p) p++;
    return p;
}
