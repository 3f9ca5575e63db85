/* The configuration inside a training checkpoint, an omegaconf object in a pickle, as the YAML text that
 * OmegaConf.to_yaml(cfg) makes of it: interpolations and ??? stay as they are, keys keep their order, and the
 * layout is PyYAML's. */
#ifndef MG_OMEGACONF_H
#define MG_OMEGACONF_H

#include <stdbool.h>

#include "pickle.h"

/* Is it a DictConfig? */
bool mg_omegaconf_is(const mg_pickle_value *v);

/* *out is malloc'ed. `name` ("FILE: xp.cfg") is for messages. MG_ECHECKPOINT names the key of a value
 * that YAML has no plain form for: bytes, enumerations, paths. So it does if the graph is no tree of at most
 * 64 levels, 100,000 values and 1 MiB of text. */
mg_status mg_omegaconf_to_yaml(char **out, const char *name, const mg_pickle_value *cfg);

#endif
