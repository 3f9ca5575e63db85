/* What run_coordinator.c and run_coordinator_report.c share. */
#ifndef MG_RUN_COORDINATOR_IMPL_H
#define MG_RUN_COORDINATOR_IMPL_H

#include "run.h"

typedef struct mg_run_leader_view {
    int64_t wants;    /* jobs it asked for and has not got */
    int64_t n_done;   /* clips in this run */
    char *host, *ids; /* where it is, and what it is making; owned */
} mg_run_leader_view;

struct mg_run_coordinator {
    mg_dataset *d;
    mg_run_clock clock;
    mg_run_link link;
    const mg_run_settings *s;
    const mg_world *w;
    mg_run_leader_view *leader; /* [n_replicas] */
    bool none_left, stopping, over, too_many;
    int64_t n_uncommitted, n_failed_now;
    int64_t end_at; /* seconds since 1970, when dealing ends; 0: nobody says */
    double begin_s, commit_s, listened_s;
    double line_s, status_s; /* when the last ones were written */
};

/* The status file, the metrics and a line in the log, each when it is due. */
mg_status mg_run_coordinator_report(mg_run_coordinator *c, double now_s, const char *state);

#endif
