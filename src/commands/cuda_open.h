/* GPUs for the ranks of a run: the plug-in, one device a rank, the groups on devices. No CUDA library is
 * opened before a GPU is wanted and may be there. */
#ifndef MG_CUDA_OPEN_H
#define MG_CUDA_OPEN_H

#include "cuda_plugin.h"
#include "world.h"

/* Beside the program, or where it is installed. MG_EFIT: there is none, it is of another version, or it does
 * not open. */
mg_status mg_cuda_find_plugin(const mg_cuda_plugin **out);

/* Is an NVIDIA driver loaded, of use to this program or not? */
bool mg_cuda_driver_is_here(void);

/* The device that this rank would take, which nobody opens. MG_EFIT in one sentence: there is none, or it is
 * too old. Unless it `insists`, no CUDA library is opened where no driver is loaded. */
mg_status mg_cuda_look(const mg_cuda_plugin **out, mg_cuda_device *is, const mg_world *world, bool insists);

typedef struct mg_cuda_choice {
    int device;     /* CUDA's ordinal in this process */
    bool is_shared; /* another rank has the same one */
    mg_cuda_device is;
} mg_cuda_choice;

/* A device for each rank: of several, the one with its number among the ranks of its host, counted round. Two
 * ranks on one device are MG_EUSAGE unless `may_share`. Rank 0 logs a table, once. Collective and agreed;
 * after mg_world_split, if there is a group. */
mg_status mg_cuda_choose(mg_cuda_choice *out, const mg_cuda_plugin *plugin, const mg_world *world,
                         bool may_share);

#endif
