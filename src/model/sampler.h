/* From logits to one code: guidance, temperature, top-k or top-p, and a draw. AudioCraft's rules by default
 * (docs/MODEL.md §Sampling); plain C on host fp32, a pure function of its arguments. */
#ifndef MG_SAMPLER_H
#define MG_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef enum mg_sampler_rules { MG_RULES_AUDIOCRAFT, MG_RULES_HF } mg_sampler_rules;

typedef struct mg_sampling {
    bool greedy; /* argmax, first of equals; also when temperature is 0 */
    mg_sampler_rules rules;
    int64_t top_k; /* 0: off; more than V: all */
    double top_p;  /* AudioCraft: 0 is off, and above 0 it disables top-k. HF: 0 or >= 1 is off */
    double temperature;
} mg_sampling;

typedef struct mg_sampler mg_sampler; /* scratch for V entries */

mg_status mg_sampler_open(mg_sampler **out, int64_t V);
void mg_sampler_close(mg_sampler *s);

/* out = uncond + (cond - uncond) * coef, [V]; out may be either input. */
void mg_guide(float *out, const float *cond, const float *uncond, float coef, int64_t V);

/* probs [V]: what is drawn from, after temperature and cuts, summing to 1; zero where cut. Not for greedy. */
void mg_sampler_probs(mg_sampler *s, float *probs, const float *logits, const mg_sampling *how);

/* The code: argmax if greedy, else the inverse of the cumulative distribution, summed in fp64 over the
 * survivors by falling probability and then rising index, at `uniform` in (0,1). Never a code of probability
 * zero. */
int32_t mg_sample(mg_sampler *s, const float *logits, const mg_sampling *how, double uniform);

#endif
