#include "ready_clip.h"

#include <stdlib.h>

_Static_assert(sizeof(float) == sizeof(int32_t), "a payload is counted in values of four bytes");

size_t mg_clip_payload_bytes(const mg_clip_terms *terms, const mg_lm_config *lm)
{
    return (size_t)(lm->K * terms->T_prompt + (terms->S + terms->S_negative) * lm->d_text +
                    mg_clip_n_windows(terms) * terms->n_bins + terms->n_style * lm->n_chroma) *
           sizeof(int32_t);
}

mg_clip_payload mg_clip_payload_of(void *payload, const mg_clip_terms *terms, const mg_lm_config *lm)
{
    int32_t *prompt = payload;
    float *text = (void *)(prompt + lm->K * terms->T_prompt);
    float *negative = text + terms->S * lm->d_text;
    int32_t *bins = (void *)(negative + terms->S_negative * lm->d_text);
    float *style = (void *)(bins + mg_clip_n_windows(terms) * terms->n_bins);

    return (mg_clip_payload){prompt, text, negative, bins, style};
}

void mg_ready_clip_close(mg_ready_clip *c)
{
    if (!c) return;
    free(c->payload);
    free(c->codes);
    free(c);
}
