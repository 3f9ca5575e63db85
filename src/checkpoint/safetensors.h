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

/* Parse and check the header of a file whose `bytes` lie at `file`. Touches the header alone. MG_ECHECKPOINT
 * names the file. Every tensor must have a known dtype, a rank of 0 to 4 and a name of its own. It must lie
 * inside the file with the length that its shape says. Together they must cover the data without hole or
 * overlap. */
mg_status mg_safetensors_parse(mg_safetensors *out, const char *name, const void *file, int64_t bytes);
void mg_safetensors_close(mg_safetensors *s);

/* The format's name of a number type, as "BF16"; NULL: it has none. */
const char *mg_safetensors_dtype(mg_dtype dtype);

#endif
