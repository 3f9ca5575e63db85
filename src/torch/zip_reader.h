/* The directory of a zip file in memory, for entries stored without compression, as torch.save writes them.
 * Format: PKWARE's APPNOTE.TXT 6.3: end record, zip64 records, central directory, local headers. */
#ifndef MG_ZIP_READER_H
#define MG_ZIP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_zip_entry {
    char *name;
    const char *data; /* into the file */
    size_t bytes;
    uint32_t sum; /* CRC-32 of the data; 0: the writer left it out, as torch can be told to */
} mg_zip_entry;

typedef struct mg_zip_archive {
    mg_zip_entry *entries; /* [n], by name */
    size_t n;
} mg_zip_archive;

/* Does the file begin like a zip? */
bool mg_zip_archive_is(const char *data, size_t bytes);

/* `name` is for messages; `data` is borrowed until close. MG_ECHECKPOINT if the directory lies: entries
 * outside the file or over each other, compressed or encrypted ones, names twice. */
mg_status mg_zip_archive_open(mg_zip_archive *out, const char *name, const char *data, size_t bytes);
void mg_zip_archive_close(mg_zip_archive *z);

/* Are the data what their sum says? Reads all of them. */
bool mg_zip_entry_is_whole(const mg_zip_entry *e);

/* NULL if there is none. */
const mg_zip_entry *mg_zip_archive_find(const mg_zip_archive *z, const char *name);

#endif
