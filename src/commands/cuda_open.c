#include "cuda_open.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "path.h"
#include "text.h"

/* From the program's folder: as built, and as installed (bin beside libexec). */
static const char *const places[] = {"", "../libexec/mg-dist/", "../lib/mg-dist/"};

static bool find_file(char path[PATH_MAX])
{
    char program[MG_PATH_SIZE], folder[MG_PATH_SIZE];

    if (mg_path_program(program) != MG_OK || mg_path_folder(folder, program) != MG_OK) {
        mg_clear_error();
        return false;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int bytes = snprintf(path, PATH_MAX, "%s/%s%s", folder, places[i], MG_CUDA_PLUGIN_FILE);
        if (bytes < PATH_MAX && access(path, R_OK) == 0) return true;
    }
    return false;
}

mg_status mg_cuda_find_plugin(const mg_cuda_plugin **out)
{
    static const mg_cuda_plugin *found;
    char path[PATH_MAX];

    *out = found;
    if (found) return MG_OK;
    if (!find_file(path))
        return mg_fail(MG_EFIT,
                       "option --device: cuda: this program was built without CUDA (no " MG_CUDA_PLUGIN_FILE
                       " beside it); use --device cpu");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return mg_fail(MG_EFIT, "cuda: %s", dlerror());
    mg_cuda_plugin_fn *table = NULL;
    *(void **)&table = dlsym(library, MG_CUDA_PLUGIN_SYMBOL);
    const mg_cuda_plugin *plugin = table ? table() : NULL;
    if (!plugin || strcmp(plugin->version, MG_VERSION) != 0)
        return mg_fail(MG_EFIT, "cuda: %s: is of version %s, this program of %s: install both from one build",
                       path, plugin ? plugin->version : "unknown", MG_VERSION);
    *out = found = plugin;
    return MG_OK;
}

bool mg_cuda_driver_is_here(void)
{
#ifdef MG_CUDA_ON_CPU
    return getenv("CUDA_ON_CPU") != NULL;
#else
    /* The last one also where nobody has made its device files yet, or a container was given none. */
    static const char *const nodes[] = {"/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-ctrl-gpu",
                                        "/proc/driver/nvidia/version"};

    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        if (access(nodes[i], F_OK) == 0) return true;
    return false;
#endif
}

mg_status mg_cuda_look(const mg_cuda_plugin **out, mg_cuda_device *is, const mg_world *world, bool insists)
{
    char path[PATH_MAX];
    int n = 0;

    if (!insists && !find_file(path)) return mg_fail(MG_EFIT, "this program was built without CUDA");
    if (!insists && !mg_cuda_driver_is_here()) return mg_fail(MG_EFIT, "no NVIDIA driver is loaded");
    MG_RETURN(mg_cuda_find_plugin(out));
    MG_RETURN((*out)->count(&n));
    MG_RETURN((*out)->describe(world->local_rank % n, false, is));
    if (is->major >= 8) return MG_OK;
    return mg_fail(MG_EFIT, "cuda: %s: compute capability %d.%d, at least 8.0 is needed%s", is->name,
                   is->major, is->minor, n > 1 ? "; CUDA_VISIBLE_DEVICES can name another" : "");
}

/* What every rank tells the others. */
typedef struct rank_device {
    mg_cuda_device is;
    mg_cuda_versions versions;
    char host[64];
    int32_t rank, pid, device, n_devices, i_replica, tp_rank;
} rank_device;

/* Launchers say a local rank too; if theirs is another, two ranks might take one device. */
static void compare_local_rank(const mg_world *w)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "MPI_LOCALRANKID"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *said = getenv(names[i]);
        if (!said || atoi(said) == w->local_rank || w->size == 1) continue;
        mg_log_info("local rank: %s says %s, MPI says %d, which is used", names[i], said, w->local_rank);
    }
}

static mg_status pick(rank_device *mine, const mg_cuda_plugin *plugin, const mg_world *w)
{
    int n = 0;

    *mine = (rank_device){
        .rank = w->rank, .pid = (int32_t)getpid(), .i_replica = w->i_replica, .tp_rank = w->tp_rank};
    snprintf(mine->host, sizeof mine->host, "%s", w->host);
    MG_RETURN(plugin->count(&n));
    mine->n_devices = n;
    mine->device = w->local_rank % n;
    if (w->size > 1) plugin->versions(&mine->versions); /* to compare; NCCL is opened for it */
    return plugin->describe(mine->device, true, &mine->is);
}

static bool same_device(const rank_device *a, const rank_device *b)
{
    return strcmp(a->is.uuid, b->is.uuid) == 0 && strcmp(a->host, b->host) == 0;
}

/* The lowest rank on the same device as `mine`, but for itself; -1 if it is alone there. */
static int companion(const rank_device *all, int n, const rank_device *mine)
{
    for (int r = 0; r < n; r++)
        if (r != mine->rank && same_device(&all[r], mine)) return r;
    return -1;
}

/* Ranks that see fewer GPUs than they are may see each its own: only two on one are wrong. */
static mg_status refuse_two(const rank_device *mine, int other, const mg_world *w)
{
    if (mine->n_devices > 1 && mine->n_devices < w->local_size)
        return mg_fail(
            MG_EUSAGE,
            "cuda: host %s has %d GPU%s for %d ranks: start one rank a GPU, or give --share-gpu (slow; for "
            "experiments)",
            w->host, mine->n_devices, mg_plural(mine->n_devices), w->local_size);
    return mg_fail(MG_EUSAGE,
                   "cuda: ranks %d and %d of host %s are both on %s (%s): start one rank a GPU, set "
                   "CUDA_VISIBLE_DEVICES for each, or give --share-gpu (slow; for experiments)",
                   other < w->rank ? other : w->rank, other < w->rank ? w->rank : other, w->host,
                   mine->is.uuid, mine->is.pci);
}

/* Once for each kind of difference, of the first rank that is not as rank 0. */
static void warn_of_differences(const rank_device *all, int n)
{
    bool device = false, driver = false, nccl = false;

    for (int r = 1; r < n; r++) {
        const mg_cuda_versions *a = &all[0].versions, *b = &all[r].versions;
        if (!device && strcmp(all[r].is.name, all[0].is.name) != 0) {
            device = true;
            mg_log_info("rank 0 has %s and rank %d %s: on different devices bits may differ", all[0].is.name,
                        r, all[r].is.name);
        }
        if (!driver && a->driver != b->driver) {
            driver = true;
            mg_log_info("rank 0 has a driver for CUDA %d.%d and rank %d for %d.%d: let all hosts have one",
                        a->driver / 1000, a->driver % 1000 / 10, r, b->driver / 1000, b->driver % 1000 / 10);
        }
        if (!nccl && a->nccl != b->nccl) {
            nccl = true;
            mg_log_info("rank 0 has NCCL %d.%d.%d and rank %d %d.%d.%d: they may not understand each other",
                        a->nccl / 10000, a->nccl / 100 % 100, a->nccl % 100, r, b->nccl / 10000,
                        b->nccl / 100 % 100, b->nccl % 100);
        }
    }
}

static void log_table(const rank_device *all, const mg_world *w)
{
    static bool said; /* the backends of a replica choose the same */

    if (w->rank > 0 || said) return;
    said = true;
    mg_log_info("%4s %7s %4s  %-16s %8s %4s  %-13s %4s  %s", "rank", "replica", "tp", "host", "pid", "gpu",
                "PCI", "NUMA", "device");
    for (int r = 0; r < w->size; r++)
        mg_log_info("%4d %7d %4d  %-16s %8d %4d  %-13s %4d  %s, %.1f of %.1f GiB free", r, all[r].i_replica,
                    all[r].tp_rank, all[r].host, all[r].pid, all[r].device, all[r].is.pci,
                    all[r].is.numa_node, all[r].is.name, (double)all[r].is.free_bytes / 1073741824.0,
                    (double)all[r].is.total_bytes / 1073741824.0);
    warn_of_differences(all, w->size);
}

mg_status mg_cuda_choose(mg_cuda_choice *out, const mg_cuda_plugin *plugin, const mg_world *w, bool may_share)
{
    mg_status st = MG_OK;
    rank_device mine, *all = calloc((size_t)w->size, sizeof *all);

    if (!all) st = mg_fail(MG_ENOMEM, "cuda: %d ranks", w->size);
    if (st == MG_OK) st = pick(&mine, plugin, w);
    MG_TRY(mg_comm_agree(w->all, st));
    compare_local_rank(w);
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, sizeof mine, MG_U8));
    const int other = companion(all, w->size, &mine);
    if (other >= 0 && !may_share) st = refuse_two(&mine, other, w);
    MG_TRY(mg_comm_agree(w->all, st));
    log_table(all, w);
    *out = (mg_cuda_choice){.device = mine.device, .is_shared = other >= 0, .is = mine.is};
done:
    free(all);
    return st;
}
