/* What the output holds and no file does: computed from other tensors, or from nothing. And the list itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_read.h"
#include "convert.h"
#include "lm.h"
#include "tensor_read.h"
#include "text.h"

#define WINDOW "condition_provider.conditioners.self_wav.chroma.spec.window"

enum { WINDOW_SIZE = 1 << 14 }; /* radix2_exp 14 */

void mg_convert_list_close(mg_convert_list *list)
{
    for (int64_t i = 0; i < list->n; i++) free(list->tensor[i].made);
    free(list->tensor);
    *list = (mg_convert_list){0};
}

int64_t mg_convert_list_bytes(const mg_convert_list *list)
{
    int64_t bytes = 0;

    for (int64_t i = 0; i < list->n; i++) bytes += (int64_t)mg_tensor_bytes(&list->tensor[i].tensor);
    return bytes;
}

mg_status mg_convert_add(mg_convert_list *list, mg_convert_tensor **out)
{
    MG_RETURN(mg_grow(&list->tensor, &list->capacity, (size_t)list->n + 1, sizeof *list->tensor, "convert"));
    *out = &list->tensor[list->n++];
    **out = (mg_convert_tensor){0};
    return MG_OK;
}

mg_dtype mg_convert_dtype_of(const mg_convert *c, mg_dtype stored)
{
    if (!mg_tensor_can_read(stored, MG_F32)) return stored; /* integers */
    switch (c->dtype) {
    case MG_CONVERT_FP32: return MG_F32;
    case MG_CONVERT_FP16: return MG_F16;
    case MG_CONVERT_BF16: return MG_BF16;
    default: return stored;
    }
}

/* Room for a tensor of fp32 values that no file holds. */
static mg_status make_room(mg_convert_tensor *out, const mg_listed_tensor *t)
{
    mg_tensor made = {NULL, MG_F32, t->n_dims, {t->dim[0], t->dim[1], t->dim[2], t->dim[3]}};

    made.data = out->made = malloc(mg_tensor_bytes(&made));
    if (!out->made) return mg_fail(MG_ENOMEM, "%s: %zu bytes", t->name, mg_tensor_bytes(&made));
    out->source[0] = (mg_checkpoint_entry){.name = "", .tensor = made, .file = "", .fd = -1};
    return MG_OK;
}

/* w = g v/|v| with v = w: then g is the length of each row. The elements of `w` come in order. */
typedef struct row_lengths {
    float *g;
    int64_t n_cols, i_element;
    double sum;
} row_lengths;

static mg_status add_to_lengths(void *arg, const void *data, size_t bytes)
{
    row_lengths *r = arg;
    const float *value = data;

    for (size_t i = 0; i < bytes / sizeof *value; i++) {
        float x;
        memcpy(&x, value + i, sizeof x);
        r->sum += (double)x * (double)x;
        if (++r->i_element % r->n_cols != 0) continue;
        r->g[r->i_element / r->n_cols - 1] = (float)sqrt(r->sum);
        r->sum = 0;
    }
    return MG_OK;
}

mg_status mg_convert_make(const mg_convert *c, mg_convert_tensor *out, const mg_listed_tensor *t,
                          const mg_checkpoint_entry *base)
{
    MG_RETURN(make_room(out, t));
    float *value = out->made;
    const int64_t n = mg_tensor_count(&out->source[0].tensor);
    if (t->role == MG_ROLE_POSITIONS) {
        mg_lm_positions(value, t->dim[0], t->dim[1]);
    } else if (t->role == MG_ROLE_NORM_G) {
        row_lengths r = {value, mg_tensor_count(&base->tensor) / t->dim[0], 0, 0};
        MG_RETURN(mg_checkpoint_stream(base, add_to_lengths, &r));
    } else if (t->role == MG_ROLE_PLAIN) { /* a projection that changes nothing */
        for (int64_t i = 0; i < n; i++) value[i] = t->n_dims == 2 && i % (t->dim[1] + 1) == 0;
    } else {
        for (int64_t i = 0; i < n; i++) value[i] = 1; /* inited, cluster_size */
    }
    out->tensor = out->source[0].tensor;
    out->tensor.data = NULL;
    out->tensor.dtype = mg_convert_dtype_of(c, t->role == MG_ROLE_NORM_G ? base->tensor.dtype : MG_F32);
    return MG_OK;
}

mg_status mg_convert_add_window(mg_convert *c)
{
    const mg_checkpoint_entry *e = mg_checkpoint_find(c->files->lm.checkpoint, WINDOW);
    const mg_listed_tensor like = {.name = WINDOW, .n_dims = 1, .dim = {WINDOW_SIZE, 1, 1, 1}};
    const mg_dtype dtype = c->lm.tensor[0].tensor.dtype;
    mg_convert_tensor *out = NULL;

    MG_RETURN(mg_convert_add(&c->lm, &out));
    memcpy(out->name, WINDOW, sizeof WINDOW);
    out->n_sources = 1;
    if (e && mg_tensor_is(&e->tensor, e->tensor.dtype, like.n_dims, like.dim)) {
        out->source[0] = *e;
    } else {
        MG_RETURN(make_room(out, &like));
        float *value = out->made;
        for (int i = 0; i < WINDOW_SIZE; i++)
            value[i] = (float)(0.5 - 0.5 * cos(2 * acos(-1.0) * i / WINDOW_SIZE));
    }
    out->tensor = out->source[0].tensor;
    out->tensor.data = NULL;
    out->tensor.dtype = mg_convert_dtype_of(c, e ? e->tensor.dtype : dtype);
    return MG_OK;
}
