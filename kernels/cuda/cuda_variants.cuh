/* The variants of the 16-bit product kernels, and which one a product takes. All of them give the same bits:
 * a part's steps are summed in their order, and parts and slices in theirs, whatever the tiles
 * (cuda_matrix.cuh). Inside the backend.
 *
 * A rule says which one: the narrowest that holds the rows; up to 16 rows as many steps at once as a warp
 * takes, if the memory of the SMs holds them for all blocks; for more rows a tiled one, with as many outputs
 * a block as leave most of the device's processors a block. What mg_cuda_tune has measured on the device
 * takes its place. */
#ifndef MG_CUDA_VARIANTS_CUH
#define MG_CUDA_VARIANTS_CUH

#include "cuda_matrix.cuh"

struct half_product; /* cuda_product_half.cu */
typedef void mg_half_kernel(half_product p);

typedef struct mg_variant {
    mg_half_kernel *run;
    int n_tiles, steps; /* of 8 rows that it holds; that are asked for at once */
    bool packs;    /* rows are packed before, by a kernel of its own; else cuda_product_few.cuh makes it */
    int n_threads; /* of a tiled one (cuda_product_many.cu), whose `steps` are its tiles of outputs; else 0 */
    int shared_bytes; /* of a tiled one */
    bool whole;       /* a tiled one whose blocks make all slices; else one each, and a kernel adds them */
} mg_variant;

enum {
    MG_N_FEW_VARIANTS = 6,    /* the first ones: they do not pack */
    MG_N_PLAIN_VARIANTS = 11, /* with those that pack; the tiled ones follow */
    MG_N_TILED_VARIANTS = 16,
    MG_N_VARIANTS = MG_N_PLAIN_VARIANTS + MG_N_TILED_VARIANTS,
    MG_BY_CHOICE = -1,
    MG_VARIANT_PITCH = MG_TILE_HALF + 4, /* floats from row to row of a part's sums */
};

/* [MG_N_VARIANTS] of bf16 or fp16; of either kind the narrow first, then those with fewer steps. */
const mg_variant *mg_variants(mg_format format, bool with_norm);

size_t mg_variant_shared_bytes(const mg_variant *v, const mg_matrix *w, bool with_norm, int64_t n_rows);
bool mg_variant_fits(const mg_cuda *cuda, const mg_variant *v, const mg_matrix *w, bool with_norm,
                     int64_t n_rows);

/* The rule's variant for up to MG_ROWS_AT_ONCE rows; and what is taken, by choice or rule. */
int mg_variant_rule(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows);
int mg_variant_choose(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows);

/* What was measured for such a product, NULL if nothing; its rows go by the tiles that hold them: 1, 2, 4, 8
 * or 16. */
const mg_choice *mg_choice_find(const mg_cuda *cuda, const mg_matrix *w, bool with_norm, int64_t n_rows);
int mg_row_tiles(int64_t n_rows);

/* All that hold the rows, the rule's first: how many. */
int mg_variant_candidates(int out[MG_N_VARIANTS], const mg_cuda *cuda, const mg_matrix *w, bool with_norm,
                          int64_t n_rows);

/* mg_product_half, by one variant. */
mg_status mg_product_half_by(mg_cuda *cuda, int variant, const mg_finish *to, const mg_rows *x,
                             const mg_matrix *w, const mg_row_norm *norm);

mg_status mg_cuda_tune(const mg_ops *ops, const mg_matrix *const *w, int64_t n, bool with_norm,
                       int64_t n_rows);

#endif
