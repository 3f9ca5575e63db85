/* The header of one safetensors file: u64 length, JSON, then the data that its offsets speak of. */
#ifndef MG_SAFETENSORS_H
#define MG_SAFETENSORS_H

#include <stdint.h>

#include "status.h"
#include "tensor.h"

typedef struct mg_safetensors_entry {
    char *name; /* owned */
    mg_dtype dtype;
    int n_dims;
    int64_t dim[MG_MAX_DIMS]; /* unused ones are 1 */
    int64_t begin, end;       /* bytes, from the start of the file */
} mg_safetensors_entry;

typedef struct mg_safetensors {
    mg_safetensors_entry *entries; /* [n], by name */
    int64_t n;
} mg_safetensors;

/* Parse and check the header of a file whose `bytes` lie at `file`. MG_ECHECKPOINT, with `name` in the
 * message, unless every tensor is of a known dtype and of rank 0 to 4, as long as its shape says, inside the
 * file, and all together cover the data without hole or overlap under names that differ. Touches the header
 * alone. */
mg_status mg_safetensors_parse(mg_safetensors *out, const char *name, const void *file, int64_t bytes);
void mg_safetensors_close(mg_safetensors *s);

#endif
