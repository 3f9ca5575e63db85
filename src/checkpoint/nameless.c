#include "nameless.h"

#include "averaged.h"
#include "key_map.h"

/* optimizer_states[0].ema; callbacks.EMA.shadow_params */
enum { MAX_DEPTH = 3, MAX_LOOKED_AT = 100000 };

static bool is_list(const mg_pickle_value *v)
{
    return v->kind == MG_PICKLE_LIST || v->kind == MG_PICKLE_TUPLE;
}

static bool is_list_of_tensors(const mg_pickle_value *v, size_t *left)
{
    if (!is_list(v) || v->items.n == 0) return false;
    for (size_t i = 0; i < v->items.n; i++, --*left)
        if (*left == 0 || !mg_torch_file_is_tensor(v->items.item[i])) return false;
    return true;
}

static const mg_pickle_value *find(const mg_pickle_value *v, int depth, size_t *left, const char **key)
{
    const size_t step = v->kind == MG_PICKLE_DICT ? 2 : 1;

    if (step == 1 && !is_list(v)) return NULL;
    for (size_t i = 0; i + step <= v->items.n && *left > 0; i += step) {
        --*left;
        const mg_pickle_value *name = v->items.item[i], *below = v->items.item[i + step - 1];
        if (step == 2 && name->kind == MG_PICKLE_STRING &&
            mg_averaged_is_word(name->text.data, name->text.n) && is_list_of_tensors(below, left)) {
            *key = name->text.data;
            return below;
        }
        const mg_pickle_value *found = depth > 0 ? find(below, depth - 1, left, key) : NULL;
        if (found) return found;
    }
    return NULL;
}

const mg_pickle_value *mg_nameless_find(const mg_pickle_value *root, const char **key)
{
    size_t left = MAX_LOOKED_AT;

    return find(root, MAX_DEPTH, &left, key);
}

/* Buffers are no parameters: no rule knows them, or they may be left. */
static bool is_parameter(const char *name)
{
    mg_key_target target[MG_KEY_PARTS];

    if (mg_key_map_is_ignorable(name)) return false;
    for (int d = 0; d < MG_DIALECT_UNKNOWN; d++)
        if (mg_key_map(target, (mg_dialect)d, name) > 0) return true;
    return false;
}

static bool has_shape(const mg_torch_file *f, const mg_pickle_value *v, const mg_torch_entry *e)
{
    mg_torch_tensor t;

    if (mg_torch_file_tensor(f, &t, e->name, v) != MG_OK) {
        mg_clear_error(); /* it is said when it is read */
        return false;
    }
    return t.n_dims <= MG_MAX_DIMS && mg_tensor_is(&e->tensor, e->tensor.dtype, t.n_dims, t.dim);
}

bool mg_nameless_match(size_t *of, const mg_torch_file *f, const mg_pickle_value *list,
                       const mg_torch_entry *entry, size_t n)
{
    for (int parameters_alone = 0; parameters_alone < 2; parameters_alone++) {
        size_t n_of = 0, k = 0;
        for (size_t i = 0; i < n; i++)
            if (!parameters_alone || is_parameter(entry[i].name)) of[n_of++] = i;
        if (n_of != list->items.n) continue;
        while (k < n_of && has_shape(f, list->items.item[k], &entry[of[k]])) k++;
        if (k == n_of) return true;
    }
    return false;
}
