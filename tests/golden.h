/* Golden arrays for tests: open a safetensors file of tests/golden, copy an array out of it, and compare with
 * a tolerance, saying how much of it was used. Include after cmocka.h. Everything fails through cmocka. */
#ifndef MG_GOLDEN_H
#define MG_GOLDEN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

#define GOLDEN_OK(call)                                                                             \
    do {                                                                                            \
        const mg_status golden_st_ = (call);                                                        \
        if (golden_st_ != MG_OK) fail_msg("%s: status %d: %s", #call, golden_st_, mg_last_error()); \
    } while (0)

/* A file below tests/golden: "hf/tiny-mono.safetensors". The caller closes it with mg_checkpoint_close. */
static inline mg_checkpoint *golden_open(const char *file)
{
    char path[1024];
    mg_checkpoint *c = NULL;

    snprintf(path, sizeof path, "%s/%s", MG_GOLDEN_DIR, file);
    GOLDEN_OK(mg_checkpoint_open(&c, path));
    return c;
}

static inline const mg_tensor *golden_tensor(const mg_checkpoint *c, const char *name)
{
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, name);

    if (!e) fail_msg("golden: no array %s", name);
    return &e->tensor;
}

/* A malloc'ed copy, aligned, of an array of `dtype`; *count may be NULL. The caller frees it. */
static inline void *golden_copy(const mg_checkpoint *c, const char *name, mg_dtype dtype, int64_t *count)
{
    const mg_tensor *t = golden_tensor(c, name);
    const size_t bytes = mg_tensor_bytes(t);
    void *copy = malloc(bytes ? bytes : 1);

    if (t->dtype != dtype) fail_msg("golden: %s is %s", name, mg_dtype_name(t->dtype));
    if (!copy) fail_msg("golden: no memory for %s", name);
    memcpy(copy, t->data, bytes);
    if (count) *count = mg_tensor_count(t);
    return copy;
}

static inline float *golden_f32(const mg_checkpoint *c, const char *name, int64_t *count)
{
    return golden_copy(c, name, MG_F32, count);
}

static inline int32_t *golden_i32(const mg_checkpoint *c, const char *name, int64_t *count)
{
    return golden_copy(c, name, MG_I32, count);
}

static inline double golden_max_error(const float *got, const float *want, int64_t n)
{
    double worst = 0;

    for (int64_t i = 0; i < n; i++) {
        const double error = fabs((double)got[i] - (double)want[i]);
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    }
    return worst;
}

/* Absolute tolerance; prints what was used of it. */
static inline void golden_close(const char *what, const float *got, const float *want, int64_t n,
                                double tolerance)
{
    const double worst = golden_max_error(got, want, n);

    printf("%s: max error %.3g, %.1f %% of tolerance used\n", what, worst, 100 * worst / tolerance);
    if (!(worst <= tolerance)) fail_msg("%s: max error %g, tolerance %g", what, worst, tolerance);
}

/* The perturbed sibling of golden_close: it must not hold. */
static inline void golden_not_close(const char *what, const float *got, const float *want, int64_t n,
                                    double tolerance)
{
    const double worst = golden_max_error(got, want, n);

    if (worst <= tolerance) fail_msg("%s: perturbed, yet within tolerance: %g", what, worst);
}

/* True, with a loud line, if a file of the large golden set is not on this machine. */
static inline int golden_shared_missing(const char *file, char *path, size_t path_size)
{
    FILE *f;

    snprintf(path, path_size, "%s/golden/%s", MG_SHARED_DIR, file);
    f = fopen(path, "rb");
    if (!f) {
        printf("SKIPPED: %s not found\n", path);
        return 1;
    }
    fclose(f);
    return 0;
}

#endif
