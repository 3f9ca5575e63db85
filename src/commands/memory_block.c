#include "memory_block.h"

mg_status mg_memory_block_open(mg_memory_block *block, mg_arena *arena, const mg_ops *ops,
                               const mg_arena *measured)
{
    *block = (mg_memory_block){.ops = ops, .bytes = measured->peak_bytes};
    const mg_status st = mg_ops_alloc(ops, &block->data, block->bytes);
    *arena = mg_arena_over(measured->name, block->data, block->bytes);
    return st;
}

void mg_memory_block_close(mg_memory_block *block)
{
    if (block->data) mg_ops_release(block->ops, block->data, block->bytes);
    block->data = NULL;
}
