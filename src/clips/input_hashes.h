/* SHA-256 of all that a call's clips are made of, computed behind the work: the weights' files, the
 * tokenizer, and the files that clips name. */
#ifndef MG_INPUT_HASHES_H
#define MG_INPUT_HASHES_H

#include <pthread.h>
#include <stdatomic.h>

#include "clip_metadata.h"
#include "model_files.h"
#include "request_list.h"

typedef struct mg_input_hash {
    const char *path; /* the clip's */
    char sha256[65];  /* "": it cannot be read */
} mg_input_hash;

/* Zeroed it is closed. */
typedef struct mg_input_hashes {
    const mg_model_files *files;
    mg_file_hash *weights; /* each file once */
    int *fds;              /* [n_weights] open: what was loaded, whoever has its name by now */
    int n_weights;
    const char *tokenizer;     /* its folder or file; "" if there is none */
    char tokenizer_sha256[65]; /* "" without one */
    mg_input_hash *inputs;     /* each file once, sorted by path */
    int64_t n_inputs;
    pthread_t thread;
    bool is_open, runs;
    atomic_bool stop;
    pthread_mutex_t lock; /* for the two below */
    pthread_cond_t finished;
    bool is_over;
    mg_fault fault; /* a weight file cannot be read, or was written to since it was loaded */
} mg_input_hashes;

/* Starts the thread. `requests` and `files` are borrowed until close. */
mg_status mg_input_hashes_open(mg_input_hashes *h, const mg_model_files *files,
                               const mg_request_list *requests);
void mg_input_hashes_close(mg_input_hashes *h);

/* Until everything is hashed; the weights must be readable. MG_ESTOPPED if a signal asks to stop. From any
 * thread. */
mg_status mg_input_hashes_wait(mg_input_hashes *h);

/* After wait: of a clip's file; NULL if it could not be read. */
const char *mg_input_hashes_find(const mg_input_hashes *h, const char *path);

#endif
