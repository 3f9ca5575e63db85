/* The parts of make_seeds. */
#ifndef MG_SEEDS_H
#define MG_SEEDS_H

#include <stddef.h>

#include "status.h"

/* FOLDER/name = a prefix and data. */
mg_status seed_put(const char *folder, const char *name, const char *prefix, size_t n_prefix,
                   const void *data, size_t bytes);

/* FOLDER/name = a prefix and a file of tests/golden. */
mg_status seed_copy(const char *folder, const char *name, const char *prefix, const char *golden);

/* Torch files, indexes and names, in folders of `out`. */
mg_status seeds_of_forms(const char *out);

/* Shards, sums, lines. */
mg_status seeds_of_datasets(const char *out);

#endif
