/* What the parts of `mg-dist verify` share: a table of checks. verify_files.c looks at the files (hashes,
 * finite weights), verify_model.c at what the loaded model does; cmd_verify.c holds the stages. */
#ifndef MG_VERIFY_H
#define MG_VERIFY_H

#include <stdbool.h>

#include "machine.h"
#include "machine_options.h"
#include "model_files.h"
#include "replica.h"

typedef struct mg_verify_settings {
    const char *source;
    mg_model_request parts; /* in place of those of `source`; `model` is a dataset's */
    bool json;
    /* of a dataset */
    int64_t n_replay, seed;
    bool again;
    const char *inputs;
    mg_machine machine;
} mg_verify_settings;

typedef enum mg_verify_outcome { MG_VERIFY_PASSED, MG_VERIFY_FAILED, MG_VERIFY_SKIPPED } mg_verify_outcome;

enum { MG_VERIFY_CHECKS = 16, MG_VERIFY_TEXT = 3000 };

typedef struct mg_verify {
    const mg_verify_settings *settings;
    mg_world *world;
    mg_backend backend, beside;
    mg_model_files *files;
    mg_replica *replica;
    int n_checks;
    struct {
        const char *name; /* borrowed */
        mg_verify_outcome outcome;
        char text[MG_VERIFY_TEXT]; /* what was seen; of a failure also what that means */
    } check[MG_VERIFY_CHECKS];
} mg_verify;

void mg_verify_note(mg_verify *v, const char *name, mg_verify_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The check failed, as mg_last_error() says, in one line or several. */
void mg_verify_note_error(mg_verify *v, const char *name);

/* Hashes of a cache's files against their names; every number of every tensor finite. On rank 0. A status
 * other than MG_OK is a fault of ours or the system's, not a finding. */
mg_status mg_verify_hashes(mg_verify *v);
mg_status mg_verify_finite(mg_verify *v);

/* The model opens, answers two texts differently, and its codec makes sound. Collective. */
mg_status mg_verify_model(mg_verify *v);

#endif
