/* The elements of a tensor on their way from one file to another: stacked, converted, and forgotten. */
#include <sys/mman.h>
#include <unistd.h>

#include "convert.h"
#include "stop.h"
#include "tensor_stream.h"

/* Mapped pages that have been read leave our memory; the system's cache keeps them as it likes. */
static void forget(const mg_tensor *t, int64_t first, int64_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)t->data + (uintptr_t)first * mg_dtype_bytes(t->dtype);
    const uintptr_t end = begin + (uintptr_t)n * mg_dtype_bytes(t->dtype);

    if (end / page > (begin + page - 1) / page)
        madvise((void *)((begin + page - 1) / page * page),
                end / page * page - (begin + page - 1) / page * page, MADV_DONTNEED);
}

mg_status mg_convert_read(const mg_convert_tensor *t, void *dst, int64_t first, int64_t n)
{
    int64_t n_overflows = 0;
    char *at = dst;

    for (int i = 0; i < t->n_sources && n > 0; i++) {
        const mg_tensor *source = &t->source[i];
        const int64_t n_source = mg_tensor_count(source);
        if (first >= n_source) {
            first -= n_source;
            continue;
        }
        const int64_t n_here = n_source - first < n ? n_source - first : n;
        MG_RETURN(mg_tensor_read(at, t->tensor.dtype, source, first, n_here, &n_overflows));
        if (t->mapped[i]) forget(source, first, n_here);
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
