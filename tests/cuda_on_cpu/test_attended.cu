/* Attention and the product behind it by one kernel: which cases it takes, the bits of the two slots that it
 * stands for, and what it finds wrong. */
#include "cuda_step.cuh"
#include "product_test.cuh"

enum { E = 64, N_OUT = 40, CACHE_ROWS = 3, MOST_ROWS = 5 };

typedef struct shape {
    int n_slices, n_heads; /* n_heads: of a slice */
    int64_t T_max, n_rows;
} shape;

/* A call's arguments on the device. */
typedef struct call {
    mg_matrix w;
    mg_kv kv;
    float *x, *a, *product, *newest[2];
    int32_t *row, *n_keys, *pos; /* pos: of the newest key; NULL: none is written */
    int64_t n_rows, D;
} call;

static int32_t *put_ints(const mg_ops *ops, const std::vector<int32_t> &host)
{
    void *p = nullptr;

    EXPECT(mg_ops_alloc(ops, &p, host.size() * sizeof(int32_t)) == MG_OK, "alloc");
    EXPECT(mg_upload(ops, p, host.data(), host.size() * sizeof(int32_t)) == MG_OK, "upload");
    return static_cast<int32_t *>(p);
}

/* Keys and values of all positions, by the slot that rounds them. */
static mg_kv make_cache(const mg_ops *ops, mg_format format, int64_t H, int64_t T_max)
{
    mg_kv kv = {format, true, CACHE_ROWS, H, T_max, E, nullptr, nullptr};
    const int64_t n = CACHE_ROWS * T_max;
    std::vector<int32_t> row, pos;
    float *x = put(ops, random_floats(5, n * 2 * H * E));

    for (int64_t i = 0; i < n; i++) row.push_back((int32_t)(i / T_max)), pos.push_back((int32_t)(i % T_max));
    EXPECT(mg_ops_alloc(ops, &kv.k, mg_kv_bytes(ops, &kv)) == MG_OK, "alloc");
    EXPECT(mg_ops_alloc(ops, &kv.v, mg_kv_bytes(ops, &kv)) == MG_OK, "alloc");
    int32_t *const d_row = put_ints(ops, row), *const d_pos = put_ints(ops, pos);
    const mg_tensor tx = mg_tensor_2d(x, MG_F32, n, 2 * H * E), tr = mg_tensor_1d(d_row, MG_I32, n),
                    tp = mg_tensor_1d(d_pos, MG_I32, n);
    EXPECT(mg_kv_write(ops, &kv, &tx, 0, &tr, &tp) == MG_OK, "kv_write: %s", mg_last_error());
    mg_ops_release(ops, x, 0), mg_ops_release(ops, d_row, 0), mg_ops_release(ops, d_pos, 0);
    return kv;
}

/* From one key on, or none, to all; two tokens of one row have different numbers. */
static call make_call(const mg_ops *ops, const shape *s, mg_format format, int shift)
{
    const int64_t H = s->n_slices * s->n_heads;
    std::vector<int32_t> row, n_keys, pos;
    call c = {};

    for (int64_t n = 0; n < s->n_rows; n++) {
        row.push_back((int32_t)((n + 1) % CACHE_ROWS));
        n_keys.push_back((int32_t)((s->T_max + (n + shift) * 7) % (s->T_max + 1)));
        pos.push_back(n_keys.back() > 0 ? n_keys.back() - 1 : 0);
    }
    c.n_rows = s->n_rows, c.D = H * E;
    c.w = make(ops, 1, format, N_OUT, c.D, s->n_slices);
    c.kv = make_cache(ops, format, H, s->T_max);
    c.x = put(ops, random_floats(100 + (unsigned)shift, s->n_rows * (c.D + 4)));
    c.a = put(ops, random_floats(3, s->n_rows * c.D));
    c.product = put(ops, random_floats(4, s->n_rows * N_OUT));
    for (int i = 0; i < 2; i++) c.newest[i] = put(ops, random_floats(7 + (unsigned)i, s->n_rows * 2 * c.D));
    c.row = put_ints(ops, row), c.n_keys = put_ints(ops, n_keys), c.pos = put_ints(ops, pos);
    return c;
}

static void drop_call(const mg_ops *ops, call *c)
{
    for (void *p : {c->kv.k, c->kv.v, (void *)c->x, (void *)c->a, (void *)c->product, (void *)c->row,
                    (void *)c->n_keys, (void *)c->newest[0], (void *)c->newest[1], (void *)c->pos})
        mg_ops_release(ops, p, 0);
    drop(ops, &c->w);
}

enum way { PLAIN, SLOT, KERNEL };

/* The newest key of each token's row and its values: others first, and, right before the kernel, these. What
 * is read too early is wrong. */
static void write_newest(const mg_ops *ops, const call *c)
{
    const mg_tensor tr = mg_tensor_1d(c->row, MG_I32, c->n_rows),
                    tp = mg_tensor_1d(c->pos, MG_I32, c->n_rows);
    float word;

    for (int i = 0; c->pos && i < 2; i++) {
        const mg_tensor tx = mg_tensor_2d(c->newest[i], MG_F32, c->n_rows, 2 * c->D);
        EXPECT(mg_kv_write(ops, &c->kv, &tx, 0, &tr, &tp) == MG_OK, "kv_write: %s", mg_last_error());
        if (i == 0) (void)mg_download(ops, &word, c->x, sizeof word);
    }
}

/* y behind it; *done: the kernel took it. */
static floats attend(const mg_ops *ops, const call *c, way how, bool adds, const floats &before, bool *done,
                     mg_status *st)
{
    float *y = put(ops, before);
    const int64_t n = c->n_rows, width = c->D + 4;
    const mg_tensor tx = mg_tensor_2d(c->x, MG_F32, n, width), tr = mg_tensor_1d(c->row, MG_I32, n),
                    tk = mg_tensor_1d(c->n_keys, MG_I32, n);
    const mg_attend over = {&c->kv, &tr, &tk, 0.125f};
    mg_tensor ty = mg_tensor_2d(y, MG_F32, n, N_OUT), ta = mg_tensor_2d(c->a, MG_F32, n, c->D);
    mg_tensor tp = mg_tensor_2d(c->product, MG_F32, n, N_OUT);

    *done = false;
    write_newest(ops, c);
    if (how == SLOT) {
        *st = mg_attention_linear(ops, &ty, adds ? &tp : nullptr, &ta, &tx, &over, &c->w);
    } else if (how == KERNEL) {
        *st = mg_cuda_attention_linear(ops, done, &ty, adds ? &tp : nullptr, &ta, &tx, &over, &c->w);
    } else {
        *st = mg_attention(ops, &ta, &tx, &c->kv, &tr, &tk, 0.125f, nullptr);
        if (*st == MG_OK)
            *st = adds ? mg_linear_add(ops, &ty, &tp, &ta, &c->w)
                       : mg_linear(ops, &ty, &ta, &c->w, nullptr, MG_ACT_NONE, false);
    }
    floats after = before;
    const mg_status late = mg_download(ops, after.data(), y, after.size() * sizeof(float));
    if (*st == MG_OK) *st = late;
    mg_ops_release(ops, y, 0);
    return after;
}

/* By the rule as it is written down: 32 keys at most, and no more heads and rows than cost 2100 cycles; four
 * heads in each of eight slices are too many for a block's memory as well. */
static bool is_taken(const shape *s)
{
    const int64_t most = s->n_slices == 8 ? (s->T_max <= 16 ? 3 : 2) : (s->T_max <= 16 ? 4 : 2);

    return s->n_slices > 1 && s->T_max <= 32 && s->n_rows * s->n_heads <= most;
}

static void test_shape(const mg_ops *ops, const shape *s, mg_format format, int shift)
{
    call c = make_call(ops, s, format, shift);
    const floats before = random_floats(6, s->n_rows * N_OUT);
    bool done;
    mg_status st;

    for (const bool adds : {false, true}) {
        const floats got = attend(ops, &c, KERNEL, adds, before, &done, &st);
        EXPECT(st == MG_OK && done == is_taken(s), "%d slices of %d heads, %d keys, %d rows: %s", s->n_slices,
               s->n_heads, (int)s->T_max, (int)s->n_rows, done ? "taken" : "not taken");
        if (!done && s->n_rows > 1) break;
        const floats want = attend(ops, &c, PLAIN, adds, before, &done, &st);
        EXPECT(st == MG_OK && (adds || want != before), "the plain way: %s", mg_last_error());
        const floats &same = is_taken(s) ? got : attend(ops, &c, SLOT, adds, before, &done, &st);
        EXPECT(st == MG_OK && memcmp(same.data(), want.data(), want.size() * sizeof(float)) == 0,
               "%d slices of %d heads, %d keys, %d rows: other bits: %s", s->n_slices, s->n_heads,
               (int)s->T_max, (int)s->n_rows, mg_last_error());
    }
    drop_call(ops, &c);
}

static void test_bits(const mg_ops *ops, bool all)
{
    static const int parts[][2] = {{8, 2}, {4, 4}, {8, 1}, {4, 3}, {2, 4}, {8, 4}, {1, 2}};
    static const int64_t keys[] = {16, 1, 5, 17, 32, 33};

    for (const auto &part : parts)
        for (const int64_t T_max : keys)
            for (int64_t n = 1; n <= MOST_ROWS; n++) {
                const shape s = {part[0], part[1], T_max, n};
                if (!all && !(is_taken(&s) && part[0] * part[1] == 16 && T_max >= 16)) continue;
                test_shape(ops, &s, T_max % 2 || n % 2 == 0 ? MG_FORMAT_BF16 : MG_FORMAT_F16, 0);
                if (n == 1) test_shape(ops, &s, MG_FORMAT_BF16, 1);
                if (n > 1 || T_max != 16) continue;
                /* Every number of keys; and many queries, for rounding hides what differs in a last bit. */
                const int most = all && part[0] * part[1] == 16 ? 100 : 16;
                for (int shift = 2; shift <= most; shift++) test_shape(ops, &s, MG_FORMAT_F16, shift);
            }
}

/* Caches that may still be written, or of another format than the weights, are not its own. */
static void test_refusals(const mg_ops *ops)
{
    const shape s = {8, 2, 16, 1};
    const floats before = random_floats(6, N_OUT);
    call c = make_call(ops, &s, MG_FORMAT_BF16, 0);
    mg_status st;
    bool done;

    c.kv.settled = false;
    (void)attend(ops, &c, KERNEL, true, before, &done, &st);
    EXPECT(st == MG_OK && !done, "a cache that is not settled is taken");
    const floats want = attend(ops, &c, PLAIN, true, before, &done, &st);
    EXPECT(attend(ops, &c, SLOT, true, before, &done, &st) == want && st == MG_OK, "not settled: other bits");
    c.kv.settled = true, c.kv.format = MG_FORMAT_F16;
    (void)attend(ops, &c, KERNEL, true, before, &done, &st);
    EXPECT(st == MG_OK && !done, "a cache of another format is taken");
    c.kv.format = MG_FORMAT_BF16;
    mg_cuda_of(ops)->shared_bytes = 99 << 10;
    (void)attend(ops, &c, KERNEL, true, before, &done, &st);
    EXPECT(st == MG_OK && !done, "99 KB of shared memory are taken");
    drop_call(ops, &c);
}

/* A row or a number of keys that the cache does not have: said, as mg_attention says it. Where a number far
 * below zero counted keys, they would be asked for far outside of all memory. */
static void test_faults()
{
    static const struct {
        bool of_rows;
        int32_t value;
    } cases[] = {{true, CACHE_ROWS}, {false, 17}, {false, -100000000}};

    for (const auto &wrong : cases) {
        std::string said[2];
        for (int i = 0; i < 2; i++) {
            mg_ops *ops = open_ops();
            const shape s = {8, 1, 16, 2};
            call c = make_call(ops, &s, MG_FORMAT_BF16, 0);
            const std::vector<int32_t> numbers = {0, wrong.value};
            mg_status st;
            bool done;
            EXPECT(mg_upload(ops, wrong.of_rows ? c.row : c.n_keys, numbers.data(), 2 * sizeof(int32_t)) ==
                       MG_OK,
                   "upload");
            mg_cuda_of(ops)->n_sms = 132;
            mg_ops_release(ops, c.pos, 0), c.pos = nullptr; /* the write would find it first */
            (void)attend(ops, &c, i ? KERNEL : PLAIN, true, random_floats(6, 2 * N_OUT), &done, &st);
            EXPECT(st != MG_OK && done == (i == 1), "a fault that nobody finds");
            said[i] = mg_last_error();
            drop_call(ops, &c);
            mg_ops_close(ops);
        }
        EXPECT(said[0].find("attention") == 0 && said[0] == said[1], "faults: %s; %s", said[0].c_str(),
               said[1].c_str());
    }
}

/* With a word all shapes; without one, for barriers.sh, those of small. */
int main(int argc, char **argv)
{
    mg_ops *ops = open_ops();

    (void)argv;
    mg_cuda_of(ops)->n_sms = 132; /* that share the blocks' memory */
    test_bits(ops, argc > 1);
    test_refusals(ops);
    mg_ops_close(ops);
    test_faults();
    return n_wrong > 0;
}
