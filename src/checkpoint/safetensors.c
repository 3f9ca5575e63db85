/* By hand: the reference is in Rust, and no C library of it is packaged. The header is JSON, by cJSON. */
#include "safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define MAX_HEADER_BYTES ((int64_t)100 << 20) /* the limit of the reference implementation */

enum { LENGTH_BYTES = 8 };

/* Of two names for one type the first is the one that is written. */
static const struct {
    const char *name;
    mg_dtype dtype;
} dtypes[] = {{"F32", MG_F32}, {"BF16", MG_BF16}, {"F16", MG_F16},         {"I32", MG_I32},
              {"F64", MG_F64}, {"I64", MG_I64},   {"U8", MG_U8},           {"BOOL", MG_U8},
              {"I8", MG_I8},   {"I16", MG_I16},   {"U16", MG_U16},         {"U32", MG_U32},
              {"U64", MG_U64}, {"C64", MG_C64},   {"F8_E4M3", MG_F8_E4M3}, {"F8_E5M2", MG_F8_E5M2}};

/* One that nobody knows is MG_ODD: it may be a tensor that nobody needs. */
static mg_dtype lookup_dtype(const char *dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, dtype) == 0) return dtypes[i].dtype;
    return MG_ODD;
}

const char *mg_safetensors_dtype(mg_dtype dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    return NULL;
}

/* Sets the dims of *e and the bytes that they need. */
static mg_status read_shape(mg_safetensors_entry *e, int64_t *need, const char *file, const cJSON *item)
{
    const cJSON *shape;

    MG_RETURN(mg_json_array(item, file, "shape", &shape));
    if (!shape) return mg_fail(MG_ECHECKPOINT, "%s: %s: has no shape", file, e->name);
    *need = (int64_t)mg_dtype_bytes(e->dtype);
    for (int i = 0; i < MG_MAX_DIMS; i++) e->dim[i] = 1;
    for (const cJSON *d = shape->child; d; d = d->next) {
        int64_t dim;
        if (e->n_dims == MG_MAX_DIMS)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: more than %d dimensions are not supported", file, e->name,
                           MG_MAX_DIMS);
        if (!mg_json_exact_int(d, &dim) || dim < 0)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: its shape holds something that is no size", file,
                           e->name);
        e->dim[e->n_dims++] = dim;
    }
    bool is_empty = false;
    for (int i = 0; i < e->n_dims; i++) { /* an empty one, too, has dims that can be multiplied */
        is_empty = is_empty || e->dim[i] == 0;
        if (__builtin_mul_overflow(*need, e->dim[i] > 0 ? e->dim[i] : 1, need))
            return mg_fail(MG_ECHECKPOINT, "%s: %s: its shape is beyond any file", file, e->name);
    }
    if (is_empty) *need = 0;
    return MG_OK;
}

/* `data_begin`, `bytes`: where the data starts and the file ends. */
static mg_status read_entry(mg_safetensors_entry *e, const char *file, const cJSON *item, int64_t data_begin,
                            int64_t bytes)
{
    const char *dtype;
    const cJSON *offsets;
    int64_t need = 0, begin, end;

    e->name = strdup(item->string);
    if (!e->name) return mg_fail(MG_ENOMEM, "%s: %zu bytes", file, strlen(item->string));
    if (!e->name[0]) return mg_fail(MG_ECHECKPOINT, "%s: a tensor without a name", file);
    if (!cJSON_IsObject(item)) return mg_fail(MG_ECHECKPOINT, "%s: %s: must be a JSON object", file, e->name);
    MG_RETURN(mg_json_string(item, file, "dtype", &dtype));
    if (!dtype) return mg_fail(MG_ECHECKPOINT, "%s: %s: has no dtype", file, e->name);
    e->dtype = lookup_dtype(dtype);
    MG_RETURN(read_shape(e, &need, file, item));
    MG_RETURN(mg_json_array(item, file, "data_offsets", &offsets));
    if (!offsets || cJSON_GetArraySize(offsets) != 2 || !mg_json_exact_int(offsets->child, &begin) ||
        !mg_json_exact_int(offsets->child->next, &end) || begin < 0 || end < begin)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: data_offsets must be two ascending byte positions", file,
                       e->name);
    if (end > bytes - data_begin)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: %s: ends at byte %lld of the data, but the file holds %lld: is it truncated?",
                       file, e->name, (long long)end, (long long)(bytes - data_begin));
    if (e->dtype == MG_ODD) { /* so many bytes, whatever they are */
        e->n_dims = 1, e->dim[0] = end - begin;
        for (int i = 1; i < MG_MAX_DIMS; i++) e->dim[i] = 1;
    } else if (end - begin != need)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: %lld bytes are stored, its shape needs %lld", file, e->name,
                       (long long)(end - begin), (long long)need);
    e->begin = data_begin + begin, e->end = data_begin + end;
    return MG_OK;
}

static int by_position(const void *a, const void *b)
{
    const mg_safetensors_entry *x = a, *y = b;

    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mg_safetensors_entry *)a)->name, ((const mg_safetensors_entry *)b)->name);
}

/* The data must be covered exactly; leaves the entries sorted by name. */
static mg_status check_cover(mg_safetensors *s, const char *file, int64_t data_begin, int64_t bytes)
{
    int64_t at = data_begin;

    if (s->n) qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_position);
    for (int64_t i = 0; i < s->n; i++) {
        const mg_safetensors_entry *e = &s->entries[i];
        if (e->begin != at)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: %s at byte %lld", file, e->name,
                           e->begin < at ? "overlaps another tensor" : "a hole before it",
                           (long long)(e->begin < at ? e->begin : at));
        at = e->end;
    }
    if (at != bytes)
        return mg_fail(MG_ECHECKPOINT, "%s: %lld bytes at its end belong to no tensor", file,
                       (long long)(bytes - at));
    if (s->n) qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_name);
    for (int64_t i = 1; i < s->n; i++) {
        if (strcmp(s->entries[i - 1].name, s->entries[i].name) == 0)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: is there twice", file, s->entries[i].name);
    }
    return MG_OK;
}

static mg_status read_header(mg_safetensors *s, const char *file, const cJSON *root, int64_t data_begin,
                             int64_t bytes)
{
    if (!cJSON_IsObject(root)) return mg_fail(MG_ECHECKPOINT, "%s: its header is no JSON object", file);
    const int room = cJSON_GetArraySize(root);
    s->entries = calloc((size_t)room + 1, sizeof *s->entries);
    if (!s->entries) return mg_fail(MG_ENOMEM, "%s: %d entries", file, room);
    for (const cJSON *item = root->child; item; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) continue;
        MG_RETURN(read_entry(&s->entries[s->n++], file, item, data_begin, bytes));
    }
    return check_cover(s, file, data_begin, bytes);
}

mg_status mg_safetensors_parse(mg_safetensors *out, const char *name, const void *file, int64_t bytes)
{
    mg_status st = MG_OK;
    const unsigned char *p = file;
    cJSON *root = NULL;
    uint64_t n_header = 0;

    *out = (mg_safetensors){0};
    if (bytes < LENGTH_BYTES)
        return mg_fail(MG_ECHECKPOINT, "%s: %lld bytes are no safetensors file", name, (long long)bytes);
    for (int i = 0; i < LENGTH_BYTES; i++) n_header |= (uint64_t)p[i] << (8 * i);
    if (n_header > (uint64_t)MAX_HEADER_BYTES)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: its first 8 bytes ask for a header of %llu bytes: not a safetensors file", name,
                       (unsigned long long)n_header);
    const int64_t data_begin = LENGTH_BYTES + (int64_t)n_header;
    if (data_begin > bytes)
        return mg_fail(MG_ECHECKPOINT, "%s: is truncated: %lld bytes, its header alone needs %lld", name,
                       (long long)bytes, (long long)data_begin);
    MG_TRY(mg_json_parse(&root, name, (const char *)p + LENGTH_BYTES, (int64_t)n_header));
    MG_TRY(read_header(out, name, root, data_begin, bytes));
done:
    cJSON_Delete(root);
    if (st != MG_OK) mg_safetensors_close(out);
    return st;
}

void mg_safetensors_close(mg_safetensors *s)
{
    for (int64_t i = 0; i < s->n; i++) free(s->entries[i].name);
    free(s->entries);
    *s = (mg_safetensors){0};
}
