/* A group in device memory over NCCL. Part of the CUDA plug-in, as kernels/cuda is. */
#ifndef MG_COMM_NCCL_H
#define MG_COMM_NCCL_H

#include "cuda_plugin.h"

/* See mg_cuda_plugin.open_group and check_group. */
mg_status mg_comm_nccl_open(mg_comm **out, const mg_ops *ops, const mg_cuda_group_settings *settings);
mg_status mg_comm_nccl_check(mg_comm *c, double waited_s);

/* 0 if there is no NCCL. */
int mg_comm_nccl_version(void);

#endif
