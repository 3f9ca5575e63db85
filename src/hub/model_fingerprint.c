#include "model_fingerprint.h"

#include <stdio.h>

#include "checkpoint_read.h"
#include "hash.h"

static mg_status add_tensor(mg_hash *h, const mg_checkpoint_entry *e)
{
    char dims[MG_DIMS_SIZE], text[MG_KEY_MAX + MG_DIMS_SIZE + 32], piece[MG_SAMPLE_BYTES];
    size_t n_piece;
    const int n = snprintf(text, sizeof text, "%s %s %s\n", e->name, mg_dtype_name(e->tensor.dtype),
                           mg_dims_format(dims, e->tensor.n_dims, e->tensor.dim));

    MG_RETURN(mg_hash_add(h, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
    MG_RETURN(mg_checkpoint_sample(piece, &n_piece, e, sizeof piece));
    return mg_hash_add(h, piece, n_piece);
}

static mg_status add_checkpoint(mg_hash *h, const mg_checkpoint *c)
{
    for (size_t k = 0; k < mg_checkpoint_count(c); k++) MG_RETURN(add_tensor(h, mg_checkpoint_at(c, k)));
    return MG_OK;
}

mg_status mg_model_fingerprint(char out[65], const mg_model_files *files)
{
    mg_status st = MG_OK;
    mg_hash *h;

    MG_RETURN(mg_hash_open(&h));
    for (int i = 0; i < files->n_opened; i++)
        if (files->opened[i] != files->mert.checkpoint) MG_TRY(add_checkpoint(h, files->opened[i]));
    return mg_hash_end(h, out);
done:
    mg_hash_close(h);
    return st;
}

mg_status mg_style_fingerprint(char out[65], const mg_model_files *files)
{
    mg_status st = MG_OK;
    mg_hash *h;

    MG_RETURN(mg_hash_open(&h));
    MG_TRY(add_checkpoint(h, files->mert.checkpoint));
    return mg_hash_end(h, out);
done:
    mg_hash_close(h);
    return st;
}
