/* What run_leader.c (jobs to clips), run_leader_files.c (clips to files), run_leader_gate.c and
 * run_leader_need.c share. */
#ifndef MG_RUN_LEADER_IMPL_H
#define MG_RUN_LEADER_IMPL_H

#include <pthread.h>

#include "clip_output.h"
#include "finisher.h"
#include "json_text.h"
#include "run.h"
#include "run_lock.h"
#include "scheduler.h"
#include "tokenizer.h"

/* A clip from the coordinator's word to the report of what came of it. */
typedef struct mg_run_clip {
    mg_clip_list list; /* of one */
    int64_t n, attempt;
    char *id, *refused; /* owned; why earlier attempts were bad */
    double begin_s;
    bool is_put;      /* into the preparer */
    bool is_made;     /* its codes are there */
    bool is_last_try; /* of the files that it is made from */
} mg_run_clip;

/* What came of a clip, from the finisher's thread to ours. */
typedef struct mg_run_result {
    struct mg_run_result *next;
    mg_run_clip *clip;
    mg_outcome_kind kind;
    char *reason, *record; /* owned; NULL: none */
    char sha256[65];
    int64_t file_bytes;
    double dur_s;
} mg_run_result;

struct mg_run_leader {
    const mg_run_settings *s;
    mg_replica *r;
    const mg_world *w;
    mg_channel *channel;
    mg_run_coordinator *beside; /* on world rank 0; else NULL */
    mg_call call;               /* the settings', with a folder of our own to write to */
    char work[MG_PATH_SIZE];
    char folder[MG_PATH_SIZE]; /* of the job file, for paths in jobs */
    mg_clip_list none;         /* for the output while it has no clip */
    mg_tokenizer *tokenizer;
    mg_preparer *preparer;
    mg_finisher *finisher;
    mg_clip_output *output;
    mg_run_lock *of_run; /* the dataset's, which rank 0 holds */
    mg_clip_need room;   /* of a slot */
    int64_t n_asked;     /* jobs that were asked for and have not come */
    int64_t n_prepared;  /* clips in the preparer */
    bool stopping, over, has_wished;
    int n_left; /* on world rank 0: other leaders that have given their last result after a stop */
    double told_s, looked_s; /* when we last said what is at hand, and looked for dead ranks */

    mg_run_clip **clip; /* [n_clips] all that have come and are not reported */
    size_t n_clips, clip_capacity;
    pthread_mutex_t lock; /* for the list of clips and the results */
    mg_run_result *first, **last;
};

/* What the job is made from, files; and whether a disk is why one of them cannot be used: `reason` is what
 * was said of the clip. */
int64_t mg_run_leader_count_files(const mg_recipe *r);
bool mg_run_leader_files_are_away(const mg_recipe *r, const char *reason);

/* The finisher's mg_clip_done: arg is the leader. */
mg_status mg_run_leader_finish(void *arg, const mg_clip *clip, const mg_clip_result *result);

/* run_leader_gate.c. All but clipping, which is measured when the file is written. */
void mg_run_gate_measure(mg_quality *q, const mg_run_leader *l, const mg_clip_result *result);
bool mg_run_gate_refuses(const mg_quality *q, const mg_run_leader *l);
mg_status mg_run_gate_refuse(mg_run_result *out, const mg_quality *q, const mg_run_leader *l,
                             const mg_run_clip *c);

/* "gate": {…}, unless it is off. */
void mg_run_gate_put(mg_json_text *t, const mg_quality *q, const mg_run_leader *l, const mg_run_clip *c);

#endif
