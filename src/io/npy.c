#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "out_file.h"
#include "text.h"

enum { HEADER_BYTES = 128, PREFIX_BYTES = 10 };
#define MAX_COUNT ((int64_t)1 << 40)

enum { MAX_HEADER_BYTES = 1 << 16, MAX_NPY_DIMS = 8 };

bool mg_npy_is_named(const char *path)
{
    return mg_text_ends_with(path, ".npy");
}

mg_status mg_npy_write_i32(const char *path, const int32_t *data, int64_t n_rows, int64_t n_cols)
{
    mg_status st = MG_OK;
    mg_out_file f = {.fd = -1};
    char header[HEADER_BYTES + 1];

    MG_REQUIRE(n_rows >= 0 && n_cols >= 0 && (n_cols == 0 || n_rows <= MAX_COUNT / n_cols));
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER_BYTES - PREFIX_BYTES, header[9] = 0;
    const int n = snprintf(header + PREFIX_BYTES, HEADER_BYTES - PREFIX_BYTES,
                           "{'descr': '<i4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                           (long long)n_rows, (long long)n_cols);
    memset(header + PREFIX_BYTES + n, ' ', (size_t)(HEADER_BYTES - PREFIX_BYTES - n));
    header[HEADER_BYTES - 1] = '\n';
    MG_TRY(mg_out_file_begin(&f, path));
    MG_TRY(mg_out_file_write(&f, header, HEADER_BYTES));
    MG_TRY(mg_out_file_write(&f, data, (size_t)(n_rows * n_cols) * sizeof *data));
    MG_TRY(mg_out_file_commit(&f));
done:
    mg_out_file_abandon(&f);
    return st;
}

/* A file's header: its numbers are `item` bytes each, from `offset` on. */
typedef struct header {
    mg_npy_info info;
    int64_t offset, n;
    int item;
    bool is_swapped, is_fortran;
} header;

/* The value of 'key' in the header's Python dict; NULL if it is not there. */
static const char *find_key(const char *dict, const char *key)
{
    char quoted[32];

    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(dict, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

/* '<f4', '|u1', '>i8': byte order, kind, bytes. */
static mg_status parse_type(header *h, const char *path, const char *descr)
{
    static const struct {
        char kind;
        int sizes; /* a bit for each */
        mg_npy_kind is;
    } kinds[] = {{'i', 1 | 2 | 4 | 8, MG_NPY_INT},
                 {'u', 1 | 2 | 4 | 8, MG_NPY_UINT},
                 {'f', 2 | 4 | 8, MG_NPY_FLOAT},
                 {'V', 2, MG_NPY_BF16}}; /* how ml_dtypes saves it */
    char order = 0, kind = 0, end = 0;
    int item = 0;

    const int n = descr ? sscanf(descr, "'%c%c%d%c", &order, &kind, &item, &end) : 0;
    for (size_t i = 0; n == 4 && end == '\'' && strchr("<>|=", order) && i < sizeof kinds / sizeof *kinds;
         i++) {
        if (kind != kinds[i].kind || item < 1 || item > 8 || (item & (item - 1)) || !(kinds[i].sizes & item))
            continue;
        h->info.kind = kinds[i].is;
        h->item = item;
        h->is_swapped = order == '>' && item > 1;
        snprintf(h->info.type, sizeof h->info.type, "%s%d",
                 kind == 'i'   ? "int"
                 : kind == 'u' ? "uint"
                 : kind == 'f' ? "float"
                               : "bfloat",
                 8 * item);
        return MG_OK;
    }
    if (descr && *descr == '[')
        return mg_fail(MG_EFAIL, "%s: its numbers are of a structured type: save the one field of it", path);
    if (descr && strncmp(descr, "'|O'", 4) == 0)
        return mg_fail(
            MG_EFAIL, "%s: holds Python objects: save the array with the type of its numbers (astype)", path);
    return mg_fail(MG_EFAIL, "%s: its numbers are of the type %.*s: integers and floats are read", path,
                   (int)strcspn(descr ? descr : "(none)", ",}"), descr ? descr : "(none)");
}

/* (2, 3), (1, 2, 3): outer dimensions of 1 say nothing. */
static mg_status parse_shape(header *h, const char *path, const char *shape)
{
    int64_t dim[MAX_NPY_DIMS];
    int n = 0;
    const char *p = shape && *shape == '(' ? shape + 1 : "";

    while (n < MAX_NPY_DIMS) {
        char *end;
        p += strspn(p, " ");
        if (*p < '0' || *p > '9') break;
        dim[n] = strtoll(p, &end, 10); /* what is too large becomes the largest, which is refused below */
        n++;
        p = end + strspn(end, " L"); /* Python 2 wrote 3L */
        if (*p == ',') p++;
    }
    if (n == 0 || *p != ')')
        return mg_fail(MG_EFAIL, "%s: its shape is %.*s%s: rows and columns are read", path,
                       shape ? (int)strcspn(shape, ")}") : 8, shape ? shape : "not said",
                       shape && strchr(shape, ')') ? ")" : "");
    const int first = n - 2;
    bool good = first >= 0;
    for (int i = 0; i < first; i++) good = good && dim[i] == 1;
    if (!good)
        return mg_fail(MG_EFAIL,
                       "%s: its shape has %d dimension%s%s: two are read, or more whose first are 1", path, n,
                       n == 1 ? "" : "s", n > 2 ? ", the first not 1" : "");
    const int64_t rows = dim[first], cols = dim[first + 1];
    if (rows > MAX_COUNT || cols > MAX_COUNT || (cols > 0 && rows > MAX_COUNT / cols))
        return mg_fail(MG_EFAIL, "%s: shape (%lld, %lld) is beyond any file", path, (long long)rows,
                       (long long)cols);
    h->info.n_rows = rows, h->info.n_cols = cols;
    h->n = rows * cols;
    return MG_OK;
}

/* Versions 1, 2 and 3 differ in the length of the header's length, and in its text being UTF-8. */
static mg_status parse(header *h, const char *path, const mg_mapped_file *f)
{
    char dict[MAX_HEADER_BYTES + 1];
    int64_t n_dict = 0;

    *h = (header){0};
    if (f->bytes > 4 && memcmp(f->data, "PK\x03\x04", 4) == 0)
        return mg_fail(
            MG_EFAIL,
            "%s: an archive, as numpy.savez and torch.save write one: save the one array by numpy.save",
            path);
    if (f->bytes < PREFIX_BYTES || memcmp(f->data, "\x93NUMPY", 6) != 0 || f->data[6] < 1 || f->data[6] > 3)
        return mg_fail(MG_EFAIL, "%s: not a .npy file, as numpy.save writes one", path);
    const int n_length = f->data[6] == 1 ? 2 : 4;
    if (f->bytes < 8 + n_length) return mg_fail(MG_EFAIL, "%s: its header is not whole", path);
    for (int i = 0; i < n_length; i++) n_dict |= (int64_t)(uint8_t)f->data[8 + i] << 8 * i;
    h->offset = 8 + n_length + n_dict;
    if (h->offset > f->bytes || n_dict > MAX_HEADER_BYTES)
        return mg_fail(MG_EFAIL, "%s: its header of %lld bytes is not whole", path, (long long)n_dict);
    memcpy(dict, f->data + 8 + n_length, (size_t)n_dict);
    dict[n_dict] = '\0';
    MG_RETURN(parse_type(h, path, find_key(dict, "descr")));
    MG_RETURN(parse_shape(h, path, find_key(dict, "shape")));
    const char *order = find_key(dict, "fortran_order");
    h->is_fortran = order && strncmp(order, "True", 4) == 0;
    if (!h->is_fortran && (!order || strncmp(order, "False", 5) != 0))
        return mg_fail(MG_EFAIL, "%s: its header does not say the order of its numbers", path);
    if (f->bytes - h->offset == h->n * h->item) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: %lld bytes of data, its shape (%lld, %lld) needs %lld", path,
                   (long long)(f->bytes - h->offset), (long long)h->info.n_rows, (long long)h->info.n_cols,
                   (long long)(h->n * h->item));
}

mg_status mg_npy_probe(mg_npy_info *info, const char *path)
{
    mg_mapped_file f;
    header h = {0};

    *info = (mg_npy_info){0};
    MG_RETURN(mg_in_file_map(&f, path));
    mg_status st = parse(&h, path, &f);
    if (st == MG_OK) st = mg_in_file_check(&f);
    mg_in_file_unmap(&f);
    if (st == MG_OK) *info = h.info;
    return st;
}

/* The bits of number i in row-major order. */
static uint64_t bits_at(const header *h, const char *data, int64_t i)
{
    const int64_t at = h->is_fortran ? i % h->info.n_cols * h->info.n_rows + i / h->info.n_cols : i;
    uint64_t bits = 0;
    unsigned char *to = (unsigned char *)&bits;

    memcpy(to, data + at * h->item, (size_t)h->item);
    for (int k = 0; h->is_swapped && k < h->item / 2; k++) {
        const unsigned char c = to[k];
        to[k] = to[h->item - 1 - k];
        to[h->item - 1 - k] = c;
    }
    return bits;
}

/* Number i as an integer of 32 bits; false if it does not fit. */
static bool int_at(const header *h, const char *data, int64_t i, int32_t *out)
{
    const uint64_t bits = bits_at(h, data, i);
    const int unused = 64 - 8 * h->item;
    const int64_t v = h->info.kind == MG_NPY_UINT ? (int64_t)bits : (int64_t)(bits << unused) >> unused;

    *out = (int32_t)v;
    return *out == v && (h->info.kind != MG_NPY_UINT || bits <= INT32_MAX);
}

static float float_at(const header *h, const char *data, int64_t i)
{
    const uint64_t bits = bits_at(h, data, i);
    double wide;
    float f;

    if (h->item == 2)
        return h->info.kind == MG_NPY_FLOAT ? mg_f16_to_f32((uint16_t)bits) : mg_bf16_to_f32((uint16_t)bits);
    memcpy(&f, &bits, sizeof f);
    memcpy(&wide, &bits, sizeof wide);
    return h->item == 4 ? f : (float)wide;
}

static mg_status copy_ints(int32_t **out, const header *h, const char *path, const char *data)
{
    if (h->info.kind != MG_NPY_INT && h->info.kind != MG_NPY_UINT)
        return mg_fail(MG_EFAIL, "%s: holds %s: codes are integers", path, h->info.type);
    *out = malloc((size_t)(h->n > 0 ? h->n : 1) * sizeof **out);
    if (!*out) return mg_fail(MG_ENOMEM, "%s: %lld numbers", path, (long long)h->n);
    for (int64_t i = 0; i < h->n; i++)
        if (!int_at(h, data, i, *out + i))
            return mg_fail(MG_EFAIL, "%s: [%lld,%lld] is beyond 32 bits: no code is", path,
                           (long long)(i / h->info.n_cols), (long long)(i % h->info.n_cols));
    return MG_OK;
}

static mg_status copy_floats(float **out, const header *h, const char *path, const char *data)
{
    if (!mg_npy_has_floats(&h->info))
        return mg_fail(MG_EFAIL, "%s: holds %s: float16, bfloat16, float32 or float64 is needed", path,
                       h->info.type);
    *out = malloc((size_t)(h->n > 0 ? h->n : 1) * sizeof **out);
    if (!*out) return mg_fail(MG_ENOMEM, "%s: %lld numbers", path, (long long)h->n);
    for (int64_t i = 0; i < h->n; i++) (*out)[i] = float_at(h, data, i);
    return MG_OK;
}

bool mg_npy_has_floats(const mg_npy_info *info)
{
    return info->kind == MG_NPY_FLOAT || info->kind == MG_NPY_BF16 || strcmp(info->type, "uint16") == 0;
}

/* Into *ints or *floats, whichever is wanted. */
static mg_status read_array(const char *path, int32_t **ints, float **floats, int64_t *n_rows,
                            int64_t *n_cols)
{
    mg_status st = MG_OK;
    mg_mapped_file f;
    header h;

    *n_rows = 0, *n_cols = 0;
    MG_RETURN(mg_in_file_map(&f, path));
    MG_TRY(parse(&h, path, &f));
    MG_TRY(ints ? copy_ints(ints, &h, path, f.data + h.offset)
                : copy_floats(floats, &h, path, f.data + h.offset));
    MG_TRY(mg_in_file_check(&f));
    *n_rows = h.info.n_rows, *n_cols = h.info.n_cols;
done:
    mg_in_file_unmap(&f);
    return st;
}

mg_status mg_npy_read_i32(const char *path, int32_t **data, int64_t *n_rows, int64_t *n_cols)
{
    *data = NULL;
    const mg_status st = read_array(path, data, NULL, n_rows, n_cols);
    if (st != MG_OK) free(*data), *data = NULL;
    return st;
}

mg_status mg_npy_read_f32(const char *path, float **data, int64_t *n_rows, int64_t *n_cols)
{
    *data = NULL;
    const mg_status st = read_array(path, NULL, data, n_rows, n_cols);
    if (st != MG_OK) free(*data), *data = NULL;
    return st;
}
