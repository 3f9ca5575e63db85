#include "checkpoint_read.h"

#include <errno.h>
#include <string.h>

#include "in_file.h"
#include "lora_change.h"
#include "stop.h"

enum { STREAM = 4096 };

/* A piece of a tensor: a network's file system may need a second for one. */
static int copy(void *dst, const mg_checkpoint_entry *e, int64_t offset, int64_t bytes)
{
    if (mg_stop_requested()) return ECANCELED;
    if (e->fd >= 0) return mg_in_file_copy(e->fd, dst, e->offset + offset, bytes);
    memcpy(dst, (const char *)e->tensor.data + offset, (size_t)bytes);
    return 0;
}

int mg_checkpoint_read(const mg_checkpoint_entry *e, void *dst, const mg_tensor_part *part,
                       int64_t *n_overflows)
{
    const int64_t size = (int64_t)mg_dtype_bytes(e->tensor.dtype);
    const bool is_one = part->n_cols == part->stride;
    const int64_t n_pieces = is_one ? 1 : part->n_rows,
                  bytes = (is_one ? part->n_rows : 1) * part->n_cols * size;

    for (int64_t i = 0; i < n_pieces; i++) {
        const int64_t offset = (part->first + i * part->stride) * size;
        const int error = copy((char *)dst + i * bytes, e, offset, bytes);
        if (error) return error;
    }
    if (e->change) mg_lora_change_apply(e->change, dst, &e->tensor, part, n_overflows);
    return 0;
}

mg_status mg_checkpoint_stream(const mg_checkpoint_entry *e, mg_tensor_sink *sink, void *arg)
{
    const int64_t n = mg_tensor_count(&e->tensor);
    char stored[STREAM * sizeof(double)];
    const mg_tensor from = mg_tensor_1d(stored, e->tensor.dtype, STREAM);
    float value[STREAM];

    for (int64_t first = 0; first < n; first += STREAM) {
        const int64_t n_now = n - first < STREAM ? n - first : STREAM;
        const mg_tensor_part part = {first, 1, n_now, n_now};
        MG_RETURN(mg_checkpoint_check_read(e, mg_checkpoint_read(e, stored, &part, NULL)));
        MG_RETURN(mg_tensor_read(value, MG_F32, &from, 0, n_now, NULL));
        MG_RETURN(sink(arg, value, (size_t)n_now * sizeof *value));
    }
    return MG_OK;
}

mg_status mg_checkpoint_check_read(const mg_checkpoint_entry *e, int error)
{
    if (error == ECANCELED) MG_RETURN(mg_stop_check());
    if (error == ENODATA)
        return mg_fail(
            MG_EFAIL,
            "%s: %s: was cut short while it was read: get the whole file again, and start when it is there",
            e->file, e->name);
    return error ? mg_fail(MG_EFAIL, "%s: %s: cannot read: %s", e->file, e->name, strerror(error)) : MG_OK;
}

mg_status mg_checkpoint_sample(char piece[MG_SAMPLE_BYTES], size_t *bytes, const mg_checkpoint_entry *e,
                               size_t most)
{
    const size_t size = mg_dtype_bytes(e->tensor.dtype), all = mg_tensor_bytes(&e->tensor);

    MG_REQUIRE(most <= MG_SAMPLE_BYTES && size >= 1 && size <= 16);
    const size_t n = all < most ? all : most, at = (all - n) / 2;
    const size_t first = at / size, end = (at + n + size - 1) / size; /* elements that it touches */
    const int64_t n_values = (int64_t)(end - first);
    char room[MG_SAMPLE_BYTES + 2 * 16];

    *bytes = n;
    MG_RETURN(mg_stop_check());
    const mg_tensor_part part = {(int64_t)first, 1, n_values, n_values};
    MG_RETURN(mg_checkpoint_check_read(e, mg_checkpoint_read(e, room, &part, NULL)));
    memcpy(piece, room + (at - first * size), n);
    return MG_OK;
}
