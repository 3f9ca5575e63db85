/* Names instead of paths, without any network: Hugging Face's cache, and AudioCraft's, which is laid out the
 * same. models--OWNER--NAME/refs/main names a folder of snapshots/, whose files are links into blobs/.
 * HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE change nothing: this program never goes online.
 */
#ifndef MG_HUB_H
#define MG_HUB_H

#include <stdbool.h>
#include <stddef.h>

#include "path.h"

/* The command that fetches an id where there is a network, and what it was called before. */
#define MG_HUB_FETCH       "hf download"
#define MG_HUB_FETCH_OLDER "huggingface-cli download"

enum { MG_HUB_ID_SIZE = 200, MG_HUB_MAX_ROOTS = 3 };

/* A path that exists stands for itself, and a models--OWNER--NAME folder of a cache for its snapshot. Else
 * OWNER/NAME, or OWNER/NAME@REVISION, is looked up in AUDIOCRAFT_CACHE_DIR and in TRANSFORMERS_CACHE if these
 * are set, then in Hugging Face's cache; a bare name such as t5-base also as google-t5/t5-base. Where no
 * refs/main says which snapshot, an only one is it. Slashes at the end are nothing. That cache is
 * HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub. MG_EFAIL names every path that was looked at, or the file that is missing, and
 * the command that would fetch it elsewhere. */
mg_status mg_hub_find(char path[MG_PATH_SIZE], const char *path_or_id);

/* Does it look like an id (OWNER/NAME, or a bare name), not a path? */
bool mg_hub_is_id(const char *text);

/* The hash that the blob behind a snapshot's file claims by its own name: 64 hex digits are the SHA-256 of a
 * large file, 40 are git's SHA-1. False if `path` is no link to such a blob. */
bool mg_hub_blob_hash(char out[65], const char *path);

/* The same of FOLDER/NAME, if hf download --local-dir brought it and nobody has changed it since. */
bool mg_hub_local_hash(char out[65], const char *folder, const char *name);

/* The caches that are looked into, in order: their folders, and which variable named each. */
typedef struct mg_hub_root {
    char path[MG_PATH_SIZE];
    const char *source; /* "HF_HOME" */
} mg_hub_root;

int mg_hub_roots(mg_hub_root roots[MG_HUB_MAX_ROOTS]);

/* A model of a cache. `snapshot` is "" if refs/main leads nowhere. */
typedef struct mg_hub_model {
    char id[MG_HUB_ID_SIZE];
    char snapshot[MG_PATH_SIZE];
} mg_hub_model;

/* All models of one cache, sorted by id; *models is malloc'ed. A root that does not exist has none. */
mg_status mg_hub_list(mg_hub_model **models, size_t *n, const char *root);

/* The id of the model that `path` is a snapshot of, by its place: …/models--OWNER--NAME/snapshots/COMMIT.
 * False if it is none. */
bool mg_hub_id_of_snapshot(char id[MG_HUB_ID_SIZE], const char *path);

#endif
