#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "process.h"

void mg_place_find(mg_place *p, const mg_world *w)
{
    cpu_set_t cores;
    mg_numa numa;

    *p = (mg_place){
        .pid = getpid(), .first_of_host = w->first_of_host, .i_replica = w->i_replica, .tp_rank = w->tp_rank};
    (void)snprintf(p->host, sizeof p->host, "%s", w->host);
    if (mg_process_processors(&cores, 0) == 0) return;
    mg_cores_format(p->cores, sizeof p->cores, &cores);
    mg_numa_read(&numa, MG_NUMA_ROOT);
    mg_numa_format(p->nodes, sizeof p->nodes, &numa, &cores);
}

static void log_table(const mg_place *all, int n)
{
    mg_log_detail("%4s %7s %4s  %-16s %8s  %-5s %s", "rank", "replica", "tp", "host", "pid", "NUMA", "cores");
    for (int r = 0; r < n; r++)
        mg_log_detail("%4d %7d %4d  %-16s %8lld  %-5s %s", r, all[r].i_replica, all[r].tp_rank, all[r].host,
                      (long long)all[r].pid, all[r].nodes[0] ? all[r].nodes : "?", all[r].cores);
}

mg_status mg_places_log(const mg_world *w)
{
    mg_place mine, *all = calloc((size_t)w->size, sizeof *all);
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "places of %d ranks", w->size)));
    mg_place_find(&mine, w);
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, sizeof mine, MG_U8));
    if (w->rank == 0) log_table(all, w->size);
done:
    free(all);
    return st;
}
