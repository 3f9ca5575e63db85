/* The ways of an fp32 product: each shape of a tile, with its parts shared by 1 … 8 blocks, makes the bits
 * that a row has alone. */
#include "cuda_product_f32.cuh"
#include "product_test.cuh"

/* Rows of x are row_stride apart, and overlap where that is less than n_in; run 0: plain. */
typedef struct shape {
    int64_t n_out, n_in, n_rows, row_stride, run, run_stride;
    int n_slices, act;
    bool with_bias;
} shape;

static const shape shapes[] = {
    {64, 128, 130, 128, 0, 0, 1, MG_ACT_NONE, true},   /* every step a part */
    {36, 32, 300, 16, 0, 0, 1, MG_ACT_NONE, true},     /* parts without steps; rows that overlap */
    {100, 1056, 40, 1056, 0, 0, 1, MG_ACT_GELU, true}, /* parts of 8 and 9 steps */
    {40, 144, 70, 48, 48, 96, 1, MG_ACT_ELU, false},   /* three taps, dilated */
    {33, 74, 70, 74, 0, 0, 1, MG_ACT_NONE, true},      /* neither x nor y stands in fours */
    {70, 64, 33, 64, 0, 0, 1, MG_ACT_NONE, false},     /* y does not */
    {64, 256, 70, 256, 0, 0, 4, MG_ACT_NONE, true},
};

/* y is added to, and was `before`; of n rows from `first` on. */
static void multiply(float *y, const mg_ops *ops, const shape *s, const mg_matrix *w, const float *x,
                     const float *bias, int64_t first, int64_t n, int way, int n_splits)
{
    const int64_t run = s->run ? s->run : s->n_in, run_stride = s->run ? s->run_stride : s->n_in;
    const mg_rows rows = {x + first * s->row_stride, s->row_stride, run, run_stride, n};
    mg_finish to = {};

    to.y = y + first * s->n_out, to.row_stride = s->n_out, to.act = s->act, to.accumulate = true;
    to.bias = s->with_bias ? bias : nullptr, to.n_bias = (int32_t)s->n_out;
    EXPECT(mg_product_f32_by(mg_cuda_of(ops), way, n_splits, &to, &rows, w, nullptr) == MG_OK, "%s",
           mg_last_error());
}

static void test_shape(const mg_ops *ops, const shape *s)
{
    const int64_t reach = s->run ? (s->n_in / s->run - 1) * s->run_stride + s->run : s->n_in;
    const size_t bytes = (size_t)(s->n_rows * s->n_out) * sizeof(float);
    const floats before = random_floats(4, s->n_rows * s->n_out);
    float *x = put(ops, random_floats(2, (s->n_rows - 1) * s->row_stride + reach));
    float *bias = put(ops, random_floats(3, s->n_out)), *y = put(ops, before);
    mg_matrix w = make(ops, 1, MG_FORMAT_F32, s->n_out, s->n_in, s->n_slices);

    for (int64_t r = 0; r < s->n_rows; r++) multiply(y, ops, s, &w, x, bias, r, 1, -1, 1);
    const floats want = get(ops, y, (int64_t)before.size());
    EXPECT(memcmp(want.data(), before.data(), bytes) != 0, "nothing was added");
    for (int way = -1; way < MG_TILE_WAYS; way++)
        for (int n_splits = 1; n_splits <= (s->n_slices == 1 && way >= 0 ? MG_PARTS : 1); n_splits *= 2) {
            EXPECT(mg_upload(ops, y, before.data(), bytes) == MG_OK, "upload");
            multiply(y, ops, s, &w, x, bias, 0, s->n_rows, way, n_splits);
            const floats got = get(ops, y, (int64_t)before.size());
            EXPECT(memcmp(got.data(), want.data(), bytes) == 0, "%d x %d: way %d, %d splits: other bits",
                   (int)s->n_out, (int)s->n_in, way, n_splits);
        }
    drop(ops, &w);
    mg_ops_release(ops, x, 0), mg_ops_release(ops, bias, 0), mg_ops_release(ops, y, 0);
}

int main()
{
    mg_ops *ops = open_ops();

    if (!ops) return 1;
    for (const shape &s : shapes) test_shape(ops, &s);
    mg_ops_close(ops);
    if (n_wrong == 0) printf("tiles: the same bits\n");
    return n_wrong != 0;
}
