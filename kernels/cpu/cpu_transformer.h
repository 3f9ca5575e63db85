/* The CPU backend's transformer slots of ops.h; ops->ctx is an mg_cpu. Inside the backend. */
#ifndef MG_CPU_TRANSFORMER_H
#define MG_CPU_TRANSFORMER_H

#include "ops.h"

mg_status mg_cpu_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                       const mg_tensor *positions, const mg_tensor *pos);
mg_status mg_cpu_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                            const mg_tensor *beta, float eps);
mg_status mg_cpu_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                          float eps);
mg_status mg_cpu_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                        const mg_tensor *bias, mg_act act, bool accumulate);
mg_status mg_cpu_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
mg_status mg_cpu_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
size_t mg_cpu_kv_bytes(const mg_ops *ops, const mg_kv *kv);
mg_status mg_cpu_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                          const mg_tensor *kv_row, const mg_tensor *pos);
mg_status mg_cpu_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                           const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                           const mg_tensor *rel_bias);

/* Without the product in between: finishing a tile adds its complete sum to y. */
mg_status mg_cpu_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                            const mg_matrix *w);
mg_status mg_cpu_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);

#endif
