/* The elements of a tensor on their way from one file to another: stacked, converted, and forgotten. */
#include "checkpoint_read.h"
#include "convert.h"
#include "numbers.h"
#include "stop.h"

enum { PIECE = 16384, STORED_PIECE = 65536 }; /* elements: converted, and as they are stored */

/* A run of a source's elements on its way into the output's type, piece by piece on any thread. */
typedef struct stretch {
    const mg_checkpoint_entry *e;
    char *dst;
    mg_dtype dtype;
    bool as_stored;
    int64_t first, n, n_piece;
    int error; /* of mg_checkpoint_read; the rest is atomic, too */
    int64_t n_merged, n_overflows;
} stretch;

static void read_pieces(void *arg, int64_t begin, int64_t end, int i_thread)
{
    stretch *s = arg;
    char piece[PIECE * sizeof(double)];
    const mg_tensor stored = mg_tensor_1d(piece, s->e->tensor.dtype, PIECE);
    int64_t n_merged = 0, n_overflows = 0;

    (void)i_thread;
    for (int64_t i = begin; i < end; i++) {
        const int64_t done = i * s->n_piece, n = mg_smaller(s->n_piece, s->n - done);
        const mg_tensor_part part = {s->first + done, 1, n, n};
        char *to = s->dst + (size_t)done * mg_dtype_bytes(s->dtype);
        const int error = mg_checkpoint_read(s->e, s->as_stored ? to : piece, &part, &n_merged);
        if (error)
            __atomic_store_n(&s->error, error, __ATOMIC_RELAXED);
        else if (!s->as_stored)
            (void)mg_tensor_read(to, s->dtype, &stored, 0, n, &n_overflows); /* its types were looked at */
    }
    __atomic_fetch_add(&s->n_merged, n_merged, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->n_overflows, n_overflows, __ATOMIC_RELAXED);
}

/* Elements of a source, in the output's type. */
static mg_status read_source(mg_threads *threads, void *dst, mg_dtype dtype, const mg_checkpoint_entry *e,
                             int64_t first, int64_t n, int64_t *n_overflows)
{
    const bool as_stored = e->tensor.dtype == dtype;
    stretch s = {.e = e, .dst = dst, .dtype = dtype, .as_stored = as_stored, .first = first, .n = n};

    s.n_piece = as_stored ? STORED_PIECE : PIECE;
    if (!as_stored) MG_RETURN(mg_tensor_read(dst, dtype, &e->tensor, 0, 0, NULL)); /* can it be converted? */
    mg_threads_run(threads, read_pieces, &s, (n + s.n_piece - 1) / s.n_piece);
    *n_overflows += s.n_overflows;
    MG_RETURN(mg_checkpoint_check_read(e, s.error));
    if (!s.n_merged) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: with the adapter %lld values are beyond what %s can hold", e->name,
                   (long long)s.n_merged, mg_dtype_name(e->tensor.dtype));
}

mg_status mg_convert_read(const mg_convert *c, const mg_convert_tensor *t, void *dst, int64_t first,
                          int64_t n)
{
    int64_t n_overflows = 0;
    char *at = dst;

    for (int i = 0; i < t->n_sources && n > 0; i++) {
        const int64_t n_source = mg_tensor_count(&t->source[i].tensor);
        if (first >= n_source) {
            first -= n_source;
            continue;
        }
        const int64_t n_here = n_source - first < n ? n_source - first : n;
        MG_RETURN(read_source(c->threads, at, t->tensor.dtype, &t->source[i], first, n_here, &n_overflows));
        at += (size_t)n_here * mg_dtype_bytes(t->tensor.dtype);
        first = 0;
        n -= n_here;
    }
    if (n_overflows)
        return mg_fail(MG_EFAIL, "%s: %lld values are beyond what %s can hold; use --dtype %s", t->name,
                       (long long)n_overflows, mg_dtype_name(t->tensor.dtype),
                       t->tensor.dtype == MG_BF16 ? "fp32" : "bf16 or fp32");
    return MG_OK;
}

mg_status mg_convert_advance(mg_convert *c, int64_t bytes)
{
    MG_RETURN(mg_stop_check());
    MG_RETURN(mg_model_files_check(c->files));
    c->n_done_bytes += bytes;
    mg_progress_update(&c->progress, c->n_done_bytes);
    return MG_OK;
}
