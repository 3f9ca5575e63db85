#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "out_file.h"

enum { HEADER_BYTES = 128, PREFIX_BYTES = 10 };
#define MAX_COUNT ((int64_t)1 << 40)

bool mg_npy_is_named(const char *path)
{
    const size_t n = strlen(path);

    return n >= 4 && strcmp(path + n - 4, ".npy") == 0;
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

/* The header's Python dict: the type of number, C order, and two numbers of 'shape'. */
static mg_status parse_dict(mg_npy_info *info, const char *path, const char *dict)
{
    long long rows, cols;
    int n_read = 0; /* stays 0 without the closing bracket */
    const char *shape = strstr(dict, "'shape':");

    if (strstr(dict, "'descr': '<i4'"))
        info->dtype = MG_I32;
    else if (strstr(dict, "'descr': '<f4'"))
        info->dtype = MG_F32;
    else
        return mg_fail(MG_EFAIL, "%s: not an array of little-endian int32 or float32; save x.astype('int32')",
                       path);
    if (!strstr(dict, "'fortran_order': False")) return mg_fail(MG_EFAIL, "%s: not in C order", path);
    if (!shape || sscanf(shape, "'shape': (%lld, %lld)%n", &rows, &cols, &n_read) != 2 || n_read == 0 ||
        rows < 0 || cols < 0)
        return mg_fail(MG_EFAIL, "%s: not an array of two dimensions", path);
    if (cols > 0 && rows > MAX_COUNT / cols)
        return mg_fail(MG_EFAIL, "%s: shape (%lld, %lld) is beyond any file", path, rows, cols);
    info->n_rows = rows, info->n_cols = cols;
    return MG_OK;
}

/* Where the numbers begin. */
static mg_status parse(mg_npy_info *info, int64_t *offset, const char *path, const mg_mapped_file *f)
{
    char dict[1024];

    if (f->bytes < PREFIX_BYTES || memcmp(f->data, "\x93NUMPY\x01", 7) != 0)
        return mg_fail(MG_EFAIL, "%s: not a .npy file of version 1", path);
    const int64_t n_dict = (uint8_t)f->data[8] | (int64_t)(uint8_t)f->data[9] << 8;
    *offset = PREFIX_BYTES + n_dict;
    if (*offset > f->bytes || n_dict >= (int64_t)sizeof dict)
        return mg_fail(MG_EFAIL, "%s: its header of %lld bytes is not whole", path, (long long)n_dict);
    memcpy(dict, f->data + PREFIX_BYTES, (size_t)n_dict);
    dict[n_dict] = '\0';
    MG_RETURN(parse_dict(info, path, dict));
    const int64_t bytes = info->n_rows * info->n_cols * (int64_t)mg_dtype_bytes(info->dtype);
    if (f->bytes - *offset == bytes) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: %lld bytes of data, its shape (%lld, %lld) needs %lld", path,
                   (long long)(f->bytes - *offset), (long long)info->n_rows, (long long)info->n_cols,
                   (long long)bytes);
}

mg_status mg_npy_probe(mg_npy_info *info, const char *path)
{
    mg_mapped_file f;
    int64_t offset;

    *info = (mg_npy_info){0};
    MG_RETURN(mg_in_file_map(&f, path));
    const mg_status st = parse(info, &offset, path, &f);
    mg_in_file_unmap(&f);
    if (st != MG_OK) *info = (mg_npy_info){0};
    return st;
}

static mg_status copy_array(void **data, mg_npy_info *info, const char *path, const mg_mapped_file *f,
                            mg_dtype dtype)
{
    int64_t offset;

    MG_RETURN(parse(info, &offset, path, f));
    if (info->dtype != dtype)
        return mg_fail(MG_EFAIL, "%s: holds %s, and %s is needed", path,
                       info->dtype == MG_I32 ? "int32" : "float32", dtype == MG_I32 ? "int32" : "float32");
    const size_t bytes = (size_t)(f->bytes - offset);
    *data = malloc(bytes > 0 ? bytes : 1);
    if (!*data) return mg_fail(MG_ENOMEM, "%s: %zu bytes", path, bytes);
    memcpy(*data, f->data + offset, bytes);
    return MG_OK;
}

static mg_status read_array(const char *path, void **data, int64_t *n_rows, int64_t *n_cols, mg_dtype dtype)
{
    mg_mapped_file f;
    mg_npy_info info = {0};

    *data = NULL, *n_rows = 0, *n_cols = 0;
    MG_RETURN(mg_in_file_map(&f, path));
    const mg_status st = copy_array(data, &info, path, &f, dtype);
    mg_in_file_unmap(&f);
    if (st == MG_OK) *n_rows = info.n_rows, *n_cols = info.n_cols;
    return st;
}

mg_status mg_npy_read_i32(const char *path, int32_t **data, int64_t *n_rows, int64_t *n_cols)
{
    void *read = NULL;
    const mg_status st = read_array(path, &read, n_rows, n_cols, MG_I32);

    *data = read;
    return st;
}

mg_status mg_npy_read_f32(const char *path, float **data, int64_t *n_rows, int64_t *n_cols)
{
    void *read = NULL;
    const mg_status st = read_array(path, &read, n_rows, n_cols, MG_F32);

    *data = read;
    return st;
}
