/* Memory of a backend for what a measuring arena has counted. */
#ifndef MG_MEMORY_BLOCK_H
#define MG_MEMORY_BLOCK_H

#include "arena.h"
#include "ops.h"

/* Zeroed it is closed. */
typedef struct mg_memory_block {
    const mg_ops *ops;
    void *data;
    size_t bytes;
} mg_memory_block;

/* `arena` stands over it. Close also after a failure. */
mg_status mg_memory_block_open(mg_memory_block *block, mg_arena *arena, const mg_ops *ops,
                               const mg_arena *measured);
void mg_memory_block_close(mg_memory_block *block);

#endif
