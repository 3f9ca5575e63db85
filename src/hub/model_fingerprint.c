#include "model_fingerprint.h"

#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "in_file.h"
#include "stop.h"

enum { PIECE_BYTES = 1024 };

/* From its middle: a training moves every value, if any. */
static mg_status add_values(mg_hash *h, const mg_checkpoint_entry *e)
{
    const size_t bytes = mg_tensor_bytes(&e->tensor), n = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
    const size_t at = (bytes - n) / 2;
    char piece[PIECE_BYTES];

    MG_RETURN(mg_stop_check());
    if (e->fd < 0) return mg_hash_add(h, (const char *)e->tensor.data + at, n);
    if (mg_in_file_copy(e->fd, piece, e->offset + (int64_t)at, (int64_t)n) != 0)
        return mg_fail(MG_EFAIL, "%s: %s: cannot read", e->file, e->source);
    return mg_hash_add(h, piece, n);
}

static mg_status add_tensor(mg_hash *h, const mg_checkpoint_entry *e)
{
    char dims[MG_DIMS_SIZE], text[MG_KEY_MAX + MG_DIMS_SIZE + 32];
    const int n = snprintf(text, sizeof text, "%s %s %s\n", e->name, mg_dtype_name(e->tensor.dtype),
                           mg_dims_format(dims, e->tensor.n_dims, e->tensor.dim));

    MG_RETURN(mg_hash_add(h, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
    return add_values(h, e);
}

mg_status mg_model_fingerprint(char out[65], const mg_model_files *files)
{
    mg_status st = MG_OK;
    mg_hash *h;

    MG_RETURN(mg_hash_open(&h));
    for (int i = 0; i < files->n_opened; i++)
        for (size_t k = 0; k < mg_checkpoint_count(files->opened[i]); k++)
            MG_TRY(add_tensor(h, mg_checkpoint_at(files->opened[i], k)));
    return mg_hash_end(h, out);
done:
    mg_hash_close(h);
    return st;
}
