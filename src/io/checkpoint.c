#include "checkpoint.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint_index.h"
#include "in_file.h"
#include "safetensors.h"

enum { MAX_PATH_BYTES = 4096 };

typedef struct data_file {
    char *path;
    mg_mapped_file map;
    mg_safetensors header;
} data_file;

struct mg_checkpoint {
    data_file *files; /* [n_files] */
    size_t n_files;
    mg_checkpoint_entry *entries; /* [n_entries], by name; they borrow from the files */
    size_t n_entries;
};

/* The first of the files that Hugging Face writes. A variant is taken only when nothing else is there. */
static const char *const data_names[] = {
    "model.safetensors",      "model.safetensors.index.json",
    "model.fp32.safetensors", "model.safetensors.index.fp32.json",
    "model.fp16.safetensors", "model.safetensors.index.fp16.json",
};

/* Forms that are known and not read yet. */
static const char *const other_names[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                          "state_dict.bin", "compression_state_dict.bin"};

static bool exists(char path[MAX_PATH_BYTES], const char *dir, const char *name)
{
    struct stat info;
    const int n = snprintf(path, MAX_PATH_BYTES, "%s/%s", dir, name);

    return n > 0 && n < MAX_PATH_BYTES && stat(path, &info) == 0;
}

/* What to open for `path`: itself, or the right file in it. */
static mg_status resolve(char found[MAX_PATH_BYTES], const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) {
        const int n = snprintf(found, MAX_PATH_BYTES, "%s", path);
        return n < MAX_PATH_BYTES ? MG_OK : mg_fail(MG_EFAIL, "%.80s…: the path is too long", path);
    }
    for (size_t i = 0; i < sizeof data_names / sizeof *data_names; i++) {
        if (exists(found, path, data_names[i])) return MG_OK;
    }
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++) {
        if (exists(found, path, other_names[i]))
            return mg_fail(MG_ECHECKPOINT,
                           "%s: this form is not supported yet: use a folder with model.safetensors, or with "
                           "model.safetensors.index.json and its shards",
                           found);
    }
    return mg_fail(MG_EFAIL, "%s: no model.safetensors and no model.safetensors.index.json in this folder",
                   path);
}

static mg_status open_file(data_file *f, const char *path)
{
    f->path = strdup(path);
    if (!f->path) return mg_fail(MG_ENOMEM, "%s: %zu bytes", path, strlen(path));
    MG_RETURN(mg_in_file_map(&f->map, path));
    return mg_safetensors_parse(&f->header, path, f->map.data, f->map.bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mg_checkpoint_entry *)a)->name, ((const mg_checkpoint_entry *)b)->name);
}

/* One sorted list of all files' tensors. */
static mg_status list_entries(mg_checkpoint *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_files; i++) n += (size_t)c->files[i].header.n;
    c->entries = calloc(n + 1, sizeof *c->entries);
    if (!c->entries) return mg_fail(MG_ENOMEM, "checkpoint: %zu entries", n);
    for (size_t i = 0; i < c->n_files; i++) {
        const data_file *f = &c->files[i];
        for (int64_t j = 0; j < f->header.n; j++) {
            const mg_safetensors_entry *e = &f->header.entries[j];
            mg_checkpoint_entry *entry = &c->entries[c->n_entries++];
            *entry = (mg_checkpoint_entry){.name = e->name, .file = f->path};
            entry->tensor = (mg_tensor){
                .data = (void *)(uintptr_t)(f->map.data + e->begin), .dtype = e->dtype, .n_dims = e->n_dims};
            memcpy(entry->tensor.dim, e->dim, sizeof e->dim);
        }
    }
    if (n) qsort(c->entries, n, sizeof *c->entries, by_name);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(c->entries[i - 1].name, c->entries[i].name) == 0)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: also in %s", c->entries[i].file, c->entries[i].name,
                           c->entries[i - 1].file);
    }
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

/* Every name of the index lies in the file it says, and every tensor is in the index. */
static mg_status compare_index(const mg_checkpoint *c, const char *path, const mg_checkpoint_index *index)
{
    name_list absent = {0}, unnamed = {0};

    for (int64_t i = 0; i < index->n_tensors; i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_find(c, index->tensors[i].name);
        if (!e || strcmp(e->file, c->files[index->tensors[i].i_file].path) != 0)
            add_name(&absent, index->tensors[i].name);
    }
    if (absent.n) return fail_names(&absent, path, "not in the shard that the index names for it");
    for (size_t i = 0; i < c->n_entries; i++) {
        if (!mg_checkpoint_index_has(index, c->entries[i].name)) add_name(&unnamed, c->entries[i].name);
    }
    return unnamed.n ? fail_names(&unnamed, path, "in a shard, but not named by the index") : MG_OK;
}

static mg_status open_sharded(mg_checkpoint *c, const char *path)
{
    mg_status st = MG_OK;
    mg_checkpoint_index index = {0};
    char shard[MAX_PATH_BYTES];
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
        MG_TRY(open_file(&c->files[c->n_files++], shard));
    }
    MG_TRY(list_entries(c));
    MG_TRY(compare_index(c, path, &index));
done:
    mg_checkpoint_index_close(&index);
    return st;
}

static mg_status open_single(mg_checkpoint *c, const char *path)
{
    c->files = calloc(1, sizeof *c->files);
    if (!c->files) return mg_fail(MG_ENOMEM, "%s: %zu bytes", path, sizeof *c->files);
    c->n_files = 1;
    MG_RETURN(open_file(&c->files[0], path));
    return list_entries(c);
}

mg_status mg_checkpoint_open(mg_checkpoint **out, const char *path)
{
    mg_status st = MG_OK;
    char found[MAX_PATH_BYTES];
    mg_checkpoint *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c) return mg_fail(MG_ENOMEM, "checkpoint: %zu bytes", sizeof *c);
    MG_TRY(resolve(found, path));
    const size_t n = strlen(found);
    const bool is_index = n > 5 && strcmp(found + n - 5, ".json") == 0;
    MG_TRY(is_index ? open_sharded(c, found) : open_single(c, found));
    *out = c;
done:
    if (st != MG_OK) mg_checkpoint_close(c);
    return st;
}

void mg_checkpoint_close(mg_checkpoint *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_files; i++) {
        mg_safetensors_close(&c->files[i].header);
        mg_in_file_unmap(&c->files[i].map);
        free(c->files[i].path);
    }
    free(c->files);
    free(c->entries);
    free(c);
}

const mg_checkpoint_entry *mg_checkpoint_find(const mg_checkpoint *c, const char *name)
{
    const mg_checkpoint_entry key = {.name = name};

    return bsearch(&key, c->entries, c->n_entries, sizeof *c->entries, by_name);
}

size_t mg_checkpoint_count(const mg_checkpoint *c)
{
    return c->n_entries;
}

const mg_checkpoint_entry *mg_checkpoint_at(const mg_checkpoint *c, size_t i)
{
    return &c->entries[i];
}

size_t mg_checkpoint_n_files(const mg_checkpoint *c)
{
    return c->n_files;
}

const char *mg_checkpoint_file(const mg_checkpoint *c, size_t i)
{
    return c->files[i].path;
}

size_t mg_checkpoint_bytes(const mg_checkpoint *c)
{
    size_t bytes = 0;

    for (size_t i = 0; i < c->n_files; i++) bytes += (size_t)c->files[i].map.bytes;
    return bytes;
}
