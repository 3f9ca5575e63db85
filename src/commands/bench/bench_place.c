/* Which processors, memories and GPU each rank had. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "places.h"
#include "text.h"

typedef struct place {
    mg_place at;
    char device[128], gpu[64];
} place;

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
    const mg_machine_gpu *gpu = mg_machine_device(backend);

    *p = (place){0};
    mg_place_find(&p->at, w);
    if (gpu) (void)snprintf(p->gpu, sizeof p->gpu, "%s", gpu->uuid);
    if (gpu)
        (void)snprintf(p->device, sizeof p->device, "%s", gpu->name);
    else
        find_processor(p->device, sizeof p->device);
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
mg_status mg_bench_report_places(const mg_bench *b, mg_figures *r)
{
    const mg_world *w = b->world;
    place mine, *all = calloc((size_t)w->size, sizeof *all);
    mg_text t = {0}, devices = {0};
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", w->size)));
    find_place(&mine, &b->backend, w);
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, sizeof mine, MG_U8));
    for (int i = 0; i < w->size; i++) {
        const bool new_host = i == 0 || all[i].at.first_of_host != all[i - 1].at.first_of_host;
        if (new_host)
            mg_text_format(&t, "%s%s: %d", i ? "; " : "", all[i].at.host, i);
        else
            mg_text_format(&t, ", %d", i);
        if (all[i].at.cores[0]) mg_text_format(&t, " cores %s", all[i].at.cores);
        if (all[i].at.nodes[0]) mg_text_format(&t, " numa %s", all[i].at.nodes);
        if (all[i].gpu[0]) mg_text_format(&t, " gpu %s", all[i].gpu);
    }
    put_devices(&devices, all, w->size);
    MG_TRY(mg_text_check(&t, "places"));
    MG_TRY(mg_text_check(&devices, "devices"));
    mg_figures_text(r, "device", devices.data);
    mg_figures_text(r, "binding", t.data);
done:
    mg_text_reset(&t);
    mg_text_reset(&devices);
    free(all);
    return st;
}
