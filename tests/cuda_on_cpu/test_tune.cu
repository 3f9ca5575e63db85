/* The variants of the 16-bit product: `bits` forces each and compares with the rule's, `choice` sets what
 * each takes and looks at what is chosen, `refusals` lets the measurement fail. Without a word, for
 * barriers.sh, which has no time for all of `bits`: packed rows alone. */
#include "cuda_variants.cuh"
#include "product_test.cuh"

static const void *kernel_of(const mg_variant *v)
{
    return reinterpret_cast<const void *>(v->run);
}

/* ---- Bits ---- */

typedef struct shape {
    int64_t n_out, n_in;
    int n_slices;
    bool with_norm;
} shape;

/* Parts of 18 steps, of 9, and of one and none; slices of more steps than any ring holds, of parts of 1 and
 * 2, and of 2 and 3; outputs and inputs that fill no tile; a row that lanes hold in part; those of a model.
 */
static const shape shapes[] = {{40, 2304, 1, false},  {24, 1152, 1, true},  {24, 1216, 8, false},
                               {33, 74, 1, true},     {24, 720, 1, true},   {18, 96, 2, false},
                               {16, 2304, 1, true},   {16, 4736, 8, false}, {17, 1280, 4, false},
                               {200, 1024, 8, false}, {20, 2048, 1, true},  {130, 512, 4, false}};
static const int64_t rows[] = {1, 2, 7, 8, 9, 16, 17, 32, 40, 100, 128};

/* How many hold so many rows, if shared memory holds them too; the last summands are tiled, and one for
 * all slices. */
static int count_by_hand(int64_t n_rows, int n_slices)
{
    const int tiled = n_rows <= 16 ? 0 : n_rows <= 32 ? 3 : n_rows <= 64 ? 4 : 6;

    return (n_rows <= 8    ? 11
            : n_rows <= 16 ? 7
            : n_rows <= 32 ? 3
            : n_rows <= 64 ? 2
                           : 1) +
           tiled + (tiled && n_slices > 1 ? 1 : 0);
}

static floats product(const mg_ops *ops, int variant, const shape *s, const mg_matrix *w, float *x,
                      int64_t n_rows, const float *scale, const floats &before)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const mg_rows from = {x, s->n_in, s->n_in, s->n_in, n_rows};
    const mg_row_norm norm = {scale, scale + s->n_in, 1e-5f};
    float *y = put(ops, before);
    mg_finish to = {};

    to.y = y, to.row_stride = s->n_out;
    to.accumulate = s->n_slices > 1;
    EXPECT(mg_product_half_by(cuda, variant, &to, &from, w, s->with_norm ? &norm : nullptr) == MG_OK, "%s",
           mg_last_error());
    const floats after = get(ops, y, n_rows * s->n_out);
    mg_ops_release(ops, y, before.size() * sizeof(float));
    return after;
}

static void test_shape(const mg_ops *ops, const shape *s, mg_format format)
{
    mg_matrix w = make(ops, 1, format, s->n_out, s->n_in, s->n_slices);
    float *x = put(ops, random_floats(2, 128 * s->n_in)), *scale = put(ops, random_floats(3, 2 * s->n_in));
    const mg_variant *all = mg_variants(format, s->with_norm);
    floats most; /* of all rows */

    for (size_t r = sizeof rows / sizeof *rows; r-- > 0;) {
        const int64_t n = rows[r];
        int list[MG_N_VARIANTS];
        const int n_list = mg_variant_candidates(list, mg_cuda_of(ops), &w, s->with_norm, n);
        const floats before = random_floats(4, n * s->n_out);
        EXPECT(n_list == count_by_hand(n, s->n_slices) || s->n_in >= 2304, "%d candidates for %d rows",
               n_list, (int)n);
        const floats want = product(ops, list[0], s, &w, x, n, scale, before);
        EXPECT(want != before, "nothing was computed");
        if (most.empty()) most = want;
        EXPECT(memcmp(want.data(), most.data(), want.size() * sizeof(float)) == 0,
               "%d x %d, %d slices, norm %d: %d rows have other bits than among 128", (int)s->n_out,
               (int)s->n_in, s->n_slices, s->with_norm, (int)n);
        for (int i = 1; i < n_list; i++) {
            sim::set_cost(kernel_of(&all[list[i]]), 1);
            const floats got = product(ops, list[i], s, &w, x, n, scale, before);
            EXPECT(memcmp(want.data(), got.data(), want.size() * sizeof(float)) == 0,
                   "%d x %d, %d slices, norm %d, %d rows: variant %d has other bits", (int)s->n_out,
                   (int)s->n_in, s->n_slices, s->with_norm, (int)n, list[i]);
            EXPECT(sim::n_launches(kernel_of(&all[list[i]])) >= 1, "variant %d was not taken", list[i]);
        }
    }
    mg_ops_release(ops, x, 128 * (size_t)s->n_in * sizeof(float));
    mg_ops_release(ops, scale, 2 * (size_t)s->n_in * sizeof(float));
    drop(ops, &w);
}

static void test_bits()
{
    mg_ops *ops = open_ops();

    for (const shape &s : shapes)
        for (const mg_format format : {MG_FORMAT_BF16, MG_FORMAT_F16}) test_shape(ops, &s, format);
    mg_ops_close(ops);
}

/* Rows that a kernel has packed before, through a norm of an odd width and in slices, against those that none
 * has. */
static void test_packed()
{
    mg_ops *ops = open_ops();

    for (const shape &s : {shape{33, 74, 1, true}, shape{16, 96, 2, false}}) {
        const int64_t n = 9; /* two tiles of rows */
        const int plain = 3, packed = MG_N_FEW_VARIANTS + 1;
        mg_matrix w = make(ops, 1, MG_FORMAT_BF16, s.n_out, s.n_in, s.n_slices);
        float *x = put(ops, random_floats(2, n * s.n_in)), *scale = put(ops, random_floats(3, 2 * s.n_in));
        const floats before = random_floats(4, n * s.n_out);
        const floats want = product(ops, plain, &s, &w, x, n, scale, before);
        EXPECT(want != before, "nothing was computed");
        EXPECT(product(ops, packed, &s, &w, x, n, scale, before) == want, "packed rows have other bits");
        mg_ops_release(ops, x, 0), mg_ops_release(ops, scale, 0);
        drop(ops, &w);
    }
    mg_ops_close(ops);
}

/* ---- Choice ---- */

enum { N_LAYERS = 2, N_OUT = 16, N_IN = 128 };

typedef struct layers {
    mg_matrix w[N_LAYERS];
    const mg_matrix *list[N_LAYERS];
} layers;

static void open_layers(layers *l, const mg_ops *ops, int n_slices)
{
    for (int i = 0; i < N_LAYERS; i++) {
        l->w[i] = make(ops, static_cast<unsigned>(i), MG_FORMAT_BF16, N_OUT, N_IN, n_slices);
        l->list[i] = &l->w[i];
    }
}

static void close_layers(layers *l, const mg_ops *ops)
{
    for (mg_matrix &w : l->w) drop(ops, &w);
}

/* What is chosen for n_rows of n matrices: -1 the rule's, -2 nothing was. All kernels take 10 us but those
 * that the caller has set; nothing is written but scratch. */
static int chosen(const mg_ops *ops, const layers *l, int64_t n, bool with_norm, int64_t n_rows)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    cuda->n_choices = 0;
    EXPECT(mg_cuda_wait(cuda) == MG_OK, "what was asked for before");
    const uint64_t before = sim::hash_of_memory(cuda->scratch);
    EXPECT(mg_tune_products(ops, l->list, n, with_norm, n_rows) == MG_OK, "tune: %s", mg_last_error());
    EXPECT(sim::hash_of_memory(cuda->scratch) == before, "other memory than scratch is written, or kept");
    const mg_choice *c = mg_choice_find(cuda, l->list[0], with_norm, n_rows);
    return c ? c->variant : -2;
}

static void set_all(const mg_variant *all, double us)
{
    for (int i = 0; i < MG_N_VARIANTS; i++) sim::set_cost(kernel_of(&all[i]), us);
}

/* What its other kernels take, 1 us each: packing, and the sum of slices of a tiled one. */
static double others_us(const mg_variant *v, const mg_matrix *w)
{
    return (v->packs ? 1 : 0) + (v->n_threads && !v->whole && w->n_slices > 1 ? 1 : 0);
}

/* All take the same with their other kernels. */
static void set_level(const mg_variant *all, const mg_matrix *w, double us)
{
    for (int i = 0; i < MG_N_VARIANTS; i++) sim::set_cost(kernel_of(&all[i]), us - others_us(&all[i], w));
}

/* Every variant in turn is the cheapest, or not by enough. The tie runs them all, for what they write; behind
 * it the made-up times alone decide. */
static void test_each(const mg_ops *ops, const layers *l, bool with_norm, int64_t n_rows)
{
    const mg_variant *all = mg_variants(MG_FORMAT_BF16, with_norm);
    int list[MG_N_VARIANTS];
    const int n = mg_variant_candidates(list, mg_cuda_of(ops), l->list[0], with_norm, n_rows);

    set_level(all, l->list[0], 10);
    EXPECT(chosen(ops, l, N_LAYERS, with_norm, n_rows) == -1, "a tie: not the rule's");
    sim::leave_out_threads(true);
    for (int i = 1; i < n; i++) {
        const double others = others_us(&all[list[i]], l->list[0]);
        set_level(all, l->list[0], 10);
        sim::set_cost(kernel_of(&all[list[i]]), 9.9 - others);
        EXPECT(chosen(ops, l, N_LAYERS, with_norm, n_rows) == -1, "variant %d: 1 %% is enough", list[i]);
        sim::set_cost(kernel_of(&all[list[i]]), 9.7 - others);
        EXPECT(chosen(ops, l, N_LAYERS, with_norm, n_rows) == list[i], "variant %d: 3 %% is not enough",
               list[i]);
        EXPECT(mg_variant_choose(mg_cuda_of(ops), l->list[0], with_norm, n_rows) == list[i],
               "it is not taken");
    }
    sim::leave_out_threads(false);
}

/* Which kernel a product of the model launches then. */
static void test_use(const mg_ops *ops, const layers *l)
{
    const mg_variant *all = mg_variants(MG_FORMAT_BF16, false);
    int list[MG_N_VARIANTS];
    float *x = put(ops, random_floats(5, 4 * N_IN)), *y = put(ops, random_floats(6, 4 * N_OUT));
    const mg_tensor tx = mg_tensor_2d(x, MG_F32, 4, N_IN);
    mg_tensor ty = mg_tensor_2d(y, MG_F32, 4, N_OUT);

    EXPECT(mg_variant_candidates(list, mg_cuda_of(ops), l->list[0], false, 5) == MG_N_PLAIN_VARIANTS,
           "too few");
    set_all(all, 10);
    sim::set_cost(kernel_of(&all[list[3]]), 6);
    sim::set_cost(kernel_of(&all[list[5]]), 5);
    EXPECT(chosen(ops, l, N_LAYERS, false, 5) == list[5], "not the cheapest of two");
    set_all(all, 10);
    EXPECT(mg_linear(ops, &ty, &tx, l->list[1], NULL, MG_ACT_NONE, false) == MG_OK, "%s", mg_last_error());
    (void)get(ops, y, 1);
    for (int i = 0; i < MG_N_VARIANTS; i++)
        EXPECT(sim::n_launches(kernel_of(&all[i])) == (i == list[5]), "variant %d: %ld launches", i,
               sim::n_launches(kernel_of(&all[i])));
    mg_ops_release(ops, x, 4 * N_IN * sizeof(float));
    mg_ops_release(ops, y, 4 * N_OUT * sizeof(float));
}

/* A variant that beats the rule's median, but not its best round. */
static void test_spread(const mg_ops *ops, const layers *l)
{
    const mg_variant *all = mg_variants(MG_FORMAT_BF16, false);
    int list[MG_N_VARIANTS];

    (void)mg_variant_candidates(list, mg_cuda_of(ops), l->list[0], false, 2);
    set_all(all, 20);
    sim::set_cost(kernel_of(&all[list[0]]), 12, -3);
    sim::set_cost(kernel_of(&all[list[1]]), 10);
    EXPECT(chosen(ops, l, 1, false, 2) == -1, "within the spread of the rule's");
    sim::set_cost(kernel_of(&all[list[0]]), 12);
    EXPECT(chosen(ops, l, 1, false, 2) == list[1], "without spread");
}

/* Each number of tiles has a choice of its own. */
static void test_tiles(const mg_ops *ops, const layers *l)
{
    mg_cuda *cuda = mg_cuda_of(ops);

    set_all(mg_variants(MG_FORMAT_BF16, false), 10);
    sim::set_cost(kernel_of(&mg_variants(MG_FORMAT_BF16, false)[9]), 2); /* packed, 8 tiles */
    EXPECT(chosen(ops, l, 2, false, 100) == -1, "128 rows: the rule's");
    EXPECT(cuda->n_choices == 5, "%d choices", cuda->n_choices);
    for (const int64_t n : {1, 8, 9, 16, 17, 32, 33})
        EXPECT(mg_variant_choose(cuda, l->list[0], false, n) == 9, "%d rows", (int)n);
    EXPECT(mg_variant_choose(cuda, l->list[0], false, 64) == 9, "64 rows: the rule's");
    EXPECT(mg_variant_choose(cuda, l->list[0], false, 65) == 18, "65 rows: 1 tile of outputs a block");
    const long n = sim::n_launches(kernel_of(&mg_variants(MG_FORMAT_BF16, false)[9]));
    EXPECT(mg_tune_products(ops, l->list, 2, false, 100) == MG_OK, "again");
    EXPECT(sim::n_launches(kernel_of(&mg_variants(MG_FORMAT_BF16, false)[9])) == n, "measured twice");
}

/* Before each round twice the bytes of the L2 cache are read, and none of them twice: what scratch holds of
 * them, and the rest elsewhere. */
static void test_cold(const mg_ops *ops, const layers *l, size_t scratch_bytes)
{
    mg_cuda *cuda = mg_cuda_of(ops);
    const size_t all = cuda->scratch_bytes;
    int list[MG_N_VARIANTS], l2_bytes = 0, n_rounds = 0;
    std::vector<sim::heard> before; /* of a round */
    const int n = mg_variant_candidates(list, cuda, l->list[0], false, 2);

    EXPECT(cudaDeviceGetAttribute(&l2_bytes, cudaDevAttrL2CacheSize, 0) == cudaSuccess, "no cache");
    set_all(mg_variants(MG_FORMAT_BF16, false), 10);
    cuda->scratch_bytes = scratch_bytes;
    sim::leave_out_threads(true);
    sim::listen();
    (void)chosen(ops, l, N_LAYERS, false, 2);
    for (const sim::heard &h : sim::take_heard()) {
        if (strcmp(h.kernel, "read_k") == 0) {
            before.push_back(h);
            continue;
        }
        if (before.empty()) continue;
        uint64_t bytes = 0, end = 0;
        std::sort(before.begin(), before.end(),
                  [](const auto &a, const auto &b) { return a.arguments[1] < b.arguments[1]; });
        for (const sim::heard &r : before) { /* where to, from, how many of 16 bytes */
            EXPECT(r.arguments[1] >= end, "something is read twice");
            bytes += r.arguments[2] * 16, end = r.arguments[1] + r.arguments[2] * 16;
        }
        EXPECT(bytes == 2 * static_cast<uint64_t>(l2_bytes), "%llu bytes are read before a round",
               static_cast<unsigned long long>(bytes));
        n_rounds++;
        before.clear();
    }
    EXPECT(n > 1 && n_rounds == 4 * n, "%d rounds of %d variants", n_rounds, n);
    sim::leave_out_threads(false);
    cuda->scratch_bytes = all;
}

static void test_choice()
{
    mg_ops *ops = open_ops();
    layers plain, sliced;

    open_layers(&plain, ops, 1);
    open_layers(&sliced, ops, 8);
    for (const int64_t n : {2, 12, 40}) {
        test_each(ops, &plain, true, n);
        test_each(ops, &plain, false, n);
        test_each(ops, &sliced, false, n);
    }
    test_use(ops, &plain);
    test_spread(ops, &sliced);
    test_tiles(ops, &plain);
    for (const size_t bytes : {mg_cuda_of(ops)->scratch_bytes, size_t{1} << 20})
        test_cold(ops, &plain, bytes);
    close_layers(&plain, ops), close_layers(&sliced, ops);
    mg_ops_close(ops);
}

/* ---- Refusals ---- */

static void test_refusals()
{
    mg_ops *ops = open_ops();
    mg_cuda *cuda = mg_cuda_of(ops);
    std::vector<void *> taken;
    layers l;
    bool replay;
    void *p;

    open_layers(&l, ops, 1);
    sim::set_cost(NULL, 0);
    EXPECT(chosen(ops, &l, N_LAYERS, false, 4) == -2 && cuda->tells_no_time, "without a clock");
    set_all(mg_variants(MG_FORMAT_BF16, false), 10);
    EXPECT(chosen(ops, &l, N_LAYERS, false, 4) == -2, "it asks again");
    cuda->tells_no_time = false;

    while (mg_ops_alloc(ops, &p, 1 << 20) == MG_OK) taken.push_back(p); /* a call needs more than that */
    EXPECT(chosen(ops, &l, N_LAYERS, false, 4) == -2, "without memory");
    for (void *t : taken) mg_ops_release(ops, t, 1 << 20);
    EXPECT(!taken.empty() && chosen(ops, &l, N_LAYERS, false, 4) == -1, "with memory again");

    /* What the device refuses, here for its shared memory, is out, however fast it were. */
    mg_matrix wide = make(ops, 1, MG_FORMAT_BF16, 16, 6400, 1);
    const mg_matrix *alone = &wide;
    const size_t allowed = cuda->shared_bytes;
    mg_clear_error();
    cuda->shared_bytes = 1 << 20;
    const mg_variant *all = mg_variants(MG_FORMAT_BF16, false);
    set_all(all, 10);
    for (const int i : {2, 5}) sim::set_cost(kernel_of(&all[i]), 1); /* of 32 steps */
    sim::set_cost(kernel_of(&all[0]), 5);
    EXPECT(mg_tune_products(ops, &alone, 1, false, 8) == MG_OK, "a refusal: %s", mg_last_error());
    EXPECT(!*mg_last_error(), "a refusal is said: %s", mg_last_error());
    const mg_choice *c = mg_choice_find(cuda, alone, false, 8);
    EXPECT(c && c->variant == 0, "a refusal: variant %d", c ? c->variant : -2);
    for (const int i : {2, 5})
        EXPECT(sim::n_launches(kernel_of(&all[i])) == 0, "a refusal: variant %d is launched", i);
    cuda->shared_bytes = allowed;
    drop(ops, &wide);

    mg_matrix full = make(ops, 1, MG_FORMAT_F32, 16, 64, 1);
    alone = &full;
    EXPECT(mg_tune_products(ops, &alone, 1, false, 8) == MG_OK && !mg_choice_find(cuda, alone, false, 8),
           "fp32");
    drop(ops, &full);

    const mg_matrix other = {MG_FORMAT_BF16, N_OUT, N_IN, 2, l.w[0].data};
    const mg_matrix *two[] = {&l.w[0], &other};
    EXPECT(mg_tune_products(ops, two, 2, false, 4) == MG_EBUG, "two shapes");
    EXPECT(mg_tune_products(ops, l.list, N_LAYERS, false, 0) == MG_EBUG, "no rows");
    EXPECT(mg_step_begin(ops, 1, &replay) == MG_OK && !replay, "step_begin");
    EXPECT(mg_tune_products(ops, l.list, N_LAYERS, false, 4) == MG_EBUG, "within a recorded step");
    EXPECT(mg_step_end(ops) == MG_OK, "step_end");
    close_layers(&l, ops);
    mg_ops_close(ops);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (argc == 1)
        test_packed();
    else if (strcmp(what, "bits") == 0)
        test_bits();
    else if (strcmp(what, "choice") == 0)
        test_choice();
    else if (strcmp(what, "refusals") == 0)
        test_refusals();
    else
        n_wrong = 1;
    return n_wrong > 0;
}
