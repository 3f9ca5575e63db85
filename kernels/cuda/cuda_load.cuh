/* Weight slots of the CUDA backend. Inside the backend. */
#ifndef MG_CUDA_LOAD_CUH
#define MG_CUDA_LOAD_CUH

#include "cuda_context.cuh"

size_t mg_cuda_matrix_bytes(const mg_ops *ops, const mg_matrix *w);
mg_status mg_cuda_matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out,
                              const mg_host_matrix *src, int64_t *n_bad);
mg_status mg_cuda_tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad);
size_t mg_cuda_conv_bytes(const mg_ops *ops, const mg_conv *c);
mg_status mg_cuda_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src);

/* The product that a convolution is: its matrix over c->data. */
mg_matrix mg_cuda_conv_matrix(const mg_conv *c);

#endif
