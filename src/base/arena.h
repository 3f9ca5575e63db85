/* Memory that is planned, then taken once. An arena hands out aligned pieces of one block.
 *
 * The same layout code runs twice: over a *measuring* arena (no block; it only counts) to make the plan, and
 * over a real one of that size. So what was printed is what is taken, and after opening nothing allocates. */
#ifndef MG_ARENA_H
#define MG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

enum { MG_ARENA_ALIGN = 64 };

typedef struct mg_arena {
    const char *name;  /* "weights", "run": for messages; borrowed */
    char *base;        /* NULL while measuring; borrowed: the opener owns the block */
    size_t size_bytes; /* SIZE_MAX while measuring */
    size_t used_bytes;
    size_t peak_bytes; /* highest used_bytes so far */
} mg_arena;

/* An arena that only counts. Pieces taken from it must not be touched. */
mg_arena mg_arena_measure(const char *name);

/* An arena over `base`, which must be aligned to MG_ARENA_ALIGN. */
mg_arena mg_arena_over(const char *name, void *base, size_t size_bytes);

bool mg_arena_is_measuring(const mg_arena *a);

/* A piece of `bytes`, aligned to MG_ARENA_ALIGN, not cleared. MG_EFIT if it is full.
 * While measuring *out is a non-NULL address that must not be read or written. */
mg_status mg_arena_take(mg_arena *a, void **out, size_t bytes);

#endif
