/* Records and field order: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 to 4.3.16 and 4.5.3.
 *
 * By hand: libzip and minizip cannot align an entry's data to 64 bytes through the extra field "FB", as torch
 * does to map it; miniz, which torch uses, is not packaged. */
#include "zip_writer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "text.h"

enum {
    ALIGNMENT = 64,
    LOCAL_BYTES = 30,
    FLAGS = 1 << 3 | 1 << 11, /* descriptor behind the data; names are UTF-8 */
    VERSION = 20,
    VERSION_64 = 45,
    DATE = 1 << 5 | 1, /* 1980-01-01: the same input makes the same file */
};
#define LIMIT_32 ((uint64_t)UINT32_MAX)

/* A record under construction: the largest is a directory entry with its three 64-bit fields. */
typedef struct record {
    uint8_t data[128];
    size_t n;
} record;

static void add(record *r, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++) r->data[r->n++] = (uint8_t)(value >> 8 * i);
}

/* The 32-bit field of a value that may need the 64-bit extra field instead. */
static void add_capped(record *r, uint64_t value)
{
    add(r, value >= LIMIT_32 ? LIMIT_32 : value, 4);
}

static mg_status append(mg_torch_zip *z, const void *data, size_t bytes)
{
    MG_RETURN(mg_out_file_write(&z->file, data, bytes));
    z->at += bytes;
    return MG_OK;
}

mg_status mg_torch_zip_begin(mg_torch_zip *z, const char *path)
{
    *z = (mg_torch_zip){.file.fd = -1};
    return mg_out_file_begin(&z->file, path);
}

static mg_status add_entry(mg_torch_zip *z, const char *name, uint64_t bytes)
{
    MG_RETURN(mg_grow(&z->entries, &z->capacity, z->n + 1, sizeof *z->entries, z->file.path));
    char *copy = strdup(name);
    if (!copy) return mg_fail(MG_ENOMEM, "%s: out of memory", z->file.path);
    z->entries[z->n++] = (mg_torch_zip_entry_record){copy, z->at, bytes, 0};
    z->open_bytes = bytes;
    return MG_OK;
}

/* The checksum and the sizes that the local header left out. */
static mg_status end_entry(mg_torch_zip *z)
{
    const mg_torch_zip_entry_record *e = &z->entries[z->n - 1];
    const int width = e->bytes >= LIMIT_32 ? 8 : 4;
    record r = {.n = 0};

    add(&r, 0x08074b50, 4);
    add(&r, e->crc, 4);
    add(&r, e->bytes, width);
    add(&r, e->bytes, width);
    return append(z, r.data, r.n);
}

mg_status mg_torch_zip_entry(mg_torch_zip *z, const char *name, uint64_t bytes)
{
    static const uint8_t padding[ALIGNMENT + 4];
    const size_t n_name = strlen(name);
    const bool large = bytes >= LIMIT_32;
    record head = {.n = 0}, extra = {.n = 0};

    MG_REQUIRE(z->open_bytes == 0);
    MG_RETURN(add_entry(z, name, bytes));
    if (large) {
        add(&extra, 1, 2);
        add(&extra, 16, 2);
        add(&extra, bytes, 8);
        add(&extra, bytes, 8);
    }
    const uint64_t data_at = z->at + LOCAL_BYTES + n_name + extra.n + 4;
    const size_t n_padding = (size_t)((ALIGNMENT - data_at % ALIGNMENT) % ALIGNMENT);
    add(&extra, 'F' | 'B' << 8, 2);
    add(&extra, n_padding, 2);

    add(&head, 0x04034b50, 4);
    add(&head, large ? VERSION_64 : VERSION, 2);
    add(&head, FLAGS, 2);
    add(&head, 0, 2); /* stored */
    add(&head, 0, 2); /* time */
    add(&head, DATE, 2);
    add(&head, 0, 4); /* checksum */
    add(&head, large ? LIMIT_32 : 0, 4);
    add(&head, large ? LIMIT_32 : 0, 4);
    add(&head, n_name, 2);
    add(&head, extra.n + n_padding, 2);
    MG_RETURN(append(z, head.data, head.n));
    MG_RETURN(append(z, name, n_name));
    MG_RETURN(append(z, extra.data, extra.n));
    MG_RETURN(append(z, padding, n_padding));
    return bytes == 0 ? end_entry(z) : MG_OK;
}

mg_status mg_torch_zip_write(mg_torch_zip *z, const void *data, size_t bytes)
{
    MG_REQUIRE(z->n > 0 && bytes <= z->open_bytes);
    if (bytes == 0) return MG_OK;
    mg_torch_zip_entry_record *e = &z->entries[z->n - 1];
    e->crc = (uint32_t)crc32_z(e->crc, data, bytes);
    MG_RETURN(append(z, data, bytes));
    z->open_bytes -= bytes;
    return z->open_bytes == 0 ? end_entry(z) : MG_OK;
}

mg_status mg_torch_zip_put(mg_torch_zip *z, const char *name, const void *data, size_t bytes)
{
    MG_RETURN(mg_torch_zip_entry(z, name, bytes));
    return mg_torch_zip_write(z, data, bytes);
}

static mg_status write_directory_entry(mg_torch_zip *z, const mg_torch_zip_entry_record *e)
{
    record head = {.n = 0}, extra = {.n = 0};

    if (e->bytes >= LIMIT_32) {
        add(&extra, e->bytes, 8);
        add(&extra, e->bytes, 8);
    }
    if (e->header_at >= LIMIT_32) add(&extra, e->header_at, 8);

    add(&head, 0x02014b50, 4);
    add(&head, extra.n ? VERSION_64 : VERSION, 2); /* made by */
    add(&head, extra.n ? VERSION_64 : VERSION, 2); /* needed */
    add(&head, FLAGS, 2);
    add(&head, 0, 2);
    add(&head, 0, 2);
    add(&head, DATE, 2);
    add(&head, e->crc, 4);
    add_capped(&head, e->bytes);
    add_capped(&head, e->bytes);
    add(&head, strlen(e->name), 2);
    add(&head, extra.n ? extra.n + 4 : 0, 2);
    add(&head, 0, 2); /* comment */
    add(&head, 0, 2); /* disk */
    add(&head, 0, 2); /* attributes */
    add(&head, 0, 4);
    add_capped(&head, e->header_at);
    MG_RETURN(append(z, head.data, head.n));
    MG_RETURN(append(z, e->name, strlen(e->name)));
    if (!extra.n) return MG_OK;
    head.n = 0;
    add(&head, 1, 2);
    add(&head, extra.n, 2);
    MG_RETURN(append(z, head.data, head.n));
    return append(z, extra.data, extra.n);
}

/* The zip64 end record with its locator, where the plain one's fields are too small. */
static void add_end_64(record *r, const mg_torch_zip *z, uint64_t directory_at, uint64_t directory_bytes)
{
    add(r, 0x06064b50, 4);
    add(r, 44, 8); /* bytes that follow */
    add(r, VERSION_64, 2);
    add(r, VERSION_64, 2);
    add(r, 0, 4);
    add(r, 0, 4);
    add(r, z->n, 8);
    add(r, z->n, 8);
    add(r, directory_bytes, 8);
    add(r, directory_at, 8);

    add(r, 0x07064b50, 4);
    add(r, 0, 4);
    add(r, z->at, 8); /* of the end record */
    add(r, 1, 4);
}

mg_status mg_torch_zip_commit(mg_torch_zip *z)
{
    const uint64_t directory_at = z->at;
    record r = {.n = 0};

    MG_REQUIRE(z->open_bytes == 0);
    for (size_t i = 0; i < z->n; i++) MG_RETURN(write_directory_entry(z, &z->entries[i]));
    const uint64_t directory_bytes = z->at - directory_at;
    const uint64_t n_capped = z->n < UINT16_MAX ? z->n : UINT16_MAX;
    if (n_capped == UINT16_MAX || directory_at >= LIMIT_32 || directory_bytes >= LIMIT_32)
        add_end_64(&r, z, directory_at, directory_bytes);
    add(&r, 0x06054b50, 4);
    add(&r, 0, 2);
    add(&r, 0, 2);
    add(&r, n_capped, 2);
    add(&r, n_capped, 2);
    add_capped(&r, directory_bytes);
    add_capped(&r, directory_at);
    add(&r, 0, 2);
    MG_RETURN(append(z, r.data, r.n));
    return mg_out_file_commit(&z->file);
}

void mg_torch_zip_abandon(mg_torch_zip *z)
{
    mg_out_file_abandon(&z->file);
    for (size_t i = 0; i < z->n; i++) free(z->entries[i].name);
    free(z->entries);
    z->entries = NULL;
    z->n = 0;
}
