/* From logits to one code: guidance, temperature, top-k or top-p, and a draw. Plain C, a pure function of its
 * arguments: the reference of mg_sample's contract. Inside the backend. */
#ifndef MG_CPU_SAMPLER_H
#define MG_CPU_SAMPLER_H

#include <stddef.h>

#include "sampling.h"

typedef struct mg_cpu_candidate {
    uint32_t key; /* rises as the logit falls */
    int32_t code;
} mg_cpu_candidate;

/* Scratch for V codes, over memory that somebody else owns. */
typedef struct mg_cpu_sampler {
    int64_t V, n_alive;
    mg_cpu_candidate *alive, *spare; /* [V] survivors, falling by probability; scratch of the sort */
    double *weight;                  /* [V] of each survivor, not normalised */
    float *scaled;                   /* [V] logits / temperature */
    float *row[2];                   /* [V] each: for the caller */
} mg_cpu_sampler;

size_t mg_cpu_sampler_bytes(int64_t V);
mg_cpu_sampler mg_cpu_sampler_over(void *room, int64_t V); /* room: aligned to 8 */

/* out = uncond + (cond - uncond) * coef, [V]; out may be either input. */
void mg_cpu_guide(float *out, const float *cond, const float *uncond, float coef, int64_t V);

/* probs [V]: what is drawn from, after temperature and cuts, summing to 1; zero where cut. Not for greedy. */
void mg_cpu_sampler_probs(mg_cpu_sampler *s, float *probs, const float *logits, const mg_sampling *how);

/* The code: argmax if greedy, else the inverse of the cumulative distribution at `uniform` in (0,1). The sum
 * runs in fp64 over the survivors, by falling probability and then rising index. Never a code of probability
 * zero. V if nothing can be drawn: a logit is NaN, or the largest one, over the temperature, infinite. */
int32_t mg_cpu_sampler_draw(mg_cpu_sampler *s, const float *logits, const mg_sampling *how, double uniform);

#endif
