/* A dataset in the making: jobs in, clips out, each exactly once, whatever happens between. One process, the
 * coordinator, has it open; makers of clips ask for jobs and report what came of them.
 *
 *     OUT/.mg-dist/lock            who is at work (run_lock.h)
 *     OUT/.mg-dist/run.db          the state (run_db.h)
 *     OUT/.mg-dist/jobs.jsonl      the jobs as they were read, one JSON object a line
 *     OUT/.mg-dist/parts/          webdataset: clips that wait for their shard
 *     OUT/.mg-dist/status.json     what `mg-dist status` reads; replaced whole
 *
 * A clip counts when its file is durable under its final name and then its row is committed. What is durable
 * without a row, because somebody died between, is removed by the next start and made again: the same bytes.
 */
#ifndef MG_DATASET_H
#define MG_DATASET_H

#include "job_reader.h"
#include "path.h"
#include "run_db.h"

typedef enum mg_layout { MG_LAYOUT_AUDIOFOLDER, MG_LAYOUT_WEBDATASET, MG_LAYOUT_AUDIOCRAFT } mg_layout;
#define MG_LAYOUT_CHOICES "audiofolder|webdataset|audiocraft" /* in its order */

typedef enum mg_resume { MG_RESUME_AUTO, MG_RESUME_NEVER, MG_RESUME_ONLY } mg_resume;
#define MG_RESUME_CHOICES "auto|never|only"

/* Another job file than before: it is refused; its new jobs are added and clips that are done stay; and those
 * of jobs that ask for something else now are made again. */
typedef enum mg_jobs_changed {
    MG_JOBS_CHANGED_REFUSE,
    MG_JOBS_CHANGED_OK,
    MG_JOBS_CHANGED_AGAIN
} mg_jobs_changed;
#define MG_JOBS_CHANGED_CHOICES "refuse|ok|again"

typedef struct mg_dataset_call {
    const char *out;
    const char *jobs; /* NULL: those that are there already */
    mg_job_format how;
    mg_layout layout;
    const char *suffix;    /* of a sound file: ".flac" */
    const char *name;      /* of the shards and the card */
    int64_t shard_clips;   /* most clips of a shard */
    int64_t shard_bytes;   /* most bytes of a shard, but for one clip that is larger */
    int64_t seed;          /* -1: as noted, else drawn */
    int64_t n_per_job;     /* where a job does not say */
    double dur_s;          /* where a job does not say; for the order of dealing */
    int64_t part, n_parts; /* jobs whose number is `part` modulo n_parts; n_parts 0: all */
    mg_resume resume;
    mg_jobs_changed jobs_changed;
    int64_t retries; /* how often a failure that may pass is tried again */
    double stale_s;  /* of a lock from another host */
} mg_dataset_call;

/* A clip to make. Strings are borrowed until the next call with the dataset. */
typedef struct mg_dataset_job {
    int64_t n, copy, attempt; /* attempt: how often it was made and found bad */
    const char *id;
    int64_t seed;     /* unless the job says one */
    const char *text; /* the job: a JSON object */
    int64_t text_bytes;
    const char *refused; /* why each earlier attempt was bad, "silence; loop"; "": this is the first */
    bool was_unread;     /* somebody could not read its files: it is not tried a third time */
    int64_t line;        /* of the job file */
} mg_dataset_job;

typedef enum mg_outcome_kind {
    MG_MADE_DONE,
    MG_MADE_FAILED,  /* and would again */
    MG_MADE_PASSING, /* its file could not be written: tried again, and then the end of the run */
    MG_MADE_BAD,     /* made, found bad and not kept: make it again with another seed */
    MG_MADE_BACK,    /* not begun: it waits for the next run */
    MG_MADE_UNREAD,  /* the disk of a file that it needs: tried once more, elsewhere if there are others */
} mg_outcome_kind;

typedef struct mg_dataset_outcome {
    int64_t n;
    int maker; /* who reports: of mg_dataset_deal_to */
    mg_outcome_kind kind;
    const char
        *reason; /* why it failed or is bad; of a clip that is done what the gate says of it; NULL: nothing */
    const char *sha256, *record;
    int64_t file_bytes;
    double dur_s, took_s;
} mg_dataset_outcome;

typedef struct mg_dataset_counts {
    int64_t total, done, failed, in_flight, made_again;
    double done_s;    /* of sound, all runs */
    int64_t done_now; /* in this run */
    double done_now_s;
} mg_dataset_counts;

/* What the jobs ask for at most, found when they were read; integers, to be broadcast. */
typedef struct mg_dataset_needs {
    int64_t with_text, with_negative, with_states, with_audio_prompt, with_melody;
    int64_t n_frames, dur_ms, window_ms; /* the longest; -1: never said */
    int64_t text_bytes;                  /* of the longest text, a negative one too */
    int64_t without_length;              /* jobs that say no length */
    int64_t style_ms;                    /* the longest excerpt of a style; 0: never said */
} mg_dataset_needs;

typedef struct mg_dataset mg_dataset;

/* Lock, read or compare the jobs, and clean up after a run that was cut off. MG_EUSAGE for a job file with
 * bad jobs (the first one's message; how many there are is said), for jobs or settings that have changed. */
mg_status mg_dataset_open(mg_dataset **out, const mg_dataset_call *call);
void mg_dataset_close(mg_dataset *d); /* what was not committed is left to the next run */

/* In the place of `close`, of a start that was refused before a clip could be made: the state and the folders
 * that it has made itself are removed, and what was there is as it was. One that was stopped `keeps_new`. */
void mg_dataset_abandon(mg_dataset *d, bool keeps_new);

/* Once the lock is another's, every call that would write is MG_EFAIL and leaves all as it is. */

/* --check: read all jobs and hand every fault to `say`. MG_EUSAGE if there are any. Nothing is written but a
 * temporary file. */
typedef void mg_dataset_say(void *arg, const char *fault);
mg_status mg_dataset_check_jobs(const mg_dataset_call *call, mg_dataset_say *say, void *arg,
                                int64_t *n_clips);

/* The next clip to make, for one of n_makers, from 0: longest first within a window of jobs. *found false:
 * none is left to deal. A job whose files one maker could not read goes to another; a maker that is alone
 * gets it again when nothing else is left. */
mg_status mg_dataset_deal_to(mg_dataset *d, int maker, int n_makers, mg_dataset_job *job, bool *found);

/* Is any job there that was read and not dealt? */
bool mg_dataset_has_jobs(const mg_dataset *d);

/* The id of a clip that was dealt and has no outcome yet, for a message; borrowed. */
const char *mg_dataset_id_of(const mg_dataset *d, int64_t n);

/* What came of a clip that was dealt. */
mg_status mg_dataset_record(mg_dataset *d, const mg_dataset_outcome *o);

/* Make the outcomes so far durable, and close the shards that are complete. */
mg_status mg_dataset_commit(mg_dataset *d);

/* A small file beside, replaced whole; `text` is freed. If that fails it is said once, and is no failure; a
 * failure of the thread below comes back here too. */
typedef enum mg_dataset_sheet { MG_DATASET_STATUS, MG_DATASET_METRICS, MG_DATASET_SHEETS } mg_dataset_sheet;
mg_status mg_dataset_put(mg_dataset *d, mg_dataset_sheet which, const char *path, char *text);

/* From now on until `finish` a thread does all that needs a disk, and the calls above wait for none: `deal`
 * may find nothing for a moment, outcomes are durable some time after `commit`, and a failure comes back from
 * a later `commit`. While very many outcomes wait, nothing is dealt. */
mg_status mg_dataset_start_writer(mg_dataset *d);

/* The end of a run, whole or not: commit, close the last shard if nothing is left, and write what follows
 * from the state: metadata.jsonl, manifest.jsonl, failures.jsonl, SHA256SUMS, README.md. */
mg_status mg_dataset_finish(mg_dataset *d);

/* What must be the same in every run on a dataset, once a clip is made: "model", "dtype". It is noted under
 * `name`, and a message calls it so. */
mg_status mg_dataset_claim_value(mg_dataset *d, const char *name, const char *value);
mg_status mg_dataset_get_needs(mg_dataset *d, mg_dataset_needs *needs);

/* MG_EFAIL if the disk has no room for even one shard, or one clip where there are no shards, of what is left
 * to make: files take at least `bytes_per_s` for a second of sound. */
mg_status mg_dataset_check_space(mg_dataset *d, double bytes_per_s);

void mg_dataset_count(const mg_dataset *d, mg_dataset_counts *counts);
int64_t mg_dataset_seed(const mg_dataset *d);
void mg_dataset_tell_holder(const mg_dataset *d, mg_run_holder *out); /* of its lock */

/* May a dataset be called so? Its shards are: at most 200 bytes of UTF-8, no '.' in front, and none of
 * / \ : ; # * ? " [ ] { }, which would be a path, a pattern, or break a card. */
bool mg_dataset_name_fits(const char *name);

/* MG_EUSAGE if `folder`, or one above it, is a dataset's: what would be put there belongs to it, and verify
 * would call it damage. `itself` may be one where that is gone on with. */
mg_status mg_dataset_check_outside(const char *folder, bool itself);
mg_status mg_dataset_check_file_outside(const char *file);

/* May a row or a line of a list, which others may have written, call a clip's file so? It is one line, stays
 * in the folder, and has an ending, whose place others' names take. A shard's lies in no folder below. */
bool mg_dataset_file_fits(const char *name);
bool mg_dataset_shard_fits(const char *name);

/* DIR/.mg-dist/NAME: a file or folder of the state of the dataset at `dir`. MG_EUSAGE if it is too long. */
#define MG_DATASET_OWN ".mg-dist"
mg_status mg_dataset_own_path(char out[MG_PATH_SIZE], const char *dir, const char *name);

/* The names of a clip's file: what SHA256SUMS calls it; and where its maker puts it, durably, before it
 * reports. NAME is under OUT. In a shard they differ. */
mg_status mg_dataset_file_name(char out[MG_PATH_SIZE], mg_layout layout, const char *suffix, int64_t n,
                               const char *id);
mg_status mg_dataset_maker_name(char out[MG_PATH_SIZE], mg_layout layout, const char *suffix, int64_t n,
                                const char *id);

/* What a shard calls the file "ID.flac": "KEY.flac", or with another ending. A key has no dot, for WebDataset
 * ends it there, and begins with "-_" where an id has "__": Hugging Face's reader passes over such names. */
mg_status mg_dataset_member_name(char out[MG_PATH_SIZE], const char *file, const char *ending);

/* Is a shard's member the one of that name? Shards of earlier versions have "__" in front. */
bool mg_dataset_is_member(const char *member, const char *name);

#endif
