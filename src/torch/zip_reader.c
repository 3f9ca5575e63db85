/* By hand: libzip 1.7.3 tells no offset of an entry's data, which would force a copy of all weights;
 * minizip 1.1 has the offset but checks neither overlap nor duplicates; libarchive only streams. */
#include "zip_reader.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_BYTES = 22,
    END64_LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_LIMIT = 65535,
};
#define ENTRY_LIMIT ((uint64_t)1 << 20)

typedef struct source {
    const char *name;
    const uint8_t *data;
    uint64_t bytes;
} source;

/* What the end of the file says of the central directory. */
typedef struct directory {
    uint64_t n_entries, bytes, offset;
} directory;

static uint64_t le(const uint8_t *p, int n)
{
    uint64_t u = 0;

    for (int i = n - 1; i >= 0; i--) u = u << 8 | p[i];
    return u;
}

static mg_status bad(const source *s, const char *what)
{
    return mg_fail(MG_ECHECKPOINT, "%s: zip: %s: the file is damaged or was not fully copied", s->name, what);
}

/* A piece of the file, or NULL if it does not lie inside. */
static const uint8_t *piece(const source *s, uint64_t offset, uint64_t bytes)
{
    return offset <= s->bytes && bytes <= s->bytes - offset ? s->data + offset : NULL;
}

bool mg_zip_archive_is(const char *data, size_t bytes)
{
    return bytes >= 4 && memcmp(data, "PK\003\004", 4) == 0;
}

/* The end record is the last thing in the file but for a comment. */
static const uint8_t *find_end(const source *s)
{
    if (s->bytes < END_BYTES) return NULL;
    for (uint64_t back = END_BYTES; back <= s->bytes && back <= END_BYTES + COMMENT_LIMIT; back++) {
        const uint8_t *p = s->data + (s->bytes - back);
        if (memcmp(p, "PK\005\006", 4) == 0 && le(p + 20, 2) == back - END_BYTES) return p;
    }
    return NULL;
}

static mg_status read_directory(const source *s, directory *d)
{
    const uint8_t *end = find_end(s);

    if (!end) return bad(s, "no end record");
    const uint64_t end_offset = (uint64_t)(end - s->data);
    *d = (directory){le(end + 10, 2), le(end + 12, 4), le(end + 16, 4)};
    if (le(end + 4, 2) != 0 && le(end + 4, 2) != 0xFFFF) return bad(s, "a part of several");
    const uint8_t *locator = end_offset >= END64_LOCATOR_BYTES
                                 ? piece(s, end_offset - END64_LOCATOR_BYTES, END64_LOCATOR_BYTES)
                                 : NULL;
    if (locator && memcmp(locator, "PK\006\007", 4) == 0) {
        const uint8_t *end64 = piece(s, le(locator + 8, 8), END64_BYTES);
        if (!end64 || memcmp(end64, "PK\006\006", 4) != 0) return bad(s, "no zip64 end record");
        *d = (directory){le(end64 + 32, 8), le(end64 + 40, 8), le(end64 + 48, 8)};
    }
    if (d->n_entries > ENTRY_LIMIT) return bad(s, "more entries than a checkpoint has");
    if (!piece(s, d->offset, d->bytes)) return bad(s, "a directory outside the file");
    return MG_OK;
}

/* Sizes and offset that do not fit 32 bits stand in the zip64 extra field, in this order, only those needed.
 */
static mg_status read_zip64(const source *s, const uint8_t *extra, uint64_t n_extra, uint64_t value[3])
{
    bool needed = false;

    for (int i = 0; i < 3; i++) needed |= value[i] == 0xFFFFFFFFu;
    if (!needed) return MG_OK;
    while (n_extra >= 4) {
        const uint64_t id = le(extra, 2), n = le(extra + 2, 2);
        if (n > n_extra - 4) break;
        if (id == 1) {
            uint64_t at = 4;
            for (int i = 0; i < 3; i++) {
                if (value[i] != 0xFFFFFFFFu) continue;
                if (at + 8 > 4 + n) return bad(s, "a zip64 field that is too short");
                value[i] = le(extra + at, 8), at += 8;
            }
            return MG_OK;
        }
        extra += 4 + n, n_extra -= 4 + n;
    }
    return MG_OK; /* torch writes files of just 4 GiB - 1 without one */
}

/* The local header repeats name and extra field, with other lengths: the data begin behind it. */
static mg_status find_data(const source *s, mg_zip_entry *e, uint64_t local_offset, uint64_t bytes)
{
    const uint8_t *local = piece(s, local_offset, LOCAL_BYTES);

    if (!local || memcmp(local, "PK\003\004", 4) != 0) return bad(s, "an entry outside the file");
    const uint64_t begin = local_offset + LOCAL_BYTES + le(local + 26, 2) + le(local + 28, 2);
    if (!piece(s, begin, bytes)) return bad(s, "an entry that ends outside the file");
    e->data = (const char *)s->data + begin;
    e->bytes = (size_t)bytes;
    return MG_OK;
}

static mg_status read_entry(const source *s, mg_zip_entry *e, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *c = *at;

    if (end - c < CENTRAL_BYTES || memcmp(c, "PK\001\002", 4) != 0) return bad(s, "a damaged directory");
    const uint64_t n_name = le(c + 28, 2), n_extra = le(c + 30, 2), n_comment = le(c + 32, 2);
    if ((uint64_t)(end - c) < CENTRAL_BYTES + n_name + n_extra + n_comment)
        return bad(s, "a damaged directory");
    uint64_t value[3] = {le(c + 24, 4), le(c + 20, 4), le(c + 42, 4)}; /* bytes, stored bytes, local header */
    MG_RETURN(read_zip64(s, c + CENTRAL_BYTES + n_name, n_extra, value));
    if (le(c + 8, 2) & 1) return bad(s, "an encrypted entry");
    if (le(c + 10, 2) != 0 || value[0] != value[1])
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: zip: entry %.*s is compressed: not of torch.save: of a TorchScript archive save the "
            "state_dict(), of another zip unpack it",
            s->name, (int)n_name, (const char *)c + CENTRAL_BYTES);
    e->sum = (uint32_t)le(c + 16, 4);
    e->name = strndup((const char *)c + CENTRAL_BYTES, (size_t)n_name);
    if (!e->name) return mg_fail(MG_ENOMEM, "%s: zip: out of memory", s->name);
    *at = c + CENTRAL_BYTES + n_name + n_extra + n_comment;
    return find_data(s, e, value[2], value[0]);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mg_zip_entry *)a)->name, ((const mg_zip_entry *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const char *x = ((const mg_zip_entry *)a)->data, *y = ((const mg_zip_entry *)b)->data;

    return x < y ? -1 : x > y;
}

/* Entries that share bytes are how a small file pretends to be a large one. */
static mg_status check_overlap(const source *s, mg_zip_archive *z)
{
    qsort(z->entries, z->n, sizeof *z->entries, by_place);
    for (size_t i = 1; i < z->n; i++)
        if (z->entries[i].data < z->entries[i - 1].data + z->entries[i - 1].bytes)
            return bad(s, "entries that overlap");
    qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (!strcmp(z->entries[i - 1].name, z->entries[i].name)) return bad(s, "two entries of one name");
    return MG_OK;
}

mg_status mg_zip_archive_open(mg_zip_archive *out, const char *name, const char *data, size_t bytes)
{
    mg_status st = MG_OK;
    const source s = {name, (const uint8_t *)data, bytes};
    directory d = {0};

    *out = (mg_zip_archive){0};
    MG_TRY(read_directory(&s, &d));
    if (d.n_entries > d.bytes / CENTRAL_BYTES) MG_TRY(bad(&s, "a directory that is too short"));
    out->entries = calloc((size_t)d.n_entries + 1, sizeof *out->entries);
    if (!out->entries) MG_TRY(mg_fail(MG_ENOMEM, "%s: zip: out of memory", name));
    const uint8_t *at = s.data + d.offset, *end = at + d.bytes;
    for (uint64_t i = 0; i < d.n_entries; i++) {
        out->n++;
        MG_TRY(read_entry(&s, &out->entries[i], &at, end));
    }
    MG_TRY(check_overlap(&s, out));
done:
    if (st != MG_OK) mg_zip_archive_close(out);
    return st;
}

void mg_zip_archive_close(mg_zip_archive *z)
{
    for (size_t i = 0; i < z->n; i++) free(z->entries[i].name);
    free(z->entries);
    *z = (mg_zip_archive){0};
}

bool mg_zip_entry_is_whole(const mg_zip_entry *e)
{
    return !e->sum || crc32_z(0, (const Bytef *)e->data, e->bytes) == e->sum;
}

const mg_zip_entry *mg_zip_archive_find(const mg_zip_archive *z, const char *name)
{
    mg_zip_entry key = {.name = (char *)(uintptr_t)name};

    return z->n ? bsearch(&key, z->entries, z->n, sizeof *z->entries, by_name) : NULL;
}
