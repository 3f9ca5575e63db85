/* The language-model part of a golden file, and running a fixture over it. Include after cmocka.h. */
#ifndef MG_GOLDEN_LM_H
#define MG_GOLDEN_LM_H

#include "model_fixture.h"

/* Teacher-forced: ids [B,K,T], logits [B,K,T,V] with the texts and without any; text states [B,S,D]. */
typedef struct golden_lm {
    mg_checkpoint *file;
    int64_t B, K, T, V, S, D;
    int32_t *ids, *mask;
    float *logits, *logits_unconditional, *states;
} golden_lm;

static inline void golden_lm_open(golden_lm *g, const char *model)
{
    char file[128];

    snprintf(file, sizeof file, "hf/%s.safetensors", model);
    g->file = golden_open(file);
    g->ids = golden_i32(g->file, "lm_ids", NULL);
    g->mask = golden_i32(g->file, "t5_mask", NULL);
    g->logits = golden_f32(g->file, "lm_logits", NULL);
    g->logits_unconditional = golden_f32(g->file, "lm_logits_unconditional", NULL);
    g->states = golden_f32(g->file, "t5_last_hidden", NULL);
    const mg_tensor *logits = golden_tensor(g->file, "lm_logits");
    g->B = logits->dim[0], g->K = logits->dim[1], g->T = logits->dim[2], g->V = logits->dim[3];
    g->S = golden_tensor(g->file, "t5_last_hidden")->dim[1];
    g->D = golden_tensor(g->file, "t5_last_hidden")->dim[2];
}

static inline void golden_lm_close(golden_lm *g)
{
    free(g->ids);
    free(g->mask);
    free(g->logits);
    free(g->logits_unconditional);
    free(g->states);
    mg_checkpoint_close(g->file);
}

static inline int64_t golden_text_tokens(const golden_lm *g, int64_t b)
{
    int64_t S = 0;

    while (S < g->S && g->mask[b * g->S + S]) S++;
    return S;
}

/* Item b's columns [first, first + n) in one pass; row and text say where they live. logits [n,K,V]. */
static inline mg_status golden_forward(mg_lm *lm, const golden_lm *g, int64_t b, int64_t first, int64_t n,
                                       bool with_text, int32_t row_of_item, float *logits)
{
    int32_t ids[64 * 16], row[64], position[64], text[64];

    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < g->K; k++) ids[i * g->K + k] = g->ids[(b * g->K + k) * g->T + first + i];
        row[i] = row_of_item;
        position[i] = (int32_t)(first + i);
        text[i] = (int32_t)b;
    }
    const mg_lm_batch batch = {
        .n_tokens = n, .n_with_text = with_text ? n : 0, .row = row, .position = position, .text = text};
    return fixture_forward(lm, g->K, g->V, batch, ids, logits);
}

/* Golden logits [K,T,V] of item b in our order [T,K,V]; malloc'ed. */
static inline float *golden_by_column(const golden_lm *g, const float *all, int64_t b)
{
    float *out = malloc((size_t)(g->T * g->K * g->V) * sizeof *out);

    if (!out) fail_msg("no memory");
    for (int64_t k = 0; k < g->K; k++)
        for (int64_t t = 0; t < g->T; t++)
            memcpy(out + (t * g->K + k) * g->V, all + ((b * g->K + k) * g->T + t) * g->V,
                   (size_t)g->V * sizeof *out);
    return out;
}

static inline void golden_set_texts(fixture *f, const golden_lm *g)
{
    for (int64_t b = 0; b < g->B; b++)
        GOLDEN_OK(mg_lm_set_text(f->lm, b, g->states + b * g->S * g->D, golden_text_tokens(g, b)));
}

#endif
