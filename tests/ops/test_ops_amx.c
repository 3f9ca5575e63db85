/* Level amx: bf16's products by the instruction, and without it, have the same bits, for any numbers and any
 * rows; and those of the manual's order, written out here. Bytes have the bits of all levels. */
#include "cpu_kernels.h"
#include "ops_test.h"

enum { STEPS = 37, MOST = 16, WIDTH = MG_CPU_SUM_WIDTH };

typedef struct case_ {
    uint16_t w[STEPS * WIDTH * 2], x[MOST * STEPS * 2];
    float sum[MOST * WIDTH];
} case_;

/* A bf16 whose exponent lies in [low, low + range). */
static uint16_t pick_bf16(uint64_t *state, uint32_t low, uint32_t range)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    const uint32_t r = (uint32_t)*state;
    return (uint16_t)((r & 0x8000u) | (low + (r >> 16) % range) % 256 << 7 | (r & 0x7Fu));
}

static void fill(case_ *c, uint64_t *state, uint32_t low, uint32_t range)
{
    for (int i = 0; i < COUNT(c->w); i++) c->w[i] = pick_bf16(state, low, range);
    for (int i = 0; i < COUNT(c->x); i++) c->x[i] = pick_bf16(state, low, range);
    for (int i = 0; i < COUNT(c->sum); i++) c->sum[i] = mg_bf16_to_f32(pick_bf16(state, low / 2, range));
}

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void run(float *out, const case_ *c, mg_cpu_tile *tile, int64_t n_strips, int64_t n_rows, int64_t n)
{
    memcpy(out, c->sum, sizeof c->sum);
    tile(out, (const char *)c->x, STEPS * 4, (const char *)c->w, n_strips * MG_CPU_STRIP * 4, n, true, NULL,
         0, n_rows);
}

/* The exponents of everyday numbers, all, and those of products and sums near the smallest and largest. */
static const struct {
    uint32_t low, range;
} exponents[] = {{117, 14}, {0, 256}, {55, 20}, {0, 40}, {180, 20}, {60, 6}};

static void test_with_and_without(void **state)
{
    static case_ c;
    static float a[MOST * WIDTH], b[MOST * WIDTH];
    uint64_t seed = 1;

    (void)state;
    if (mg_cpu_best_level() < MG_CPU_AMX) {
        printf("SKIPPED: this processor has no AMX\n");
        return;
    }
    for (int e = 0; e < COUNT(exponents); e++)
        for (int64_t strips = 1; strips <= 4; strips *= 2)
            for (int64_t rows = 1; rows <= MOST; rows++)
                for (int64_t n = 1; n <= STEPS; n += 6) {
                    fill(&c, &seed, exponents[e].low, exponents[e].range);
                    run(a, &c, mg_cpu_tile_amx(MG_FORMAT_BF16, strips, rows), strips, rows, n);
                    run(b, &c, mg_cpu_tile_amx_plain(MG_FORMAT_BF16, strips, rows), strips, rows, n);
                    for (int64_t r = 0; r < rows; r++)
                        for (int64_t o = 0; o < strips * MG_CPU_STRIP; o++)
                            if (!same(a[r * WIDTH + o], b[r * WIDTH + o]))
                                fail_msg("exponents %d, %lld strips, %lld rows, %lld steps: row %lld, output "
                                         "%lld: %a, %a",
                                         e, (long long)strips, (long long)rows, (long long)n, (long long)r,
                                         (long long)o, (double)a[r * WIDTH + o], (double)b[r * WIDTH + o]);
                }
}

/* In everyday numbers: even elements of 16 steps, odd ones, their sum, the sum so far. */
static void test_order(void **state)
{
    static case_ c;
    static float a[MOST * WIDTH], other[MOST * WIDTH];
    uint64_t seed = 2;
    int64_t n_other = 0;

    (void)state;
    if (mg_cpu_best_level() < MG_CPU_AVX512) return;
    fill(&c, &seed, 117, 14);
    run(a, &c, mg_cpu_tile_amx_plain(MG_FORMAT_BF16, 1, MOST), 1, MOST, STEPS);
    for (int r = 0; r < MOST; r++)
        for (int o = 0; o < MG_CPU_STRIP; o++) {
            float sum = c.sum[r * WIDTH + o];
            for (int i = 0; i < STEPS; i += 16) {
                float part[2] = {0, 0};
                for (int k = i; k < STEPS && k < i + 16; k++)
                    for (int odd = 0; odd < 2; odd++)
                        part[odd] = fmaf(mg_bf16_to_f32(c.x[(r * STEPS + k) * 2 + odd]),
                                         mg_bf16_to_f32(c.w[(k * MG_CPU_STRIP + o) * 2 + odd]), part[odd]);
                sum += part[0] + part[1];
            }
            assert_true(same(a[r * WIDTH + o], sum));
        }
    /* A comparison that could not fail would pass: avx512's order has other bits. */
    static float wide[MOST * STEPS * 2];
    for (int i = 0; i < COUNT(wide); i++) wide[i] = mg_bf16_to_f32(c.x[i]);
    memcpy(other, c.sum, sizeof other);
    mg_cpu_kernels_avx512.tile[MG_FORMAT_BF16](MG_FORMAT_BF16, 1, 12)(
        other, (const char *)wide, STEPS * 8, (const char *)c.w, 64, STEPS, true, NULL, 0, 12);
    for (int r = 0; r < 12; r++)
        for (int o = 0; o < MG_CPU_STRIP; o++) n_other += !same(a[r * WIDTH + o], other[r * WIDTH + o]);
    assert_true(n_other > 0);
}

static void test_bytes(void **state)
{
    static case_ c;
    static float a[MOST * WIDTH], b[MOST * WIDTH];
    uint64_t seed = 3;

    (void)state;
    if (mg_cpu_best_level() < MG_CPU_AMX) return;
    for (int64_t strips = 1; strips <= 4; strips *= 2)
        for (int64_t rows = 1; rows <= 6; rows++) {
            fill(&c, &seed, 0, 256);
            memset(c.sum, 0, sizeof c.sum);
            run(a, &c, mg_cpu_tile_amx(MG_FORMAT_Q8, strips, rows), strips, rows, STEPS);
            run(b, &c, mg_cpu_kernels_avx512.tile[MG_FORMAT_Q8](MG_FORMAT_Q8, strips, rows), strips, rows,
                STEPS);
            for (int64_t r = 0; r < rows; r++)
                assert_memory_equal(a + r * WIDTH, b + r * WIDTH, (size_t)strips * MG_CPU_STRIP * sizeof *a);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_with_and_without), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_bytes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
