/* What the tests of single products share: random numbers, and matrices and numbers on the device. */
#ifndef MG_PRODUCT_TEST_CUH
#define MG_PRODUCT_TEST_CUH

#include <stdio.h>
#include <string.h>

#include <random>
#include <vector>

#include "cuda_matrix.cuh"

static int n_wrong;

#define EXPECT(ok, ...) \
    ((ok) ? (void)0 : (n_wrong++, fprintf(stderr, "wrong: " __VA_ARGS__), (void)fputc('\n', stderr)))

typedef std::vector<float> floats;

static floats random_floats(unsigned seed, int64_t n)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    floats x(static_cast<size_t>(n));

    for (float &v : x) v = normal(random);
    return x;
}

static mg_ops *open_ops()
{
    const mg_cuda_settings settings = {};
    mg_ops *ops = nullptr;

    EXPECT(mg_cuda_open(&ops, &settings) == MG_OK, "open: %s", mg_last_error());
    return ops;
}

static float *put(const mg_ops *ops, const floats &host)
{
    void *p = nullptr;

    EXPECT(mg_ops_alloc(ops, &p, host.size() * sizeof(float)) == MG_OK, "alloc");
    EXPECT(mg_upload(ops, p, host.data(), host.size() * sizeof(float)) == MG_OK, "upload");
    return static_cast<float *>(p);
}

[[maybe_unused]] static floats get(const mg_ops *ops, const float *p, int64_t n)
{
    floats host(static_cast<size_t>(n));

    EXPECT(mg_download(ops, host.data(), p, host.size() * sizeof(float)) == MG_OK, "download: %s",
           mg_last_error());
    return host;
}

static mg_matrix make(const mg_ops *ops, unsigned seed, mg_format format, int64_t n_out, int64_t n_in,
                      int n_slices)
{
    mg_matrix w = {format, n_out, n_in, n_slices, nullptr};
    const floats host = random_floats(seed, n_out * n_in);
    mg_host_matrix from = {};
    int64_t n_bad = 0;

    from.data = host.data(), from.dtype = MG_F32;
    from.n_rows = n_out, from.n_cols = n_in, from.row_stride = n_in;
    EXPECT(mg_ops_alloc(ops, &w.data, mg_matrix_bytes(ops, &w)) == MG_OK, "alloc");
    EXPECT(mg_matrix_load(ops, &w, 0, &from, &n_bad) == MG_OK, "load: %s", mg_last_error());
    return w;
}

static void drop(const mg_ops *ops, mg_matrix *w)
{
    mg_ops_release(ops, w->data, mg_matrix_bytes(ops, w));
}

#endif
