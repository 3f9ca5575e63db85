/* How one code is chosen from a codebook's logits. AudioCraft's rules by default (docs/MODEL.md §Sampling).
 */
#ifndef MG_SAMPLING_H
#define MG_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

typedef enum mg_sampler_rules { MG_RULES_AUDIOCRAFT, MG_RULES_HF } mg_sampler_rules;

typedef struct mg_sampling {
    bool greedy; /* argmax, first of equals; also when temperature is 0 */
    mg_sampler_rules rules;
    int64_t top_k; /* 0: off; more than V: all */
    double top_p;  /* AudioCraft: 0 is off, and above 0 it disables top-k. HF: 0 or >= 1 is off */
    double temperature;
    double min_p; /* after the other cuts: keep codes of at least this times the likeliest's probability; 0 or
                     NaN is off */
} mg_sampling;

#endif
