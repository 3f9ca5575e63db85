#include "cpu_groups.h"

#include <math.h>
#include <string.h>

#include "cpu_layout.h"
#include "numbers.h"

enum {
    STRIP = MG_CPU_STRIP,
    GROUP = MG_Q4_GROUP,
    PAIR = 2 * GROUP, /* inputs of a step */
    BLOCK = 8 * GROUP,
    N_LEVELS = 16,
    LOWEST = -MG_CPU_Q4_ZERO,
    HIGHEST = 64 - MG_CPU_Q4_ZERO,
};

const uint8_t mg_cpu_q4_levels[N_LEVELS] = {0,  7,  13, 18, 22, 26, 29, 32,
                                            35, 38, 41, 45, 49, 53, 58, 64}; /* each + MG_CPU_Q4_ZERO */

/* Four values: the same on every level of the processor, so that all choose the same scales. */
typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));

/* Between two whole numbers and at each of them stands the level that is nearest: middles of levels are whole
 * or half. The value of a level, and which one it is. */
typedef struct nearest {
    float value[2 * (HIGHEST - LOWEST) + 1];
    uint8_t index[2 * (HIGHEST - LOWEST) + 1];
} nearest;

typedef struct group_job {
    mg_cpu *cpu;
    const mg_matrix *w;
    const mg_host_matrix *src;
    int64_t first_out;
    int64_t *n_bad;
    int64_t n_cols; /* of a piece: whole groups */
    nearest to;
} group_job;

static void fill(nearest *to)
{
    for (int half = 0, i = 0; half <= 2 * (HIGHEST - LOWEST); half++) {
        /* a value in the middle goes up */
        while (i + 1 < N_LEVELS && half >= mg_cpu_q4_levels[i] + mg_cpu_q4_levels[i + 1]) i++;
        to->index[half] = (uint8_t)i;
        to->value[half] = (float)(mg_cpu_q4_levels[i] - MG_CPU_Q4_ZERO);
    }
}

/* Where in `nearest` four values are; what is no number, at the lowest: it is counted. */
static ivec place_of(vec v)
{
    const vec lowest = {LOWEST, LOWEST, LOWEST, LOWEST}, highest = {HIGHEST, HIGHEST, HIGHEST, HIGHEST};
    const ivec above = v > lowest, below = v < highest;
    const vec within =
        (vec)((above & below & (ivec)v) | (above & ~below & (ivec)highest) | (~above & (ivec)lowest));
    const vec twice = within + within;
    const ivec whole = __builtin_convertvector(twice, ivec);

    return whole + (__builtin_convertvector(whole, vec) > twice) - 2 * LOWEST; /* rounded down */
}

static vec four_of(const float *x)
{
    vec v;

    memcpy(&v, x, sizeof v);
    return v;
}

/* The sum of the squared errors. */
static float error_of(const nearest *to, const float *x, float scale)
{
    const float per_unit = 1.0f / scale;
    vec error = {0, 0, 0, 0};

    for (int i = 0; i < GROUP; i += 4) {
        const vec v = four_of(x + i);
        const ivec at = place_of(v * per_unit);
        const vec level = {to->value[at[0]], to->value[at[1]], to->value[at[2]], to->value[at[3]]};
        const vec d = level * scale - v;
        error += d * d;
    }
    return (error[0] + error[1]) + (error[2] + error[3]);
}

/* The best of a few scales: the value farthest from zero becomes -35, 29 or near these. All are bf16. */
static float choose_scale(const nearest *to, const float *x)
{
    static const float at[] = {-35.0f, -32.5f, -30.0f, 29.0f, -38.0f};
    float far = 0, best = 0, least = INFINITY;

    for (int i = 0; i < GROUP; i++) far = fabsf(x[i]) > fabsf(far) ? x[i] : far;
    if (!(fabsf(far) >= 1e-30f)) return 0;
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        const float scale = mg_bf16_to_f32(mg_f32_to_bf16(far / at[k])), error = error_of(to, x, scale);
        if (k == 0) best = scale;
        if (error < least) least = error, best = scale;
    }
    return best;
}

/* A group of column c: its weights into the step at `strip`, half `half` of it. */
static void store_group(const nearest *to, char *strip, int64_t c, int half, const float *x)
{
    const float scale = choose_scale(to, x), per_unit = scale != 0 ? 1.0f / scale : 0;
    const uint16_t kept = mg_f32_to_bf16(scale);
    uint8_t q[GROUP];

    for (int i = 0; i < GROUP; i += 4) {
        const ivec at = place_of(four_of(x + i) * per_unit);
        for (int k = 0; k < 4; k++) q[i + k] = to->index[at[k]];
    }
    for (int k = 0; k < GROUP / 8; k++)
        for (int b = 0; b < 4; b++)
            strip[(half * GROUP / 8 + k) * STRIP * 4 + c * 4 + b] =
                (char)(q[8 * k + b] | q[8 * k + 4 + b] << 4);
    memcpy(strip + MG_CPU_Q4_WEIGHTS + (half * STRIP + c) * 2, &kept, sizeof kept);
}

static void clear_group(const nearest *to, char *strip, int64_t c, int half)
{
    static const float zeros[GROUP];

    store_group(to, strip, c, half, zeros);
}

/* One slice of columns [c0, c1) of the strip at column o. */
static int64_t load_slice(const group_job *j, int64_t o, int64_t c0, int64_t c1, int s, int i_thread)
{
    const mg_matrix *w = j->w;
    const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, w, o);
    const int64_t L = w->n_in / w->n_slices, n_steps = mg_cpu_slice_steps(w);
    const int64_t size = (int64_t)mg_dtype_bytes(j->src->dtype);
    char *to = column.panel + column.offset_bytes + s * n_steps * column.step_bytes;
    int64_t n_bad = 0, n;
    float row[BLOCK];

    for (int64_t i = 0; i < L; i += n) {
        n = mg_smaller(j->n_cols, L - i);
        const mg_cpu_piece p =
            mg_cpu_fetch(j->cpu, j->src, o + c0 - j->first_out, c1 - c0, s * L + i, n, i_thread);
        for (int64_t c = c0; c < c1; c++)
            for (int64_t k = 0; k < n; k += BLOCK) {
                const int64_t take = mg_smaller(BLOCK, n - k);
                n_bad += j->cpu->kernels->widen(row, p.data + (c - c0) * p.row_bytes + k * size,
                                                j->src->dtype, take);
                for (int64_t g = 0; g < take; g += GROUP)
                    store_group(&j->to, to + (i + k + g) / PAIR * column.step_bytes, c,
                                (int)((i + k + g) / GROUP % 2), row + g);
            }
    }
    for (int64_t c = c0; c < c1 && L % PAIR; c++)
        clear_group(&j->to, to + (n_steps - 1) * column.step_bytes, c, 1);
    return n_bad;
}

static void load_strips(void *arg, int64_t first, int64_t end, int i_thread)
{
    const group_job *j = arg;
    const mg_matrix *w = j->w;
    const int64_t end_row = j->first_out + j->src->n_rows, n_steps = mg_cpu_slice_steps(w) * w->n_slices;
    int64_t n_bad = 0;

    for (int64_t u = first; u < end; u++) {
        const int64_t o = (j->first_out / STRIP + u) * STRIP;
        const int64_t c0 = j->first_out > o ? j->first_out - o : 0, c1 = mg_smaller(end_row - o, STRIP);
        const mg_cpu_column column = mg_cpu_matrix_column(j->cpu, w, o);
        for (int s = 0; s < w->n_slices; s++) n_bad += load_slice(j, o, c0, c1, s, i_thread);
        if (end_row < w->n_out) continue;
        for (int64_t i = 0; i < 2 * n_steps; i++) /* columns past the last output */
            for (int64_t c = c1; c < STRIP; c++)
                clear_group(&j->to, column.panel + column.offset_bytes + i / 2 * column.step_bytes, c,
                            (int)(i % 2));
    }
    __atomic_fetch_add(j->n_bad, n_bad, __ATOMIC_RELAXED);
}

void mg_cpu_load_groups(mg_cpu *cpu, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                        int64_t *n_bad)
{
    const int64_t first = first_out / STRIP, end = (first_out + src->n_rows + STRIP - 1) / STRIP;
    const int64_t room = (int64_t)mg_cpu_room_bytes(cpu) / (STRIP * (int64_t)mg_dtype_bytes(src->dtype));
    group_job job = {cpu, w, src, first_out, n_bad, src->read ? room / GROUP * GROUP : w->n_in, {{0}, {0}}};

    fill(&job.to);
    mg_cpu_run(cpu, load_strips, &job, end - first, src->n_rows * src->n_cols);
}

/* The bytes stand at the end of the row's own room first: a step is longer, and never reaches those that are
 * still to be read. */
float mg_cpu_group_row(const mg_cpu_kernels *kernels, char *to, int64_t room, const float *x, int64_t n)
{
    uint8_t *bytes = (uint8_t *)to + room - n;
    const float scale = kernels->quantise(bytes, x, n);

    for (int64_t i = 0; i < n; i += PAIR, to += MG_CPU_X4_STEP) {
        int8_t step[PAIR] = {0};
        int32_t begin[2] = {0, 0};
        for (int half = 0; half < 2 && i + half * GROUP < n; half++) {
            for (int k = 0; k < GROUP; k++) step[half * GROUP + k] = (int8_t)(*bytes++ - 128);
            for (int k = 0; k < GROUP; k++) begin[half] -= MG_CPU_Q4_ZERO * step[half * GROUP + k];
        }
        memcpy(to, step, PAIR);
        memcpy(to + PAIR, begin, sizeof begin);
    }
    return scale;
}
