/* The CPU backend's slots around the codes: ids from the grid, and the draws into it. ops->ctx is an mg_cpu.
 * Inside the backend. */
#ifndef MG_CPU_SAMPLE_H
#define MG_CPU_SAMPLE_H

#include "ops.h"

mg_status mg_cpu_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes, const mg_tensor *cells,
                            int32_t pad);
mg_status mg_cpu_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                        const mg_draw *draws, int64_t n);

#endif
