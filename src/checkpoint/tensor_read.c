#include "tensor_read.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 2048 };

static bool is_float(mg_dtype dtype)
{
    return dtype == MG_F32 || dtype == MG_F16 || dtype == MG_BF16 || dtype == MG_F64;
}

bool mg_tensor_can_read(mg_dtype from, mg_dtype to)
{
    return from == to || (is_float(from) && is_float(to));
}

/* fp64 comes from no model that we know, and goes to none: it may round twice on its way. */
static void load(float *dst, const char *src, mg_dtype dtype, int64_t n)
{
    double wide;

    if (dtype != MG_F64) mg_widen(dst, src, dtype, n);
    for (int64_t i = 0; i < n && dtype == MG_F64; i++) memcpy(&wide, src + 8 * i, 8), dst[i] = (float)wide;
}

static void store(char *dst, const float *src, mg_dtype dtype, int64_t n)
{
    uint16_t half;
    double wide;

    switch (dtype) {
    case MG_F16:
        for (int64_t i = 0; i < n; i++) half = mg_f32_to_f16(src[i]), memcpy(dst + 2 * i, &half, 2);
        break;
    case MG_BF16:
        for (int64_t i = 0; i < n; i++) half = mg_f32_to_bf16(src[i]), memcpy(dst + 2 * i, &half, 2);
        break;
    case MG_F64:
        for (int64_t i = 0; i < n; i++) wide = (double)src[i], memcpy(dst + 8 * i, &wide, 8);
        break;
    default: memcpy(dst, src, (size_t)n * sizeof *src);
    }
}

/* Finite values that round to infinity: from half a unit beyond the largest on. */
static int64_t count_overflows(const float *value, mg_dtype dtype, int64_t n)
{
    const float limit = dtype == MG_F16 ? 65520.0f : dtype == MG_BF16 ? 0x1.ffp127f : INFINITY;
    int64_t n_over = 0;

    for (int64_t i = 0; i < n; i++) n_over += fabsf(value[i]) >= limit && fabsf(value[i]) < INFINITY;
    return n_over;
}

mg_status mg_tensor_read(void *dst, mg_dtype dtype, const mg_tensor *t, int64_t first, int64_t n,
                         int64_t *n_overflows)
{
    const size_t element_bytes = mg_dtype_bytes(t->dtype);

    if (t->dtype == dtype) {
        memcpy(dst, (const char *)t->data + (size_t)first * element_bytes, (size_t)n * element_bytes);
        return MG_OK;
    }
    if (!mg_tensor_can_read(t->dtype, dtype))
        return mg_fail(MG_ECHECKPOINT, "tensor: %s cannot become %s", mg_dtype_name(t->dtype),
                       mg_dtype_name(dtype));
    for (int64_t done = 0; done < n; done += BLOCK) {
        const int64_t n_block = n - done < BLOCK ? n - done : BLOCK;
        float block[BLOCK];
        load(block, (const char *)t->data + (size_t)(first + done) * element_bytes, t->dtype, n_block);
        store((char *)dst + (size_t)done * mg_dtype_bytes(dtype), block, dtype, n_block);
        if (n_overflows) *n_overflows += count_overflows(block, dtype, n_block);
    }
    return MG_OK;
}
