/* Tensor views, and the half types over all their values. */
#include "io_fixture.h"

#include <math.h>

#include "tensor.h"

/* Value of a 16-bit float by its definition. */
static double by_definition(unsigned h, int exponent_bits, int mantissa_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (int)(h >> mantissa_bits) & ((1 << exponent_bits) - 1);
    const int mantissa = (int)h & ((1 << mantissa_bits) - 1);
    const double sign = h >> 15 ? -1 : 1;

    if (exponent == (1 << exponent_bits) - 1) return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

typedef struct half {
    const char *name;
    int exponent_bits, mantissa_bits;
    float (*to_f32)(uint16_t);
    uint16_t (*from_f32)(float);
} half;

static const half halves[] = {{"fp16", 5, 10, mg_f16_to_f32, mg_f32_to_f16},
                              {"bf16", 8, 7, mg_bf16_to_f32, mg_f32_to_bf16}};

static void every_half_converts_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        for (unsigned h = 0; h < 65536; h++) {
            const double want = by_definition(h, halves[i].exponent_bits, halves[i].mantissa_bits);
            const float got = halves[i].to_f32((uint16_t)h);
            if (isnan(want)) {
                assert_true(isnan(got));
                assert_true(isnan(halves[i].to_f32(halves[i].from_f32(got))));
                continue;
            }
            assert_true((double)got == want && !signbit(got) == !signbit(want));
            assert_int_equal(halves[i].from_f32(got), h);
        }
    }
}

/* Rounding is decided at the midpoints between neighbours: there the even one wins, beside them the nearer.
 */
static void every_midpoint_rounds_to_even(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const half *t = &halves[i];
        const unsigned infinity = ((1u << t->exponent_bits) - 1) << t->mantissa_bits;
        for (unsigned h = 0; h < infinity; h++) {
            const double low = by_definition(h, t->exponent_bits, t->mantissa_bits);
            const double high = h + 1 == infinity ? ldexp(1, 1 << (t->exponent_bits - 1))
                                                  : by_definition(h + 1, t->exponent_bits, t->mantissa_bits);
            const float middle = (float)((low + high) / 2);
            assert_true((double)middle == (low + high) / 2);
            for (unsigned sign = 0; sign < 2; sign++) {
                const float s = sign ? -1.0f : 1.0f;
                const unsigned bit = sign << 15;
                assert_int_equal(t->from_f32(s * middle), bit | (h % 2 ? h + 1 : h));
                assert_int_equal(t->from_f32(s * nextafterf(middle, 0)), bit | h);
                assert_int_equal(t->from_f32(s * nextafterf(middle, INFINITY)), bit | (h + 1));
            }
        }
    }
}

static void nan_stays_nan(void **state)
{
    (void)state;
    for (uint32_t low = 1; low < 0x800000; low = low * 3 + 1) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            const uint32_t bits = sign << 31 | 0x7F800000u | (low & 0x7FFFFFu);
            float f;
            memcpy(&f, &bits, sizeof f);
            if (!isnan(f)) continue;
            assert_true(isnan(mg_f16_to_f32(mg_f32_to_f16(f))));
            assert_true(isnan(mg_bf16_to_f32(mg_f32_to_bf16(f))));
        }
    }
}

static void views_know_their_size(void **state)
{
    float data[24];
    const mg_tensor t = mg_tensor_3d(data, MG_F32, 2, 3, 4);
    const mg_tensor rows = mg_tensor_rows(&t, 1, 1);
    const mg_tensor scalar = {data, MG_F64, 0, {1, 1, 1, 1}};

    (void)state;
    assert_int_equal(mg_tensor_count(&t), 24);
    assert_int_equal(mg_tensor_bytes(&t), 96);
    assert_ptr_equal(rows.data, data + 12);
    assert_true(mg_tensor_is(&rows, MG_F32, 3, (const int64_t[]){1, 3, 4}));
    assert_false(mg_tensor_is(&rows, MG_BF16, 3, (const int64_t[]){1, 3, 4}));
    assert_false(mg_tensor_is(&rows, MG_F32, 3, (const int64_t[]){2, 3, 4}));
    assert_int_equal(mg_tensor_count(&scalar), 1);
    assert_int_equal(mg_tensor_bytes(&scalar), 8);
    assert_int_equal(mg_tensor_1d(data, MG_U8, 5).dim[3], 1);
    assert_int_equal(mg_tensor_2d(data, MG_U8, 5, 0).n_dims, 2);
    assert_string_equal(mg_dtype_name(MG_BF16), "bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_converts_both_ways),
        cmocka_unit_test(every_midpoint_rounds_to_even),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(views_know_their_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
