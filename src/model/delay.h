/* The delay pattern: codebook k runs behind by its delay, so that one column holds codes of different frames.
 * Mono: delay k; stereo (left and right interleaved): k / 2. Spec: docs/MODEL.md §Delay pattern
 * (transformers' build_delay_pattern_mask = AudioCraft's DelayedPatternProvider). */
#ifndef MG_DELAY_H
#define MG_DELAY_H

#include <stdint.h>

typedef struct mg_delay {
    int64_t K;          /* codebooks */
    int64_t n_channels; /* 1 or 2 */
} mg_delay;

/* Columns that T frames take: T + (number of distinct delays). Column 0 is all PAD; the last is never fed
 * back. */
int64_t mg_delay_columns(const mg_delay *d, int64_t T);

/* The frame that codebook k holds in column j, or -1 where the pattern has PAD. */
int64_t mg_delay_frame(const mg_delay *d, int64_t T, int64_t k, int64_t j);

#endif
