#include "machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agreement.h"
#include "beside.h"
#include "comm_staged.h"
#include "cpu.h"
#include "cuda_open.h"
#include "log.h"
#include "places.h"
#include "stop.h"

/* Called by a backend on a GPU while the host waits for it. */
struct mg_machine_watch {
    const mg_cuda_plugin *plugin;
    mg_comm *group; /* over NCCL; NULL: there is nobody else to wait for */
    const mg_world *world;
    mg_ops_iface plain; /* the backend's table without recorded steps */
    mg_machine_gpu gpu;
};

static mg_status look(void *arg, double waited_s)
{
    const struct mg_machine_watch *w = arg;

    return w->group ? w->plugin->check_group(w->group, waited_s) : mg_stop_check();
}

/* Called while the host waits for other ranks: they may wait for a sum that NCCL has given up here. */
static mg_status look_at_group(void *arg)
{
    const struct mg_machine_watch *w = arg;

    return w->group ? w->plugin->check_group(w->group, -1) : MG_OK;
}

/* Of the language model's matrices for the word of --dtype. `auto` on a GPU: what the models were trained in,
 * and half of the bytes. On a CPU: what the checkpoint holds, when that is known (backend.h), and fp32 till
 * then; the plain level has no quick way to read halves. */
static mg_format format_of(int wanted, mg_space space)
{
    switch (wanted) {
    case MG_MACHINE_BF16: return MG_FORMAT_BF16;
    case MG_MACHINE_FP16: return MG_FORMAT_F16;
    case MG_MACHINE_FP32: return MG_FORMAT_F32;
    case MG_MACHINE_INT8: return MG_FORMAT_Q8;
    case MG_MACHINE_INT4: return MG_FORMAT_Q4;
    default: return space == MG_DEVICE ? MG_FORMAT_BF16 : MG_FORMAT_F32;
    }
}

mg_status mg_machine_formats(mg_lm_formats *out, const mg_machine *machine, mg_space space)
{
    out->weights = format_of(machine->dtype, space);
    out->kv = machine->kv == MG_MACHINE_KV_INT8 ? MG_FORMAT_Q8 : mg_format_of_kv(out->weights);
    if (space == MG_HOST) return MG_OK;
    if (mg_format_is_quantised(out->weights))
        return mg_fail(MG_EUSAGE, "option --dtype: %s: the GPU computes in bf16, fp16 or fp32",
                       mg_format_name(out->weights));
    if (machine->kv == MG_MACHINE_KV_INT8)
        return mg_fail(MG_EUSAGE, "option --kv: int8: the GPU keeps keys and values in bf16, fp16 or fp32");
    return MG_OK;
}

int64_t mg_machine_device_bytes(const mg_machine *machine, const mg_world *world)
{
    const mg_cuda_plugin *plugin;
    mg_cuda_device is;

    if (machine->device == MG_MACHINE_CPU) return 0;
    if (mg_cuda_look(&plugin, &is, world, machine->device == MG_MACHINE_CUDA) != MG_OK) {
        mg_clear_error(); /* who opens it says so */
        return 0;
    }
    const int64_t most = is.total_bytes - machine->memory_margin;
    if (machine->device_memory > 0 && machine->device_memory < most) return machine->device_memory;
    return most > 0 ? most : 1;
}

/* Where there is a GPU all the same, somebody waits for it. */
static void say_cpu(const char *reason)
{
    if (mg_cuda_driver_is_here())
        mg_log_info("--device auto: the CPU, since %s", reason);
    else
        mg_log_detail("--device auto: the CPU, since %s", reason);
}

/* `auto`: the GPU where every rank has one; half a run on GPUs would be of no use. */
static mg_status try_plugin(const mg_cuda_plugin **out, const mg_world *world, bool says)
{
    char reason[512] = "";
    mg_cuda_device is;
    const mg_status st = mg_cuda_look(out, &is, world, false);

    if (st != MG_OK) snprintf(reason, sizeof reason, "%s", mg_last_error());
    const mg_status all = mg_comm_agree(world->all, st);
    if (all == MG_OK || all == MG_ECOMM || all == MG_ESTOPPED) return all;
    *out = NULL;
    if (says && st == MG_OK)
        mg_log_info(
            "--device auto: the CPU, since not every rank has a GPU: mg-dist doctor under mpirun tells");
    if (says && *reason) say_cpu(reason);
    mg_clear_error();
    world->all->agreed = MG_OK; /* it is no failure */
    return MG_OK;
}

/* *out: NULL for the CPU. Collective over the world unless the CPU was asked for. */
static mg_status choose_plugin(const mg_cuda_plugin **out, const mg_machine *machine, const mg_world *world,
                               bool says)
{
    *out = NULL;
    switch (machine->device) {
    case MG_MACHINE_CPU: return MG_OK;
    case MG_MACHINE_CUDA: return mg_comm_agree(world->all, mg_cuda_find_plugin(out));
    default: return try_plugin(out, world, says);
    }
}

static int n_threads_of(const mg_machine *machine, const mg_world *world)
{
    if (machine->threads > 0) return (int)machine->threads;
    if (isnan(machine->cpu_share)) return world->n_cores;
    const int n = (int)lround(machine->cpu_share * world->n_cores);
    return n > 0 ? n : 1;
}

/* Open MPI binds one or two ranks to a core each, and many a site a rank to less than there is: that a host
 * stays idle shows nowhere else. Half of it may be as somebody wants it. */
static void say_idle(const mg_machine *machine, const mg_world *world)
{
    const int n_used = world->local_size * world->n_cores;

    if (world->rank > 0 || machine->threads > 0 || world->n_idle < n_used) return;
    mg_log_info("threads: %d of the %d processors of this host stay idle: mpirun has bound %s; with mpirun "
                "--bind-to none all are used",
                world->n_idle, world->n_idle + n_used,
                world->local_size == 1 ? "its rank to the others" : "its ranks to the others");
}

void mg_machine_stay(const mg_machine *machine, const mg_world *world)
{
    if (machine->numa == MG_MACHINE_NUMA_AUTO) mg_world_stay(world, MG_NUMA_ROOT);
}

/* `beside`: the threads yield the processors to the language model's, which has said which level it is. */
static mg_status open_cpu(mg_backend *out, const mg_machine *machine, const mg_world *world, bool beside)
{
    mg_cpu_level level = (mg_cpu_level)machine->cpu_level;
    const int n_threads = n_threads_of(machine, world);
    const bool may_spin = !world->oversubscribed && n_threads <= world->n_cores;

    mg_machine_stay(machine, world);
    if (!beside) say_idle(machine, world);
    if (!beside) MG_RETURN(mg_places_log(world));
    MG_RETURN(mg_agree_level(&level, world, !beside));
    MG_RETURN(mg_threads_open_nice(&out->threads, n_threads, may_spin, beside ? MG_BESIDE_NICENESS : 0));
    return mg_cpu_open(&out->ops, level, out->threads);
}

static mg_status open_device(mg_backend *out, const mg_cuda_plugin *plugin, int device,
                             const mg_machine *machine, const mg_world *world, bool beside)
{
    const int n_threads = n_threads_of(machine, world);
    struct mg_machine_watch *watch = calloc(1, sizeof *watch);

    if (!watch) return mg_fail(MG_ENOMEM, "cuda: %zu bytes", sizeof *watch);
    watch->plugin = plugin;
    out->watch = watch;
    MG_RETURN(mg_threads_open(&out->threads, n_threads, 0));
    const mg_cuda_settings settings = {.device = device,
                                       .threads = out->threads,
                                       .check = look,
                                       .check_arg = watch,
                                       .fast_products = machine->gemm == MG_MACHINE_GEMM_FAST,
                                       .beside = beside};
    return plugin->open(&out->ops, &settings);
}

/* A GPU for each rank; `beside` as above. Collective over the world. */
static mg_status open_cuda(mg_backend *out, mg_cuda_choice *choice, const mg_cuda_plugin *plugin,
                           const mg_machine *machine, const mg_world *world, bool beside)
{
    MG_RETURN(mg_cuda_choose(choice, plugin, world, machine->share_gpu));
    MG_RETURN(mg_comm_agree(world->all, open_device(out, plugin, choice->device, machine, world, beside)));
    struct mg_machine_watch *watch = out->watch;
    (void)snprintf(watch->gpu.uuid, sizeof watch->gpu.uuid, "%s", choice->is.uuid);
    (void)snprintf(watch->gpu.name, sizeof watch->gpu.name, "%s", choice->is.name);
    watch->gpu.is_shared = choice->is_shared;
    return MG_OK;
}

/* Where a rank's device is. */
typedef struct seat {
    int32_t first_of_host, is_shared;
    char pci[32];
} seat;

/* Do two ranks of the group use one device, or parts of one (MIG)? NCCL refuses both. */
static mg_status is_group_shared(bool *out, const mg_cuda_choice *choice, const mg_world *w)
{
    mg_comm *group = w->group;
    seat mine = {w->first_of_host, choice->is_shared, ""}, *all = calloc((size_t)group->size, sizeof *all);
    mg_status st = all ? MG_OK : mg_fail(MG_ENOMEM, "group: %d ranks", group->size);

    MG_TRY(mg_comm_agree(group, st));
    (void)snprintf(mine.pci, sizeof mine.pci, "%s", choice->is.pci);
    MG_TRY(mg_comm_all_gather(group, all, &mine, sizeof mine, MG_U8));
    *out = false;
    for (int r = 0; r < group->size; r++) {
        *out = *out || all[r].is_shared;
        for (int k = 0; k < r; k++)
            *out = *out || (all[k].first_of_host == all[r].first_of_host && !strcmp(all[k].pci, all[r].pci));
    }
done:
    free(all);
    return st;
}

/* By way of the host. Collective over the group. */
static mg_status open_staged(mg_backend *b, const mg_machine *machine, const mg_world *w)
{
    struct mg_machine_watch *watch = b->watch;

    if (machine->reduce != MG_REDUCE_AUTO)
        return mg_comm_agree(w->group,
                             mg_fail(MG_EUSAGE, "option --reduce: ranks share a GPU: their sums go by way of "
                                                "the host; leave it out"));
    if (w->rank == 0) mg_log_info("ranks share a GPU: their sums go by way of the host");
    watch->plain = *b->ops->iface; /* what waits for the host cannot be recorded */
    watch->plain.step_begin = NULL;
    watch->plain.step_end = NULL;
    watch->plain.step_forget = NULL;
    b->ops->iface = &watch->plain;
    return mg_comm_agree(w->group, mg_comm_staged_open(&b->group, b->ops, w->group));
}

/* The language model's group in device memory. Collective over the group. */
static mg_status open_group(mg_backend *b, const mg_cuda_choice *choice, const mg_machine *machine,
                            const mg_world *w)
{
    struct mg_machine_watch *watch = b->watch;
    bool is_shared = false;

    if (w->group->size == 1) {
        MG_RETURN(mg_comm_self_open(&b->group));
        b->group->space = MG_DEVICE; /* a group of one is never asked to move anything */
        return MG_OK;
    }
    MG_RETURN(is_group_shared(&is_shared, choice, w));
    if (is_shared) return open_staged(b, machine, w);
    const mg_cuda_group_settings settings = {.reduce = (mg_cuda_reduce)machine->reduce,
                                             .host = w->group,
                                             .watchdog = mg_world_watchdog(w),
                                             .first_rank = w->i_replica * w->tp};
    MG_RETURN(watch->plugin->open_group(&b->group, b->ops, &settings));
    watch->group = b->group;
    watch->world = w;
    mg_world_look_too(w, look_at_group, watch);
    return MG_OK;
}

mg_status mg_machine_limits(mg_memory_limits *out, const mg_machine *machine)
{
    const char *offload = machine->offload ? machine->offload : "none";
    char *end;

    *out = (mg_memory_limits){.host_bytes = machine->host_memory,
                              .device_bytes = machine->device_memory,
                              .margin_bytes = machine->memory_margin > 0 ? machine->memory_margin : 0};
    if (strcmp(offload, "none") == 0) return MG_OK;
    out->n_outside = MG_OUTSIDE_AUTO;
    if (strcmp(offload, "auto") == 0) return MG_OK;
    out->n_outside = strncmp(offload, "layers=", 7) == 0 ? strtoll(offload + 7, &end, 10) : -1;
    if (out->n_outside < 0 || end == offload + 7 || *end)
        return mg_fail(MG_EUSAGE, "option --offload: \"%s\": must be none, auto or layers=N", offload);
    return MG_OK;
}

mg_status mg_machine_open(mg_backend *out, const mg_machine *machine, const mg_world *world)
{
    mg_status st = MG_OK;
    const mg_cuda_plugin *plugin;
    mg_cuda_choice choice;

    *out = (mg_backend){0};
    MG_TRY(mg_machine_limits(&out->memory, machine));
    MG_TRY(choose_plugin(&plugin, machine, world, true));
    MG_TRY(plugin ? open_cuda(out, &choice, plugin, machine, world, false)
                  : open_cpu(out, machine, world, false));
    if (plugin && world->rank == 0) mg_log_detail("device: %s", out->ops->name);
    if (plugin && world->group)
        MG_TRY(open_group(out, &choice, machine, world));
    else
        out->group = world->group;
    if (machine->pack_cache && strcmp(machine->pack_cache, "none") != 0)
        out->pack_cache = machine->pack_cache;
    MG_TRY(mg_machine_formats(&out->formats, machine, out->ops->space));
    out->as_stored = machine->dtype == MG_MACHINE_DTYPE_AUTO && out->ops->space == MG_HOST &&
                     strcmp(out->ops->name, mg_cpu_level_name(MG_CPU_SCALAR)) != 0;
done:
    if (st != MG_OK) mg_machine_close(out);
    return st;
}

/* FORCE_CPU_COMP=1 is what other MusicGen tools call --codec-device cpu. */
static bool is_codec_on_cpu(const mg_machine *machine)
{
    const char *force = getenv("FORCE_CPU_COMP");

    return machine->codec_device == MG_MACHINE_PART_CPU || (force && strcmp(force, "1") == 0);
}

/* `plugin`: NULL for the CPU. Collective over the world unless it is NULL. */
static mg_status open_part(mg_backend *out, const mg_cuda_plugin *plugin, const mg_machine *machine,
                           const mg_world *world)
{
    mg_cuda_choice choice;

    return plugin ? open_cuda(out, &choice, plugin, machine, world, true)
                  : open_cpu(out, machine, world, true);
}

static mg_status open_text(mg_backend *beside, const mg_cuda_plugin *plugin, const mg_machine *machine,
                           const mg_world *world)
{
    beside->text = calloc(1, sizeof *beside->text);
    MG_RETURN(mg_comm_agree(
        world->all, beside->text ? MG_OK : mg_fail(MG_ENOMEM, "text: %zu bytes", sizeof *beside->text)));
    return open_part(beside->text, plugin, machine, world);
}

mg_status mg_machine_open_beside(mg_backend *out, const mg_machine *machine, const mg_world *world,
                                 bool with_conditioners)
{
    const bool codec_on_cpu = is_codec_on_cpu(machine),
               text_on_cpu = machine->text_device == MG_MACHINE_PART_CPU;
    mg_status st = MG_OK;
    const mg_cuda_plugin *plugin = NULL, *of_codec, *of_text;

    *out = (mg_backend){0};
    if (!codec_on_cpu || (with_conditioners && !text_on_cpu))
        MG_TRY(choose_plugin(&plugin, machine, world, false));
    of_codec = codec_on_cpu ? NULL : plugin;
    of_text = text_on_cpu ? NULL : plugin;
    MG_TRY(open_part(out, of_codec, machine, world));
    if (with_conditioners && of_text != of_codec) MG_TRY(open_text(out, of_text, machine, world));
done:
    if (st != MG_OK) mg_machine_close(out);
    return st;
}

mg_status mg_machine_read(const mg_backend *b, const void *block, size_t bytes, double *gbps)
{
    const struct mg_machine_watch *watch = b->watch;

    MG_REQUIRE(watch && b->ops->space == MG_DEVICE);
    return watch->plugin->read(b->ops, block, bytes, gbps);
}

mg_status mg_machine_link(const mg_backend *b, double *gbps)
{
    const struct mg_machine_watch *watch = b->watch;

    MG_REQUIRE(watch && b->ops->space == MG_DEVICE);
    return watch->plugin->link(b->ops, gbps);
}

const mg_machine_gpu *mg_machine_device(const mg_backend *b)
{
    const struct mg_machine_watch *watch = b->watch;

    return watch ? &watch->gpu : NULL;
}

void mg_machine_close(mg_backend *b)
{
    struct mg_machine_watch *watch = b->watch;

    if (watch && watch->world) mg_world_look_too(watch->world, NULL, NULL);
    if (b->text) mg_machine_close(b->text);
    free(b->text);
    if (b->ops) mg_step_forget(b->ops); /* NCCL does not end before the last recording of its sums */
    if (b->group && b->group->space == MG_DEVICE) mg_comm_close(b->group); /* else it is the world's */
    if (watch) watch->group = NULL;
    mg_ops_close(b->ops);
    mg_threads_close(b->threads);
    free(b->watch);
    *b = (mg_backend){0};
}
