/* Which variant of the 16-bit product kernel holds some rows, and which one a product takes. */
#include "cuda_variants.cuh"

enum { FEW_ROWS = 16 };

size_t mg_variant_shared_bytes(const mg_variant *v, int64_t n_rows, int n_steps)
{
    const size_t parts = (size_t)MG_PARTS * v->n_tiles * 8 * MG_VARIANT_PITCH * sizeof(float);
    const size_t padded = (size_t)n_steps * MG_STEP, x_row = (padded + 8) * 2 + padded * sizeof(float);

    return v->packs ? parts : parts + (size_t)n_rows * x_row;
}

bool mg_variant_fits(const mg_cuda *cuda, const mg_variant *v, int64_t n_rows, int n_steps)
{
    return v->n_tiles * 8 >= n_rows && mg_variant_shared_bytes(v, n_rows, n_steps) <= cuda->shared_bytes;
}

/* Of variants [first, end): the narrowest that hold the rows, and of these the first one that asks for all
 * steps of a part at once, or the last. */
static int narrowest(const mg_variant *all, int first, int end, int64_t n_rows, int steps)
{
    int best = -1;

    for (int i = first; i < end; i++) {
        if (all[i].n_tiles * 8 < n_rows) continue;
        if (best >= 0 && all[i].n_tiles != all[best].n_tiles) break;
        best = i;
        if (all[i].steps >= steps) break;
    }
    return best;
}

int mg_variant_rule(const mg_cuda *cuda, const mg_variant *all, int64_t n_rows, int n_steps)
{
    const int steps = (n_steps + MG_PARTS - 1) / MG_PARTS;
    const int few = n_rows <= FEW_ROWS ? narrowest(all, 0, MG_N_FEW_VARIANTS, n_rows, steps) : -1;

    if (few >= 0 && mg_variant_fits(cuda, &all[few], n_rows, n_steps)) return few;
    return narrowest(all, MG_N_FEW_VARIANTS, MG_N_VARIANTS, n_rows, steps);
}

int mg_variant_candidates(int out[MG_N_VARIANTS], const mg_cuda *cuda, const mg_matrix *w, bool with_norm,
                          int64_t n_rows)
{
    const mg_variant *all = mg_variants(w->format, with_norm);
    const int n_steps = mg_slice_steps(w->n_in / w->n_slices);
    int n = 0;

    out[n++] = mg_variant_rule(cuda, all, n_rows, n_steps);
    for (int i = 0; i < MG_N_VARIANTS; i++)
        if (i != out[0] && mg_variant_fits(cuda, &all[i], n_rows, n_steps)) out[n++] = i;
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
    const int n_steps = mg_slice_steps(w->n_in / w->n_slices);
    const mg_choice *c = mg_choice_find(cuda, w, with_norm, n_rows);

    if (c && c->variant >= 0 && mg_variant_fits(cuda, &all[c->variant], n_rows, n_steps)) return c->variant;
    return mg_variant_rule(cuda, all, n_rows, n_steps);
}
