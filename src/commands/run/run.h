/* mg-dist run: a dataset from a list of jobs. run_stages.c holds its stages; world rank 0 has the coordinator
 * (run_coordinator.c) beside its own clips, every leader a source of clips that asks it (run_leader.c). */
#ifndef MG_RUN_H
#define MG_RUN_H

#include "clip_list.h"
#include "dataset.h"
#include "machine_options.h"
#include "plan.h"
#include "quality.h"
#include "run_message.h"
#include "scheduler.h"

typedef struct mg_run_settings {
    mg_call call; /* model, and what holds where a job says nothing */
    const char *manifest;
    bool apply_proposed;
    const char *jobs;
    mg_job_format how;
    const char *out;
    int layout;
    const char *name;
    int64_t shard_bytes, shard_clips;
    int64_t n_per_job;
    const char *part; /* "i/n" */
    int resume;
    int jobs_changed; /* mg_jobs_changed */
    bool check_only;
    int64_t max_failures, retries;
    int gate; /* mg_run_gate_mode */
    int64_t gate_retries;
    mg_quality_limits limits;
    int do_sample; /* mg_do_sample */
    double stop_before_s;
    const char *metrics;
    double log_every_s;
    int64_t n_slots;
    mg_machine machine;
} mg_run_settings;

enum mg_run_gate_mode { MG_GATE_OFF, MG_GATE_WARN, MG_GATE_RETRY };
#define MG_GATE_CHOICES "off|warn|retry"

/* The dataset of the settings. `part` of "i/n" is read, from Slurm's array too. */
mg_status mg_run_describe(mg_dataset_call *call, const mg_run_settings *s);

/* What holds for every clip that does not say otherwise, in one line. */
mg_status mg_run_describe_recipe(char out[MG_PATH_SIZE], const mg_recipe *all);

/* The gate in one line, "off" or with its limits: part of what a dataset is. */
enum { MG_RUN_GATE_SIZE = 256 };
void mg_run_describe_gate(char out[MG_RUN_GATE_SIZE], const mg_run_settings *s);

mg_status mg_run(mg_context *context, const mg_run_settings *s);

/* What the coordinator has of time and of the leaders. A run has the machine's clocks and a channel; a test
 * has its own. */
typedef struct mg_run_clock {
    double (*now_s)(void *arg);   /* only goes forward */
    int64_t (*date_s)(void *arg); /* since 1970 */
    void *arg;
} mg_run_clock;

typedef struct mg_run_link {
    mg_status (*send)(void *arg, int rank, mg_run_message *m); /* to a leader, by its world rank */
    void *arg;
    double timeout_s; /* a leader that says nothing for so long is lost; 0: none ever is */
} mg_run_link;

/* The coordinator, on world rank 0. */
typedef struct mg_run_coordinator mg_run_coordinator;
mg_status mg_run_coordinator_open(mg_run_coordinator **out, mg_dataset *d, const mg_run_clock *clock,
                                  const mg_run_link *link, const mg_run_settings *s, const mg_world *w);
void mg_run_coordinator_close(mg_run_coordinator *c);

/* A message of a leader: all but JOB, STOP and OVER. */
mg_status mg_run_coordinator_take(mg_run_coordinator *c, int rank, const mg_run_message *m);

/* Deals, commits and reports what is due; waits for no message and for no disk. */
mg_status mg_run_coordinator_tick(mg_run_coordinator *c);

/* The run ends here: what has come is durable, and what follows from the state
 * is written. */
mg_status mg_run_coordinator_settle(mg_run_coordinator *c);

/* MG_OK; MG_EPARTIAL if clips failed; MG_EUNFINISHED if some are left; MG_EFAIL with too many failures. */
mg_status mg_run_coordinator_verdict(mg_run_coordinator *c);

/* A leader's clips, from the coordinator's jobs to files, while the dataset is held by `holder`. */
typedef struct mg_run_leader mg_run_leader;
mg_status mg_run_leader_open(mg_run_leader **out, const mg_run_settings *s, mg_replica *r, const mg_world *w,
                             mg_channel *channel, mg_run_coordinator *beside, const mg_run_holder *holder,
                             const mg_clip_need *room);
void mg_run_leader_close(mg_run_leader *l);

/* All clips that the coordinator deals to this replica. Collective over the group: `l` is NULL on other
 * ranks. */
mg_status mg_run_leader_make(mg_run_leader *l, mg_scheduler *scheduler);

/* The largest clip that the jobs may ask for, as a need of a slot. */
mg_status mg_run_leader_need(mg_clip_need *need, const mg_run_settings *s, const mg_dataset_needs *jobs,
                             const mg_replica *r);

#endif
