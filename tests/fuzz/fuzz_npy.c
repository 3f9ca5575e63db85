/* Any bytes as a .npy file: refused with a message, or numbers of the shape that the probe says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "npy.h"

static void check(const mg_npy_info *info, mg_status st, const void *data, int64_t n_rows, int64_t n_cols)
{
    FUZZ_CHECK((st == MG_OK) == (data != NULL));
    if (st == MG_OK) FUZZ_CHECK(n_rows == info->n_rows && n_cols == info->n_cols);
    if (st != MG_OK) FUZZ_CHECK(mg_last_error()[0] && n_rows == 0 && n_cols == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static int fd = -1;
    char path[64];
    mg_npy_info info;
    int32_t *ints;
    float *floats;
    int64_t n_rows, n_cols;

    if (fd < 0) fd = memfd_create("npy", 0);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, bytes, 0) == (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mg_clear_error();
    const bool is_one = mg_npy_probe(&info, path) == MG_OK;
    FUZZ_CHECK(is_one || mg_last_error()[0]);
    mg_status st = mg_npy_read_i32(path, &ints, &n_rows, &n_cols);
    FUZZ_CHECK(is_one || st != MG_OK);
    check(&info, st, ints, n_rows, n_cols);
    free(ints);
    st = mg_npy_read_f32(path, &floats, &n_rows, &n_cols);
    FUZZ_CHECK(is_one || st != MG_OK);
    FUZZ_CHECK(!is_one || (st == MG_OK) == mg_npy_has_floats(&info));
    check(&info, st, floats, n_rows, n_cols);
    free(floats);
    return 0;
}
