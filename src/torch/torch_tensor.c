/* Pickled tensors: torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …), never rebuilt, only
 * read: where its elements lie. */
#include <string.h>

#include "torch_impl.h"

/* The arguments of torch._utils._rebuild_tensor_v2 or v3, looking through Parameters; NULL if it is none of
 * them. */
static const mg_pickle_items *tensor_args(const mg_pickle_value *v)
{
    for (int depth = 0; depth < 4 && v; depth++) {
        if (mg_pickle_is_object_of(v, "torch._utils", "_rebuild_tensor_v2") ||
            mg_pickle_is_object_of(v, "torch._utils", "_rebuild_tensor_v3"))
            return v->object.args->items.n >= 4 ? &v->object.args->items : NULL;
        if (!mg_pickle_is_object_of(v, "torch._utils", "_rebuild_parameter") &&
            !mg_pickle_is_object_of(v, "torch._utils", "_rebuild_parameter_with_state"))
            return NULL;
        v = v->object.args->items.n ? v->object.args->items.item[0] : NULL;
    }
    return NULL;
}

bool mg_torch_file_is_tensor(const mg_pickle_value *v)
{
    return tensor_args(v) != NULL;
}

const char *mg_torch_file_odd_tensor(const mg_pickle_value *v)
{
    static const struct {
        const char *module, *function, *what;
    } odd[] = {
        {"torch._utils", "_rebuild_sparse_tensor",
         " with all its values, but a sparse one: save it with to_dense()"},
        {"torch._utils", "_rebuild_qtensor",
         " of plain numbers, but a quantised one: save it with dequantize()"},
        {"torch._utils", "_rebuild_meta_tensor_no_storage",
         " with values, but one on the device meta, which has none: load the model before it is saved"},
        {"torch._utils", "_rebuild_wrapper_subclass",
         " of plain numbers, but a wrapper around some: save a plain copy of it"},
        {"torch._tensor", "_rebuild_from_type_v2",
         " of plain numbers, but of a class of its own: save a plain copy of it (of a DTensor, as FSDP2 has "
         "them, full_tensor(), on all ranks)"},
    };

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (mg_pickle_is_object_of(v, odd[i].module, odd[i].function)) return odd[i].what;
    return "";
}

/* Dims and strides, and one past the highest element they reach, counted from the storage's begin; -1 if they
 * make no sense, or their bytes are more than a number holds. */
static int64_t reach(mg_torch_tensor *t, const mg_pickle_value *offset, const mg_pickle_value *size,
                     const mg_pickle_value *stride)
{
    if (offset->kind != MG_PICKLE_INT || offset->integer < 0 || size->kind != MG_PICKLE_TUPLE ||
        stride->kind != MG_PICKLE_TUPLE || size->items.n != stride->items.n ||
        size->items.n > MG_TORCH_MAX_DIMS)
        return -1;
    int64_t last = offset->integer, bytes = (int64_t)sizeof(double);
    bool empty = false;
    t->n_dims = (int)size->items.n;
    for (int i = 0; i < t->n_dims; i++) {
        const mg_pickle_value *d = size->items.item[i], *s = stride->items.item[i];
        int64_t step;
        if (d->kind != MG_PICKLE_INT || s->kind != MG_PICKLE_INT || d->integer < 0 || s->integer < 0 ||
            __builtin_mul_overflow(bytes, d->integer > 0 ? d->integer : 1, &bytes))
            return -1; /* an empty one, too, has dims that can be multiplied */
        t->dim[i] = d->integer, t->stride[i] = s->integer;
        if (d->integer == 0)
            empty = true;
        else if (__builtin_mul_overflow(d->integer - 1, s->integer, &step) ||
                 __builtin_add_overflow(last, step, &last))
            return -1;
    }
    if (empty) return offset->integer;
    return last < INT64_MAX ? last + 1 : -1;
}

/* {'neg': True} or {'conj': True} behind the arguments: the stored values are not yet the tensor's. */
static bool is_lazy(const mg_pickle_items *args)
{
    for (size_t i = 6; i < args->n; i++)
        if (args->item[i]->kind == MG_PICKLE_DICT && args->item[i]->items.n) return true;
    return false;
}

mg_status mg_torch_file_tensor(const mg_torch_file *f, mg_torch_tensor *out, const char *name,
                               const mg_pickle_value *v)
{
    const mg_pickle_items *args = tensor_args(v);
    const mg_torch_type *type;
    const char *key, *data;
    int64_t n_elements;
    size_t bytes;

    *out = (mg_torch_tensor){0};
    if (!args || !mg_torch_storage_of(args->item[0], &type, &key, &n_elements))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: not a tensor", f->path, name);
    if (!type && args->n >= 7)
        type = mg_torch_type_of(args->item[6]); /* v3: storage, offset, size, stride, grad, hooks, dtype */
    if (!type)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: %s: its element type is not supported, only floating point, real integers and bool are",
            f->path, name);
    if (is_lazy(args))
        return mg_fail(MG_ECHECKPOINT,
                       "%s: %s: a view whose values are still to be negated: save it with resolve_neg()",
                       f->path, name);
    if (!mg_torch_storage_find(f, key, &data, &bytes))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: its storage %s is missing: the file is damaged", f->path,
                       name, key);
    const int64_t end = reach(out, args->item[1], args->item[2], args->item[3]);
    const size_t element_bytes = mg_dtype_bytes(type->dtype);
    if (end < 0 || (uint64_t)end > bytes / element_bytes)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: reaches outside its storage: the file is damaged", f->path,
                       name);
    out->dtype = type->dtype;
    out->data = data + (size_t)args->item[1]->integer * element_bytes;
    return MG_OK;
}

bool mg_torch_tensor_is_contiguous(const mg_torch_tensor *t)
{
    int64_t expected = 1;

    for (int i = t->n_dims - 1; i >= 0; i--) {
        if (t->dim[i] == 0) return true;
        if (t->dim[i] != 1 && t->stride[i] != expected) return false;
        expected *= t->dim[i];
    }
    return true;
}

int64_t mg_torch_tensor_count(const mg_torch_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->n_dims; i++) n *= t->dim[i];
    return n;
}

void mg_torch_tensor_copy(void *dst, const mg_torch_tensor *t)
{
    mg_torch_tensor_copy_part(dst, t, 0, mg_torch_tensor_count(t));
}

void mg_torch_tensor_copy_part(void *dst, const mg_torch_tensor *t, int64_t first, int64_t n)
{
    const size_t element_bytes = mg_dtype_bytes(t->dtype);
    int64_t index[MG_TORCH_MAX_DIMS] = {0};
    char *to = dst;

    for (int i = t->n_dims - 1; i >= 0 && first > 0; i--) {
        index[i] = first % t->dim[i];
        first /= t->dim[i];
    }
    for (int64_t k = 0; k < n; k++, to += element_bytes) {
        int64_t at = 0;
        for (int i = 0; i < t->n_dims; i++) at += index[i] * t->stride[i];
        memcpy(to, (const char *)t->data + (size_t)at * element_bytes, element_bytes);
        for (int i = t->n_dims - 1; i >= 0 && ++index[i] == t->dim[i]; i--) index[i] = 0;
    }
}
