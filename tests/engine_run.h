/* Clips through a loaded replica of one rank: what it computes on, and how they are prepared, made, finished.
 */
#ifndef MG_ENGINE_RUN_H
#define MG_ENGINE_RUN_H

#include "finisher.h"
#include "golden.h"
#include "plan.h"
#include "scheduler.h"
#include "test_backend.h"

/* One rank with two threads, and two more beside them. */
typedef struct engine_machine {
    mg_backend backend, beside;
    mg_comm *comm;
    mg_world world;
} engine_machine;

static inline void engine_machine_open(engine_machine *m)
{
    *m = (engine_machine){0};
    GOLDEN_OK(mg_threads_open(&m->backend.threads, 2, 0));
    GOLDEN_OK(test_backend_open(&m->backend.ops, MG_CPU_AUTO, m->backend.threads));
    GOLDEN_OK(mg_threads_open_nice(&m->beside.threads, 2, 0, 10));
    GOLDEN_OK(test_backend_open(&m->beside.ops, MG_CPU_AUTO, m->beside.threads));
    GOLDEN_OK(mg_comm_self_open(&m->comm));
    m->backend.group = test_group_open(m->comm, m->backend.ops);
    m->world = (mg_world){.size = 1,
                          .local_size = 1,
                          .host = "here",
                          .n_cores = 2,
                          .all = m->comm,
                          .tp = 1,
                          .n_replicas = 1,
                          .group = m->comm};
}

static inline void engine_machine_close(engine_machine *m)
{
    mg_comm_close(m->backend.group);
    mg_comm_close(m->comm);
    mg_ops_close(m->backend.ops);
    mg_threads_close(m->backend.threads);
    mg_ops_close(m->beside.ops);
    mg_threads_close(m->beside.threads);
}

static inline mg_replica_limits engine_plan(mg_replica *r, const mg_world *w, const mg_clip *clips, int n,
                                            int64_t n_slots)
{
    mg_clip_need need = {0};
    mg_replica_limits limits;

    for (int i = 0; i < n; i++) GOLDEN_OK(mg_clip_need_add(&need, r, &clips[i]));
    GOLDEN_OK(mg_plan_make(&limits, r, w, &need, n, n_slots));
    return limits;
}

/* clips[0 … n), in order; the number of steps. `around`, if not NULL, is called with true before the steps
 * and with false behind them, on their thread. */
static inline int64_t engine_run(mg_replica *r, const mg_clip *clips, int n, mg_clip_done *done, void *arg,
                                 void (*around)(bool begins))
{
    enum { MOST = 64 };
    const mg_clip *list[MOST];
    mg_preparer *preparer;
    mg_scheduler *scheduler;
    mg_finisher *finisher;

    for (int i = 0; i < n; i++) list[i] = &clips[i];
    GOLDEN_OK(mg_preparer_open(&preparer, r, n));
    GOLDEN_OK(mg_scheduler_open(&scheduler, r));
    GOLDEN_OK(mg_finisher_open(&finisher, r, n, done, arg));
    mg_list_source source = {.preparer = preparer, .clip = list, .n = n};
    const mg_clip_source from = mg_list_source_of(&source);
    if (around) around(true);
    const mg_status st = mg_scheduler_run(scheduler, &from, mg_finisher_put, finisher);
    if (around) around(false);
    GOLDEN_OK(st);
    GOLDEN_OK(mg_finisher_drain(finisher));
    const int64_t n_steps = mg_scheduler_n_steps(scheduler);
    mg_preparer_close(preparer);
    mg_finisher_close(finisher);
    mg_scheduler_close(scheduler);
    return n_steps;
}

#endif
