#include "bench_split.h"

#include <stdlib.h>

#include "clock.h"
#include "text.h"

static mg_bench_split *split_of(const mg_ops *ops)
{
    return (mg_bench_split *)ops->iface;
}

/* Call a slot of the plain table and add its time. */
#define TIMED(split, part, call)                           \
    const double begin_s = mg_clock_s();                   \
    const mg_status st = (call);                           \
    (split)->s[MG_BENCH_##part] += mg_clock_s() - begin_s; \
    return st

static mg_status linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                        const mg_tensor *bias, mg_act act, bool accumulate)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, PRODUCTS, s->plain->linear(ops, y, x, w, bias, act, accumulate));
}

static mg_status norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                             const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, PRODUCTS, s->plain->norm_linear(ops, y, a, x, norm, w, act, into));
}

static mg_status linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                            const mg_matrix *w)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, PRODUCTS, s->plain->linear_add(ops, y, product, x, w));
}

static mg_status attention_linear(const mg_ops *ops, bool *done, mg_tensor *y, mg_tensor *product,
                                  mg_tensor *a, const mg_tensor *x, const mg_attend *over, const mg_matrix *w)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, PRODUCTS, s->plain->attention_linear(ops, done, y, product, a, x, over, w));
}

static mg_status kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                          const mg_tensor *kv_row, const mg_tensor *pos)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, ATTENTION, s->plain->kv_write(ops, kv, x, first_col, kv_row, pos));
}

static mg_status attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                           const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                           const mg_tensor *rel_bias)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, ATTENTION, s->plain->attention(ops, y, x, kv, kv_row, n_keys, scale, rel_bias));
}

static mg_status sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                        const mg_draw *draws, int64_t n)
{
    mg_bench_split *s = split_of(ops);
    TIMED(s, SAMPLING, s->plain->sample(ops, codes, logits, V, draws, n));
}

static mg_status record(mg_bench_split *s, bool gathers, int64_t n, mg_dtype dtype)
{
    if (!s->records) return MG_OK;
    MG_RETURN(mg_grow(&s->call, &s->capacity, s->n_calls + 1, sizeof *s->call, "calls"));
    s->call[s->n_calls++] = (mg_bench_call){gathers, dtype, n};
    return MG_OK;
}

static mg_status all_reduce(mg_comm *c, float *x, int64_t n)
{
    const mg_bench_split_comm *s = (const mg_bench_split_comm *)c->iface;
    MG_RETURN(record(s->split, false, n, MG_F32));
    TIMED(s->split, REDUCE, s->plain->all_reduce(c, x, n));
}

static mg_status all_gather(mg_comm *c, void *all, const void *mine, int64_t n, mg_dtype dtype)
{
    const mg_bench_split_comm *s = (const mg_bench_split_comm *)c->iface;
    MG_RETURN(record(s->split, true, n, dtype));
    TIMED(s->split, REDUCE, s->plain->all_gather(c, all, mine, n, dtype));
}

void mg_bench_split_begin(mg_bench_split *split, mg_bench_split_comm *of_comm, mg_ops *ops, mg_comm *comm)
{
    *split = (mg_bench_split){.ops = *ops->iface, .plain = ops->iface};
    split->ops.linear = linear;
    split->ops.kv_write = kv_write;
    split->ops.attention = attention;
    split->ops.sample = sample;
    if (split->plain->norm_linear) split->ops.norm_linear = norm_linear;
    if (split->plain->linear_add) split->ops.linear_add = linear_add;
    if (split->plain->attention_linear) split->ops.attention_linear = attention_linear;
    *of_comm = (mg_bench_split_comm){.comm = *comm->iface, .plain = comm->iface, .split = split};
    of_comm->comm.all_reduce = all_reduce;
    of_comm->comm.all_gather = all_gather;
    ops->iface = &split->ops;
    comm->iface = &of_comm->comm;
}

void mg_bench_split_end(const mg_bench_split *split, const mg_bench_split_comm *of_comm, mg_ops *ops,
                        mg_comm *comm)
{
    ops->iface = split->plain;
    comm->iface = of_comm->plain;
}

void mg_bench_split_close(mg_bench_split *split)
{
    free(split->call);
    split->call = NULL;
}
