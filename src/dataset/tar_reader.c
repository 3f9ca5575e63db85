#include "tar_reader.h"

#include <string.h>

enum { BLOCK_BYTES = 512, NAME_BYTES = 100, DIGITS = 11 };

mg_status mg_tar_reader_open(mg_tar_reader *t, const char *path)
{
    *t = (mg_tar_reader){0};
    MG_RETURN(mg_in_file_map(&t->file, path));
    t->name = t->file.path ? t->file.path : path;
    t->data = t->file.data;
    t->bytes = t->file.bytes;
    return MG_OK;
}

void mg_tar_reader_open_text(mg_tar_reader *t, const char *name, const char *data, int64_t bytes)
{
    *t = (mg_tar_reader){.name = name, .data = data, .bytes = bytes};
}

void mg_tar_reader_close(mg_tar_reader *t)
{
    mg_in_file_unmap(&t->file);
    *t = (mg_tar_reader){0};
}

static bool is_zero(const char *data, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i++)
        if (data[i]) return false;
    return true;
}

static mg_status cut_off(const mg_tar_reader *t)
{
    return mg_fail(MG_EFAIL, "%s: cut off behind %s", t->name, *t->member ? t->member : "its beginning");
}

static mg_status damaged(const mg_tar_reader *t)
{
    return mg_fail(MG_EFAIL, "%s: damaged at byte %lld, behind %s", t->name, (long long)t->at,
                   *t->member ? t->member : "its beginning");
}

/* Octal digits to a NUL; -1: it is no such number. */
static int64_t number(const char *field, int digits)
{
    int64_t value = 0;

    for (int i = 0; i < digits; i++) {
        if (field[i] < '0' || field[i] > '7') return -1;
        value = value * 8 + (field[i] - '0');
    }
    return field[digits] ? -1 : value;
}

static bool has_sum(const char *h)
{
    unsigned sum = 0;

    for (int i = 0; i < BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? ' ' : (unsigned char)h[i];
    return number(h + 148, 6) == (int64_t)sum;
}

/* A header and the bytes behind it; *type 0: the end. */
static mg_status next_entry(mg_tar_reader *t, const char **header, const char **data, int64_t *bytes,
                            char *type)
{
    const char *h = t->data + t->at;

    if (t->bytes - t->at < BLOCK_BYTES) return cut_off(t);
    *type = '\0';
    if (is_zero(h, BLOCK_BYTES)) {
        if (t->bytes - t->at < 2 * BLOCK_BYTES) return cut_off(t);
        return t->bytes - t->at == 2 * BLOCK_BYTES && is_zero(h, 2 * BLOCK_BYTES) ? MG_OK : damaged(t);
    }
    *bytes = number(h + 124, DIGITS);
    if (memcmp(h + 257, "ustar", 5) != 0 || *bytes < 0 || !has_sum(h)) return damaged(t);
    const int64_t room = (*bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    *header = h;
    *type = h[156];
    *data = h + BLOCK_BYTES;
    if (*type != '0' && *type != 'L') return damaged(t);
    if (room > t->bytes - t->at - BLOCK_BYTES) {
        if (*type == '0' && !*t->member)
            memcpy(t->member, h, strnlen(h, NAME_BYTES)); /* what it is cut off in */
        return cut_off(t);
    }
    if (!is_zero(*data + *bytes, room - *bytes)) return damaged(t);
    t->at += BLOCK_BYTES + room;
    return MG_OK;
}

mg_status mg_tar_reader_next(mg_tar_reader *t, mg_tar_member *m, bool *over)
{
    const char *header, *data;
    char type;
    int64_t bytes;

    *over = false;
    MG_RETURN(next_entry(t, &header, &data, &bytes, &type));
    if (type == 'L') { /* the name of the next one */
        const char *name = data;
        const int64_t n = bytes;
        if (n < 2 || n > MG_PATH_SIZE || name[n - 1] || (int64_t)strlen(name) != n - 1) return damaged(t);
        MG_RETURN(next_entry(t, &header, &data, &bytes, &type));
        if (type != '0') return damaged(t);
        memcpy(t->member, name, (size_t)n);
    } else if (type == '0') {
        const size_t n = strnlen(header, NAME_BYTES);
        if (n == 0) return damaged(t);
        memcpy(t->member, header, n);
        t->member[n] = '\0';
    } else {
        *over = true;
        return MG_OK;
    }
    *m = (mg_tar_member){t->member, data, bytes};
    return MG_OK;
}
