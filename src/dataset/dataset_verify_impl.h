/* What dataset_verify*.c share. */
#ifndef MG_DATASET_VERIFY_IMPL_H
#define MG_DATASET_VERIFY_IMPL_H

#include "dataset_verify.h"
#include "json_lines.h"
#include "sum_list.h"
#include "text.h"
#include "threads.h"

/* The lists of a dataset, in the order in which each is held against those before. */
typedef enum mg_verify_list {
    MG_LIST_SUMS,
    MG_LIST_MANIFEST,
    MG_LIST_METADATA, /* train/metadata.jsonl, or egs/train/data.jsonl */
    MG_LIST_FAILURES,
    MG_LIST_CARD,
    MG_N_LISTS,
} mg_verify_list;

/* A clip as manifest.jsonl has it. */
typedef struct mg_verify_clip {
    char *file, *id;
    char sha256[65];
    int64_t at, bytes, line; /* its line */
    int64_t file_bytes;
    int64_t i_shard;    /* -1: in none */
    bool listed;        /* in the metadata's list */
    bool recorded;      /* in the state */
    char *finding;      /* of the thread that looked at it */
    bool list_is_wrong; /* the finding is of the list, not of the file */
} mg_verify_clip;

typedef struct mg_verify_shard {
    char *name;
    size_t first, end; /* of `clip` */
    char *finding;
    bool list_is_wrong;
} mg_verify_shard;

typedef struct mg_dataset_check {
    mg_dataset_verdict *v;
    char dir[MG_PATH_SIZE];
    mg_dataset_say *say;
    void *say_arg;
    mg_run_db *db; /* NULL: there is no state */
    mg_sum_list sums;
    bool there[MG_N_LISTS], intact[MG_N_LISTS], told_list[MG_N_LISTS];
    mg_json_lines manifest;
    mg_verify_clip *clip; /* by shard, and in the order of the manifest */
    size_t n_clips, clip_capacity;
    mg_verify_clip **by_file, **by_id;
    mg_verify_shard *shard;
    size_t n_shards, shard_capacity;
    char **told; /* what a line was said of already */
    size_t n_told, told_capacity;
    mg_threads *threads;
} mg_dataset_check;

const char *mg_verify_list_name(const mg_dataset_check *c, mg_verify_list list);
mg_status mg_verify_path(char out[MG_PATH_SIZE], const mg_dataset_check *c, const char *name);

/* The last error, with the names of files as they are in the folder. */
const char *mg_verify_last_error(const mg_dataset_check *c);

/* Say it, once for each subject. `list`: whose fault it is, MG_N_LISTS: of no list. The text is followed by
 * the remedy. */
typedef enum mg_verify_remedy {
    MG_REMEDY_NONE,
    MG_REMEDY_CLIP,  /* make or fetch it again */
    MG_REMEDY_LISTS, /* the same run again */
    MG_REMEDY_REMOVE,
} mg_verify_remedy;
mg_status mg_verify_say(mg_dataset_check *c, const char *subject, mg_verify_list list,
                        mg_verify_remedy remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
bool mg_verify_was_told(const mg_dataset_check *c, const char *subject);

/* A clip by the name or the id that the manifest has; NULL: there is none. */
mg_verify_clip *mg_verify_find_file(const mg_dataset_check *c, const char *file);
mg_verify_clip *mg_verify_find_id(const mg_dataset_check *c, const char *id);

/* The clip's line again. */
mg_status mg_verify_read_line(mg_clip_line *line, const mg_dataset_check *c, const mg_verify_clip *clip);

/* Does the sound decode, and is it as long as its line says? MG_EFAIL "PATH: …" if not. */
mg_status mg_verify_sound(const mg_clip_line *line, const char *path, const char *shown);

/* Fill by_file and by_id. An id twice is the manifest's fault. */
mg_status mg_verify_sort_clips(mg_dataset_check *c);

/* dataset_verify_lists.c */
mg_status mg_verify_open_lists(mg_dataset_check *c);
mg_status mg_verify_lists(mg_dataset_check *c);
mg_status mg_verify_lists_themselves(mg_dataset_check *c); /* last: the hashes of those with no other fault */

/* dataset_verify_clips.c, dataset_verify_shards.c */
mg_status mg_verify_clips(mg_dataset_check *c);
mg_status mg_verify_shards(mg_dataset_check *c);

/* dataset_verify_state.c: run.db, and files that nobody named. */
mg_status mg_verify_open_state(mg_dataset_check *c);
mg_status mg_verify_state(mg_dataset_check *c);
mg_status mg_verify_strangers(mg_dataset_check *c);

#endif
