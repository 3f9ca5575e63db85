#include "bench_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

enum { CALLS_A_RUN = 3 /* times the runs: 60 calls in each of 20 */ };

/* No step of the language model has it in its key (lm_step.c). */
static const uint64_t OWN_KEY = (uint64_t)1 << 62;

typedef enum slot {
    NORM_LINEAR,
    LINEAR_ADD,
    ATTENTION_LINEAR,
    LINEAR,
    ATTENTION,
    SAMPLE,
    GATHER,
    EMBED
} slot;

/* A call with all that it was given: what stood on the caller's stack is copied. */
typedef struct call {
    slot slot;
    mg_tensor y, a, x, rows, numbers; /* rows: of the cache; numbers: of keys, or positions */
    mg_tensor product;
    const mg_matrix *w;
    const mg_kv *kv;
    mg_norm norm;
    mg_act act;
    int64_t first_col, n;
    float scale;
    const mg_draw *draws;
    int32_t pad;
    bool accumulate; /* of attention_linear: there is a product */
} call;

/* The backend's table in whose slots calls are kept and made. */
typedef struct catcher {
    mg_ops_iface table; /* first: a slot finds the catcher by its table */
    const mg_ops_iface *plain;
    call *call;
    size_t n, capacity;
} catcher;

static mg_status keep(const mg_ops *ops, const call *c, const mg_ops_iface **plain)
{
    catcher *to = (catcher *)ops->iface;

    *plain = to->plain;
    MG_RETURN(mg_grow(&to->call, &to->capacity, to->n + 1, sizeof *to->call, "calls"));
    to->call[to->n++] = *c;
    return MG_OK;
}

static mg_status norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                             const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into)
{
    const mg_ops_iface *plain;
    call c = {.slot = NORM_LINEAR, .y = *y, .a = *a, .x = *x, .norm = *norm, .w = w, .act = act};

    if (into) c.kv = into->kv, c.first_col = into->first_col, c.rows = *into->kv_row, c.numbers = *into->pos;
    MG_RETURN(keep(ops, &c, &plain));
    return plain->norm_linear(ops, y, a, x, norm, w, act, into);
}

static mg_status linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                            const mg_matrix *w)
{
    const mg_ops_iface *plain;
    const call c = {.slot = LINEAR_ADD, .y = *y, .a = *product, .x = *x, .w = w};

    MG_RETURN(keep(ops, &c, &plain));
    return plain->linear_add(ops, y, product, x, w);
}

/* Where the backend leaves it to ops.c, attention and the product are kept as what they are. */
static mg_status attention_linear(const mg_ops *ops, bool *done, mg_tensor *y, mg_tensor *product,
                                  mg_tensor *a, const mg_tensor *x, const mg_attend *over, const mg_matrix *w)
{
    const mg_ops_iface *plain = ((const catcher *)ops->iface)->plain;
    call c = {.slot = ATTENTION_LINEAR,
              .y = *y,
              .a = *a,
              .x = *x,
              .w = w,
              .kv = over->kv,
              .rows = *over->kv_row,
              .numbers = *over->n_keys,
              .scale = over->scale};

    if (product) c.product = *product, c.accumulate = true;
    MG_RETURN(plain->attention_linear(ops, done, y, product, a, x, over, w));
    return *done ? keep(ops, &c, &plain) : MG_OK;
}

/* The model's have no bias. */
static mg_status linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                        const mg_tensor *bias, mg_act act, bool accumulate)
{
    const mg_ops_iface *plain;
    const call c = {.slot = LINEAR, .y = *y, .x = *x, .w = w, .act = act, .accumulate = accumulate};

    MG_RETURN(keep(ops, &c, &plain));
    return plain->linear(ops, y, x, w, bias, act, accumulate);
}

static mg_status attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                           const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                           const mg_tensor *rel_bias)
{
    const mg_ops_iface *plain;
    const call c = {
        .slot = ATTENTION, .y = *y, .x = *x, .kv = kv, .rows = *kv_row, .numbers = *n_keys, .scale = scale};

    MG_RETURN(keep(ops, &c, &plain));
    return plain->attention(ops, y, x, kv, kv_row, n_keys, scale, rel_bias);
}

static mg_status sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                        const mg_draw *draws, int64_t n)
{
    const mg_ops_iface *plain;
    const call c = {.slot = SAMPLE, .y = *codes, .x = *logits, .first_col = V, .draws = draws, .n = n};

    MG_RETURN(keep(ops, &c, &plain));
    return plain->sample(ops, codes, logits, V, draws, n);
}

/* The tables of embeddings and positions stay where they are. */
static mg_status gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes, const mg_tensor *cells,
                            int32_t pad)
{
    const mg_ops_iface *plain;
    const call c = {.slot = GATHER, .y = *ids, .x = *codes, .rows = *cells, .pad = pad};

    MG_RETURN(keep(ops, &c, &plain));
    return plain->gather_ids(ops, ids, codes, cells, pad);
}

static mg_status embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                       const mg_tensor *positions, const mg_tensor *pos)
{
    const mg_ops_iface *plain;
    const call c = {.slot = EMBED, .y = *x, .x = *tables, .rows = *ids, .a = *positions, .numbers = *pos};

    MG_RETURN(keep(ops, &c, &plain));
    return plain->embed(ops, x, tables, ids, positions, pos);
}

static mg_status make(const mg_ops *ops, call *c)
{
    const mg_kv_place into = {c->kv, c->first_col, &c->rows, &c->numbers};
    const mg_attend over = {c->kv, &c->rows, &c->numbers, c->scale};

    switch (c->slot) {
    case NORM_LINEAR:
        return mg_norm_linear(ops, &c->y, &c->a, &c->x, &c->norm, c->w, c->act, c->kv ? &into : NULL);
    case LINEAR_ADD: return mg_linear_add(ops, &c->y, &c->a, &c->x, c->w);
    case ATTENTION_LINEAR:
        return mg_attention_linear(ops, &c->y, c->accumulate ? &c->product : NULL, &c->a, &c->x, &over, c->w);
    case LINEAR: return mg_linear(ops, &c->y, &c->x, c->w, NULL, c->act, c->accumulate);
    case ATTENTION: return mg_attention(ops, &c->y, &c->x, c->kv, &c->rows, &c->numbers, c->scale, NULL);
    case SAMPLE: return mg_sample(ops, &c->y, &c->x, c->first_col, c->draws, c->n);
    case GATHER: return mg_gather_ids(ops, &c->y, &c->x, &c->rows, c->pad);
    default: return mg_embed(ops, &c->y, &c->x, &c->rows, &c->a, &c->numbers);
    }
}

/* A product by its shape, attention by the keys that its cache has room for, with a product or without. */
static void name_kind(char out[32], const call *c)
{
    static const char *const word[] = {"norm_linear", "linear_add", "attention_linear", "linear",
                                       "attention",   "sample",     "gather_ids",       "embed"};
    int n = snprintf(out, 32, "%s", word[c->slot]);

    if (c->slot == ATTENTION || c->slot == ATTENTION_LINEAR)
        (void)snprintf(out + n, 32 - (size_t)n, "_%lld", (long long)c->kv->T_max);
    else if (c->w)
        (void)snprintf(out + n, 32 - (size_t)n, "_%lldx%lld", (long long)c->w->n_out, (long long)c->w->n_in);
}

/* Bring the calls of the first one's kind to the front, in their order; their number. */
static int64_t take_kind(call *c, int64_t n)
{
    char kind[32], other[32];
    int64_t n_taken = 0;

    name_kind(kind, c);
    for (int64_t i = 0; i < n; i++) {
        name_kind(other, &c[i]);
        if (strcmp(kind, other) != 0) continue;
        const call taken = c[i];
        memmove(&c[n_taken + 1], &c[n_taken], (size_t)(i - n_taken) * sizeof *c);
        c[n_taken++] = taken;
    }
    return n_taken;
}

/* n calls of one kind, n_rounds times. */
static mg_status run_kind(call *first, int64_t n, int64_t n_rounds, const mg_ops *ops, uint64_t key)
{
    bool replay = false;

    MG_RETURN(mg_step_begin(ops, OWN_KEY | key, &replay));
    for (int64_t i = 0; i < n * n_rounds && !replay; i++) MG_RETURN(make(ops, &first[i % n]));
    return mg_step_end(ops);
}

/* On a device a recording holds more than its start costs. */
static mg_status time_kind(mg_figures *r, call *first, int64_t n, const mg_ops *ops, uint64_t key,
                           const mg_bench_kernels_step *step, int64_t n_runs)
{
    const int64_t n_rounds = ops->space == MG_DEVICE ? (CALLS_A_RUN * n_runs + n - 1) / n : 1;
    char name[32], line[40];

    name_kind(name, first);
    MG_RETURN(run_kind(first, n, n_rounds, ops, key)); /* recorded, and warm */
    MG_RETURN(step->wait(step->arg));
    const double begin_s = mg_clock_s();
    for (int64_t i = 0; i < n_runs; i++) MG_RETURN(run_kind(first, n, n_rounds, ops, key));
    MG_RETURN(step->wait(step->arg));
    const double us = (mg_clock_s() - begin_s) / (double)(n_runs * n_rounds * n) * 1e6;
    (void)snprintf(line, sizeof line, "us_%s", name);
    mg_figures_number(r, line, us, 3);
    (void)snprintf(line, sizeof line, "n_%s", name);
    mg_figures_int(r, line, n);
    return MG_OK;
}

/* One step whose calls are kept; it is not recorded. */
static mg_status catch_step(catcher *c, mg_ops *ops, const mg_bench_kernels_step *step)
{
    *c = (catcher){.table = *ops->iface, .plain = ops->iface};
    c->table.step_begin = NULL;
    c->table.step_end = NULL;
    c->table.linear = linear;
    c->table.attention = attention;
    c->table.sample = sample;
    c->table.gather_ids = gather_ids;
    c->table.embed = embed;
    if (c->plain->norm_linear) c->table.norm_linear = norm_linear;
    if (c->plain->linear_add) c->table.linear_add = linear_add;
    if (c->plain->attention_linear) c->table.attention_linear = attention_linear;
    ops->iface = &c->table;
    mg_status st = step->run(step->arg);
    if (st == MG_OK) st = step->wait(step->arg);
    ops->iface = c->plain;
    return st;
}

mg_status mg_bench_kernels(mg_figures *r, mg_ops *ops, const mg_bench_kernels_step *step, int64_t n_runs)
{
    catcher all = {0};
    int64_t n = 0;
    mg_status st = MG_OK;

    MG_TRY(catch_step(&all, ops, step));
    for (size_t first = 0; first < all.n; first += (size_t)n) {
        n = take_kind(all.call + first, (int64_t)(all.n - first));
        MG_TRY(time_kind(r, all.call + first, n, ops, first, step, n_runs));
    }
done:
    free(all.call);
    return st;
}
