/* What run_coordinator.c and run_coordinator_report.c share. */
#ifndef MG_RUN_COORDINATOR_IMPL_H
#define MG_RUN_COORDINATOR_IMPL_H

#include "run.h"

typedef struct mg_run_leader_view {
    int64_t wants;    /* jobs it asked for and has not got */
    int64_t n_done;   /* clips in this run */
    int64_t n_unread; /* clips in a row whose files it could not read */
    char *host, *ids; /* where it is, and what it is making; owned */
    int first;        /* replica of its host; itself until it says where it is */
    double silent_s;  /* how long it has said nothing, while we listened */
    double longest_s; /* the longest silence that it came back from */
    bool warned;
} mg_run_leader_view;

struct mg_run_coordinator {
    mg_dataset *d;
    mg_run_clock clock;
    mg_run_link link;
    const mg_run_settings *s;
    const mg_world *w;
    mg_run_leader_view *leader; /* [n_replicas] */
    int n_hosts;
    bool none_left, stopping, over, too_many;
    int64_t n_uncommitted, n_failed_now;
    int64_t end_at; /* seconds since 1970, when dealing ends; 0: nobody says */
    double begin_s, commit_s, listened_s;
    double line_s, status_s; /* when the last ones were written */
};

/* run_coordinator_listen.c: a message has come. */
void mg_run_coordinator_hear(mg_run_coordinator *c, int i_replica);

/* Who has said nothing for long: a warning, and in the end MG_ECOMM. What has come is taken before. */
mg_status mg_run_coordinator_listen(mg_run_coordinator *c, double now_s);

/* The status file, the metrics and a line in the log, each when it is due. */
mg_status mg_run_coordinator_report(mg_run_coordinator *c, double now_s, const char *state);

#endif
