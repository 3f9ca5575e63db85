/* Weights as a backend keeps them, in a file: a copy of its memory, with a key that says what it was made
 * from. Numbers stand as the machine has them.
 *
 * First 8 bytes "MGDPACK\n". At 8 two u32: MG_PACK_VERSION, and 0x01020304 in this machine's order. At 16
 * two u64: the bytes of the data, and of a chunk. At 32 the key, 64 hex digits. At 96 what the weights were
 * called where they were packed, for people: 256 bytes, the last ones NUL. At 352 a u64: the checksum of what
 * stands before it and of the table. At 384 the table: a u64 for each chunk, its checksum. The data begin at
 * the next multiple of 4096 and go to the end of the file.
 *
 * The checksums find what a disk or a copy has done to a file; they are no proof against malice. */
#ifndef MG_PACK_FILE_H
#define MG_PACK_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "threads.h"

/* To be raised whenever this layout, a packed matrix, a scale or the order of a stage's weights changes
 * (tests/weights/test_pack_file.c holds their hashes). */
enum { MG_PACK_VERSION = 4 };

enum { MG_PACK_CHUNK_BYTES = 4 << 20, MG_PACK_MODEL_SIZE = 256 };

typedef struct mg_pack_head {
    int64_t data_bytes, first_byte; /* where the data begin */
    int64_t n_chunks;
    const char *model; /* what the weights were called; this and the table are within what was parsed */
    const char *sums;
} mg_pack_head;

/* The head of a file of file_bytes, `bytes` of which are in memory. MG_EFAIL "NAME: why" unless it is whole,
 * of this version, and has this key, or one that begins so, and this many bytes of data (-1: any). */
mg_status mg_pack_head_parse(mg_pack_head *out, const char *name, const void *data, int64_t bytes,
                             int64_t file_bytes, const char *key, int64_t data_bytes);

/* Bytes before the data. */
int64_t mg_pack_head_bytes(int64_t data_bytes);

/* The data into dst [data_bytes], read and checked by the threads. MG_EFAIL as above, or for a chunk whose
 * checksum is wrong: dst then holds anything. */
mg_status mg_pack_read(const char *path, const char key[65], void *dst, int64_t data_bytes,
                       mg_threads *threads);

/* Of which model it is; MG_EFAIL if mg_pack_read would refuse it with any key that begins so. The data are
 * not looked at. */
mg_status mg_pack_look(char model[MG_PACK_MODEL_SIZE], const char *path, const char *key);

/* A file of these data, whole or not at all (out_file.h). `model` is shorter than MG_PACK_MODEL_SIZE.
 * MG_ESTOPPED if a signal asks to stop meanwhile. */
mg_status mg_pack_write(const char *path, const char key[65], const char *model, const void *data,
                        int64_t data_bytes, mg_threads *threads);

#endif
