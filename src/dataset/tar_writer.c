#include "tar_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 512, NAME_BYTES = 100, CHUNK_BYTES = 1 << 18 };
#define MOST_BYTES INT64_C(077777777777) /* 8 GiB: eleven octal digits */

static const char zeros[2 * BLOCK_BYTES];

int64_t mg_tar_writer_room(int64_t bytes)
{
    return BLOCK_BYTES + (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

mg_status mg_tar_writer_begin(mg_tar_writer *t, const char *path)
{
    *t = (mg_tar_writer){.file = {.fd = -1}};
    MG_RETURN(mg_hash_open(&t->hash));
    return mg_out_file_begin(&t->file, path);
}

static mg_status put(mg_tar_writer *t, const void *data, size_t bytes)
{
    MG_RETURN(mg_hash_add(t->hash, data, bytes));
    MG_RETURN(mg_out_file_write(&t->file, data, bytes));
    t->bytes += (int64_t)bytes;
    return MG_OK;
}

/* Offsets of ustar's header: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, sum 148, type 156,
 * magic 257. A name that is longer has its own entry before it, as GNU tar's './@LongLink' has. */
static mg_status put_header(mg_tar_writer *t, const char *name, int64_t bytes, char type)
{
    char h[BLOCK_BYTES] = {0};
    unsigned sum = 0;

    memcpy(h, name, strnlen(name, NAME_BYTES));
    memcpy(h + 100, "0000644", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)bytes);
    memcpy(h + 136, "00000000000", 12);
    memcpy(h + 148, "        ", 8);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    for (int i = 0; i < BLOCK_BYTES; i++) sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    return put(t, h, sizeof h);
}

static mg_status pad(mg_tar_writer *t)
{
    const size_t over = (size_t)(t->bytes % BLOCK_BYTES);

    return over ? put(t, zeros, BLOCK_BYTES - over) : MG_OK;
}

static mg_status begin_entry(mg_tar_writer *t, const char *name, int64_t bytes)
{
    const size_t n = strlen(name);

    if (bytes > MOST_BYTES)
        return mg_fail(MG_EFAIL, "%s: larger than the 8 GiB that a file in a tar can have", name);
    if (n > NAME_BYTES) {
        MG_RETURN(put_header(t, "././@LongLink", (int64_t)n + 1, 'L'));
        MG_RETURN(put(t, name, n + 1));
        MG_RETURN(pad(t));
    }
    return put_header(t, name, bytes, '0');
}

mg_status mg_tar_writer_add(mg_tar_writer *t, const char *name, const void *data, int64_t bytes)
{
    MG_RETURN(begin_entry(t, name, bytes));
    MG_RETURN(put(t, data, (size_t)bytes));
    return pad(t);
}

static mg_status copy(mg_tar_writer *t, int fd, const char *path, int64_t bytes)
{
    mg_status st = MG_OK;
    char *chunk = malloc(CHUNK_BYTES);

    if (!chunk) return mg_fail(MG_ENOMEM, "tar: %d bytes", CHUNK_BYTES);
    while (bytes > 0) {
        const ssize_t n = read(fd, chunk, bytes < CHUNK_BYTES ? (size_t)bytes : CHUNK_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            MG_TRY(mg_fail(MG_EFAIL, "%s: cannot read: %s", path, n < 0 ? strerror(errno) : "cut off"));
        MG_TRY(put(t, chunk, (size_t)n));
        bytes -= n;
    }
done:
    free(chunk);
    return st;
}

mg_status mg_tar_writer_add_file(mg_tar_writer *t, const char *name, const char *path, int64_t bytes)
{
    mg_status st = MG_OK;
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0)
        MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno)));
    if (info.st_size != bytes)
        MG_TRY(mg_fail(MG_EFAIL,
                       "%s: has %lld bytes, and not the %lld that were recorded: something else changed it; "
                       "the same command makes it again",
                       path, (long long)info.st_size, (long long)bytes));
    MG_TRY(begin_entry(t, name, bytes));
    MG_TRY(copy(t, fd, path, bytes));
    MG_TRY(pad(t));
done:
    if (fd >= 0) close(fd);
    return st;
}

mg_status mg_tar_writer_commit(mg_tar_writer *t, char sha256[65])
{
    MG_RETURN(put(t, zeros, sizeof zeros));
    mg_hash *hash = t->hash;
    t->hash = NULL;
    MG_RETURN(mg_hash_end(hash, sha256));
    return mg_out_file_commit(&t->file);
}

void mg_tar_writer_abandon(mg_tar_writer *t)
{
    mg_hash_close(t->hash);
    t->hash = NULL;
    mg_out_file_abandon(&t->file);
}
