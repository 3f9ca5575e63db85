/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A draw is a pure function of (seed, step, codebook): it knows nothing of ranks, slots or call
 * order. */
#ifndef MG_RNG_H
#define MG_RNG_H

#include <stdint.h>

/* One block: out = Philox4x32-10(counter, key). */
void mg_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* A uniform in (0,1), 53 bits, for one clip's step and codebook.
 * `seed` is the clip's own (0 … 2^53-1): clip i of a call has the call's seed + i. */
double mg_rng_uniform(uint64_t seed, int64_t step, int codebook);

/* Seeds live in 0 … 2^53-1, so that JSON can hold them: the sum wraps there. */
#define MG_SEED_LIMIT ((uint64_t)1 << 53)

#endif
