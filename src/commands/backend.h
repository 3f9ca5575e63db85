/* What computes: from the machine options of the command line to threads and an open backend. */
#ifndef MG_BACKEND_H
#define MG_BACKEND_H

#include "cli.h"
#include "lm.h"
#include "threads.h"

typedef struct mg_backend {
    mg_threads *threads;
    mg_ops *ops;
    mg_lm_formats formats; /* of the language model; auto is resolved */
} mg_backend;

/* MG_EFIT if there is no such device. On failure nothing is left open. */
mg_status mg_backend_open(mg_backend *out, const mg_machine *machine, const mg_world *world);
void mg_backend_close(mg_backend *b);

#endif
