/* Storages: what a persistent id says of one, and where its bytes lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "torch_impl.h"

static const mg_torch_type types[] = {
    {"FloatStorage", "float32", MG_F32},
    {"HalfStorage", "float16", MG_F16},
    {"BFloat16Storage", "bfloat16", MG_BF16},
    {"DoubleStorage", "float64", MG_F64},
    {"LongStorage", "int64", MG_I64},
    {"IntStorage", "int32", MG_I32},
    {"ByteStorage", "uint8", MG_U8},
    {"BoolStorage", "bool", MG_U8},
    {"CharStorage", "int8", MG_I8},
    {"ShortStorage", "int16", MG_I16},
    {"", "float8_e4m3fn", MG_F8_E4M3},
    {"", "float8_e5m2", MG_F8_E5M2},
    {"", "uint16", MG_U16},
    {"", "uint32", MG_U32},
    {"", "uint64", MG_U64},
};

const mg_torch_type *mg_torch_type_of(const mg_pickle_value *v)
{
    if (!v || v->kind != MG_PICKLE_GLOBAL || strcmp(v->global.module, "torch") != 0) return NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(v->global.name, types[i].name) || !strcmp(v->global.name, types[i].dtype_name))
            return &types[i];
    return NULL;
}

const char *mg_torch_storage_name(mg_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype && *types[i].name) return types[i].name;
    return NULL;
}

bool mg_torch_storage_of(const mg_pickle_value *v, const mg_torch_type **type, const char **key,
                         int64_t *n_elements)
{
    if (!v || v->kind != MG_PICKLE_PERSISTENT) return false;
    const mg_pickle_value *id = v->persistent;
    if (id->kind != MG_PICKLE_TUPLE || id->items.n < 5 || !mg_pickle_is_string(id->items.item[0], "storage"))
        return false;
    const mg_pickle_value *k = id->items.item[2], *n = id->items.item[4];
    if (k->kind != MG_PICKLE_STRING || n->kind != MG_PICKLE_INT || n->integer < 0) return false;
    if (id->items.n > 5 && id->items.item[5]->kind != MG_PICKLE_NONE)
        return false; /* a part of another storage, as torch wrote before 0.2: it begins elsewhere */
    *type = mg_torch_type_of(id->items.item[1]);
    *key = k->text.data;
    *n_elements = n->integer;
    return true;
}

int mg_torch_storage_by_key(const void *a, const void *b)
{
    return strcmp(((const mg_torch_storage *)a)->key, ((const mg_torch_storage *)b)->key);
}

bool mg_torch_storage_find(const mg_torch_file *f, const char *key, const char **data, size_t *bytes)
{
    char name[512];

    if (!f->is_zip) {
        const mg_torch_storage wanted = {.key = key};
        const mg_torch_storage *s =
            f->n_old ? bsearch(&wanted, f->old, f->n_old, sizeof *f->old, mg_torch_storage_by_key) : NULL;
        if (s) *data = s->data, *bytes = s->bytes;
        return s != NULL;
    }
    const int n = snprintf(name, sizeof name, "%sdata/%s", f->top, key);
    const mg_zip_entry *e = n < (int)sizeof name ? mg_zip_archive_find(&f->zip, name) : NULL;
    if (e) *data = e->data, *bytes = e->bytes;
    return e != NULL;
}
