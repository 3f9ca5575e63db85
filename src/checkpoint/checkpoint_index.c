#include "checkpoint_index.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "json.h"

enum { MAX_BYTES = 16 << 20 }; /* 100,000 tensors and more: the largest model has a few hundred */

/* A shard lies beside its index. A name that leads elsewhere is a fault, or worse. */
static bool is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mg_checkpoint_index_tensor *)a)->name,
                  ((const mg_checkpoint_index_tensor *)b)->name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static mg_status read_map(mg_checkpoint_index *index, const cJSON *map, const char *path)
{
    const int room = cJSON_GetArraySize(map);

    if (room == 0) return mg_fail(MG_ECHECKPOINT, "%s: weight_map: is empty", path);
    index->tensors = calloc((size_t)room, sizeof *index->tensors);
    index->files = calloc((size_t)room, sizeof *index->files);
    if (!index->tensors || !index->files) return mg_fail(MG_ENOMEM, "%s: %d entries", path, room);
    for (const cJSON *item = map->child; item; item = item->next) {
        if (!cJSON_IsString(item) || !is_plain_name(item->valuestring))
            return mg_fail(MG_ECHECKPOINT, "%s: weight_map: %s: \"%.64s\" is not a plain file name", path,
                           item->string, cJSON_IsString(item) ? item->valuestring : "");
        index->files[index->n_tensors] = item->valuestring;
        index->tensors[index->n_tensors++] =
            (mg_checkpoint_index_tensor){.name = item->string, .file = item->valuestring};
    }
    return MG_OK;
}

/* Sort both lists, keep each file once, and refuse a tensor that is named twice. */
static mg_status sort_lists(mg_checkpoint_index *index, const char *path)
{
    const int64_t n = index->n_tensors;

    qsort(index->tensors, (size_t)n, sizeof *index->tensors, by_name);
    for (int64_t i = 1; i < n; i++) {
        if (strcmp(index->tensors[i - 1].name, index->tensors[i].name) == 0)
            return mg_fail(MG_ECHECKPOINT, "%s: weight_map: %s: is there twice", path,
                           index->tensors[i].name);
    }
    qsort(index->files, (size_t)n, sizeof *index->files, by_text);
    index->n_files = 1;
    for (int64_t i = 1; i < n; i++) {
        if (strcmp(index->files[i], index->files[index->n_files - 1]) != 0)
            index->files[index->n_files++] = index->files[i];
    }
    for (int64_t i = 0; i < n; i++) {
        const char **file = bsearch(&index->tensors[i].file, index->files, (size_t)index->n_files,
                                    sizeof *index->files, by_text);
        index->tensors[i].i_file = file - index->files;
    }
    return MG_OK;
}

/* index->root -> the lists; ends in close if that fails. */
static mg_status read_root(mg_checkpoint_index *index, const char *path)
{
    mg_status st = MG_OK;
    const cJSON *map;

    MG_TRY(mg_json_object(index->root, path, "weight_map", &map));
    if (!map) MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: weight_map: missing", path));
    MG_TRY(read_map(index, map, path));
    MG_TRY(sort_lists(index, path));
done:
    if (st != MG_OK) mg_checkpoint_index_close(index);
    return st;
}

mg_status mg_checkpoint_index_load(mg_checkpoint_index *index, const char *path)
{
    char *text;
    int64_t bytes;

    *index = (mg_checkpoint_index){0};
    MG_RETURN(mg_in_file_read(&text, &bytes, path, MAX_BYTES));
    const mg_status st = mg_checkpoint_index_parse(index, path, text, bytes);
    free(text);
    return st;
}

mg_status mg_checkpoint_index_parse(mg_checkpoint_index *index, const char *name, const char *text,
                                    int64_t text_bytes)
{
    *index = (mg_checkpoint_index){0};
    MG_RETURN(mg_json_parse(&index->root, name, text, text_bytes));
    return read_root(index, name);
}

void mg_checkpoint_index_close(mg_checkpoint_index *index)
{
    free(index->tensors);
    free(index->files);
    cJSON_Delete(index->root);
    *index = (mg_checkpoint_index){0};
}

bool mg_checkpoint_index_has(const mg_checkpoint_index *index, const char *tensor_name)
{
    const mg_checkpoint_index_tensor key = {.name = tensor_name};

    return bsearch(&key, index->tensors, (size_t)index->n_tensors, sizeof *index->tensors, by_name) != NULL;
}
