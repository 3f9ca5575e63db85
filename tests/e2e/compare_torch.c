/* Do two torch files hold the same: keys in the same order, equal texts and numbers, tensors equal in type,
 * shape and every bit?   compare_torch ONE TWO */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "torch_file.h"

typedef struct pair {
    const mg_torch_file *one, *two;
} pair;

static bool differs(const char *name, const char *what)
{
    printf("%s: %s\n", name, what);
    return false;
}

static bool same_tensor(const pair *p, const char *name, const mg_pickle_value *a, const mg_pickle_value *b)
{
    mg_torch_tensor x, y;

    if (mg_torch_file_tensor(p->one, &x, name, a) != MG_OK ||
        mg_torch_file_tensor(p->two, &y, name, b) != MG_OK)
        return differs(name, mg_last_error());
    if (x.dtype != y.dtype || x.n_dims != y.n_dims || memcmp(x.dim, y.dim, sizeof x.dim) != 0)
        return differs(name, "another type or shape");
    size_t bytes = mg_dtype_bytes(x.dtype);
    for (int i = 0; i < x.n_dims; i++) bytes *= (size_t)x.dim[i];
    char *copy = malloc(2 * bytes + 1);
    if (!copy) return differs(name, "no memory");
    mg_torch_tensor_copy(copy, &x);
    mg_torch_tensor_copy(copy + bytes, &y);
    const bool same = memcmp(copy, copy + bytes, bytes) == 0;
    free(copy);
    return same || differs(name, "other values");
}

static bool same_value(const pair *p, const char *name, const mg_pickle_value *a, const mg_pickle_value *b)
{
    if (a->kind != b->kind) return differs(name, "another kind of value");
    if (mg_torch_file_is_tensor(a)) return same_tensor(p, name, a, b);
    switch (a->kind) {
    case MG_PICKLE_BOOL: return a->boolean == b->boolean || differs(name, "another truth value");
    case MG_PICKLE_INT: return a->integer == b->integer || differs(name, "another number");
    case MG_PICKLE_STRING: return mg_pickle_is_string(b, a->text.data) || differs(name, "another text");
    case MG_PICKLE_DICT: break;
    default: return differs(name, "a kind that is not compared");
    }
    if (a->items.n != b->items.n) return differs(name, "another number of keys");
    for (size_t i = 0; i < a->items.n; i += 2) {
        const mg_pickle_value *key = a->items.item[i];
        if (key->kind != MG_PICKLE_STRING || !mg_pickle_is_string(b->items.item[i], key->text.data))
            return differs(name, "another key");
        if (!same_value(p, key->text.data, a->items.item[i + 1], b->items.item[i + 1])) return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    mg_torch_file *one, *two;

    if (argc != 3) return 2;
    if (mg_torch_file_open(&one, argv[1]) != MG_OK || mg_torch_file_open(&two, argv[2]) != MG_OK) {
        printf("%s\n", mg_last_error());
        return 2;
    }
    const pair p = {one, two};
    const bool same = same_value(&p, "the root", mg_torch_file_root(one), mg_torch_file_root(two));
    mg_torch_file_close(one);
    mg_torch_file_close(two);
    return same ? 0 : 1;
}
