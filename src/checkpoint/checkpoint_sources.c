/* Files -> sources: the tensors as their files name them. */
#include "checkpoint_sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint_index.h"
#include "key_map.h"
#include "text.h"

static int by_source_name(const void *a, const void *b, void *sources)
{
    const mg_checkpoint_source *s = sources;

    return strcmp(s[*(const size_t *)a].name, s[*(const size_t *)b].name);
}

const mg_checkpoint_source *mg_checkpoint_sources_find(const mg_checkpoint_sources *c, const char *name)
{
    size_t low = 0, high = c->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const mg_checkpoint_source *s = &c->list[c->by_name[middle]];
        const int order = strcmp(name, s->name);
        if (order == 0) return s;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* One list of all files' tensors, each name once. */
static mg_status list_sources(mg_checkpoint_sources *c)
{
    size_t n = 0, at = 0;

    for (size_t i = 0; i < c->n_files; i++) n += mg_data_file_count(&c->files[i]);
    c->list = calloc(n + 1, sizeof *c->list);
    c->names = calloc(n + 1, sizeof *c->names);
    c->by_name = calloc(n + 1, sizeof *c->by_name);
    if (!c->list || !c->names || !c->by_name) return mg_fail(MG_ENOMEM, "checkpoint: %zu entries", n);
    for (size_t i = 0; i < c->n_files; i++) {
        mg_data_file_list(&c->files[i], c->list + at);
        at += mg_data_file_count(&c->files[i]);
    }
    c->n = n;
    for (size_t i = 0; i < n; i++) c->names[i] = c->list[i].name, c->by_name[i] = i;
    if (n) qsort_r(c->by_name, n, sizeof *c->by_name, by_source_name, c->list);
    for (size_t i = 1; i < n; i++) {
        const mg_checkpoint_source *a = &c->list[c->by_name[i - 1]], *b = &c->list[c->by_name[i]];
        if (strcmp(a->name, b->name) == 0)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: also in %s", b->file, b->name, a->file);
    }
    return MG_OK;
}

mg_status mg_checkpoint_sources_add(mg_checkpoint_sources *c, const mg_checkpoint_source *s)
{
    size_t capacity[3] = {c->n + 1, c->n + 1, c->n + 1};

    MG_RETURN(mg_grow(&c->list, &capacity[0], c->n + 2, sizeof *c->list, "checkpoint"));
    MG_RETURN(mg_grow(&c->names, &capacity[1], c->n + 2, sizeof *c->names, "checkpoint"));
    MG_RETURN(mg_grow(&c->by_name, &capacity[2], c->n + 2, sizeof *c->by_name, "checkpoint"));
    c->list[c->n] = *s;
    c->names[c->n] = s->name;
    c->by_name[c->n] = c->n;
    c->n++;
    qsort_r(c->by_name, c->n, sizeof *c->by_name, by_source_name, c->list);
    return MG_OK;
}

/* Names for a message: "a, b, c and 7 more". */
typedef struct name_list {
    char text[1024];
    size_t used;
    size_t n, n_shown;
} name_list;

static void add_name(name_list *list, const char *name)
{
    const size_t left = sizeof list->text - list->used;

    list->n++;
    if (list->n_shown + 1 < list->n || strlen(name) + 3 > left) return;
    list->used += (size_t)snprintf(list->text + list->used, left, "%s%s", list->n_shown ? ", " : "", name);
    list->n_shown++;
}

static mg_status fail_names(const name_list *list, const char *path, const char *what)
{
    if (list->n == list->n_shown) return mg_fail(MG_ECHECKPOINT, "%s: %s: %s", path, what, list->text);
    return mg_fail(MG_ECHECKPOINT, "%s: %s: %s and %zu more", path, what, list->text,
                   list->n - list->n_shown);
}

/* Every name of the index lies in the file it says, and every tensor is in the index. Hugging Face's
 * converter to safetensors keeps one of two names of a tensor, and leaves both in the index. */
static mg_status compare_index(const mg_checkpoint_sources *c, const char *path,
                               const mg_checkpoint_index *index)
{
    name_list absent = {0}, unnamed = {0};

    for (int64_t i = 0; i < index->n_tensors; i++) {
        const mg_checkpoint_source *s = mg_checkpoint_sources_find(c, index->tensors[i].name);
        if (!s && mg_key_map_is_ignorable(index->tensors[i].name)) continue;
        if (!s || strcmp(s->file, c->files[index->tensors[i].i_file].path) != 0)
            add_name(&absent, index->tensors[i].name);
    }
    if (absent.n) return fail_names(&absent, path, "not in the shard that the index names for it");
    for (size_t i = 0; i < c->n; i++) {
        const char *name = c->list[c->by_name[i]].name;
        if (!mg_checkpoint_index_has(index, name)) add_name(&unnamed, name);
    }
    return unnamed.n ? fail_names(&unnamed, path, "in a shard, but not named by the index") : MG_OK;
}

static mg_status open_sharded(mg_checkpoint_sources *c, const char *path)
{
    mg_status st = MG_OK;
    mg_checkpoint_index index = {0};
    char shard[MG_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    const int n_folder = slash ? (int)(slash - path) + 1 : 0;

    MG_TRY(mg_checkpoint_index_load(&index, path));
    c->files = calloc((size_t)index.n_files, sizeof *c->files);
    if (!c->files) MG_TRY(mg_fail(MG_ENOMEM, "%s: %lld files", path, (long long)index.n_files));
    for (int64_t i = 0; i < index.n_files; i++) {
        struct stat info;
        const int n = snprintf(shard, sizeof shard, "%.*s%s", n_folder, path, index.files[i]);
        if (n >= (int)sizeof shard) MG_TRY(mg_fail(MG_EFAIL, "%.80s…: the path is too long", path));
        if (stat(shard, &info) != 0)
            MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open this shard of the index: %s", shard, strerror(errno)));
        mg_data_file *f = &c->files[c->n_files++];
        MG_TRY(mg_data_file_open(f, shard));
        if (f->torch && f->torch_entries.kind != MG_CHECKPOINT_WEIGHTS)
            MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: no shard, but a file of its own", shard));
    }
    MG_TRY(list_sources(c));
    MG_TRY(compare_index(c, path, &index));
done:
    mg_checkpoint_index_close(&index);
    return st;
}

/* `data` NULL: the file at `path`. */
static mg_status open_single(mg_checkpoint_sources *c, const char *path, const void *data, size_t bytes)
{
    c->files = calloc(1, sizeof *c->files);
    if (!c->files) return mg_fail(MG_ENOMEM, "%s: %zu bytes", path, sizeof *c->files);
    c->n_files = 1;
    if (data)
        MG_RETURN(mg_data_file_parse(&c->files[0], path, data, bytes));
    else
        MG_RETURN(mg_data_file_open(&c->files[0], path));
    return list_sources(c);
}

mg_status mg_checkpoint_sources_open(mg_checkpoint_sources *c, const char *path)
{
    mg_status st = MG_OK;
    char found[MG_PATH_SIZE];

    *c = (mg_checkpoint_sources){0};
    MG_TRY(mg_checkpoint_resolve(found, path));
    const size_t n = strlen(found);
    const bool is_index = n > 5 && strcmp(found + n - 5, ".json") == 0;
    MG_TRY(is_index ? open_sharded(c, found) : open_single(c, found, NULL, 0));
done:
    if (st != MG_OK) mg_checkpoint_sources_close(c);
    return st;
}

mg_status mg_checkpoint_sources_parse(mg_checkpoint_sources *c, const char *name, const void *data,
                                      size_t bytes)
{
    *c = (mg_checkpoint_sources){0};
    const mg_status st = open_single(c, name, data, bytes);
    if (st != MG_OK) mg_checkpoint_sources_close(c);
    return st;
}

void mg_checkpoint_sources_close(mg_checkpoint_sources *c)
{
    for (size_t i = 0; i < c->n_files; i++) mg_data_file_close(&c->files[i]);
    free(c->files);
    free(c->list);
    free(c->names);
    free(c->by_name);
    *c = (mg_checkpoint_sources){0};
}
