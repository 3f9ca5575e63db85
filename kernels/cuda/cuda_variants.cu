/* Which variant of the 16-bit product kernels holds some rows, and which one a product takes. */
#include "cuda_variants.cuh"

enum { MIDDLE_STEPS = 16, BLOCK_BYTES = 1 << 10 }; /* BLOCK_BYTES: that CUDA takes beside those of a block */

size_t mg_variant_shared_bytes(const mg_variant *v, const mg_matrix *w, bool with_norm, int64_t n_rows)
{
    const int n_steps = mg_slice_steps(w->n_in / w->n_slices);
    const bool sliced = w->n_slices > 1;
    const size_t n_warps = (size_t)(sliced ? w->n_slices : (int)MG_PARTS), rows = (size_t)n_rows;

    if (v->n_threads) return (size_t)v->shared_bytes;
    if (v->packs) return (size_t)MG_PARTS * v->n_tiles * 8 * MG_VARIANT_PITCH * sizeof(float);
    const size_t rings =
        n_warps * (size_t)mg_few_held(n_steps, sliced, v->steps) * MG_FEW_CHUNK * 32 * sizeof(uint4);
    if (with_norm) return rings + rows * ((size_t)n_steps * MG_STEP + 4) * sizeof(float);
    return rings + n_warps * rows * (size_t)mg_few_pitch(n_steps, sliced) * sizeof(uint16_t);
}

bool mg_variant_fits(const mg_cuda *cuda, const mg_variant *v, const mg_matrix *w, bool with_norm,
                     int64_t n_rows)
{
    if (v->n_tiles * 8 < n_rows || mg_variant_shared_bytes(v, w, with_norm, n_rows) > cuda->shared_bytes)
        return false;
    return !v->n_threads || v->n_tiles == mg_row_tiles(n_rows); /* wider ones take longer */
}

/* The narrowest of the few-row variants that hold the rows, -1 if none does; of these the one that asks for
 * all that a warp takes, or, where no ring holds that, for MIDDLE_STEPS; but not so many that the blocks of
 * the product are not all at work at once. */
static int few_by_rule(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows)
{
    const mg_variant *all = mg_variants(w->format, with_norm);
    const int64_t n_tiles = mg_ceil_div(w->n_out, MG_TILE_HALF), n_sms = cuda->n_sms < 1 ? 1 : cuda->n_sms;
    int wanted = MG_FEW_CHUNK * mg_few_chunks(mg_slice_steps(w->n_in / w->n_slices), w->n_slices > 1);
    int best = -1;

    if (wanted > all[MG_N_FEW_VARIANTS - 1].steps) wanted = MIDDLE_STEPS;
    for (int i = 0; i < MG_N_FEW_VARIANTS; i++) {
        const mg_variant *v = &all[i];
        if (!mg_variant_fits(cuda, v, w, with_norm, n_rows)) continue;
        if (best >= 0 && (v->n_tiles != all[best].n_tiles || all[best].steps >= wanted)) break;
        const size_t bytes = mg_variant_shared_bytes(v, w, with_norm, n_rows) + BLOCK_BYTES;
        if (best < 0 || (int64_t)(cuda->shared_bytes / bytes) * n_sms >= n_tiles) best = i;
    }
    return best;
}

/* The narrowest that hold the rows, and of these the first one that asks for all steps of a part at once, or
 * the last. */
static int packed_by_rule(const mg_matrix *w, bool with_norm, int64_t n_rows)
{
    const mg_variant *all = mg_variants(w->format, with_norm);
    const int64_t part = mg_ceil_div(mg_slice_steps(w->n_in / w->n_slices), MG_PARTS);
    int best = -1;

    for (int i = MG_N_FEW_VARIANTS; i < MG_N_PLAIN_VARIANTS; i++) {
        if (all[i].n_tiles * 8 < n_rows) continue;
        if (best >= 0 && all[i].n_tiles != all[best].n_tiles) break;
        best = i;
        if (all[i].steps >= part) break;
    }
    return best;
}

/* Of the tiled variants for that many rows: the one for all slices where these are short; else the one with
 * most outputs a block whose blocks three quarters of the processors, at least, have one of, or the one with
 * the fewest. */
static int tiled_by_rule(const mg_cuda *cuda, const mg_matrix *w, int64_t n_rows)
{
    const mg_variant *all = mg_variants(w->format, false);
    const int64_t n_tiles = mg_ceil_div(w->n_out, MG_TILE_HALF);
    const bool is_short = mg_slices_are_short(w->n_in, w->n_slices, n_rows);
    int best = -1;

    for (int i = MG_N_PLAIN_VARIANTS; i < MG_N_VARIANTS; i++) {
        if (!mg_variant_fits(cuda, &all[i], w, false, n_rows) || all[i].whole != is_short) continue;
        if (best >= 0 && mg_ceil_div(n_tiles, all[i].steps) * w->n_slices * 4 < (int64_t)cuda->n_sms * 3)
            break;
        best = i;
    }
    return best;
}

int mg_variant_rule(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows)
{
    const int few = few_by_rule(cuda, w, with_norm, n_rows);
    const int tiled = n_rows <= MG_FEW_ROWS ? -1 : tiled_by_rule(cuda, w, n_rows);

    if (few >= 0) return few;
    return tiled >= 0 ? tiled : packed_by_rule(w, with_norm, n_rows);
}

int mg_variant_candidates(int out[MG_N_VARIANTS], const mg_cuda *cuda, const mg_matrix *w, bool with_norm,
                          int64_t n_rows)
{
    const mg_variant *all = mg_variants(w->format, with_norm);
    int n = 0;

    out[n++] = mg_variant_rule(cuda, w, with_norm, n_rows);
    for (int i = 0; i < MG_N_VARIANTS; i++)
        if (i != out[0] && mg_variant_fits(cuda, &all[i], w, with_norm, n_rows) &&
            !(all[i].whole && w->n_slices == 1))
            out[n++] = i;
    return n;
}

int mg_row_tiles(int64_t n_rows)
{
    int n = 1;

    while (n * 8 < n_rows && n * 8 < MG_ROWS_AT_ONCE) n *= 2;
    return n;
}

const mg_choice *mg_choice_find(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows)
{
    const int n_tiles = mg_row_tiles(n_rows);

    for (int i = 0; i < cuda->n_choices; i++) {
        const mg_choice *c = &cuda->choices[i];
        if (c->n_out == w->n_out && c->n_in == w->n_in && c->format == (int32_t)w->format &&
            c->n_slices == w->n_slices && c->with_norm == with_norm && c->n_tiles == n_tiles)
            return c;
    }
    return NULL;
}

int mg_variant_choose(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows)
{
    const mg_variant *all = mg_variants(w->format, with_norm);
    const mg_choice *c = mg_choice_find(cuda, w, with_norm, n_rows);

    if (c && c->variant >= 0 && mg_variant_fits(cuda, &all[c->variant], w, with_norm, n_rows))
        return c->variant;
    return mg_variant_rule(cuda, w, with_norm, n_rows);
}
