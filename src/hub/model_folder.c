#include "model_folder.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "hub.h"
#include "json.h"
#include "text.h"

/* In the order in which mg_checkpoint_open looks for them. */
static const char *const single_names[] = {"model.safetensors", "model.fp32.safetensors",
                                           "model.fp16.safetensors", "pytorch_model.bin"};
static const char *const index_names[] = {"model.safetensors.index.json", "model.safetensors.index.fp32.json",
                                          "model.safetensors.index.fp16.json",
                                          "pytorch_model.bin.index.json"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool has_any(const char *dir, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (mg_path_has(dir, names[i])) return true;
    return false;
}

bool mg_model_folder_has_weights(const char *dir)
{
    return has_any(dir, single_names, COUNT(single_names)) || has_any(dir, index_names, COUNT(index_names));
}

bool mg_model_folder_is_hf(const char *dir)
{
    return mg_path_has(dir, "config.json") &&
           (mg_model_folder_has_weights(dir) ||
            (!mg_path_has(dir, "state_dict.bin") && !mg_path_has(dir, "compression_state_dict.bin")));
}

/* Whatever may hold weights has another ending. */
static bool is_beside_weights(const char *name)
{
    static const char *const ends[] = {".json",  ".model",         ".md",    ".txt", ".py",
                                       ".jinja", ".gitattributes", "LICENSE"};

    for (size_t i = 0; i < COUNT(ends); i++)
        if (mg_text_ends_with(name, ends[i])) return true;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

mg_status mg_model_folder_check_cached(const char *dir)
{
    char id[MG_HUB_ID_SIZE];
    bool is_beside = true;
    DIR *d = mg_hub_id_of_snapshot(id, dir) ? opendir(dir) : NULL;

    if (!d) return MG_OK;
    for (struct dirent *e; is_beside && (e = readdir(d));) is_beside = is_beside_weights(e->d_name);
    closedir(d);
    if (!is_beside) return MG_OK;
    return mg_fail(
        MG_EFAIL,
        "model: %s: of its files the cache has only those beside the weights (%s); on a machine with "
        "network: " MG_HUB_FETCH " %s",
        id, dir, id);
}

/* The first shard of an index that is not there; "" if all are. A bad index counts as missing itself. */
static mg_status find_missing_shard(char missing[MG_PATH_SIZE], const char *dir, const char *index)
{
    char path[MG_PATH_SIZE];
    cJSON *root = NULL;
    const cJSON *map = NULL;
    mg_status st = MG_OK;

    missing[0] = '\0';
    MG_TRY(mg_path_format(path, "%s/%s", dir, index));
    if (mg_json_load(&root, path) == MG_OK) map = cJSON_GetObjectItemCaseSensitive(root, "weight_map");
    if (!cJSON_IsObject(map)) MG_TRY(mg_path_format(missing, "%s", index));
    for (const cJSON *item = map ? map->child : NULL; item && !*missing; item = item->next)
        if (!cJSON_IsString(item) || !mg_path_has(dir, item->valuestring))
            MG_TRY(mg_path_format(missing, "%s", cJSON_IsString(item) ? item->valuestring : index));
done:
    cJSON_Delete(root);
    return st;
}

/* Sizes of the files, and links that lead nowhere. */
static mg_status add_up(mg_model_folder *out, const char *dir)
{
    char path[MG_PATH_SIZE];
    mg_status st = MG_OK;
    DIR *d = opendir(dir);

    for (struct dirent *e; d && (e = readdir(d));) {
        MG_TRY(mg_path_format(path, "%s/%s", dir, e->d_name));
        const int64_t bytes = mg_path_bytes(path);
        if (bytes > 0) out->bytes += bytes;
        if (!mg_path_exists(path)) MG_TRY(mg_path_format(out->missing, "%s", e->d_name));
    }
done:
    if (d) closedir(d);
    return st;
}

mg_status mg_model_folder_survey(mg_model_folder *out, const char *dir)
{
    *out = (mg_model_folder){0};
    out->has_config = mg_path_has(dir, "config.json");
    if (out->has_config && mg_config_read_type(out->type, dir) != MG_OK) mg_clear_error(); /* no type, then */
    out->has_lm = mg_path_has(dir, "state_dict.bin");
    out->has_codec = mg_path_has(dir, "compression_state_dict.bin");
    out->has_tokenizer = mg_path_has(dir, "spiece.model") || mg_path_has(dir, "tokenizer.json");
    out->has_adapter = mg_path_has(dir, "adapter_config.json");
    out->has_weights = has_any(dir, single_names, COUNT(single_names));
    for (size_t i = 0; i < COUNT(index_names) && !out->has_weights; i++) {
        if (!mg_path_has(dir, index_names[i])) continue;
        MG_RETURN(find_missing_shard(out->missing, dir, index_names[i]));
        out->has_weights = !*out->missing;
    }
    mg_clear_error();
    return add_up(out, dir);
}

const char *mg_model_folder_form(const mg_model_folder *f)
{
    const bool is_hf = f->has_config, is_audiocraft = f->has_lm || f->has_codec;

    return is_hf ? is_audiocraft ? "both" : "Hugging Face" : is_audiocraft ? "AudioCraft" : "-";
}

void mg_model_folder_state(char *out, size_t size, const mg_model_folder *f)
{
    const bool is_whole = strncmp(f->type, "musicgen", 8) == 0, is_text = strcmp(f->type, "t5") == 0;
    const char *lack = NULL;

    if (*f->missing) {
        snprintf(out, size, "no %s", f->missing);
        return;
    }
    if (f->has_weights && f->has_config)
        lack = (is_whole || is_text) && !f->has_tokenizer ? "no tokenizer" : NULL;
    else if (f->has_lm || f->has_codec)
        lack = !f->has_codec ? "no compression_state_dict.bin" : NULL;
    else if (f->has_adapter)
        lack = "an adapter, for --lora";
    else
        lack = f->has_config ? "no weights" : "no config.json";
    snprintf(out, size, "%s", lack ? lack : "complete");
}
