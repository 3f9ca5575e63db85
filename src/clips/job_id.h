/* Ids of jobs: what may be one, which two a file system would fold together, and the seed that follows from
 * one. */
#ifndef MG_JOB_ID_H
#define MG_JOB_ID_H

#include <stdint.h>

#include "status.h"

/* 200 bytes, what a file's name leaves beside endings; and a NUL, rounded up. */
enum { MG_JOB_ID_SIZE = 204 };

/* The id as it names files: UTF-8 in Unicode's composed form (NFC), 1 to 200 bytes. MG_EUSAGE "WHERE: id: …"
 * for what is no UTF-8, too long, holds control characters or one of / \ : * ? " < > |, begins with '.', or
 * ends in '.' or a blank: a path that leads elsewhere, or a name that some file system refuses or changes. */
mg_status mg_job_id_check(char out[MG_JOB_ID_SIZE], const char *where, const char *id);

/* A number that two ids share if a file system that ignores case or composition takes them for one (and
 * hardly ever otherwise): of the text that mg_job_id_fold makes. */
mg_status mg_job_id_fold_hash(int64_t *out, const char *id);
mg_status mg_job_id_fold(char out[4 * MG_JOB_ID_SIZE], const char *id);

/* 0 … 2^53-1, from the run's seed and the id alone: the order of jobs, nodes and restarts change nothing.
 * `attempt` counts how often a clip was made again because it was found bad. */
mg_status mg_job_id_seed(int64_t *out, int64_t run_seed, const char *id, int64_t attempt);

#endif
