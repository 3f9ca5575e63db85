/* Finding an entry, reading it from its file, and random numbers in its place. */
#include "weights_source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stop.h"
#include "text.h"

enum { NAME_SIZE = 512 };

mg_status mg_random_block_open(mg_random_block *r, const char *name, float scale, float mean)
{
    uint32_t x = 2166136261u; /* FNV-1a: each tensor starts elsewhere */
    const float step = scale * 2 * 1.7320508f * 0x1p-24f;

    *r = (mg_random_block){.value = malloc(MG_RANDOM_COUNT * sizeof *r->value)};
    if (!r->value) return mg_fail(MG_ENOMEM, "weights: no memory for random values");
    for (const char *c = name; *c; c++) x = (x ^ (unsigned char)*c) * 16777619u;
    for (int i = 0; i < MG_RANDOM_COUNT; i++) {
        x = x * 1664525u + 1013904223u;
        r->value[i] = mean + ((float)(x >> 8) - 0x1p23f) * step;
    }
    return MG_OK;
}

void mg_random_block_close(mg_random_block *r)
{
    free(r->value);
    r->value = NULL;
}

/* Up to `n` values in one piece; *got says how many there are before the block wraps. */
static const float *next_values(mg_random_block *r, int64_t n, int64_t *got)
{
    const float *piece = r->value + r->i_value;
    const int64_t left = MG_RANDOM_COUNT - r->i_value;

    *got = n < left ? n : left;
    r->i_value = (r->i_value + *got) % MG_RANDOM_COUNT;
    return piece;
}

void mg_weights_requests_close(mg_weights_requests *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->list[i].name);
    free(r->list);
    *r = (mg_weights_requests){0};
}

static mg_status add_request(mg_weights *w, const char *name, int n_dims, const int64_t *dim)
{
    mg_weights_requests *r = w->requests;

    MG_RETURN(mg_grow(&r->list, &r->capacity, r->n + 1, sizeof *r->list, "weights"));
    mg_weights_request *q = &r->list[r->n];
    *q = (mg_weights_request){w->checkpoint, w->prefix, strdup(name), n_dims, {1, 1, 1, 1}};
    if (!q->name) return mg_fail(MG_ENOMEM, "weights: %zu bytes", strlen(name));
    for (int i = 0; i < n_dims; i++) q->dim[i] = dim[i];
    r->n++;
    return MG_OK;
}

/* One fault of a tensor: noted while surveying, fatal while loading. */
static mg_status fault(mg_weights *w, const char *name, const char *what)
{
    if (!mg_arena_is_measuring(w->arena)) return mg_fail(MG_ECHECKPOINT, "checkpoint: %s: %s", name, what);
    if (!w->requests) mg_weights_problem(w, "%s: %s", name, what);
    return MG_OK;
}

mg_status mg_weights_find(mg_weights *w, const mg_checkpoint_entry **out, const char *name, int n_dims,
                          const int64_t *dim)
{
    char full[NAME_SIZE], what[256], got[MG_DIMS_SIZE], expected[MG_DIMS_SIZE];
    const mg_checkpoint_entry *e;

    *out = NULL;
    MG_RETURN(mg_stop_check());
    if (!w->checkpoint) return MG_OK;
    if (snprintf(full, sizeof full, "%s%s", w->prefix, name) >= (int)sizeof full)
        return mg_fail(MG_EBUG, "weights: the name %s is too long", name);
    if (w->requests && mg_arena_is_measuring(w->arena)) MG_RETURN(add_request(w, full, n_dims, dim));
    e = mg_checkpoint_find(w->checkpoint, full);
    if (!e) return fault(w, full, "missing");
    if (e->tensor.dtype != MG_F32 && e->tensor.dtype != MG_BF16 && e->tensor.dtype != MG_F16) {
        snprintf(what, sizeof what, "%s in %s, expected fp32, bf16 or fp16", mg_dtype_name(e->tensor.dtype),
                 e->file);
        return fault(w, full, what);
    }
    if (e->tensor.n_dims != n_dims || memcmp(e->tensor.dim, dim, (size_t)n_dims * sizeof *dim) != 0) {
        snprintf(what, sizeof what, "shape %s, expected %s",
                 mg_dims_format(got, e->tensor.n_dims, e->tensor.dim), mg_dims_format(expected, n_dims, dim));
        return fault(w, full, what);
    }
    *out = e;
    return MG_OK;
}

static void fetch(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col, int64_t n_cols)
{
    mg_weights_rows *r = arg;
    const mg_tensor_part part = {(r->first_row + first_row) * r->n_cols_all + r->first_col + first_col,
                                 n_rows, n_cols, r->n_cols_all};
    const int64_t bytes = n_rows * n_cols * (int64_t)mg_dtype_bytes(r->e->tensor.dtype);
    const int64_t n_pieces = n_cols == r->n_cols_all ? 1 : n_rows; /* in the file */
    const int error = mg_checkpoint_read(r->e, dst, &part, NULL);

    if (error) {
        memset(dst, 0, (size_t)bytes);
        __atomic_store_n(&r->error, error, __ATOMIC_RELAXED);
        return;
    }
    for (int64_t i = 0; i < n_pieces; i++)
        if (mg_is_zeros((char *)dst + i * (bytes / n_pieces), (size_t)(bytes / n_pieces)))
            __atomic_fetch_add(&r->zero_bytes, bytes / n_pieces, __ATOMIC_RELAXED);
}

mg_host_matrix mg_weights_rows_of(mg_weights_rows *r, const mg_checkpoint_entry *e, int64_t n_cols_all,
                                  int64_t first_row, int64_t n_rows, int64_t first_col, int64_t n_cols)
{
    const int64_t first = first_row * n_cols_all + first_col;
    mg_host_matrix m = {
        .dtype = e->tensor.dtype, .n_rows = n_rows, .n_cols = n_cols, .row_stride = n_cols_all};

    *r = (mg_weights_rows){e, n_cols_all, first_row, first_col, 0, 0};
    if (e->fd >= 0 || e->change)
        m.read = fetch, m.read_arg = r;
    else
        m.data = (const char *)e->tensor.data + first * (int64_t)mg_dtype_bytes(e->tensor.dtype);
    return m;
}

int mg_weights_read(float *dst, const mg_checkpoint_entry *e, int64_t first, int64_t n, int64_t *n_bad)
{
    const int64_t size = (int64_t)mg_dtype_bytes(e->tensor.dtype);
    const mg_tensor_part part = {first, 1, n, n};
    char *to = (char *)dst + n * ((int64_t)sizeof *dst - size); /* halves to its end: widening follows them */
    int64_t bad = 0;
    const int error = mg_checkpoint_read(e, to, &part, NULL);

    if (error) memset(dst, 0, (size_t)n * sizeof *dst);
    if (e->tensor.dtype != MG_F32 && !error) mg_widen(dst, to, e->tensor.dtype, n);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, dst + i, sizeof bits);
        bad += (bits & 0x7F800000u) == 0x7F800000u;
    }
    __atomic_fetch_add(n_bad, bad, __ATOMIC_RELAXED);
    return error;
}

mg_status mg_weights_check(const mg_checkpoint_entry *e, int64_t n_bad)
{
    if (!n_bad) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "checkpoint: %s: %lld of %lld values in %s%s are NaN or Inf", e->name,
                   (long long)n_bad, (long long)mg_tensor_count(&e->tensor), e->file,
                   e->change ? ", with the adapter," : "");
}

mg_status mg_weights_check_f16(const mg_checkpoint_entry *e, int64_t n_bad)
{
    enum { BLOCK = 1024 };
    const int64_t n = mg_tensor_count(&e->tensor);
    int64_t n_no_numbers = 0, n_large = 0;
    float value[BLOCK];

    if (!n_bad) return MG_OK;
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t count = n - i < BLOCK ? n - i : BLOCK;
        MG_RETURN(mg_checkpoint_check_read(e, mg_weights_read(value, e, i, count, &n_no_numbers)));
        for (int64_t k = 0; k < count; k++) n_large += fabsf(value[k]) >= 65520; /* rounds to infinity */
    }
    if (n_no_numbers) return mg_weights_check(e, n_no_numbers);
    return mg_fail(
        MG_ECHECKPOINT,
        "checkpoint: %s: %lld of %lld values in %s are beyond what fp16 can hold; use --dtype bf16", e->name,
        (long long)n_large, (long long)n, e->file);
}

void mg_weights_note_zeros(mg_weights *w, const mg_checkpoint_entry *e, int64_t zero_bytes)
{
    if (zero_bytes < MG_HOLE_BYTES) return;
    if (w->n_hollow++ == 0) w->hollow = e;
    w->hollow_bytes += zero_bytes;
}

void mg_weights_say_zeros(const mg_weights *w)
{
    if (!w->n_hollow) return;
    mg_log_warn("%s: %.1f MB of zeros in %s%s: a file of the right length that was not fetched or copied "
                "whole? mg-dist verify looks at all of it",
                w->hollow->file, (double)w->hollow_bytes / 1e6, w->hollow->source,
                w->n_hollow > 1 ? " and other tensors" : "");
}

void mg_weights_consume(mg_weights *w, const mg_checkpoint_entry *e, int64_t n)
{
    const int64_t bytes = n * (int64_t)(e ? mg_dtype_bytes(e->tensor.dtype) : sizeof(float));

    w->n_read_bytes += bytes;
    if (w->progress && !mg_arena_is_measuring(w->arena))
        mg_progress_update(w->progress, w->progress->n_done + bytes);
}

mg_status mg_weights_host(mg_weights *w, float *dst, const char *name, int n_dims, const int64_t *dim)
{
    const mg_checkpoint_entry *e;
    mg_random_block random;
    int64_t n = 1, n_bad = 0, got;

    for (int i = 0; i < n_dims; i++) n *= dim[i];
    MG_RETURN(mg_weights_find(w, &e, name, n_dims, dim));
    if (e) {
        MG_RETURN(mg_checkpoint_check_read(e, mg_weights_read(dst, e, 0, n, &n_bad)));
        mg_weights_consume(w, e, n);
        return mg_weights_check(e, n_bad);
    }
    /* norms near 1, everything else by its fan-in */
    const bool is_norm = n_dims == 1 && (strstr(name, "weight") || strstr(name, "running_var"));
    const float scale = is_norm || n_dims == 1 ? 0.02f : 1 / sqrtf((float)(n / dim[0]));
    MG_RETURN(mg_random_block_open(&random, name, scale, is_norm ? 1 : 0));
    for (int64_t i = 0; i < n; i += got) {
        const float *piece = next_values(&random, n - i, &got);
        memcpy(dst + i, piece, (size_t)got * sizeof *dst);
    }
    mg_random_block_close(&random);
    mg_weights_consume(w, NULL, n);
    return MG_OK;
}

mg_status mg_weights_keep(mg_weights *w, float *dst, const char *name, int n_dims, const int64_t *dim)
{
    const mg_checkpoint_entry *e;
    int64_t n = 1;

    if (!mg_arena_is_measuring(w->arena)) return mg_weights_host(w, dst, name, n_dims, dim);
    for (int i = 0; i < n_dims; i++) n *= dim[i];
    MG_RETURN(mg_weights_find(w, &e, name, n_dims, dim));
    mg_weights_consume(w, e, n);
    return MG_OK;
}
