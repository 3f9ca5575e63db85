/* models_manifest.json: friendly keys for models.
 *
 *     {"large": {"id": "facebook/musicgen-large", "path": "/models/large", "notes": "…"},
 *      "mine": {"lm": "/xps/9a8b/export", "text_encoder": "t5-base", "codec": "facebook/encodec_32khz"}}
 *
 * The file is the one named, else MGDIST_MANIFEST, else XDG_CONFIG_HOME/mg-dist/models_manifest.json, else
 * ~/.config/mg-dist/models_manifest.json. `path` wins over `id`; a path that does not begin with / is seen
 * from the manifest's own folder. A part ("lm", "text_encoder", "codec", "tokenizer", "lora",
 * "style_encoder") is a path or an id, and stands in place of the model's; with an "lm" there need be no
 * model. Keys that are not ours stay as they are. */
#ifndef MG_MANIFEST_H
#define MG_MANIFEST_H

#include <stddef.h>

#include "file_lock.h"
#include "hub.h"
#include "model_files.h"

struct cJSON;

typedef struct mg_manifest_entry {
    const char *key, *id, *path, *notes; /* NULL: not given; borrowed from the manifest until it is changed */
    const char *lm, *text_encoder, *codec, *tokenizer, *lora, *style_encoder;
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

/* Where an entry's files are; "" for one of parts alone. */
mg_status mg_manifest_locate(char path[MG_PATH_SIZE], const mg_manifest *m, const mg_manifest_entry *entry);

/* Where a part of an entry is; "" for NULL. */
mg_status mg_manifest_locate_part(char path[MG_PATH_SIZE], const mg_manifest *m, const char *part);

/* The model and the parts that `key` names, into `request`, where it does not name them itself. What is found
 * stands in `room`. MG_EFAIL lists the keys there are. */
typedef struct mg_manifest_room {
    char path[7][MG_PATH_SIZE];
} mg_manifest_room;
mg_status mg_manifest_find_model(mg_model_request *request, mg_manifest_room *room, const char *key,
                                 const char *file);

/* Of one that is edited: set or replace an entry, remove one, and write the file, whole or not at all. */
mg_status mg_manifest_set(mg_manifest *m, const mg_manifest_entry *entry);
bool mg_manifest_remove(mg_manifest *m, const char *key);
mg_status mg_manifest_save(const mg_manifest *m);

#endif
