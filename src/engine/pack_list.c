#include "pack_list.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub.h"
#include "text.h"

static const char folder_name[] = "mg-dist-packs";

void mg_pack_name_format(char out[MG_PACK_NAME_SIZE], const mg_pack_name *name)
{
    snprintf(out, MG_PACK_NAME_SIZE, "%s-%s-%dof%d-%s.pack", name->format, name->level, name->rank,
             name->n_ranks, name->key);
}

bool mg_pack_name_parse(mg_pack_name *out, const char *file)
{
    char again[MG_PACK_NAME_SIZE];

    if (sscanf(file, "%15[a-z0-9]-%15[a-z0-9]-%2dof%2d-%16[0-9a-f]", out->format, out->level, &out->rank,
               &out->n_ranks, out->key) != 5)
        return false;
    mg_pack_name_format(again, out);
    return strlen(out->key) == MG_PACK_KEY_DIGITS && strcmp(again, file) == 0;
}

mg_status mg_pack_folder(char out[MG_PATH_SIZE], const char *where, const char *weights)
{
    char folder[MG_PATH_SIZE], snapshots[MG_PATH_SIZE], id[MG_HUB_ID_SIZE];

    if (strcmp(where, "model") != 0) return mg_path_format(out, "%s", where);
    MG_RETURN(mg_path_folder(folder, weights));
    if (mg_hub_id_of_snapshot(id, folder)) {
        MG_RETURN(mg_path_folder(snapshots, folder));
        MG_RETURN(mg_path_folder(folder, snapshots));
    }
    return mg_path_format(out, "%s/%s", folder, folder_name);
}

static mg_status look(mg_pack_entry *e, const char *folder)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(path, "%s/%s", folder, e->file));
    e->bytes = mg_path_bytes(path);
    if (mg_pack_look(e->model, path, e->name.key) == MG_OK) return MG_OK;
    const char *why = mg_last_error();
    const size_t n = strlen(path);
    if (strncmp(why, path, n) == 0 && strncmp(why + n, ": ", 2) == 0) why += n + 2;
    snprintf(e->refusal, sizeof e->refusal, "%.199s", why);
    mg_clear_error();
    return MG_OK;
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const mg_pack_entry *)a)->file, ((const mg_pack_entry *)b)->file);
}

mg_status mg_pack_list(mg_pack_entry **out, size_t *n, const char *folder)
{
    mg_status st = MG_OK;
    size_t capacity = 0;
    DIR *d = opendir(folder);

    *out = NULL, *n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        mg_pack_entry entry = {.bytes = 0};
        if (!mg_pack_name_parse(&entry.name, e->d_name)) continue;
        snprintf(entry.file, sizeof entry.file, "%.95s", e->d_name);
        MG_TRY(look(&entry, folder));
        MG_TRY(mg_grow(out, &capacity, *n + 1, sizeof **out, "packs"));
        (*out)[(*n)++] = entry;
    }
    if (*n) qsort(*out, *n, sizeof **out, by_file);
done:
    if (d) closedir(d);
    if (st != MG_OK) {
        free(*out);
        *out = NULL, *n = 0;
    }
    return st;
}
