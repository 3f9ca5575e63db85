/* 8-bit matrices: bit for bit what a plain loop over the definition in ops.h gives, on every level, however
 * rows, slices, threads and loads are cut; and near enough to the product that they stand for. */
#define FORMAT MG_FORMAT_Q8
#include "quantised_test.h"

static const shape shapes[] = {{1, 1, 1, 1},    {2, 7, 3, 1},     {3, 16, 65, 1},  {5, 48, 64, 8},
                               {7, 65, 24, 8},  {9, 100, 56, 4},  {13, 80, 40, 2}, {30, 33, 770, 1},
                               {26, 70, 72, 8}, {4, 96, 3032, 2}, {5, 48, 4200, 1}};

/* The definition: whole sums of a slice times both scales, slices in a binary tree. */
static float plain_product(const float *x, const float *w, const shape *s)
{
    const int64_t L = s->n_in / s->n_slices;
    int *q_x = malloc((size_t)L * sizeof *q_x), *q_w = malloc((size_t)L * sizeof *q_w);
    float slice[8];

    for (int i = 0; i < s->n_slices; i++) {
        const float scale_x = plain_quantise(q_x, x + i * L, L), scale_w = plain_quantise(q_w, w + i * L, L);
        int sum = 0;
        for (int64_t k = 0; k < L; k++) sum += q_x[k] * q_w[k];
        slice[i] = (float)sum * (scale_x * scale_w);
    }
    free(q_x), free(q_w);
    return add_slices(slice, s->n_slices);
}

static void test_exact(void **state)
{
    (void)state;
    /* two roundings to 1/254 of the largest of n normal values: about 1 % of a product's size; 2 is generous
     */
    check_exact(shapes, COUNT(shapes), 0.02);
}

static void test_notices(void **state)
{
    (void)state;
    check_notices((const float[]){0.02f}, 1, 0.05f);
}

static void test_rows_alone(void **state)
{
    (void)state;
    check_rows_alone((shape){70, 150, 72, 8});
}

/* Rows of zeros and of values too small to count give zeros; very large ones stay what they are. */
static void test_edges(void **state)
{
    const shape s = {3, 16, 8, 1};
    float x[24] = {0}, w[128] = {0}, y[48];

    (void)state;
    for (int i = 0; i < 8; i++) x[8 + i] = 1e-38f, x[16 + i] = 1e30f, w[i] = 1, w[8 + i] = -2;
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 1);
        mg_matrix m = make(b.ops, &s, w, s.n_in);
        linear(b.ops, y, x, s.rows, &m, NULL, MG_ACT_NONE, false);
        for (int o = 0; o < 32; o++) assert_true(y[o] == 0);
        assert_true(fabsf(y[32] - 8e30f) < 1e25f && fabsf(y[33] + 16e30f) < 1e25f && y[34] == 0);
        matrix_drop(b.ops, &m);
        ops_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact),      cmocka_unit_test(test_notices),
                                       cmocka_unit_test(test_rows_alone), cmocka_unit_test(test_ranks),
                                       cmocka_unit_test(test_loads),      cmocka_unit_test(test_reads_once),
                                       cmocka_unit_test(test_no_numbers), cmocka_unit_test(test_edges)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
