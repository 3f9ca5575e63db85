/* The CUDA backend: one GPU, one stream of work for each instance. */
#ifndef MG_CUDA_H
#define MG_CUDA_H

#include "ops.h"
#include "threads.h"

typedef struct mg_cuda_settings {
    int device;          /* CUDA's ordinal, after CUDA_VISIBLE_DEVICES */
    mg_threads *threads; /* borrowed: read weights with these; NULL: on the calling thread */
    /* Called again and again while the host waits for the device; a status other than MG_OK ends the wait.
     * May be NULL. */
    mg_status (*check)(void *arg, double waited_s);
    void *check_arg;
    /* Products of many rows by cuBLASLt: faster, in twice the memory for matrices. The rule on numbers of
     * ops.h is given up: a row's bits depend on how many rows there are. MG_EFIT from open if there is none.
     */
    bool fast_products;
    bool beside; /* kernels of other instances on the device go first: a language model's before a codec's */
} mg_cuda_settings;

/* Open a backend over one device. MG_EFIT if there is no such device, or no driver. Close with mg_ops_close.
 */
mg_status mg_cuda_open(mg_ops **out, const mg_cuda_settings *settings);

/* Version of the cuBLASLt that fast_products would take: 130100 for 13.1.0. MG_EFIT if there is none. */
mg_status mg_cuda_fast_version(int *out);

/* MG_EDEVICE, whose sentence names the calling thread's GPU and host: job scripts look for these. */
mg_status mg_cuda_failed(const char *what, const char *why);

#endif
