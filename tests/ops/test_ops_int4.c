/* 4-bit matrices: bit for bit what a plain loop over the definition in ops.h gives, on every level, however
 * rows, slices, threads and loads are cut; and near enough to the product that they stand for. */
#include "cpu_kernels.h"
#define FORMAT MG_FORMAT_Q4
#include "quantised_test.h"

enum { GROUP = 32 };

static const shape shapes[] = {{1, 1, 32, 1},    {2, 7, 64, 1},    {3, 16, 96, 1},    {5, 48, 256, 8},
                               {7, 65, 768, 8},  {9, 100, 640, 4}, {13, 80, 192, 2},  {30, 33, 800, 1},
                               {26, 70, 512, 8}, {4, 96, 3072, 2}, {12, 130, 160, 1}, {4, 48, 3200, 1}};

static float to_bf16(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static const int levels[16] = {-35, -28, -22, -17, -13, -9, -6, -3, 0, 3, 6, 10, 14, 18, 23, 29};

/* The nearest level, the upper one of two. */
static int level_of(float w, float scale)
{
    const float v = w * (1 / scale);
    int i = 0;

    while (i < 15 && 2 * v >= (float)(levels[i] + levels[i + 1])) i++;
    return levels[i];
}

/* Of five scales, all bf16, the one of the least squared error: the value farthest from zero is then -35,
 * -32.5, -30, 29 or -38 of it. The errors of inputs i, i + 4, i + 8 … are summed apart. */
static float plain_scale(const float *w)
{
    const float at[] = {-35.0f, -32.5f, -30.0f, 29.0f, -38.0f};
    float far = 0, best = 0, least = INFINITY;

    for (int i = 0; i < GROUP; i++)
        if (fabsf(w[i]) > fabsf(far)) far = w[i];
    for (int k = 0; k < COUNT(at) && far != 0; k++) {
        const float scale = to_bf16(far / at[k]);
        float error[4] = {0};
        for (int i = 0; i < GROUP; i++) {
            const float d = (float)level_of(w[i], scale) * scale - w[i];
            error[i % 4] += d * d;
        }
        const float all = (error[0] + error[1]) + (error[2] + error[3]);
        if (all < least) least = all, best = scale;
    }
    return best;
}

/* The definition: whole sums of a group times its scale, one group after the other; times the scale of x;
 * slices in a binary tree. */
static float plain_product(const float *x, const float *w, const shape *s)
{
    const int64_t L = s->n_in / s->n_slices;
    int *q_x = malloc((size_t)L * sizeof *q_x);
    float slice[8];

    for (int i = 0; i < s->n_slices; i++) {
        const float scale_x = plain_quantise(q_x, x + i * L, L);
        float sum = 0;
        for (int64_t g = 0; g < L; g += GROUP) {
            const float *of_group = w + i * L + g, scale = plain_scale(of_group);
            int whole = 0;
            for (int k = 0; k < GROUP && scale != 0; k++) whole += q_x[g + k] * level_of(of_group[k], scale);
            sum += (float)whole * scale;
        }
        slice[i] = sum * scale_x;
    }
    free(q_x);
    return add_slices(slice, s->n_slices);
}

static void test_exact(void **state)
{
    (void)state;
    /* 16 levels for 32 normal values: an error below a tenth of a product's size */
    check_exact(shapes, COUNT(shapes), 0.1);
}

static void test_notices(void **state)
{
    (void)state;
    check_notices((const float[]){0.02f, 2}, 2, 0.7f);
}

static void test_rows_alone(void **state)
{
    (void)state;
    check_rows_alone((shape){70, 150, 256, 8});
}

/* Rows of zeros and of values too small to count give zeros; very large ones stay what they are. */
static void test_edges(void **state)
{
    const shape s = {3, 16, 32, 1};
    float x[96] = {0}, w[512] = {0}, y[48];

    (void)state;
    for (int i = 0; i < 32; i++) x[32 + i] = 1e-38f, x[64 + i] = 1e8f, w[i] = 1e28f, w[32 + i] = -2e28f;
    for (int i = 0; i < 32; i++) w[64 + i] = 1e-38f;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        mg_matrix m = make(b.ops, &s, w, s.n_in);
        linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
        for (int o = 0; o < 32; o++) assert_true(y[o] == 0);
        /* a scale is bf16: within 0.4 % */
        assert_true(fabsf(y[32] / 32e36f - 1) < 0.004f && fabsf(y[33] / -64e36f - 1) < 0.004f && y[34] == 0);
        matrix_drop(b.ops, &m);
        ops_close(&b);
    }
}

#if defined(__x86_64__) || defined(__aarch64__)
typedef mg_cpu_tile *find_tile(mg_format format, int64_t n_strips, int64_t n_rows);

enum { STEPS = 5, WIDTH = MG_CPU_SUM_WIDTH };

/* What the sums of 8-bit weights w have more where the zero of x is 128, and not 0. */
static void add_offsets(float *sum, const char *w, int64_t n_rows, int64_t n_outputs)
{
    for (int64_t o = 0; o < n_outputs; o++) {
        int32_t offset = 0;
        for (int64_t i = 0; i < STEPS * 4; i++)
            offset += 128 * (int8_t)w[(i / 4 * n_outputs + o) * 4 + i % 4];
        for (int64_t r = 0; r < n_rows; r++) {
            int32_t whole;
            memcpy(&whole, sum + r * WIDTH + o, sizeof whole);
            whole += offset;
            memcpy(sum + r * WIDTH + o, &whole, sizeof whole);
        }
    }
}

/* Tiles with 8-bit products, which take x from zero or not, and without: the same bits, of 4-bit weights and
 * of 8-bit ones. */
static void compare_tiles(const mg_cpu_kernels *plain, find_tile *groups, find_tile *tile, bool from_zero,
                          int n_tiles)
{
    enum { MOST = 12 };
    static char w[STEPS * 4 * MG_CPU_Q4_STRIP], x[MOST * STEPS * MG_CPU_X4_STEP];
    static float a[MOST * WIDTH], b[MOST * WIDTH];
    float *noise = random_floats(9, COUNT(w));
    int n_compared = 0;

    /* -127 … 127, and of x all but 0: what they are made of 8 and 4 bits */
    for (int i = 0; i < COUNT(w); i++) w[i] = (char)((int)(noise[i] * 3000) % 128);
    for (int i = 0; i < COUNT(x); i++) x[i] = (char)(((unsigned)(int)(noise[i] * 3000) % 255) + 1);
    for (int i = 0; i < 4 * STEPS; i++) { /* scales are numbers */
        char *scales = w + i * MG_CPU_Q4_STRIP + MG_CPU_Q4_WEIGHTS;
        for (int k = 0; k < 32; k++) {
            const uint16_t scale = mg_f32_to_bf16(noise[i * 32 + k]);
            memcpy(scales + 2 * k, &scale, sizeof scale);
        }
    }
    for (int64_t strips = 1; strips <= plain->panel / MG_CPU_STRIP; strips *= 2)
        for (int64_t rows = 1; rows <= 6; rows++)
            for (int four = 0; four < 2; four++) {
                const mg_format f = four ? MG_FORMAT_Q4 : MG_FORMAT_Q8;
                const int64_t ldw = strips * (four ? MG_CPU_Q4_STRIP : 4 * MG_CPU_STRIP);
                mg_cpu_tile *with = (four ? groups : tile)(f, strips, rows),
                            *without = plain->tile[f](f, strips, rows);
                assert_true(!with == !without);
                if (!with) continue;
                with(a, x, STEPS * MG_CPU_X4_STEP, w, ldw, STEPS, false, NULL, 0, rows);
                without(b, x, STEPS * MG_CPU_X4_STEP, w, ldw, STEPS, false, w, ldw / 3, rows);
                if (!four && plain->x_from_zero && !from_zero) add_offsets(b, w, rows, strips * MG_CPU_STRIP);
                for (int64_t r = 0; r < rows; r++)
                    assert_memory_equal(a + r * WIDTH, b + r * WIDTH,
                                        (size_t)strips * MG_CPU_STRIP * sizeof *a);
                n_compared++;
            }
    assert_int_equal(n_compared, n_tiles);
    free(noise);
}
#endif

#if defined(__aarch64__)
static void test_without_neondot(void **state)
{
    (void)state;
    if (!mg_cpu_has_neondot()) skip();
    compare_tiles(&mg_cpu_kernels_neon, mg_cpu_groups_neondot, mg_cpu_tile_neondot, true, 18);
}
#endif

#if defined(__x86_64__)
static void test_without_avx512vnni(void **state)
{
    (void)state;
    if (mg_cpu_best_level() < MG_CPU_AVX512 || !__builtin_cpu_supports("avx512vnni")) skip();
    compare_tiles(&mg_cpu_kernels_avx512, mg_cpu_groups_avx512vnni, mg_cpu_tile_avx512vnni, false, 36);
}

static void test_without_avxvnni(void **state)
{
    (void)state;
    if (!mg_cpu_has_avxvnni()) skip();
    compare_tiles(&mg_cpu_kernels_avx2, mg_cpu_groups_avxvnni, mg_cpu_tile_avxvnni, false, 18);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_loads),
        cmocka_unit_test(test_reads_once),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_edges),
#if defined(__x86_64__)
        cmocka_unit_test(test_without_avx512vnni),
        cmocka_unit_test(test_without_avxvnni),
#endif
#if defined(__aarch64__)
        cmocka_unit_test(test_without_neondot),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
