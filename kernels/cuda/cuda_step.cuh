/* The slots that make a step short: fused products, and steps that are recorded once. Inside the backend. */
#ifndef MG_CUDA_STEP_CUH
#define MG_CUDA_STEP_CUH

#include "cuda_context.cuh"

mg_status mg_cuda_norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                              const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into);
mg_status mg_cuda_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                             const mg_matrix *w);
mg_status mg_cuda_attention_linear(const mg_ops *ops, bool *done, mg_tensor *y, mg_tensor *product,
                                   mg_tensor *a, const mg_tensor *x, const mg_attend *over,
                                   const mg_matrix *w);

mg_status mg_cuda_step_begin(const mg_ops *ops, uint64_t key, bool *replay);
mg_status mg_cuda_step_end(const mg_ops *ops);
void mg_cuda_step_forget(const mg_ops *ops);

#endif
