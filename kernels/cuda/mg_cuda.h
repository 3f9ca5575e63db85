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
} mg_cuda_settings;

/* Open a backend over one device. MG_EFIT if there is no such device, or no driver. Close with mg_ops_close.
 */
mg_status mg_cuda_open(mg_ops **out, const mg_cuda_settings *settings);

#endif
