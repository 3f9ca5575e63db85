#include "dataset_sound.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audio_file.h"
#include "dataset.h"
#include "tar_reader.h"

#define MOST_BYTES ((int64_t)1 << 34)

/* NAME.flac of a shard: the member of the clip's key. */
static mg_status read_member(char **data, int64_t *bytes, const char *dir, const mg_clip_line *line)
{
    mg_status st = MG_OK;
    mg_tar_reader tar = {0};
    mg_tar_member m;
    char path[MG_PATH_SIZE], name[MG_PATH_SIZE];
    bool over = false;

    MG_RETURN(mg_dataset_member_name(name, line->file, NULL));
    MG_RETURN(mg_path_format(path, "%s/%s", dir, line->shard));
    MG_TRY(mg_tar_reader_open(&tar, path));
    do MG_TRY(mg_tar_reader_next(&tar, &m, &over));
    while (!over && !mg_dataset_is_member(m.name, name));
    if (over) MG_TRY(mg_fail(MG_EFAIL, "%s: has no %s", path, name));
    *data = malloc((size_t)m.bytes + 1);
    if (!*data) MG_TRY(mg_fail(MG_ENOMEM, "%s: %lld bytes", name, (long long)m.bytes));
    memcpy(*data, m.data, (size_t)m.bytes);
    *bytes = m.bytes;
done:
    mg_tar_reader_close(&tar);
    return st;
}

mg_status mg_dataset_read_clip(char **data, int64_t *bytes, const char *dir, const mg_clip_line *line)
{
    char path[MG_PATH_SIZE];

    *data = NULL;
    if (!line->file || !strrchr(line->file, '.')) return mg_fail(MG_EFAIL, "%s: a clip without a file", dir);
    if (line->shard) return read_member(data, bytes, dir, line);
    MG_RETURN(mg_path_format(path, "%s/%s", dir, line->file));
    return mg_in_file_read(data, bytes, path, MOST_BYTES);
}

mg_status mg_dataset_show_bytes(char path[MG_SHOWN_PATH_SIZE], int *fd, const void *data, int64_t bytes)
{
    *fd = memfd_create("clip", MFD_CLOEXEC);
    if (*fd < 0) return mg_fail(MG_ENOMEM, "clip: %lld bytes: %s", (long long)bytes, strerror(errno));
    for (int64_t at = 0; at < bytes;) {
        const ssize_t n = write(*fd, (const char *)data + at, (size_t)(bytes - at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            close(*fd);
            return mg_fail(MG_ENOMEM, "clip: %lld bytes: no memory", (long long)bytes);
        }
        at += n;
    }
    snprintf(path, MG_SHOWN_PATH_SIZE, "/proc/self/fd/%d", *fd);
    return MG_OK;
}

void mg_dataset_unshow(int fd)
{
    close(fd);
}

mg_status mg_dataset_decode(mg_sound *out, const void *data, int64_t bytes, const char *shown)
{
    char path[MG_SHOWN_PATH_SIZE];
    int fd;

    MG_RETURN(mg_dataset_show_bytes(path, &fd, data, bytes));
    mg_status st = mg_audio_file_read(out, path, INFINITY);
    mg_dataset_unshow(fd);
    if (st == MG_EFAIL) {
        const char *why = strstr(mg_last_error(), ": ");
        st = mg_fail(MG_EFAIL, "%s: %s", shown, why ? why + 2 : mg_last_error());
    }
    return st;
}
