/* What a run says of itself in OUT/.mg-dist/status.json, read by others. */
#ifndef MG_DATASET_STATUS_H
#define MG_DATASET_STATUS_H

#include "status.h"

typedef struct mg_dataset_replica {
    double replica, done; /* its number, its clips in this run */
    double silent_s;      /* how long it has said nothing; NaN: not known */
    const char *host, *at_hand;
} mg_dataset_replica;

typedef struct mg_dataset_status {
    const char *state, *host; /* "running", "stopped", "finished"; all strings are the text's below */
    double pid, time, total, done, failed, left, clips_per_s, sound_s_per_s, eta_s; /* eta_s NaN: not known */
    mg_dataset_replica *replica;                                                    /* [n_replicas] */
    int n_replicas;
    char *text; /* the file */
    struct cJSON *json;
} mg_dataset_status;

/* MG_EUSAGE if there is none. The caller closes it. */
mg_status mg_dataset_status_load(mg_dataset_status *s, const char *dir);
/* After jobs were let wait: the counts of the state of `dir` into the file, where there is one. */
struct mg_run_counts;
mg_status mg_dataset_status_recount(const char *dir, const struct mg_run_counts *counts);

/* The file's text with another state. NULL if memory is short; the caller frees it. */
char *mg_dataset_status_text_as(const mg_dataset_status *s, const char *state);

void mg_dataset_status_close(mg_dataset_status *s);

#endif
