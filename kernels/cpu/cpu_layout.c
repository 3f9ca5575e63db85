#include "cpu_layout.h"

#include "arena.h"

enum {
    STRIP = MG_CPU_STRIP,
    PIECE_BYTES = 256 << 10 /* read at once: a quarter of a usual second-level cache */
};

static int64_t ceil_to(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

int64_t mg_cpu_strip_bytes(mg_format format)
{
    if (format == MG_FORMAT_Q4) return MG_CPU_Q4_STRIP;
    return format == MG_FORMAT_F16 ? 2 * STRIP : 4 * STRIP;
}

static int64_t step_size(mg_format format)
{
    return mg_cpu_strip_bytes(format) / STRIP;
}

static int64_t padded_out(const mg_matrix *w)
{
    return ceil_to(w->n_out, STRIP);
}

static size_t scales_bytes(const mg_matrix *w)
{
    return (size_t)(2 * w->n_slices * padded_out(w)) * sizeof(float);
}

float *mg_cpu_scales(const mg_matrix *w, int s)
{
    const int64_t panels = padded_out(w) * mg_cpu_slice_steps(w) * w->n_slices; /* 4-byte steps */

    return (float *)w->data + panels + s * padded_out(w);
}

int32_t *mg_cpu_offsets(const mg_matrix *w, int s)
{
    return (int32_t *)mg_cpu_scales(w, w->n_slices) + s * padded_out(w);
}

int64_t mg_cpu_slice_steps(const mg_matrix *w)
{
    const int64_t n = w->n_in / w->n_slices;

    if (w->format == MG_FORMAT_Q4) return (n + 2 * MG_Q4_GROUP - 1) / (2 * MG_Q4_GROUP);
    return w->format == MG_FORMAT_BF16 ? (n + 1) / 2 : w->format == MG_FORMAT_Q8 ? (n + 3) / 4 : n;
}

size_t mg_cpu_matrix_bytes(const mg_matrix *w)
{
    const size_t panels =
        (size_t)(ceil_to(w->n_out, STRIP) * mg_cpu_slice_steps(w) * w->n_slices * step_size(w->format));

    return w->format == MG_FORMAT_Q8 ? panels + scales_bytes(w) : panels;
}

mg_cpu_column mg_cpu_matrix_column(const mg_cpu *cpu, const mg_matrix *w, int64_t o)
{
    const int64_t P = cpu->kernels->panel, size = step_size(w->format), first = o / P * P;
    const int64_t left = ceil_to(w->n_out, STRIP) - first, width = left < P ? left : P;
    const int64_t n_steps = mg_cpu_slice_steps(w) * w->n_slices;

    return (mg_cpu_column){(char *)w->data + first * n_steps * size, width * size, (o - first) * size};
}

/* Of a thread, in the scratch, which nobody uses while weights are loaded. */
size_t mg_cpu_room_bytes(const mg_cpu *cpu)
{
    const size_t share = cpu->scratch_bytes / (size_t)mg_threads_count(cpu->threads);

    return (share < PIECE_BYTES ? share : PIECE_BYTES) & ~(size_t)(MG_ARENA_ALIGN - 1);
}

char *mg_cpu_room(const mg_cpu *cpu, int i_thread)
{
    return (char *)cpu->scratch + (size_t)i_thread * mg_cpu_room_bytes(cpu);
}

/* Rows and columns of the source: where they are, or read into this thread's room. */
mg_cpu_piece mg_cpu_fetch(const mg_cpu *cpu, const mg_host_matrix *src, int64_t first_row, int64_t n_rows,
                          int64_t col, int64_t n_cols, int i_thread)
{
    const int64_t size = (int64_t)mg_dtype_bytes(src->dtype);
    mg_cpu_piece p = {.first_row = first_row, .first_col = col, .n_cols = n_cols};

    if (src->read) {
        char *room = mg_cpu_room(cpu, i_thread);
        src->read(src->read_arg, room, first_row, n_rows, col, n_cols);
        p.data = room, p.row_bytes = n_cols * size;
    } else {
        p.data = (const char *)src->data + (first_row * src->row_stride + col) * size;
        p.row_bytes = src->row_stride * size;
    }
    return p;
}
