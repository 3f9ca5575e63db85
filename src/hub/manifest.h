/* models_manifest.json: friendly keys for models.
 *
 *     {"large": {"id": "facebook/musicgen-large", "path": "/models/large", "notes": "…"}}
 *
 * The file is the one named, else MGDIST_MANIFEST, else XDG_CONFIG_HOME/mg-dist/models_manifest.json, else
 * ~/.config/mg-dist/models_manifest.json. `path` wins over `id`; a path that does not begin with / is seen
 * from the manifest's own folder. Keys that are not ours stay as they are. */
#ifndef MG_MANIFEST_H
#define MG_MANIFEST_H

#include <stddef.h>

#include "file_lock.h"
#include "hub.h"

struct cJSON;

typedef struct mg_manifest_entry {
    const char *key, *id, *path, *notes; /* NULL: not given; borrowed from the manifest until it is changed */
} mg_manifest_entry;

typedef struct mg_manifest {
    char file[MG_PATH_SIZE];
    struct cJSON *root; /* owned */
    mg_file_lock lock;
} mg_manifest;

/* `file` may be NULL. One that does not exist is an empty manifest, one that lies MG_ECHECKPOINT. */
mg_status mg_manifest_open(mg_manifest *m, const char *file);
void mg_manifest_close(mg_manifest *m);

/* The same to be changed and saved: nobody else has it open so until close. */
mg_status mg_manifest_edit(mg_manifest *m, const char *file);

size_t mg_manifest_count(const mg_manifest *m);
mg_manifest_entry mg_manifest_at(const mg_manifest *m, size_t i); /* in the file's order */
bool mg_manifest_find(const mg_manifest *m, const char *key, mg_manifest_entry *entry);

/* Where an entry's files are. */
mg_status mg_manifest_locate(char path[MG_PATH_SIZE], const mg_manifest *m, const mg_manifest_entry *entry);

/* Of one that is edited: set or replace an entry, remove one, and write the file, whole or not at all. */
mg_status mg_manifest_set(mg_manifest *m, const mg_manifest_entry *entry);
bool mg_manifest_remove(mg_manifest *m, const char *key);
mg_status mg_manifest_save(const mg_manifest *m);

#endif
