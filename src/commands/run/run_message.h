/* What the coordinator and the leaders say to each other: one struct of numbers, and texts behind it. */
#ifndef MG_RUN_MESSAGE_H
#define MG_RUN_MESSAGE_H

#include "channel.h"
#include "dataset.h"

typedef enum mg_run_say {
    MG_RUN_ASK = 1, /* leader: n more jobs, please */
    MG_RUN_JOB,     /* coordinator: make this; texts: id, job, why earlier attempts were bad */
    MG_RUN_STOP,    /* coordinator: begin nothing new, give back what is not begun */
    MG_RUN_OVER,    /* coordinator: all is recorded, nothing comes any more */
    MG_RUN_RESULT,  /* leader: what came of it; texts: reason, sha256, record ("": none) */
    MG_RUN_AT_HAND, /* leader: what it is making; texts: host, ids */
    MG_RUN_LEFT,    /* leader, after a stop: this was my last result */
    MG_RUN_WISH,    /* leader: a signal to it asks to stop */
} mg_run_say;

enum { MG_RUN_TEXTS = 3 };

typedef struct mg_run_message {
    int64_t say;
    int64_t n, copy, attempt, seed, line;
    int64_t is_last_try; /* of the files that a job is made from */
    int64_t n_files;     /* that a result is made from */
    int64_t outcome;     /* mg_outcome_kind */
    int64_t file_bytes;
    double dur_s, took_s;
    int64_t text_bytes[MG_RUN_TEXTS]; /* with their NULs */
    const char *text[MG_RUN_TEXTS];   /* behind the struct, on arrival */
} mg_run_message;

/* NULL texts go as "". */
mg_status mg_run_message_send(mg_channel *c, int rank, mg_run_message *m);

/* The next one, which the caller frees, its texts with it; *m NULL: none is there. */
mg_status mg_run_message_receive(mg_channel *c, int *rank, mg_run_message **m);

#endif
