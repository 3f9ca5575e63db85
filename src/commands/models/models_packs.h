/* mg-dist models packs: the packed weights that --pack-cache has left, wherever they are looked for. */
#ifndef MG_MODELS_PACKS_H
#define MG_MODELS_PACKS_H

#include "manifest.h"

typedef struct mg_models_packs_call {
    const mg_manifest *manifest;
    const char *pack_cache; /* as the option; NULL, "none", "model": no folder beside those of the models */
    bool prune;             /* remove those that this build cannot use */
    bool json;
} mg_models_packs_call;

mg_status mg_models_packs(const mg_models_packs_call *call);

#endif
