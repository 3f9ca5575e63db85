/* What doctor finds out of GPUs before one is opened: whose rank has none and why, versions, the devices of
 * rank 0's host and how they reach each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_open.h"
#include "doctor.h"

/* Among several ranks each leaves the others' devices alone; and a device may be another job's. */
static mg_status describe(mg_cuda_device *is, const mg_doctor *d, const mg_cuda_plugin *plugin, int device)
{
    if (d->world->size == 1 && plugin->describe(device, true, is) == MG_OK) return MG_OK;
    mg_clear_error();
    return plugin->describe(device, false, is);
}

/* What is wrong with a device is no fault of a run that takes another one: the opening says which it is. */
static void say_device(mg_doctor *d, const mg_cuda_plugin *plugin, int n, int i)
{
    mg_cuda_device is;
    char peers[128] = "", available[32] = "";

    if (describe(&is, d, plugin, i) != MG_OK) {
        mg_doctor_say(d, MG_DOCTOR_NOTE, "%s", mg_last_error());
        mg_clear_error();
        return;
    }
    if (is.free_bytes >= 0)
        (void)snprintf(available, sizeof available, "%.1f of ", (double)is.free_bytes / 1073741824.0);
    for (int k = 0; k < n; k++)
        if (k != i && plugin->can_peer(i, k))
            snprintf(peers + strlen(peers), sizeof peers - strlen(peers), " %d", k);
    mg_doctor_say(d, is.major >= 8 ? MG_DOCTOR_FINE : MG_DOCTOR_NOTE,
                  "GPU %d: %s (sm_%d%d, %d SMs), %s, NUMA node %d, %s%.1f GiB%s%s%s%s%s", i, is.name,
                  is.major, is.minor, is.n_sms, is.pci, is.numa_node, available,
                  (double)is.total_bytes / 1073741824.0, *available ? " free" : "",
                  is.shares_host ? " of the host's memory" : "", *peers ? ", reads the memory of GPU" : "",
                  peers, is.major >= 8 ? "" : ": too old, sm_80 is the least");
}

static void say_devices(mg_doctor *d, const mg_cuda_plugin *plugin, int n)
{
    for (int i = 0; i < n; i++) say_device(d, plugin, n, i);
    if (n > 1 && !plugin->can_peer(0, 1))
        mg_doctor_say(
            d, MG_DOCTOR_NOTE,
            "GPUs 0 and 1 do not reach each other's memory: --tp costs more than it gives, prefer replicas");
}

static void say_versions(mg_doctor *d, const mg_cuda_plugin *plugin)
{
    mg_cuda_versions v;
    int fast = 0;

    plugin->versions(&v);
    mg_doctor_say(d, v.driver >= v.runtime ? MG_DOCTOR_FINE : MG_DOCTOR_NOTE,
                  "CUDA %d.%d, driver for up to %d.%d%s", v.runtime / 1000, v.runtime % 1000 / 10,
                  v.driver / 1000, v.driver % 1000 / 10,
                  v.driver >= v.runtime ? "" : ": older than this program; update it if kernels fail");
    if (v.nccl)
        mg_doctor_say(d, MG_DOCTOR_FINE, "NCCL %d.%d.%d", v.nccl / 10000, v.nccl / 100 % 100, v.nccl % 100);
    else
        mg_doctor_say(
            d, d->world->tp > 1 ? MG_DOCTOR_BAD : MG_DOCTOR_NOTE,
            "no NCCL (libnccl.so.2; MGDIST_NCCL names another): --tp above 1 will not work on GPUs");
    if (d->settings->machine.gemm == MG_MACHINE_GEMM_FAST && plugin->fast_version(&fast) == MG_OK)
        mg_doctor_say(d, MG_DOCTOR_FINE, "cuBLASLt %d.%d.%d", fast / 10000, fast / 100 % 100, fast % 100);
    mg_clear_error(); /* said when a run's machine is opened */
}

/* What each rank finds. */
typedef struct finding {
    char host[64];
    mg_fault fault;
} finding;

/* Rank 0 tells for all; what others find as it does is said once. */
static void say_findings(mg_doctor *d, const finding *all, bool asked)
{
    const mg_doctor_verdict verdict = asked ? MG_DOCTOR_BAD : MG_DOCTOR_NOTE;

    if (all[0].fault.st != MG_OK)
        mg_doctor_say(d, verdict, "%s%s", asked ? "" : "the CPU computes: ", all[0].fault.text);
    for (int r = 1; r < d->world->size; r++)
        if (all[r].fault.st != MG_OK && strcmp(all[r].fault.text, all[0].fault.text) != 0)
            mg_doctor_say(d, verdict, "%srank %d, host %s: %s", asked ? "" : "the CPU computes: ", r,
                          all[r].host, all[r].fault.text);
}

mg_status mg_doctor_check_gpu(mg_doctor *d)
{
    mg_world *w = d->world;
    const bool asked = d->settings->machine.device == MG_MACHINE_CUDA;
    const mg_cuda_plugin *plugin = NULL;
    mg_cuda_device is;
    mg_status st = MG_OK;
    finding mine = {.fault = {MG_OK, ""}}, *all = calloc((size_t)w->size, sizeof *all);
    int n = 0;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "doctor: %d ranks", w->size)));
    if (d->settings->machine.device == MG_MACHINE_CPU) goto done;
    snprintf(mine.host, sizeof mine.host, "%s", w->host);
    mine.fault = mg_fault_take(mg_cuda_look(&plugin, &is, w, asked));
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, sizeof mine, MG_U8));
    for (int r = 0; r < w->size; r++) d->has_no_gpu = d->has_no_gpu || (asked && all[r].fault.st != MG_OK);
    if (w->rank == 0) say_findings(d, all, asked);
    if (w->rank > 0 || !plugin || plugin->count(&n) != MG_OK) goto done;
    say_versions(d, plugin);
    say_devices(d, plugin, n);
    d->plugin = plugin;
done:
    if (st == MG_OK) mg_clear_error();
    free(all);
    return st;
}

void mg_doctor_try_peers(mg_doctor *d)
{
    const mg_cuda_plugin *plugin = d->plugin;
    int n = 0, n_tried = 0, n_lost = 0;

    if (!plugin || d->world->size > 1 || plugin->count(&n) != MG_OK) return;
    for (int from = 0; from < n && !d->is_stuck; from++)
        for (int to = 0; to < n && !d->is_stuck; to++) {
            bool arrives = false;
            if (from == to || !plugin->can_peer(from, to)) continue;
            if (plugin->try_peer(from, to, &arrives, &d->is_stuck) != MG_OK) {
                mg_clear_error(); /* another job's */
                continue;
            }
            n_tried++;
            if (arrives || n_lost++ > 0) continue;
            mg_doctor_say(
                d, MG_DOCTOR_NOTE,
                "GPU %d writes to the memory of GPU %d, and it does not arrive, though the driver says "
                "that it can: --tp above 1 would hang. It is most often the IOMMU, or ACS: switch it "
                "off in the BIOS, or set NCCL_P2P_DISABLE=1 and give --reduce nccl",
                from, to);
        }
    if (n_lost > 1) mg_doctor_say(d, MG_DOCTOR_NOTE, "so do %d of %d pairs of GPUs", n_lost, n_tried);
    if (n_tried > 0 && n_lost == 0)
        mg_doctor_say(d, MG_DOCTOR_FINE, "copies between GPUs arrive: %d of %d", n_tried, n_tried);
}
