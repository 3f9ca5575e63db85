/* From the machine options of the command line to open backends. */
#ifndef MG_COMMANDS_MACHINE_H
#define MG_COMMANDS_MACHINE_H

#include "backend.h"
#include "machine_options.h"

/* Keep this rank to one NUMA node, as --numa says; opening a CPU does it too. */
void mg_machine_stay(const mg_machine *machine, const mg_world *world);

/* Its formats, and whether the place can have them: MG_EUSAGE for quantised ones on a GPU. */
mg_status mg_machine_formats(mg_lm_formats *out, const mg_machine *machine, mg_space space);

/* What the options say of memory. */
mg_status mg_machine_limits(mg_memory_limits *out, const mg_machine *machine);

/* Memory of the device that this rank would take, as far as it may; 0: it would take none. */
int64_t mg_machine_device_bytes(const mg_machine *machine, const mg_world *world);

/* The language model's backend, with the world's group. MG_EFIT if there is no such device. On failure
 * nothing is left open. Both are collective over the world. */
mg_status mg_machine_open(mg_backend *out, const mg_machine *machine, const mg_world *world);

/* The backend beside it: an instance and threads of its own, so that another thread may call it. Its threads
 * yield the processors to the language model's. With conditioners (text, style), and if they are to run
 * elsewhere than the codec, out->text too. */
mg_status mg_machine_open_beside(mg_backend *out, const mg_machine *machine, const mg_world *world,
                                 bool with_conditioners);

/* How fast the backend's device reads `block`, which is in its memory. Not for a CPU. */
mg_status mg_machine_read(const mg_backend *b, const void *block, size_t bytes, double *gbps);

/* How fast pinned memory of the host comes to the backend's device. Not for a CPU. */
mg_status mg_machine_link(const mg_backend *b, double *gbps);

typedef struct mg_machine_gpu {
    char uuid[48], name[128]; /* "GPU-…" or "MIG-…", as nvidia-smi says it */
    bool is_shared;           /* other ranks have it too */
} mg_machine_gpu;

/* The backend's device, or NULL on a CPU. */
const mg_machine_gpu *mg_machine_device(const mg_backend *b);

void mg_machine_close(mg_backend *b);

#endif
