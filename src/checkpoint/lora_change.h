/* What an adapter does to a tensor, done to each piece of it that is read: nothing of the result is kept, and
 * of the adapter only pages of its file are in memory. */
#ifndef MG_LORA_CHANGE_H
#define MG_LORA_CHANGE_H

#include "tensor_read.h"

/* Another tensor in the place of W; or W [out, in] += scale B A, of an embedding W [in, out] += scale (B A)
 * transposed. The product stays in fp32 whatever the adapter is stored in: PEFT widens an adapter when it
 * loads it. */
typedef struct mg_lora_change {
    const struct mg_lora_change *before; /* is done first; NULL: none */
    bool is_whole;
    mg_tensor whole;
    mg_tensor a, b; /* [R, in], [out, R]; as the file holds them, at any alignment */
    bool is_embedding;
    float scale;
} mg_lora_change;

/* `dst` holds `part` of the tensor `t`, in t's own type; t's data are not looked at. Each value of a product
 * is a sum over ascending r, fused from zero on. It is multiplied once, added once and rounded to t's type:
 * the same bits on every machine, whatever the part. Finite values that became infinite are added to
 * *n_overflows (may be NULL). */
void mg_lora_change_apply(const mg_lora_change *change, void *dst, const mg_tensor *t,
                          const mg_tensor_part *part, int64_t *n_overflows);

#endif
