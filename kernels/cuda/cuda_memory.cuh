/* Memory slots of the CUDA backend. Inside the backend. */
#ifndef MG_CUDA_MEMORY_CUH
#define MG_CUDA_MEMORY_CUH

#include "cuda_context.cuh"

/* The calling thread is about to open that device: its faults are said with the address that it has now. */
void mg_cuda_name_device(int device);

mg_status mg_cuda_alloc(const mg_ops *ops, void **out, size_t bytes);
void mg_cuda_release(const mg_ops *ops, void *block, size_t bytes);
mg_status mg_cuda_upload(const mg_ops *ops, void *dst, const void *src_host, size_t bytes);
mg_status mg_cuda_download(const mg_ops *ops, void *dst_host, const void *src, size_t bytes);
mg_status mg_cuda_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
mg_status mg_cuda_zero(const mg_ops *ops, mg_tensor *y);
mg_status mg_cuda_pin(const mg_ops *ops, void **out, size_t bytes);
void mg_cuda_unpin(const mg_ops *ops, void *block);
mg_status mg_cuda_fetch(const mg_ops *ops, int lane, void *dst, const void *src_host, size_t bytes);
mg_status mg_cuda_fetched(const mg_ops *ops, int lane);

#endif
