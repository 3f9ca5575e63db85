/* The zip container of a torch file, written from front to back: entries stored, their data at multiples of
 * 64 bytes, the checksum behind it in a data descriptor, so that nothing is read twice. As torch's own writer
 * does it (caffe2/serialize/inline_container.cc). */
#ifndef MG_ZIP_WRITER_H
#define MG_ZIP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out_file.h"
#include "status.h"

typedef struct mg_torch_zip_entry_record {
    char *name;
    uint64_t header_at, bytes;
    uint32_t crc;
} mg_torch_zip_entry_record;

typedef struct mg_torch_zip {
    mg_out_file file;
    uint64_t at;                        /* bytes written */
    mg_torch_zip_entry_record *entries; /* [n] */
    size_t n, capacity;
    uint64_t open_bytes; /* of the last entry: still to be written */
} mg_torch_zip;

mg_status mg_torch_zip_begin(mg_torch_zip *z, const char *path);

/* Begin an entry of exactly `bytes`, which the next calls of write give. */
mg_status mg_torch_zip_entry(mg_torch_zip *z, const char *name, uint64_t bytes);
mg_status mg_torch_zip_write(mg_torch_zip *z, const void *data, size_t bytes);

/* Both in one call. */
mg_status mg_torch_zip_put(mg_torch_zip *z, const char *name, const void *data, size_t bytes);

/* The directory; then the file is there. */
mg_status mg_torch_zip_commit(mg_torch_zip *z);

/* Frees, and removes what is not committed. Legal on a zeroed struct whose file.fd is -1. */
void mg_torch_zip_abandon(mg_torch_zip *z);

#endif
