#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "out_file.h"

enum { HEADER_BYTES = 128, PREFIX_BYTES = 10 };
#define MAX_COUNT ((int64_t)1 << 40)

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

/* The header's Python dict: 2 numbers of 'shape', after the checks of the other two keys. */
static mg_status parse_header(const char *path, const char *dict, int64_t *n_rows, int64_t *n_cols)
{
    long long rows, cols;
    int n_read = 0; /* stays 0 without the closing bracket */
    const char *shape = strstr(dict, "'shape':");

    if (!strstr(dict, "'descr': '<i4'"))
        return mg_fail(MG_EFAIL, "%s: not an array of little-endian int32", path);
    if (!strstr(dict, "'fortran_order': False")) return mg_fail(MG_EFAIL, "%s: not in C order", path);
    if (!shape || sscanf(shape, "'shape': (%lld, %lld)%n", &rows, &cols, &n_read) != 2 || n_read == 0 ||
        rows < 0 || cols < 0)
        return mg_fail(MG_EFAIL, "%s: not an array of two dimensions", path);
    if (cols > 0 && rows > MAX_COUNT / cols)
        return mg_fail(MG_EFAIL, "%s: shape (%lld, %lld) is beyond any file", path, rows, cols);
    *n_rows = rows, *n_cols = cols;
    return MG_OK;
}

static mg_status copy_array(const char *path, const mg_mapped_file *f, int32_t **data, int64_t *n_rows,
                            int64_t *n_cols)
{
    char dict[1024];

    if (f->bytes < PREFIX_BYTES || memcmp(f->data, "\x93NUMPY\x01", 7) != 0)
        return mg_fail(MG_EFAIL, "%s: not a .npy file of version 1", path);
    const int64_t n_dict = (uint8_t)f->data[8] | (int64_t)(uint8_t)f->data[9] << 8;
    const int64_t offset = PREFIX_BYTES + n_dict;
    if (offset > f->bytes || n_dict >= (int64_t)sizeof dict)
        return mg_fail(MG_EFAIL, "%s: its header of %lld bytes is not whole", path, (long long)n_dict);
    memcpy(dict, f->data + PREFIX_BYTES, (size_t)n_dict);
    dict[n_dict] = '\0';
    MG_RETURN(parse_header(path, dict, n_rows, n_cols));
    const int64_t bytes = *n_rows * *n_cols * (int64_t)sizeof **data;
    if (f->bytes - offset != bytes)
        return mg_fail(MG_EFAIL, "%s: %lld bytes of data, its shape (%lld, %lld) needs %lld", path,
                       (long long)(f->bytes - offset), (long long)*n_rows, (long long)*n_cols,
                       (long long)bytes);
    *data = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!*data) return mg_fail(MG_ENOMEM, "%s: %lld bytes", path, (long long)bytes);
    memcpy(*data, f->data + offset, (size_t)bytes);
    return MG_OK;
}

mg_status mg_npy_read_i32(const char *path, int32_t **data, int64_t *n_rows, int64_t *n_cols)
{
    mg_mapped_file f;

    *data = NULL, *n_rows = 0, *n_cols = 0;
    MG_RETURN(mg_in_file_map(&f, path));
    const mg_status st = copy_array(path, &f, data, n_rows, n_cols);
    mg_in_file_unmap(&f);
    if (st != MG_OK) *n_rows = 0, *n_cols = 0;
    return st;
}
