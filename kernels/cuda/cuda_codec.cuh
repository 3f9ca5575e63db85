/* The codec slots of ops.h; their ctx is an mg_cuda. Inside the backend. */
#ifndef MG_CUDA_CODEC_CUH
#define MG_CUDA_CODEC_CUH

#include "cuda_context.cuh"

mg_status mg_cuda_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                      mg_pad_mode mode, mg_act act);
mg_status mg_cuda_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                         const mg_tensor *bias, bool accumulate);
mg_status mg_cuda_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                   const mg_tensor *bias);
mg_status mg_cuda_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                       const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                       mg_tensor *state);
mg_status mg_cuda_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                               const mg_tensor *table, const mg_tensor *norms);

#endif
