/* The LSTM as wide as those of MusicGen's and AudioGen's codecs, whose weights the blocks of many GPUs cannot
 * hold, against a plain loop in fp64. test_ops_codec holds small ones against PyTorch. */
#include "ops_test.h"

enum { C = 1024, GATES = 4, N = 8, SEQUENCES = 5 };

static const int64_t n_rows[SEQUENCES] = {3, 0, 2, 1, 2};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double dot(const float *a, const float *b)
{
    double sum = 0;

    for (int i = 0; i < C; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* y [N, C] of sequences whose states begin as zeros. */
static void by_hand(float *y, const float *x, const float *w_ih, const float *w_hh, const float *bias)
{
    static const float zeros[C];
    static double gate[GATES * C], cell[C];

    for (int s = 0, n = 0; s < SEQUENCES; s++) {
        memset(cell, 0, sizeof cell);
        for (int64_t r = 0; r < n_rows[s]; r++, n++) {
            const float *before = r > 0 ? y + (n - 1) * C : zeros;
            for (int o = 0; o < GATES * C; o++)
                gate[o] = (double)bias[o] + dot(w_ih + o * C, x + n * C) + dot(w_hh + o * C, before);
            for (int c = 0; c < C; c++) {
                cell[c] = sigmoid(gate[C + c]) * cell[c] + sigmoid(gate[c]) * tanh(gate[2 * C + c]);
                y[n * C + c] = (float)(sigmoid(gate[3 * C + c]) * tanh(cell[c]));
            }
        }
    }
}

static void test_wide(void **state)
{
    static const int together[] = {1, 2, 3, SEQUENCES}; /* for each, a kernel of its own */
    float *x = random_floats(1, N * C), *bias = random_floats(2, GATES * C);
    float *ih = random_floats(3, GATES * C * C), *hh = random_floats(4, GATES * C * C);
    float *want = random_floats(5, N * C), *got = random_floats(5, N * C),
          *room = random_floats(6, N * GATES * C);
    float *states = random_floats(7, SEQUENCES * 2 * C);

    (void)state;
    for (int i = 0; i < GATES * C * C; i++) ih[i] /= 32, hh[i] /= 32;
    by_hand(want, x, ih, hh, bias);
    FOR_LEVELS(level)
    {
        bench_ops b = ops_open(level, 2);
        mg_matrix w_ih = matrix_make(b.ops, MG_F32, GATES * C, C, 1, ih, C);
        mg_matrix w_hh = matrix_make(b.ops, MG_F32, GATES * C, C, 1, hh, C);
        const mg_tensor shift = mg_tensor_1d(bias, MG_F32, GATES * C);
        for (int k = 0; k < COUNT(together); k++) {
            int64_t n = 0;
            for (int s = 0; s < together[k]; s++) n += n_rows[s];
            const mg_tensor in = mg_tensor_2d(x, MG_F32, n, C);
            mg_tensor y = mg_tensor_2d(got, MG_F32, n, C), gates = mg_tensor_2d(room, MG_F32, n, GATES * C);
            mg_tensor begin = mg_tensor_3d(states, MG_F32, together[k], 2, C);
            double worst = 0;
            memset(states, 0, mg_tensor_bytes(&begin));
            assert_int_equal(mg_lstm(b.ops, &y, &in, n_rows, &w_ih, &w_hh, &shift, &gates, &begin), MG_OK);
            for (int64_t i = 0; i < n * C; i++) worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
            assert_true(tol_within("lstm, 1024 wide", worst, TOL_LSTM));
        }
        matrix_drop(b.ops, &w_ih), matrix_drop(b.ops, &w_hh);
        ops_close(&b);
    }
    free(x), free(bias), free(ih), free(hh), free(want), free(got), free(room), free(states);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wide)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
