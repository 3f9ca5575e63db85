/* What libmg_cuda.so offers the program: one exported function that returns a table. No CUDA header is needed
 * to read this one. The program opens the file only when a GPU is wanted (src/commands/cuda_open.c); the
 * plug-in calls back into the program for mg_fail and its like, and so is of the program's own build. */
#ifndef MG_CUDA_PLUGIN_H
#define MG_CUDA_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "comm.h"
#include "mg_cuda.h"
#include "watchdog.h"

typedef struct mg_cuda_device {
    char name[128];
    char uuid[48]; /* "GPU-…" or "MIG-…", as nvidia-smi says it */
    char pci[32];  /* "0000:3B:00.0" */
    int numa_node; /* -1: unknown */
    int major, minor, n_sms;
    int64_t total_bytes, free_bytes; /* the latter -1: not asked */
    bool shares_host;                /* its memory is the host's */
} mg_cuda_device;

typedef struct mg_cuda_versions {
    int driver, runtime; /* 13000: 13.0 */
    int nccl;            /* 22809: 2.28.9; 0: there is none */
} mg_cuda_versions;

/* How a group on the device sums. All but `fast` have the same bits. */
typedef enum mg_cuda_reduce {
    MG_REDUCE_AUTO,
    MG_REDUCE_NCCL,
    MG_REDUCE_ONESHOT,
    MG_REDUCE_FAST
} mg_cuda_reduce;

typedef struct mg_cuda_group_settings {
    mg_cuda_reduce reduce;
    mg_comm *host;               /* the same ranks over host memory; borrowed */
    const mg_watchdog *watchdog; /* borrowed */
    int first_rank;              /* world rank of the group's rank 0 */
} mg_cuda_group_settings;

typedef struct mg_cuda_plugin {
    const char
        *version; /* of the program it was built with; read this first, and nothing else if it differs */

    /* Devices that CUDA_VISIBLE_DEVICES leaves. MG_EFIT in one sentence if there is no driver, or no device.
     */
    mg_status (*count)(int *n);
    /* Which memory is free is asked of a context on the device, which is made for that and stays: it takes
     * some hundred MB, and of a device in exclusive mode nobody else gets one. */
    mg_status (*describe)(int device, bool with_free, mg_cuda_device *out);
    void (*versions)(mg_cuda_versions *out);

    mg_status (*open)(mg_ops **out, const mg_cuda_settings *settings);

    /* A group in device memory, in the stream of `ops`, whose ranks are on different devices. Collective over
     * settings->host; agrees at its end. */
    mg_status (*open_group)(mg_comm **out, const mg_ops *ops, const mg_cuda_group_settings *settings);

    /* While the host has waited `waited_s` for the device: MG_ECOMM if a rank of the group is lost or silent
     * for too long, MG_ESTOPPED at a signal. The group is aborted then. With waited_s below 0 only NCCL's own
     * errors are looked for: the host waits for something else. */
    mg_status (*check_group)(mg_comm *c, double waited_s);

    /* Bytes a second from `a` to `b` over NVLink or PCIe are not told by CUDA; whether one reads the other
     * is. */
    bool (*can_peer)(int a, int b);
    /* Does a copy from one to the other arrive? CUDA says by a table of its own that it may; an IOMMU or ACS
     * on the way loses it all the same, in silence. `is_stuck`: it does not end, and whatever waits for the
     * device waits for ever. MG_EFIT: it could not be tried. Makes contexts, as above. */
    mg_status (*try_peer)(int from, int to, bool *arrives, bool *is_stuck);

    /* cuBLASLt's, 130100 for 13.1.0. MG_EFIT if there is none. */
    mg_status (*fast_version)(int *out);

    /* cuda_read.h */
    mg_status (*read)(const mg_ops *ops, const void *block, size_t bytes, double *gbps);
    mg_status (*link)(const mg_ops *ops, double *gbps);
} mg_cuda_plugin;

typedef const mg_cuda_plugin *mg_cuda_plugin_fn(void);

#define MG_CUDA_PLUGIN_SYMBOL "mg_cuda_plugin_table"
#define MG_CUDA_PLUGIN_FILE   "libmg_cuda.so"

#endif
