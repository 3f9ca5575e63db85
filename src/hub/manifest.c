#include "manifest.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "out_file.h"

static const char *const fields[] = {"id",    "path",      "notes", "lm",           "text_encoder",
                                     "codec", "tokenizer", "lora",  "style_encoder"};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static mg_status name_file(char out[MG_PATH_SIZE], const char *named)
{
    const char *file = named ? named : getenv("MGDIST_MANIFEST");
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (file && *file) return mg_path_format(out, "%s", file);
    if (config && *config) return mg_path_format(out, "%s/mg-dist/models_manifest.json", config);
    if (home && *home) return mg_path_format(out, "%s/.config/mg-dist/models_manifest.json", home);
    return mg_fail(MG_EFAIL, "models_manifest.json: where is it? give --manifest, or set HOME");
}

/* Every entry is an object of strings, with a path or an id. */
static mg_status check(const mg_manifest *m)
{
    if (!cJSON_IsObject(m->root)) return mg_fail(MG_ECHECKPOINT, "%s: must be an object of keys", m->file);
    for (const cJSON *item = m->root->child; item; item = item->next) {
        const cJSON *object;
        const char *value[N_FIELDS];
        MG_RETURN(mg_json_object(m->root, m->file, item->string, &object)); /* refuses a key twice */
        if (!object) return mg_fail(MG_ECHECKPOINT, "%s: %s: must be an object", m->file, item->string);
        for (int i = 0; i < N_FIELDS; i++) MG_RETURN(mg_json_string(object, m->file, fields[i], &value[i]));
        if (!value[0] && !value[1] && !value[3])
            return mg_fail(MG_ECHECKPOINT, "%s: %s: has neither \"path\" nor \"id\" nor \"lm\"", m->file,
                           item->string);
    }
    return MG_OK;
}

static mg_status load(mg_manifest *m)
{
    if (mg_path_exists(m->file)) {
        MG_RETURN(mg_json_load(&m->root, m->file));
        return check(m);
    }
    m->root = cJSON_CreateObject();
    return m->root ? MG_OK : mg_fail(MG_ENOMEM, "%s: no memory", m->file);
}

mg_status mg_manifest_open(mg_manifest *m, const char *file)
{
    mg_status st = MG_OK;

    *m = (mg_manifest){.lock.fd = -1};
    MG_TRY(name_file(m->file, file));
    MG_TRY(load(m));
done:
    if (st != MG_OK) mg_manifest_close(m);
    return st;
}

mg_status mg_manifest_edit(mg_manifest *m, const char *file)
{
    mg_status st = MG_OK;
    char folder[MG_PATH_SIZE];

    *m = (mg_manifest){.lock.fd = -1};
    MG_TRY(name_file(m->file, file));
    MG_TRY(mg_path_folder(folder, m->file));
    MG_TRY(mg_out_dir_open(folder));
    MG_TRY(mg_file_lock_take(&m->lock, m->file));
    MG_TRY(load(m));
done:
    if (st != MG_OK) mg_manifest_close(m);
    return st;
}

void mg_manifest_close(mg_manifest *m)
{
    cJSON_Delete(m->root);
    m->root = NULL;
    mg_file_lock_release(&m->lock);
}

size_t mg_manifest_count(const mg_manifest *m)
{
    return (size_t)cJSON_GetArraySize(m->root);
}

static mg_manifest_entry entry_of(const cJSON *item)
{
    const char *value[N_FIELDS];

    for (int i = 0; i < N_FIELDS; i++)
        value[i] = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, fields[i]));
    return (mg_manifest_entry){item->string, value[0], value[1], value[2], value[3],
                               value[4],     value[5], value[6], value[7], value[8]};
}

mg_manifest_entry mg_manifest_at(const mg_manifest *m, size_t i)
{
    return entry_of(cJSON_GetArrayItem(m->root, (int)i));
}

bool mg_manifest_find(const mg_manifest *m, const char *key, mg_manifest_entry *entry)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->root, key);

    if (item) *entry = entry_of(item);
    return item != NULL;
}

mg_status mg_manifest_locate(char path[MG_PATH_SIZE], const mg_manifest *m, const mg_manifest_entry *entry)
{
    char folder[MG_PATH_SIZE];

    path[0] = '\0';
    if (!entry->path && !entry->id) return MG_OK;
    if (!entry->path) return mg_hub_find(path, entry->id);
    MG_RETURN(mg_path_folder(folder, m->file));
    if (entry->path[0] == '/')
        MG_RETURN(mg_path_format(path, "%s", entry->path));
    else
        MG_RETURN(mg_path_format(path, "%s/%s", folder, entry->path));
    if (mg_path_exists(path)) return MG_OK;
    return mg_fail(MG_EFAIL, "model key: %s: %s says path %s, which is not there", entry->key, m->file, path);
}

mg_status mg_manifest_locate_part(char path[MG_PATH_SIZE], const mg_manifest *m, const char *part)
{
    char folder[MG_PATH_SIZE];

    path[0] = '\0';
    if (!part) return MG_OK;
    if (part[0] != '/') {
        MG_RETURN(mg_path_folder(folder, m->file));
        MG_RETURN(mg_path_format(path, "%s/%s", folder, part));
        if (mg_path_exists(path)) return MG_OK;
    }
    return mg_hub_find(path, part);
}

mg_status mg_manifest_set(mg_manifest *m, const mg_manifest_entry *entry)
{
    const char *const value[N_FIELDS] = {entry->id,        entry->path,         entry->notes,
                                         entry->lm,        entry->text_encoder, entry->codec,
                                         entry->tokenizer, entry->lora,         entry->style_encoder};
    cJSON *item = cJSON_GetObjectItemCaseSensitive(m->root, entry->key);

    if (!item) item = cJSON_AddObjectToObject(m->root, entry->key);
    for (int i = 0; item && i < N_FIELDS; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(item, fields[i]);
        if (value[i] && !cJSON_AddStringToObject(item, fields[i], value[i])) item = NULL;
    }
    return item ? MG_OK : mg_fail(MG_ENOMEM, "%s: no memory for %s", m->file, entry->key);
}

bool mg_manifest_remove(mg_manifest *m, const char *key)
{
    if (!cJSON_GetObjectItemCaseSensitive(m->root, key)) return false;
    cJSON_DeleteItemFromObjectCaseSensitive(m->root, key);
    return true;
}

mg_status mg_manifest_save(const mg_manifest *m)
{
    MG_REQUIRE(m->lock.fd >= 0);
    mg_status st = MG_OK;
    char *text = cJSON_Print(m->root);

    if (!text) MG_TRY(mg_fail(MG_ENOMEM, "%s: no memory", m->file));
    const size_t n = strlen(text);
    text[n] = '\n'; /* in place of the NUL: the file ends its last line */
    MG_TRY(mg_out_file_put(m->file, text, n + 1));
done:
    cJSON_free(text);
    return st;
}

/* "large, small": the keys there are. */
static void list_keys(char *out, size_t size, const mg_manifest *m)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < mg_manifest_count(m) && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", mg_manifest_at(m, i).key);
}

static mg_status unknown_key(const mg_manifest *m, const char *key)
{
    char keys[2000];

    list_keys(keys, sizeof keys, m);
    if (*keys) return mg_fail(MG_EFAIL, "model key: %s: not in %s, which has: %s", key, m->file, keys);
    return mg_fail(MG_EFAIL, "model key: %s: %s %s; make one with: mg-dist models add %s PATH|ID", key,
                   m->file, mg_path_exists(m->file) ? "is empty" : "does not exist", key);
}

/* A part that nobody has named. */
static mg_status take_part(const char **out, char path[MG_PATH_SIZE], const mg_manifest *m, const char *part)
{
    if (*out || !part) return MG_OK;
    MG_RETURN(mg_manifest_locate_part(path, m, part));
    *out = path;
    return MG_OK;
}

static mg_status take_model(mg_model_request *request, mg_manifest_room *room, const mg_manifest *m,
                            const mg_manifest_entry *e)
{
    if (!request->model) {
        MG_RETURN(mg_manifest_locate(room->path[0], m, e));
        if (*room->path[0]) request->model = room->path[0];
    }
    MG_RETURN(take_part(&request->lm, room->path[1], m, e->lm));
    MG_RETURN(take_part(&request->text_encoder, room->path[2], m, e->text_encoder));
    MG_RETURN(take_part(&request->codec, room->path[3], m, e->codec));
    MG_RETURN(take_part(&request->tokenizer, room->path[4], m, e->tokenizer));
    MG_RETURN(take_part(&request->lora, room->path[5], m, e->lora));
    return take_part(&request->style_encoder, room->path[6], m, e->style_encoder);
}

mg_status mg_manifest_find_model(mg_model_request *request, mg_manifest_room *room, const char *key,
                                 const char *file)
{
    mg_manifest m;
    mg_manifest_entry entry;

    MG_RETURN(mg_manifest_open(&m, file));
    const mg_status st =
        mg_manifest_find(&m, key, &entry) ? take_model(request, room, &m, &entry) : unknown_key(&m, key);
    mg_manifest_close(&m);
    return st;
}
