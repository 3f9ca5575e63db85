/* The transformer slots of ops.h; their ctx is an mg_cuda. Inside the backend. */
#ifndef MG_CUDA_TRANSFORMER_CUH
#define MG_CUDA_TRANSFORMER_CUH

#include "cuda_context.cuh"

/* False if this build has no kernels for the device, or none that its driver takes. `wait`: whether they have
 * the instruction of wait_for_predecessor(). A device of 9.0 or later that a build does not name runs PTX,
 * which may be older than that. */
bool mg_kernels_look(bool *wait);

mg_status mg_cuda_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                        const mg_tensor *positions, const mg_tensor *pos);
mg_status mg_cuda_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                             const mg_tensor *beta, float eps);
mg_status mg_cuda_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                           float eps);
mg_status mg_cuda_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                         const mg_tensor *bias, mg_act act, bool accumulate);
mg_status mg_cuda_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
mg_status mg_cuda_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
mg_status mg_cuda_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                           const mg_tensor *kv_row, const mg_tensor *pos);
mg_status mg_cuda_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                            const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                            const mg_tensor *rel_bias);

mg_status mg_cuda_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes,
                             const mg_tensor *cells, int32_t pad);
mg_status mg_cuda_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                         const mg_draw *draws, int64_t n);

#endif
