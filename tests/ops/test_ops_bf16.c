/* One level, two instruction sets: AVX-512's bf16 products with and without vdpbf16ps have the same bits, for
 * any numbers: denormals, overflow, infinities, both signs of zero. Needs a processor that has the
 * instruction. */
#include "cpu_kernels.h"
#include "ops_test.h"

enum { STEPS = 37, MOST = 12, WIDTH = MG_CPU_SUM_WIDTH };

/* A bf16 whose exponent lies in [low, low + range). */
static uint16_t pick_bf16(uint64_t *state, uint32_t low, uint32_t range)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    const uint32_t r = (uint32_t)*state;
    return (uint16_t)((r & 0x8000u) | (low + (r >> 16) % range) % 256 << 7 | (r & 0x7Fu));
}

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Differences between the tables over one tile. */
static int64_t compare(uint64_t *state, int64_t n_strips, int64_t n_rows, uint32_t low, uint32_t range)
{
    static uint16_t w[STEPS * WIDTH * 2], x[MOST * STEPS * 2];
    static float wide[MOST * STEPS * 2], a[MOST * WIDTH], b[MOST * WIDTH];
    const int64_t ldw = n_strips * MG_CPU_STRIP * 4;
    int64_t n = 0;

    for (int i = 0; i < COUNT(w); i++) w[i] = pick_bf16(state, low, range);
    for (int i = 0; i < COUNT(x); i++) {
        x[i] = pick_bf16(state, low, range);
        wide[i] = mg_bf16_to_f32(x[i]);
    }
    for (int i = 0; i < COUNT(a); i++) a[i] = b[i] = mg_bf16_to_f32(pick_bf16(state, low / 2, range));
    mg_cpu_tile_avx512bf16(MG_FORMAT_BF16, n_strips, n_rows)(a, (const char *)x, STEPS * 4, (const char *)w,
                                                             ldw, STEPS, true, NULL, 0, n_rows);
    mg_cpu_kernels_avx512.tile[MG_FORMAT_BF16](MG_FORMAT_BF16, n_strips, n_rows)(
        b, (const char *)wide, STEPS * 8, (const char *)w, ldw, STEPS, true, NULL, 0, n_rows);
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t c = 0; c < n_strips * MG_CPU_STRIP; c++) n += !same(a[r * WIDTH + c], b[r * WIDTH + c]);
    return n;
}

/* A comparison that could not fail would pass: the AVX2 table, which takes the even element first, must
 * differ. */
static void test_order_shows(void **state)
{
    uint64_t seed = 1;
    int64_t n = 0;

    (void)state;
    if (!__builtin_cpu_supports("avx512bf16")) return;
    for (int again = 0; again < 20; again++) {
        float w_x[4], a[WIDTH] = {0}, b[WIDTH] = {0};
        uint16_t w[MG_CPU_STRIP * 2], x[2];
        for (int i = 0; i < COUNT(w); i++) w[i] = pick_bf16(&seed, 117, 14);
        for (int i = 0; i < 2; i++) x[i] = pick_bf16(&seed, 117, 14), w_x[i] = mg_bf16_to_f32(x[i]);
        for (int c = 0; c < MG_CPU_STRIP; c++)
            a[c] = b[c] = mg_bf16_to_f32(pick_bf16(&seed, 117, 14)) * 1.0009765625f;
        mg_cpu_tile_avx512bf16(MG_FORMAT_BF16, 1, 1)(a, (const char *)x, 4, (const char *)w, 64, 1, true,
                                                     NULL, 0, 1);
        mg_cpu_kernels_avx2.tile[MG_FORMAT_BF16](MG_FORMAT_BF16, 1, 1)(
            b, (const char *)w_x, 8, (const char *)w, 64, 1, true, NULL, 0, 1);
        for (int c = 0; c < MG_CPU_STRIP; c++) n += !same(a[c], b[c]);
    }
    assert_true(n > 0);
}

static void test_same_bits(void **state)
{
    /* everyday numbers; all exponents; products and sums around the smallest and the largest normal ones */
    static const struct {
        uint32_t low, range;
    } exponents[] = {{117, 14}, {0, 256}, {55, 20}, {0, 40}, {180, 20}, {60, 6}};
    static const int64_t strips[] = {1, 2, 4}, rows[] = {1, 2, 3, 4, 5, 6, 12};
    uint64_t seed = 88172645463325252u;

    (void)state;
    if (!__builtin_cpu_supports("avx512bf16")) {
        printf("SKIPPED: this processor has no avx512bf16\n");
        return;
    }
    for (int e = 0; e < COUNT(exponents); e++)
        for (int s = 0; s < COUNT(strips); s++)
            for (int r = 0; r < COUNT(rows); r++)
                for (int again = 0; again < 40; again++)
                    if (rows[r] < 12 || strips[s] < 4)
                        assert_int_equal(
                            compare(&seed, strips[s], rows[r], exponents[e].low, exponents[e].range), 0);
}

/* The rows of x: as bf16 pairs for the instruction, as fp32 numbers for the two steps. */
static void test_same_rows(void **state)
{
    static float x[STEPS * WIDTH], wide[STEPS * WIDTH];
    static uint16_t pairs[STEPS * WIDTH];
    uint64_t seed = 3;

    (void)state;
    if (mg_cpu_best_level() < MG_CPU_AVX512) return;
    for (int i = 0; i < COUNT(x); i++) {
        const uint32_t bits = (uint32_t)pick_bf16(&seed, 0, 255) << 16 | pick_bf16(&seed, 0, 256);
        memcpy(&x[i], &bits, sizeof bits);
    }
    mg_cpu_kernels_avx512.narrow(pairs, MG_BF16, x, COUNT(x));
    mg_cpu_kernels_avx512.round_bf16(wide, x, COUNT(x));
    for (int i = 0; i < COUNT(x); i++) assert_true(same(mg_bf16_to_f32(pairs[i]), wide[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_shows), cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_same_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
