/* LitEma (latent diffusion and what came of it) keeps its averaged copy in buffers, whose names have no dots:
 * "model_ema.transformerlayers0linear1weight" is the copy of "model.transformer.layers.0.linear1.weight". */
#ifndef MG_DOTLESS_H
#define MG_DOTLESS_H

#include <stddef.h>

#include "status.h"

/* Puts the dots back, in place: into names that have an averaged beginning (averaged.h) and no dot behind it.
 * Such a name is, without dots, the end of one other name, or it stays. made[], of n_made, is the caller's to
 * free, also after a failure; NULL: there is none. */
mg_status mg_dotless_restore(const char **names, size_t n, char ***made, size_t *n_made, const char *path);

#endif
