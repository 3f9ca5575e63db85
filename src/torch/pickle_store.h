/* Where a pickle's graph lives: blocks that are freed together. Inside the reader (pickle.c, pickle_store.c).
 */
#ifndef MG_PICKLE_STORE_H
#define MG_PICKLE_STORE_H

#include "pickle.h"

/* Bytes that all graphs of one store may take. A checkpoint of 1,000 tensors takes about 1 MB. */
#define MG_PICKLE_LIMIT_BYTES ((size_t)1 << 30)

struct mg_pickle {
    struct mg_pickle_block *blocks;
    size_t used_bytes;
    mg_pickle_items persistents;
};

mg_status mg_pickle_store_value(mg_pickle *p, mg_pickle_value **out, mg_pickle_kind kind);
mg_status mg_pickle_store_text(mg_pickle *p, mg_pickle_value **out, mg_pickle_kind kind, const void *data,
                               size_t n);
mg_status mg_pickle_store_push(mg_pickle *p, mg_pickle_items *items, mg_pickle_value *v);

#endif
