/* What computes: a device or the processor, with what belongs to it. A replica has two: the language model's,
 * and one beside it for text, codec and melodies, which may be another device or other threads. The text
 * encoder may have one of its own. */
#ifndef MG_BACKEND_H
#define MG_BACKEND_H

#include <stdbool.h>

#include "lm.h"
#include "threads.h"

/* What may be taken of the memories. */
typedef struct mg_memory_limits {
    int64_t host_bytes, device_bytes; /* of all ranks of a host, or of a device; 0: what is free */
    int64_t margin_bytes;             /* of a device's free memory, left alone */
    int64_t n_outside; /* layers of the language model that do not stay there, or MG_OUTSIDE_AUTO */
} mg_memory_limits;

enum { MG_OUTSIDE_AUTO = -1 }; /* as few as fit */

typedef struct mg_backend {
    mg_ops *ops;
    mg_threads *threads;    /* of the host; on a CPU the ones that ops computes with */
    mg_comm *group;         /* the tensor-parallel group in the memory of ops; NULL beside a language model */
    mg_lm_formats formats;  /* of the language model; not looked at beside it */
    bool as_stored;         /* formats follow the checkpoint's, once mg_replica_open has seen it */
    const char *pack_cache; /* where packed weights are kept: a folder, or "model"; NULL: nowhere; borrowed */
    mg_memory_limits memory; /* for the plan; not looked at beside a language model */
    void *watch;             /* its opener's own */
    struct mg_backend *text; /* beside a language model: of the text encoder; NULL: this one */
} mg_backend;

static inline mg_ops *mg_backend_text_ops(const mg_backend *beside)
{
    return beside->text ? beside->text->ops : beside->ops;
}

#endif
