/* The tiny MERTs and the style encoder of make_mert.py, over a backend. Include after cmocka.h. */
#ifndef MG_STYLE_FIXTURE_H
#define MG_STYLE_FIXTURE_H

#include "mert.h"
#include "model_fixture.h"
#include "style.h"

#define TINY_CONVS                                                              \
    .sampling_rate = 24000, .n_convs = 7, .conv_dim = {8, 12, 8, 8, 16, 8, 12}, \
    .conv_kernel = {10, 3, 3, 3, 3, 2, 2}, .conv_stride = {5, 2, 2, 2, 2, 2, 2}, .n_layers = 2

static const mg_mert_config tiny_even = {TINY_CONVS,       .D = 24,           .n_heads = 2, .F = 40,
                                         .n_pos_taps = 16, .n_pos_groups = 4, .eps = 1e-5};
static const mg_mert_config tiny_odd = {TINY_CONVS,      .D = 20,           .n_heads = 4, .F = 24,
                                        .n_pos_taps = 5, .n_pos_groups = 2, .eps = 1e-4};
static const mg_style_config tiny_style = {
    .mert = {TINY_CONVS, .D = 24, .n_heads = 2, .F = 40, .n_pos_taps = 16, .n_pos_groups = 4, .eps = 1e-5},
    .D = 32,
    .n_layers = 2,
    .n_heads = 4,
    .F = 128,
    .n_codebooks = 3,
    .codebook_size = 24,
    .eval_codebooks = 3,
    .ds_factor = 5,
    .excerpt_s = 0.5,
    .batch_norm = true};

/* A MERT, or with `style` an encoder with its own. */
typedef struct style_fixture {
    fixture base; /* backend, arenas */
    mg_checkpoint *file;
    const char *prefix; /* MERT's, in the file */
    mg_mert *mert;
    mg_style *style;
} style_fixture;

static inline mg_status style_fixture_load(style_fixture *f, mg_arena *arena, const mg_mert_config *mert,
                                           const mg_style_config *style)
{
    mg_weights w;
    mg_status st = MG_OK;

    mg_weights_init(&w, f->base.ops, f->file, arena, style ? "own." : f->prefix);
    if (mert) MG_TRY(mg_mert_load(&f->mert, mert, &w));
    if (style) MG_TRY(mg_style_load(&f->style, style, &w, f->file, f->prefix));
    MG_TRY(mg_weights_check_survey(&w));
done:
    mg_weights_close(&w);
    return st;
}

static inline mg_status style_fixture_reserve(style_fixture *f, mg_arena *run, int64_t n_samples)
{
    return f->mert ? mg_mert_reserve(f->mert, run, n_samples) : mg_style_reserve(f->style, run, n_samples);
}

/* `file` NULL: random weights. One of mert and style is NULL. */
static inline void style_fixture_open(style_fixture *f, const char *file, const char *prefix,
                                      const mg_mert_config *mert, const mg_style_config *style,
                                      int64_t n_samples, mg_cpu_level level, int n_threads)
{
    *f = (style_fixture){.prefix = prefix};
    fixture_backend(&f->base, level, n_threads);
    if (file) f->file = golden_open(file);
    mg_arena measured = mg_arena_measure("weights");
    GOLDEN_OK(style_fixture_load(f, &measured, mert, style));
    fixture_arena(&f->base, &f->base.weights, "weights", measured.peak_bytes);
    GOLDEN_OK(style_fixture_load(f, &f->base.weights, mert, style));
    measured = mg_arena_measure("run");
    GOLDEN_OK(style_fixture_reserve(f, &measured, n_samples));
    fixture_arena(&f->base, &f->base.run, "run", measured.peak_bytes);
    GOLDEN_OK(style_fixture_reserve(f, &f->base.run, n_samples));
}

static inline void style_fixture_close(style_fixture *f)
{
    mg_mert_close(f->mert);
    mg_style_close(f->style);
    mg_checkpoint_close(f->file);
    fixture_close(&f->base);
}

#endif
