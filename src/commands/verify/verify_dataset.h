/* mg-dist verify of a dataset: verify_dataset.c looks at what is there, verify_replay.c makes clips again. */
#ifndef MG_VERIFY_DATASET_H
#define MG_VERIFY_DATASET_H

#include "dataset_verify.h"
#include "text.h"
#include "verify.h"

/* A line for each damage, as it is found. */
typedef struct mg_verify_account {
    const mg_verify_settings *settings;
    char **line; /* [n] kept for --json */
    size_t n, capacity;
    int64_t n_damaged;                /* lines that are a fault */
    int64_t n_replayed, n_same_sound; /* clips made again; of them those whose container alone differs */
    bool failed;                      /* memory was short */
} mg_verify_account;

void mg_verify_account_add(mg_verify_account *a, bool is_fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --replay: clips of a dataset again, and their bytes compared. Collective and agreed. */
mg_status mg_verify_replay(mg_verify_account *a, mg_context *context);

/* The whole of it. Collective and agreed. */
mg_status mg_verify_dataset(mg_context *context, const mg_verify_settings *settings);

#endif
