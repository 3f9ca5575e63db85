#include "safetensors_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"
#include "safetensors.h"

enum { ALIGN = 8 };

/* The header on one line, as short as it gets: names are those of tensors and need no escape. */
static mg_status write_header(mg_safetensors_writer *w, char *text, size_t text_bytes)
{
    static const char padding[ALIGN + 1] = "        ";
    size_t used = 0, begin = 0;
    unsigned char length[8];

    used += (size_t)snprintf(text, text_bytes, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int64_t i = 0; i < w->n; i++) {
        const mg_tensor *t = &w->items[i].tensor;
        const size_t end = begin + mg_tensor_bytes(t);
        used += (size_t)snprintf(text + used, text_bytes - used, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                                 w->items[i].name, mg_safetensors_dtype(t->dtype));
        for (int d = 0; d < t->n_dims; d++)
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%lld", d ? "," : "",
                                     (long long)t->dim[d]);
        used += (size_t)snprintf(text + used, text_bytes - used, "],\"data_offsets\":[%zu,%zu]}", begin, end);
        begin = end;
    }
    used += (size_t)snprintf(text + used, text_bytes - used, "}");
    MG_REQUIRE(used < text_bytes);

    const size_t n_padding = (ALIGN - used % ALIGN) % ALIGN; /* the data begin aligned */
    const uint64_t header_bytes = used + n_padding;
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(header_bytes >> (8 * i));
    MG_RETURN(mg_out_file_write(&w->file, length, sizeof length));
    MG_RETURN(mg_out_file_write(&w->file, text, used));
    return mg_out_file_write(&w->file, padding, n_padding);
}

/* Skip tensors of no elements. */
static void next_item(mg_safetensors_writer *w)
{
    while (w->i_item < w->n && (w->left_bytes = mg_tensor_bytes(&w->items[w->i_item].tensor)) == 0)
        w->i_item++;
}

mg_status mg_safetensors_writer_open(mg_safetensors_writer *w, const char *path,
                                     const mg_safetensors_item *items, int64_t n)
{
    mg_status st = MG_OK;
    size_t text_bytes = 64;
    char *text = NULL;

    *w = (mg_safetensors_writer){.file = {.fd = -1}, .items = items, .n = n};
    for (int64_t i = 0; i < n; i++) {
        if (strpbrk(items[i].name, "\"\\"))
            return mg_fail(MG_ECHECKPOINT, "%s: not a name that a tensor can have", items[i].name);
        if (!mg_safetensors_dtype(items[i].tensor.dtype))
            return mg_fail(MG_ECHECKPOINT, "%s: safetensors has no number type for it", items[i].name);
        text_bytes += strlen(items[i].name) + 200;
    }
    text = malloc(text_bytes);
    if (!text) return mg_fail(MG_ENOMEM, "%s: no memory for a header of %zu bytes", path, text_bytes);
    MG_TRY(mg_out_file_begin(&w->file, path));
    MG_TRY(write_header(w, text, text_bytes));
    next_item(w);
done:
    free(text);
    if (st != MG_OK) mg_safetensors_writer_close(w);
    return st;
}

mg_status mg_safetensors_writer_add(mg_safetensors_writer *w, const void *data, size_t bytes)
{
    const char *p = data;

    while (bytes > 0) {
        MG_REQUIRE(w->i_item < w->n);
        const size_t now = bytes < w->left_bytes ? bytes : w->left_bytes;
        MG_RETURN(mg_out_file_write(&w->file, p, now));
        p += now, bytes -= now, w->left_bytes -= now;
        if (w->left_bytes > 0) continue;
        w->i_item++;
        next_item(w);
    }
    return MG_OK;
}

mg_status mg_safetensors_writer_commit(mg_safetensors_writer *w)
{
    MG_REQUIRE(w->i_item == w->n);
    return mg_out_file_commit(&w->file);
}

void mg_safetensors_writer_close(mg_safetensors_writer *w)
{
    mg_out_file_abandon(&w->file);
}

void mg_safetensors_cut(int64_t *i_shard, int64_t *n_shards, const mg_safetensors_item *items, int64_t n,
                        size_t shard_bytes)
{
    size_t used = 0;
    int64_t shard = 0;

    for (int64_t i = 0; i < n; i++) {
        const size_t bytes = mg_tensor_bytes(&items[i].tensor);
        if (shard_bytes > 0 && used > 0 && used + bytes > shard_bytes) {
            shard++;
            used = 0;
        }
        i_shard[i] = shard;
        used += bytes;
    }
    *n_shards = shard + 1;
}

void mg_safetensors_shard_name(char out[MG_SHARD_NAME_SIZE], int64_t i, int64_t n_shards)
{
    if (n_shards == 1)
        snprintf(out, MG_SHARD_NAME_SIZE, "model.safetensors");
    else
        snprintf(out, MG_SHARD_NAME_SIZE, "model-%05lld-of-%05lld.safetensors", (long long)i + 1,
                 (long long)n_shards);
}

typedef struct entry {
    const char *name;
    int64_t i_shard;
} entry;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

mg_status mg_safetensors_write_index(const char *dir, const mg_safetensors_item *items, int64_t n,
                                     const int64_t *i_shard, int64_t n_shards)
{
    mg_status st = MG_OK;
    char path[4096], file[MG_SHARD_NAME_SIZE], *text = NULL;
    mg_json_text t = {0};
    int64_t total_bytes = 0;
    entry *entries = calloc((size_t)n + 1, sizeof *entries);

    if (!entries) return mg_fail(MG_ENOMEM, "%s: no memory for an index of %lld tensors", dir, (long long)n);
    for (int64_t i = 0; i < n; i++) {
        entries[i] = (entry){items[i].name, i_shard[i]};
        total_bytes += (int64_t)mg_tensor_bytes(&items[i].tensor);
    }
    qsort(entries, (size_t)n, sizeof *entries, by_name);
    mg_json_text_object(&t, NULL);
    mg_json_text_object(&t, "metadata");
    mg_json_text_int(&t, "total_size", total_bytes);
    mg_json_text_close(&t);
    mg_json_text_object(&t, "weight_map");
    for (int64_t i = 0; i < n; i++) {
        mg_safetensors_shard_name(file, entries[i].i_shard, n_shards);
        mg_json_text_string(&t, entries[i].name, file);
    }
    MG_TRY(mg_json_text_end(&t, &text));
    if (snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir) >= (int)sizeof path)
        MG_TRY(mg_fail(MG_EFAIL, "%.80s…: the path is too long", dir));
    MG_TRY(mg_out_file_put(path, text, strlen(text)));
done:
    free(text);
    free(entries);
    return st;
}
