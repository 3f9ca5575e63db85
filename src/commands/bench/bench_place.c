/* Which processors, memories and GPU each rank had. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "text.h"

enum { MAX_NODES = 1024, CORES_SIZE = 160, NUMA_SIZE = 64, GPU_SIZE = 64 };

typedef struct place {
    int32_t first_of_host;
    char device[128], host[64], cores[CORES_SIZE], numa[NUMA_SIZE], gpu[GPU_SIZE];
} place;

/* "0-3,8": the numbers of a set, as the kernel writes them; cut off where there is no room. */
static void write_set(char *out, size_t size, const cpu_set_t *set)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < CPU_SETSIZE && n < size; i++) {
        size_t end = i;
        if (!CPU_ISSET(i, set)) continue;
        while (end + 1 < CPU_SETSIZE && CPU_ISSET(end + 1, set)) end++;
        n += (size_t)snprintf(out + n, size - n, end > i ? "%s%zu-%zu" : "%s%zu", n ? "," : "", i, end);
        i = end;
    }
}

static void read_set(cpu_set_t *set, const char *text)
{
    CPU_ZERO(set);
    while (*text) {
        char *end;
        const long first = strtol(text, &end, 10);
        if (end == text) return;
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long i = first; i <= last && i < CPU_SETSIZE; i++) CPU_SET((size_t)i, set);
        text = end + (*end == ',');
    }
}

/* The memories that these processors are next to: where Linux does not say, "". */
static void find_numa(char out[NUMA_SIZE], const cpu_set_t *cores)
{
    cpu_set_t nodes, of_node, both;

    CPU_ZERO(&nodes);
    for (int i = 0; i < MAX_NODES; i++) {
        char path[64], list[4096] = "";
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", i);
        FILE *f = fopen(path, "re");
        if (!f) continue;
        if (!fgets(list, sizeof list, f)) list[0] = '\0';
        fclose(f);
        read_set(&of_node, list);
        CPU_AND(&both, &of_node, cores);
        if (CPU_COUNT(&both) > 0) CPU_SET((size_t)i, &nodes);
    }
    write_set(out, NUMA_SIZE, &nodes);
}

/* "2 x Intel(R) Xeon(R) Processor", all that the host has; "" where Linux does not name it. */
static void find_processor(char *out, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");

    out[0] = '\0';
    while (f && !out[0] && fgets(line, sizeof line, f)) {
        const char *name = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !name) continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(out, size, "%ld x %s", sysconf(_SC_NPROCESSORS_ONLN),
                       name + 1 + strspn(name + 1, " "));
    }
    if (f) fclose(f);
}

static void find_place(place *p, const mg_backend *backend, const mg_world *w)
{
    cpu_set_t cores;
    const mg_machine_gpu *gpu = mg_machine_device(backend);

    *p = (place){.first_of_host = w->first_of_host};
    (void)snprintf(p->host, sizeof p->host, "%s", w->host);
    if (gpu) (void)snprintf(p->gpu, sizeof p->gpu, "%s", gpu->uuid);
    if (gpu)
        (void)snprintf(p->device, sizeof p->device, "%s", gpu->name);
    else
        find_processor(p->device, sizeof p->device);
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) return; /* more than a cpu_set_t holds */
    write_set(p->cores, sizeof p->cores, &cores);
    find_numa(p->numa, &cores);
}

/* Each device once. */
static void put_devices(mg_text *t, const place *all, int n)
{
    for (int i = 0; i < n; i++) {
        bool is_new = true;
        for (int k = 0; k < i && is_new; k++) is_new = strcmp(all[k].device, all[i].device) != 0;
        if (is_new) mg_text_format(t, "%s%s", i ? "; " : "", all[i].device);
    }
}

/* "node1: 0 cores 0-3 numa 0, 1 cores 4-7 numa 0; node2: …" */
mg_status mg_bench_report_places(const mg_bench *b, mg_report *r)
{
    const mg_world *w = b->world;
    place mine, *all = calloc((size_t)w->size, sizeof *all);
    mg_text t = {0}, devices = {0};
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", w->size)));
    find_place(&mine, &b->backend, w);
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, sizeof mine, MG_U8));
    for (int i = 0; i < w->size; i++) {
        const bool new_host = i == 0 || all[i].first_of_host != all[i - 1].first_of_host;
        if (new_host)
            mg_text_format(&t, "%s%s: %d", i ? "; " : "", all[i].host, i);
        else
            mg_text_format(&t, ", %d", i);
        if (all[i].cores[0]) mg_text_format(&t, " cores %s", all[i].cores);
        if (all[i].numa[0]) mg_text_format(&t, " numa %s", all[i].numa);
        if (all[i].gpu[0]) mg_text_format(&t, " gpu %s", all[i].gpu);
    }
    put_devices(&devices, all, w->size);
    MG_TRY(mg_text_check(&t, "places"));
    MG_TRY(mg_text_check(&devices, "devices"));
    mg_report_text(r, "device", devices.data);
    mg_report_text(r, "binding", t.data);
done:
    mg_text_reset(&t);
    mg_text_reset(&devices);
    free(all);
    return st;
}
