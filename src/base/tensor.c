#include "tensor.h"

#include <stdio.h>
#include <string.h>

size_t mg_dtype_bytes(mg_dtype dtype)
{
    switch (dtype) {
    case MG_U8:
    case MG_I8:
    case MG_F8_E4M3:
    case MG_F8_E5M2:
    case MG_ODD: return 1;
    case MG_BF16:
    case MG_F16:
    case MG_I16:
    case MG_U16: return 2;
    case MG_F32:
    case MG_I32:
    case MG_U32: return 4;
    case MG_F64:
    case MG_I64:
    case MG_U64:
    case MG_C64: return 8;
    case MG_DTYPES: break;
    }
    return 0;
}

const char *mg_dtype_name(mg_dtype dtype)
{
    switch (dtype) {
    case MG_U8: return "uint8";
    case MG_BF16: return "bf16";
    case MG_F16: return "fp16";
    case MG_F32: return "fp32";
    case MG_I32: return "int32";
    case MG_F64: return "fp64";
    case MG_I64: return "int64";
    case MG_I8: return "int8";
    case MG_F8_E4M3: return "fp8 e4m3";
    case MG_F8_E5M2: return "fp8 e5m2";
    case MG_I16: return "int16";
    case MG_U16: return "uint16";
    case MG_U32: return "uint32";
    case MG_U64: return "uint64";
    case MG_C64: return "complex64";
    case MG_ODD: return "other";
    case MG_DTYPES: break;
    }
    return "?";
}

mg_tensor mg_tensor_3d(void *data, mg_dtype dtype, int64_t d0, int64_t d1, int64_t d2)
{
    return (mg_tensor){data, dtype, 3, {d0, d1, d2, 1}};
}

mg_tensor mg_tensor_2d(void *data, mg_dtype dtype, int64_t d0, int64_t d1)
{
    return (mg_tensor){data, dtype, 2, {d0, d1, 1, 1}};
}

mg_tensor mg_tensor_1d(void *data, mg_dtype dtype, int64_t d0)
{
    return (mg_tensor){data, dtype, 1, {d0, 1, 1, 1}};
}

int64_t mg_tensor_count(const mg_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->n_dims; i++) n *= t->dim[i];
    return n;
}

size_t mg_tensor_bytes(const mg_tensor *t)
{
    return (size_t)mg_tensor_count(t) * mg_dtype_bytes(t->dtype);
}

mg_tensor mg_tensor_rows(const mg_tensor *t, int64_t first, int64_t n)
{
    mg_tensor view = *t;
    const int64_t row = t->dim[0] ? mg_tensor_count(t) / t->dim[0] : 0;

    view.dim[0] = n;
    view.data = (char *)t->data + (size_t)(first * row) * mg_dtype_bytes(t->dtype);
    return view;
}

bool mg_tensor_is(const mg_tensor *t, mg_dtype dtype, int n_dims, const int64_t *dim)
{
    if (t->dtype != dtype || t->n_dims != n_dims) return false;
    return memcmp(t->dim, dim, (size_t)n_dims * sizeof *dim) == 0;
}

static uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

float mg_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t mg_f32_to_bf16(float f)
{
    const uint32_t u = bits_of(f);

    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)((u >> 16) | 0x40u); /* quiet NaN */
    return (uint16_t)((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}

float mg_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 0x1Fu, mantissa = h & 0x3FFu;

    if (exponent == 31) return float_of(sign | 0x7F800000u | (mantissa << 13));
    if (exponent) return float_of(sign | ((exponent + 112) << 23) | (mantissa << 13));
    return float_of(sign | bits_of((float)mantissa * 0x1p-24f)); /* zero and subnormals */
}

uint16_t mg_f32_to_f16(float f)
{
    const uint32_t u = bits_of(f), magnitude = u & 0x7FFFFFFFu;
    const uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);

    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);  /* NaN */
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* rounds to infinity */
    if (magnitude < 0x38800000u) {                                   /* subnormal: let the FPU round */
        return (uint16_t)(sign | (uint16_t)(bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
    }
    const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | (uint16_t)((rounded - 0x38000000u) >> 13));
}

void mg_widen(float *dst, const void *src, mg_dtype dtype, int64_t n)
{
    const char *p = src;
    uint16_t half;

    if (dtype == MG_F32) memcpy(dst, src, (size_t)n * sizeof *dst);
    for (int64_t i = 0; i < n && dtype != MG_F32; i++) {
        memcpy(&half, p + 2 * i, sizeof half);
        dst[i] = dtype == MG_F16 ? mg_f16_to_f32(half) : mg_bf16_to_f32(half);
    }
}

bool mg_is_zeros(const void *data, size_t bytes)
{
    const char *p = data;

    for (size_t i = 0; i < bytes; i++)
        if (p[i]) return false;
    return true;
}

char *mg_dims_format(char out[MG_DIMS_SIZE], int n_dims, const int64_t *dim)
{
    int n = snprintf(out, MG_DIMS_SIZE, "[");

    for (int i = 0; i < n_dims && n < MG_DIMS_SIZE; i++)
        n += snprintf(out + n, (size_t)(MG_DIMS_SIZE - n), "%s%lld", i ? "," : "", (long long)dim[i]);
    if (n < MG_DIMS_SIZE) snprintf(out + n, (size_t)(MG_DIMS_SIZE - n), "]");
    return out;
}
