/* Tiles for processors with AMX: 16 rows at once, for bf16 and Q8.
 *
 * A tile instruction takes 16 steps of a panel: of bf16 it adds the 16 products of even elements from zero,
 * each fused, and those of odd ones beside them, and then their sum to the accumulator, with denormals as
 * zero (Intel's manual, TDPBF16PS). That is not the order of avx512, so AMX is a level of its own; Q8's sums
 * are whole numbers, and the same on all. A row's bits do not depend on the other rows of its tile. */
#include <immintrin.h>
#include <string.h>

#include "cpu_kernels.h"

enum {
    STEPS = 16, /* of one instruction: rows of its second operand */
    MOST_ROWS = 16,
    LINE = 64, /* bytes of a tile's row */
    L1_AHEAD_STEPS = 16,
    L2_AHEAD_STEPS = 48,
};

/* Tiles 0 to 3 hold the sums of four strips, tile 4 rows of x, 5 and 6 in turn the weights of a strip. They
 * are numbers wherever an instruction names them: GCC wants them so. */
enum { FIRST_OF_WEIGHTS = 5 };

/* GCC's instructions that read memory do not say so: what was written for them may be left out before. */
#define ALL_IS_WRITTEN() __asm__ volatile("" ::: "memory")

/* The shapes of all tiles, as the processor wants them. */
typedef struct shapes {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t n_rows[16];
} shapes;

/* For so many rows of x. They stay until another number is asked for: to set them costs a hundred cycles. */
static void shape_tiles(int n_rows)
{
    static _Thread_local int shaped;
    shapes s = {.palette = 1};

    if (shaped == n_rows) return;
    for (int t = 0; t < 8; t++) {
        s.row_bytes[t] = LINE;
        s.n_rows[t] = (uint8_t)(t < FIRST_OF_WEIGHTS ? n_rows : STEPS);
    }
    ALL_IS_WRITTEN();
    _tile_loadconfig(&s);
    shaped = n_rows;
}

/* Steps that are no whole instruction, with zeros behind them. */
typedef struct rest {
    _Alignas(LINE) char x[MOST_ROWS][LINE];
    _Alignas(LINE) char w[STEPS][4 * LINE];
} rest;

static void fill_rest(rest *to, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n,
                      int n_strips, int n_rows)
{
    memset(to, 0, sizeof *to);
    for (int r = 0; r < n_rows; r++) memcpy(to->x[r], x + r * ldx, (size_t)n * 4);
    for (int64_t i = 0; i < n; i++) memcpy(to->w[i], w + i * ldw, (size_t)n_strips * LINE);
}

#define MULTIPLY(strip, weights)                             \
    do {                                                     \
        _tile_loadd(weights, w + (strip)*LINE, (size_t)ldw); \
        if (is_bf16)                                         \
            _tile_dpbf16ps(strip, 4, weights);               \
        else                                                 \
            _tile_dpbusd(strip, 4, weights);                 \
    } while (0)

static inline __attribute__((always_inline)) void add_steps(const char *x, int64_t ldx, const char *w,
                                                            int64_t ldw, const bool is_bf16,
                                                            const int n_strips)
{
    _tile_loadd(4, x, (size_t)ldx);
    MULTIPLY(0, 5);
    if (n_strips > 1) MULTIPLY(1, 6);
    if (n_strips > 2) MULTIPLY(2, 5);
    if (n_strips > 2) MULTIPLY(3, 6);
}

/* Each strip's sums. */
#define CLEAR(strip) _tile_zero(strip)
#define LOAD(strip)  _tile_loadd(strip, sum + (strip)*MG_CPU_STRIP, MG_CPU_SUM_WIDTH * sizeof *sum)
#define STORE(strip) _tile_stored(strip, sum + (strip)*MG_CPU_STRIP, MG_CPU_SUM_WIDTH * sizeof *sum)
#define EACH_STRIP(what)           \
    do {                           \
        what(0);                   \
        if (n_strips > 1) what(1); \
        if (n_strips > 2) what(2); \
        if (n_strips > 2) what(3); \
    } while (0)

static inline __attribute__((always_inline)) void run_tile(float *sum, const char *x, int64_t ldx,
                                                           const char *w, int64_t ldw, int64_t n, bool resume,
                                                           const char *next, int64_t next_step,
                                                           const bool is_bf16, const int n_strips, int n_rows)
{
    const char *far = next ? next : w + L2_AHEAD_STEPS * ldw;
    const int64_t far_step = next ? next_step : ldw;
    int64_t i = 0;

    shape_tiles(n_rows);
    ALL_IS_WRITTEN();
    if (resume)
        EACH_STRIP(LOAD);
    else
        EACH_STRIP(CLEAR);
    for (; i + STEPS <= n; i += STEPS, x += STEPS * 4, w += STEPS * ldw) {
        for (int s = 0; s < STEPS; s++, far += far_step)
            for (int b = 0; b < n_strips * LINE; b += LINE) {
                __builtin_prefetch(far + b, 0, 2);
                __builtin_prefetch(w + (L1_AHEAD_STEPS + s) * ldw + b);
            }
        add_steps(x, ldx, w, ldw, is_bf16, n_strips);
    }
    if (i < n) {
        rest last;
        fill_rest(&last, x, ldx, w, ldw, n - i, n_strips, n_rows);
        ALL_IS_WRITTEN();
        add_steps(last.x[0], LINE, last.w[0], 4 * LINE, is_bf16, n_strips);
    }
    EACH_STRIP(STORE);
}

#define TILE(name, is_bf16, strips)                                                                          \
    static void name##_##strips(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw,          \
                                int64_t n, bool resume, const char *next, int64_t next_step, int64_t n_rows) \
    {                                                                                                        \
        run_tile(sum, x, ldx, w, ldw, n, resume, next, next_step, is_bf16, strips, (int)n_rows);             \
    }

TILE(bf16, true, 1)
TILE(bf16, true, 2)
TILE(bf16, true, 4)
TILE(q8, false, 1)
TILE(q8, false, 2)
TILE(q8, false, 4)

mg_cpu_tile *mg_cpu_tile_amx(mg_format format, int64_t n_strips, int64_t n_rows)
{
    static mg_cpu_tile *const tiles[2][3] = {{bf16_1, bf16_2, bf16_4}, {q8_1, q8_2, q8_4}};

    (void)n_rows;
    return tiles[format == MG_FORMAT_Q8][n_strips / 2]; /* strips 1, 2, 4 -> 0, 1, 2 */
}

int64_t mg_cpu_tile_amx_rows(int64_t n_strips, int64_t left)
{
    (void)n_strips;
    return left < MOST_ROWS ? left : MOST_ROWS;
}

int64_t mg_cpu_tile_amx_strips(mg_format format, int64_t n_strips, int64_t n_rows)
{
    (void)format, (void)n_rows;
    return n_strips;
}
