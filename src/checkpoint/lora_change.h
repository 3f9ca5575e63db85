/* The product of an adapter, added to rows of a weight. */
#ifndef MG_LORA_PRODUCT_H
#define MG_LORA_PRODUCT_H

#include <stdint.h>

/* w [n_rows, n_cols] += scale * c [n_rows, R] v [R, n_cols]. Each value is a sum over ascending r, fused from
 * zero on, and then one product and one addition: the same bits on every machine. */
void mg_lora_add_product(float *w, const float *c, const float *v, int64_t n_rows, int64_t R, int64_t n_cols,
                         float scale);

#endif
