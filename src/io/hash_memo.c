#include "hash_memo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "hash.h"
#include "in_file.h"
#include "out_file.h"
#include "path.h"

enum { MEMO_BYTES = 512, NAME_DIGITS = 16 };

static const int64_t SETTLED_NS = 2000000000; /* the coarsest clock of a file system: FAT's */

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static mg_file_state state_of(const struct stat *s)
{
    return (mg_file_state){(int64_t)s->st_ino, s->st_size, nanoseconds(s->st_mtim), nanoseconds(s->st_ctim)};
}

static bool is_same(const mg_file_state *a, const mg_file_state *b)
{
    return a->inode == b->inode && a->bytes == b->bytes && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

static bool is_settled(const mg_file_state *s)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return s->changed_ns < nanoseconds(now) - SETTLED_NS;
}

static int write_memo(char text[MEMO_BYTES], const mg_file_state *s, const char *sha256)
{
    return snprintf(text, MEMO_BYTES, "mg-dist hash 1 %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s\n",
                    s->inode, s->bytes, s->modified_ns, s->changed_ns, sha256);
}

mg_status mg_hash_memo_parse(mg_hash_memo *out, const char *name, const char *text)
{
    mg_file_state s;
    char sha256[65], again[MEMO_BYTES];

    const bool reads =
        sscanf(text, "mg-dist hash 1 %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %64[0-9a-f]", &s.inode,
               &s.bytes, &s.modified_ns, &s.changed_ns, sha256) == 5;
    if (reads) write_memo(again, &s, sha256);
    if (!reads || strlen(sha256) != 64 || strcmp(again, text) != 0)
        return mg_fail(MG_EFAIL, "%s: is no note of a hash", name);
    out->state = s;
    memcpy(out->sha256, sha256, sizeof sha256);
    return MG_OK;
}

/* FOLDER/hash-0123456789abcdef, by the path without links. */
static mg_status name_of(char out[MG_PATH_SIZE], const char *path, const char *folder)
{
    char *whole = realpath(path, NULL), of_path[65];

    if (!whole) return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
    const mg_status st = mg_hash_bytes(of_path, whole, strlen(whole));
    free(whole);
    MG_RETURN(st);
    return mg_path_format(out, "%s/hash-%.*s", folder, NAME_DIGITS, of_path);
}

static bool recall(mg_hash_memo *out, const char *name)
{
    char *text = NULL;
    int64_t bytes;

    const bool found = mg_in_file_read(&text, &bytes, name, MEMO_BYTES) == MG_OK &&
                       mg_hash_memo_parse(out, name, text) == MG_OK;
    free(text);
    if (!found) mg_clear_error();
    return found;
}

static void put_down(const mg_hash_memo *m, const char *name)
{
    char text[MEMO_BYTES];
    const int n = write_memo(text, &m->state, m->sha256);

    if (mg_out_file_put(name, text, (size_t)n) != MG_OK) mg_clear_error();
}

mg_status mg_hash_memo_file(char sha256[65], bool *was_known, const char *path, int fd, const char *folder)
{
    char name[MG_PATH_SIZE];
    mg_hash_memo known, m;
    struct stat now;

    MG_RETURN(name_of(name, path, folder));
    if (fstat(fd, &now) != 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
    m.state = state_of(&now);
    *was_known = recall(&known, name) && is_same(&known.state, &m.state);
    if (*was_known) {
        memcpy(sha256, known.sha256, sizeof known.sha256);
        return MG_OK;
    }
    const bool settled = is_settled(&m.state);
    MG_RETURN(mg_hash_file(m.sha256, path));
    const mg_file_state after = stat(path, &now) == 0 ? state_of(&now) : (mg_file_state){0};
    if (!is_same(&after, &m.state)) return mg_fail(MG_EFAIL, "%s: was changed while it was read", path);
    memcpy(sha256, m.sha256, sizeof m.sha256);
    if (settled) put_down(&m, name);
    return MG_OK;
}
