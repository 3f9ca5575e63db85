/* The elements of a tensor on their way from one file to another: stacked, converted, and forgotten. */
#include "checkpoint_read.h"
#include "convert.h"
#include "stop.h"

enum { PIECE = 16384 };

/* Elements of a source, in the output's type. */
static mg_status read_source(void *dst, mg_dtype dtype, const mg_checkpoint_entry *e, int64_t first,
                             int64_t n, int64_t *n_overflows)
{
    const bool as_stored = e->tensor.dtype == dtype;
    char piece[PIECE * sizeof(double)];
    const mg_tensor stored = mg_tensor_1d(piece, e->tensor.dtype, PIECE);
    int64_t n_merged = 0;

    for (int64_t done = 0, n_now; done < n; done += n_now) {
        n_now = as_stored || n - done < PIECE ? n - done : PIECE;
        char *to = (char *)dst + (size_t)done * mg_dtype_bytes(dtype);
        const mg_tensor_part part = {first + done, 1, n_now, n_now};
        MG_RETURN(
            mg_checkpoint_check_read(e, mg_checkpoint_read(e, as_stored ? to : piece, &part, &n_merged)));
        if (!as_stored) MG_RETURN(mg_tensor_read(to, dtype, &stored, 0, n_now, n_overflows));
    }
    if (!n_merged) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: with the adapter %lld values are beyond what %s can hold", e->name,
                   (long long)n_merged, mg_dtype_name(e->tensor.dtype));
}

mg_status mg_convert_read(const mg_convert_tensor *t, void *dst, int64_t first, int64_t n)
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
        MG_RETURN(read_source(at, t->tensor.dtype, &t->source[i], first, n_here, &n_overflows));
        at += (size_t)n_here * mg_dtype_bytes(t->tensor.dtype);
        first = 0;
        n -= n_here;
    }
    if (n_overflows)
        return mg_fail(MG_EFAIL, "%s: %lld values are beyond what %s can hold; use --dtype bf16 or fp32",
                       t->name, (long long)n_overflows, mg_dtype_name(t->tensor.dtype));
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
