/* Matrices and plain tensors of a stage: survey and load. The backend's threads fetch a source piece by piece
 * from its file, so that a load needs no second copy; a block of rows is what the progress bar moves by. */
#include "weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_source.h"

enum { NAME_SIZE = 512, BLOCK_BYTES = 32 << 20, ROW_STEP = 64 };

void mg_weights_init(mg_weights *w, const mg_ops *ops, const mg_checkpoint *checkpoint, mg_arena *arena,
                     const char *prefix)
{
    *w = (mg_weights){.ops = ops, .checkpoint = checkpoint, .arena = arena, .prefix = prefix};
}

void mg_weights_close(mg_weights *w)
{
    if (!w) return;
    mg_text_reset(&w->problems);
}

bool mg_weights_has(const mg_weights *w, const char *name)
{
    char full[NAME_SIZE];

    if (!w->checkpoint) return true;
    snprintf(full, sizeof full, "%s%s", w->prefix, name);
    return mg_checkpoint_find(w->checkpoint, full) != NULL;
}

static mg_status load_part(mg_weights *w, const mg_matrix *out, int64_t first_out, const mg_weights_part *p,
                           const mg_checkpoint_entry *e)
{
    const int64_t row_bytes = p->n_cols_all * (int64_t)mg_dtype_bytes(e->tensor.dtype);
    const int64_t fit = BLOCK_BYTES / row_bytes / ROW_STEP * ROW_STEP;
    const int64_t block = fit > ROW_STEP ? fit : ROW_STEP;
    int64_t n_bad = 0, zero_bytes = 0;

    for (int64_t row = 0; row < p->n_rows; row += block) {
        const int64_t n_rows = p->n_rows - row < block ? p->n_rows - row : block;
        mg_weights_rows rows;
        const mg_host_matrix src =
            mg_weights_rows_of(&rows, e, p->n_cols_all, p->first_row + row, n_rows, p->first_col, p->n_cols);
        MG_RETURN(mg_matrix_load(w->ops, out, first_out + row, &src, &n_bad));
        MG_RETURN(mg_checkpoint_check_read(e, rows.error));
        mg_weights_consume(w, e, n_rows * p->n_cols);
        zero_bytes += rows.zero_bytes;
    }
    mg_weights_note_zeros(w, e, zero_bytes);
    return out->format == MG_FORMAT_F16 ? mg_weights_check_f16(e, n_bad) : mg_weights_check(e, n_bad);
}

/* Rows from the random block, as many at a time as lie before it wraps. A row of the whole matrix begins at
 * the same place of the block whoever loads it: all tensor-parallel sizes have the same weights. */
static mg_status load_random_part(mg_weights *w, const mg_matrix *out, int64_t first_out,
                                  const mg_weights_part *p)
{
    const int64_t n_all = p->n_cols_all, n_begins = MG_RANDOM_COUNT - n_all;
    mg_random_block random;
    mg_status st = MG_OK;
    int64_t n_bad = 0;

    if (n_begins <= 0) return mg_fail(MG_EBUG, "weights: %s: %lld columns", p->name, (long long)n_all);
    MG_RETURN(mg_random_block_open(&random, p->name, 1 / sqrtf((float)n_all), 0));
    for (int64_t row = 0; row < p->n_rows;) {
        const int64_t begin = (p->first_row + row) * n_all % n_begins;
        const int64_t fit = (n_begins - 1 - begin) / n_all + 1, left = p->n_rows - row;
        const mg_host_matrix src = {.data = random.value + begin + p->first_col,
                                    .dtype = MG_F32,
                                    .n_rows = fit < left ? fit : left,
                                    .n_cols = p->n_cols,
                                    .row_stride = n_all};
        MG_TRY(mg_matrix_load(w->ops, out, first_out + row, &src, &n_bad));
        row += src.n_rows;
    }
    mg_weights_consume(w, NULL, p->n_rows * p->n_cols);
done:
    mg_random_block_close(&random);
    return st;
}

mg_status mg_weights_matrix(mg_weights *w, mg_matrix *out, mg_format format, int n_slices,
                            const mg_weights_part *parts, int n_parts)
{
    const bool is_settled = w->is_packed || mg_arena_is_measuring(w->arena);
    int64_t n_out = 0, first_out = 0;

    for (int i = 0; i < n_parts; i++) {
        const mg_weights_part *p = &parts[i];
        MG_REQUIRE(p->n_cols == parts[0].n_cols && p->n_rows > 0 && p->n_cols > 0);
        MG_REQUIRE(p->first_row >= 0 && p->first_row + p->n_rows <= p->n_rows_all);
        MG_REQUIRE(p->first_col >= 0 && p->first_col + p->n_cols <= p->n_cols_all);
        n_out += p->n_rows;
    }
    *out = (mg_matrix){.format = format, .n_out = n_out, .n_in = parts[0].n_cols, .n_slices = n_slices};
    MG_RETURN(mg_arena_take(w->arena, &out->data, mg_matrix_bytes(w->ops, out)));
    for (int i = 0; i < n_parts; first_out += parts[i].n_rows, i++) {
        const mg_weights_part *p = &parts[i];
        const int64_t dim[2] = {p->n_rows_all, p->n_cols_all};
        const mg_checkpoint_entry *e;
        MG_RETURN(mg_weights_find(w, &e, p->name, 2, dim));
        if (is_settled)
            mg_weights_consume(w, e, p->n_rows * p->n_cols);
        else if (e)
            MG_RETURN(load_part(w, out, first_out, p, e));
        else
            MG_RETURN(load_random_part(w, out, first_out, p));
    }
    return MG_OK;
}

static mg_status load_tensor(mg_weights *w, char *dst, const mg_checkpoint_entry *e, int64_t n)
{
    const int64_t block = BLOCK_BYTES / (int64_t)sizeof(float);
    int64_t n_bad = 0, zero_bytes = 0;

    for (int64_t i = 0; i < n; i += block) {
        const int64_t count = n - i < block ? n - i : block;
        mg_weights_rows rows;
        const mg_host_matrix src = mg_weights_rows_of(&rows, e, n, 0, 1, i, count);
        MG_RETURN(mg_tensor_load(w->ops, dst + (size_t)i * sizeof(float), &src, &n_bad));
        MG_RETURN(mg_checkpoint_check_read(e, rows.error));
        mg_weights_consume(w, e, count);
        zero_bytes += rows.zero_bytes;
    }
    mg_weights_note_zeros(w, e, zero_bytes);
    return mg_weights_check(e, n_bad);
}

static mg_status load_random_tensor(mg_weights *w, char *dst, const char *name, int n_dims,
                                    const int64_t *dim, int64_t n)
{
    float *room = malloc((size_t)n * sizeof *room);
    mg_status st = MG_OK;

    if (!room) return mg_fail(MG_ENOMEM, "weights: no memory for %lld values", (long long)n);
    MG_TRY(mg_weights_host(w, room, name, n_dims, dim));
    MG_TRY(mg_upload(w->ops, dst, room, (size_t)n * sizeof *room));
done:
    free(room);
    return st;
}

mg_status mg_weights_tensor(mg_weights *w, mg_tensor *out, const char *format, int count, int n_dims,
                            const int64_t *dim)
{
    const int lead = count > 0, n_named = lead ? count : 1;
    int64_t n = 1;
    char name[NAME_SIZE];

    MG_REQUIRE(n_dims >= 1 && n_dims + lead <= MG_MAX_DIMS);
    *out = (mg_tensor){.dtype = MG_F32, .n_dims = n_dims + lead, .dim = {1, 1, 1, 1}};
    if (lead) out->dim[0] = count;
    for (int i = 0; i < n_dims; i++) n *= out->dim[i + lead] = dim[i];
    MG_RETURN(mg_arena_take(w->arena, &out->data, mg_tensor_bytes(out)));
    for (int i = 0; i < n_named; i++) {
        const mg_checkpoint_entry *e;
        if (lead)
            snprintf(name, sizeof name, format, i);
        else
            snprintf(name, sizeof name, "%s", format);
        char *dst = (char *)out->data + (size_t)(n * i) * sizeof(float);
        MG_RETURN(mg_weights_find(w, &e, name, n_dims, dim));
        if (w->is_packed || mg_arena_is_measuring(w->arena))
            mg_weights_consume(w, e, n);
        else if (e)
            MG_RETURN(load_tensor(w, dst, e, n));
        else
            MG_RETURN(load_random_tensor(w, dst, name, n_dims, dim, n));
    }
    return MG_OK;
}
