/* The matrix product's inner loop for one level. Included by cpu_kernels*.c only.
 *
 * A tile keeps n_rows x n_strips*16 accumulators in registers and walks down a panel once. Each accumulator
 * is one output's: no split, no reordering, so a row's bits do not depend on the rows it shares a tile with.
 */
#include "cpu_kernels.h"
#include "cpu_vec.h"

/* Of products with more than WIDE_ROWS rows a tile takes NARROW strips: registers hold no more sums, or what
 * is widened for a tile serves more rows. */
#if defined(__AVX512BF16__)
enum { WIDEST = 4, MOST_ROWS = 12, WIDE_ROWS = 6, NARROW = 2, X_IN_PAIRS = true };
#elif defined(__AVX512F__)
enum { WIDEST = 4, MOST_ROWS = 12, WIDE_ROWS = 6, NARROW = 2, X_IN_PAIRS = false };
#elif defined(__AVX2__) || defined(MG_CPU_FOR_NEON)
enum { WIDEST = 2, MOST_ROWS = 6, WIDE_ROWS = 3, NARROW = 1, X_IN_PAIRS = false };
#else
enum { WIDEST = 1, MOST_ROWS = 2, WIDE_ROWS = INT32_MAX, NARROW = 1, X_IN_PAIRS = false };
#endif

enum {
    STRIP_VECS = MG_CPU_STRIP / LANES,
    FEW_REGISTERS = LANES < 16,
    L1_AHEAD_BYTES = 1024, /* in the panel; measured with others in docs/PERFORMANCE.md */
    L2_AHEAD_BYTES = 4096,
};

/* A line of the panel is fetched twice: early (`far`) into the second-level cache, which can wait for more
 * lines at once than the first level can, and then into the first. */
VF void fetch_panel(const char *w, const char *far)
{
    __builtin_prefetch(far, 0, 2);
    __builtin_prefetch(w + L1_AHEAD_BYTES);
}

typedef struct w_step {
    vf even, odd; /* odd: bf16's second element of a pair */
} w_step;

/* Four bytes of x in every lane. */
VF vi same_word(const char *x)
{
    float word;

    memcpy(&word, x, sizeof word);
    return (vi)vf_set(word);
}

/* GCC would keep all of x that columns share, on the stack where there are no registers for it. */
VF void read_again(void)
{
    __asm__ volatile("" ::: "memory");
}

/* sum, an int32, + four products of bytes, unsigned and signed ones, in each lane: one instruction. */
#if defined(__AVX512VNNI__)
#define ADDS_BYTES 1
VF vi add_bytes(vi sum, vi u, vi s)
{
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)u, (__m512i)s);
}
#elif defined(__AVXVNNI__)
#define ADDS_BYTES 1
VF vi add_bytes(vi sum, vi u, vi s)
{
    return (vi)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)u, (__m256i)s);
}
#endif

VF w_step load_w(const char *w, int i_vec, mg_format format)
{
    if (format == MG_FORMAT_F32) return (w_step){vf_load((const float *)w + i_vec * LANES), vf_set(0)};
    if (format == MG_FORMAT_F16) return (w_step){vf_from_f16((const uint16_t *)w + i_vec * LANES), vf_set(0)};
    const vf pairs = vf_load((const float *)w + i_vec * LANES);
#if defined(__AVX512BF16__)
    return (w_step){pairs, vf_set(0)};
#else
    return (w_step){(vf)((vu)pairs << 16), (vf)((vu)pairs & 0xFFFF0000u)};
#endif
}

VF vf multiply_add(vf sum, w_step w, const float *x, mg_format format)
{
#if defined(__AVX512BF16__)
    if (format == MG_FORMAT_BF16) return _mm512_dpbf16_ps(sum, (__m512bh)w.even, (__m512bh)vf_set(*x));
#elif defined(__AVX512F__)
    if (format == MG_FORMAT_BF16) return vf_fma(w.even, vf_set(x[0]), vf_fma(w.odd, vf_set(x[1]), sum));
#elif defined(MG_CPU_FOR_NEON)
    if (format == MG_FORMAT_BF16)
        return vfmaq_lane_f32(vfmaq_lane_f32(sum, w.even, vld1_f32(x), 0), w.odd, vld1_f32(x), 1);
#else
    if (format == MG_FORMAT_BF16) return vf_fma(w.odd, vf_set(x[1]), vf_fma(w.even, vf_set(x[0]), sum));
#endif
    return vf_fma(w.even, vf_set(*x), sum);
}

/* vdpbf16ps adds the product of the odd elements first, each fused, with denormals in and out as zero. On
 * AVX-512 without it the same two fused steps under the same rule give the same bits. The clobbers keep the
 * arithmetic between the two: it reads what follows the first and is stored before the second. */
#if defined(__AVX512F__) && !defined(__AVX512BF16__)
VF unsigned begin_bf16(void)
{
    const unsigned before = _mm_getcsr();

    _mm_setcsr(before | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON);
    __asm__ volatile("" ::: "memory");
    return before;
}

VF void end_bf16(unsigned before)
{
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(before);
}
#else
VF unsigned begin_bf16(void)
{
    return 0;
}

VF void end_bf16(unsigned before)
{
    (void)before;
}
#endif

#include "cpu_groups_body.h"
#include "cpu_quads_body.h"

VF void run_tile(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n, bool resume,
                 const char *next, int64_t next_step, mg_format format, const int n_strips, const int n_rows)
{
    const char *far = next ? next : w + L2_AHEAD_BYTES;
    const int64_t far_step = next ? next_step : ldw;

    if (format == MG_FORMAT_Q4) {
        run_groups(sum, x, ldx, w, ldw, n, resume, far, far_step, n_strips, n_rows);
        return;
    }
    if (format == MG_FORMAT_Q8) {
        run_quads(sum, x, ldx, w, ldw, n, resume, far, far_step, n_strips, n_rows);
        return;
    }
    const int n_vecs = n_strips * STRIP_VECS,
              w_bytes = n_strips * MG_CPU_STRIP * (format == MG_FORMAT_F16 ? 2 : 4);
    /* AVX2's sixteen registers, by the sums and what they are made of */
    const bool full = format == MG_FORMAT_BF16 && LANES == 8 && n_rows * n_vecs > 10;
    const int at_once = full || (FEW_REGISTERS && n_strips > 1) ? 1 : n_vecs; /* vectors of w */
#if defined(__AVX512BF16__)
    const int x_step = 1;
#else
    const int x_step = format == MG_FORMAT_BF16 ? 2 : 1;
#endif
    const unsigned control = format == MG_FORMAT_BF16 ? begin_bf16() : 0;
    vf acc[MOST_ROWS][WIDEST * STRIP_VECS];

    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) acc[r][c] =
            resume ? vf_load(sum + r * MG_CPU_SUM_WIDTH + c * LANES) : vf_set(0);
    }
    for (int64_t i = 0; i < n; i++, w += ldw, x += 4 * x_step, far += far_step) {
        UNROLL for (int b = 0; b < w_bytes; b += 64) fetch_panel(w + b, far + b);
        UNROLL for (int first = 0; first < n_vecs; first += at_once)
        {
            w_step step[WIDEST * STRIP_VECS];
            if (full) read_again();
            UNROLL for (int c = first; c < first + at_once; c++) step[c] = load_w(w, c, format);
            UNROLL for (int r = 0; r < n_rows; r++)
            {
                const float *x_r = (const float *)(const void *)(x + r * ldx);
                UNROLL for (int c = first; c < first + at_once; c++) acc[r][c] =
                    multiply_add(acc[r][c], step[c], x_r, format);
            }
        }
    }
    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) vf_store(sum + r * MG_CPU_SUM_WIDTH + c * LANES, acc[r][c]);
    }
    if (format == MG_FORMAT_BF16) end_bf16(control);
}

#define TILE(format, strips, rows)                                                                       \
    static void tile_##format##_##strips##_##rows(float *sum, const char *x, int64_t ldx, const char *w, \
                                                  int64_t ldw, int64_t n, bool resume, const char *next, \
                                                  int64_t next_step, int64_t n_rows)                     \
    {                                                                                                    \
        (void)n_rows;                                                                                    \
        run_tile(sum, x, ldx, w, ldw, n, resume, next, next_step, format, strips, rows);                 \
    }
#define NAME(format, strips, rows) [rows - 1] = tile_##format##_##strips##_##rows

/* EACH_2, EACH_3, EACH_6: one for 1 … 2, 1 … 3, 1 … 6 rows; EACH_6_8_12: for 8 and 12 as well */
#define EACH_2(f, d, s, sep) f(d, s, 1) sep() f(d, s, 2)
#define EACH_3(f, d, s, sep) EACH_2(f, d, s, sep) sep() f(d, s, 3)
#define EACH_6(f, d, s, sep) \
    EACH_2(f, d, s, sep) sep() f(d, s, 3) sep() f(d, s, 4) sep() f(d, s, 5) sep() f(d, s, 6)
#define EACH_6_8_12(f, d, s, sep) EACH_6(f, d, s, sep) sep() f(d, s, 8) sep() f(d, s, 12)
#define COMMA()                   ,
#define NOTHING()

#if defined(__AVX512F__)
#define TILES_OF(d) \
    EACH_6_8_12(TILE, d, 1, NOTHING) EACH_6_8_12(TILE, d, 2, NOTHING) EACH_6(TILE, d, 4, NOTHING)
#define NAMES_OF(d) \
    [d] = {{EACH_6_8_12(NAME, d, 1, COMMA)}, {EACH_6_8_12(NAME, d, 2, COMMA)}, {EACH_6(NAME, d, 4, COMMA)}}
#elif defined(__AVX2__) || defined(MG_CPU_FOR_NEON)
#define TILES_OF(d) EACH_6(TILE, d, 1, NOTHING) EACH_3(TILE, d, 2, NOTHING)
#define NAMES_OF(d) [d] = {{EACH_6(NAME, d, 1, COMMA)}, {EACH_3(NAME, d, 2, COMMA)}}
#else
#define TILES_OF(d) EACH_2(TILE, d, 1, NOTHING)
#define NAMES_OF(d) [d] = {{EACH_2(NAME, d, 1, COMMA)}}
#endif

/* A file for instructions that help one format alone has the tiles of that format only. */
#if defined(MG_CPU_TILES_OF)
TILES_OF(MG_CPU_TILES_OF)
static mg_cpu_tile *const tiles[MG_N_FORMATS][3][MOST_ROWS] = {NAMES_OF(MG_CPU_TILES_OF)};
#else
TILES_OF(MG_FORMAT_F32)
TILES_OF(MG_FORMAT_BF16)
TILES_OF(MG_FORMAT_F16)
TILES_OF(MG_FORMAT_Q8)
TILES_OF(MG_FORMAT_Q4)
static mg_cpu_tile *const tiles[MG_N_FORMATS][3][MOST_ROWS] = {
    NAMES_OF(MG_FORMAT_F32), NAMES_OF(MG_FORMAT_BF16), NAMES_OF(MG_FORMAT_F16), NAMES_OF(MG_FORMAT_Q8),
    NAMES_OF(MG_FORMAT_Q4)};
#endif

static mg_cpu_tile *find_tile(mg_format format, int64_t n_strips, int64_t n_rows)
{
    return tiles[format][n_strips / 2][n_rows - 1]; /* strips 1, 2, 4 -> 0, 1, 2 */
}

#if !defined(MG_CPU_TILES_OF)
static int64_t tile_strips(mg_format format, int64_t n_strips, int64_t n_rows)
{
    const bool widened = format == MG_FORMAT_BF16 || format == MG_FORMAT_F16;

    if (n_rows <= WIDE_ROWS || (!FEW_REGISTERS && !widened)) return n_strips;
    return n_strips < NARROW ? n_strips : NARROW;
}

/* Rows of the next tile when `left` remain: the most there are, and no small rest where two of a size will
 * do. */
static int64_t tile_rows(int64_t n_strips, int64_t left)
{
    if (MOST_ROWS == 12 && n_strips < 4 && left >= 8) {
        if (left == 8 || left == 16) return 8;
        if (left >= 12) return 12;
    }
    const int64_t most = MOST_ROWS < 6 ? MOST_ROWS : 6;
    return left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
}
#endif
