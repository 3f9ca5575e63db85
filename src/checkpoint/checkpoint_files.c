#include "checkpoint_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "foreign_file.h"
#include "foreign_folder.h"
#include "text.h"

/* In the order in which they are looked for. A variant is taken only when nothing plain is there. */
static const char *const data_names[] = {
    "model.safetensors",
    "model.safetensors.index.json",
    "model.fp32.safetensors",
    "model.safetensors.index.fp32.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model.fp32.bin",
    "pytorch_model.bin.index.fp32.json",
    "pytorch_model.fp16.bin",
    "pytorch_model.bin.index.fp16.json",
    "state_dict.bin", /* AudioCraft */
    "compression_state_dict.bin",
    "checkpoint.th",
    "adapter_model.safetensors", /* PEFT */
    "adapter_model.bin",
};

mg_status mg_checkpoint_resolve(char found[MG_PATH_SIZE], const char *path)
{
    if (!mg_path_exists(path)) return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
    if (!mg_path_is_folder(path)) return mg_path_format(found, "%s", path);
    for (size_t i = 0; i < sizeof data_names / sizeof *data_names; i++)
        if (mg_path_has(path, data_names[i])) return mg_path_format(found, "%s/%s", path, data_names[i]);
    MG_RETURN(mg_foreign_folder_refuse(path));
    return mg_fail(MG_EFAIL,
                   "%s: no model.safetensors, no pytorch_model.bin, no index of their shards and no "
                   "state_dict.bin in this folder",
                   path);
}

/* A safetensors file begins with the length of its header: any eight bytes, and then {. */
static bool is_safetensors(const char *data, size_t bytes)
{
    return bytes > 8 && data[8] == '{';
}

static bool is_named_as_torch(const char *name)
{
    static const char *const ends[] = {".bin", ".th", ".pt", ".ckpt", ".pth"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (mg_text_ends_with(name, ends[i])) return true;
    return false;
}

/* By content; a name decides only of what tells nothing. */
mg_status mg_data_file_parse(mg_data_file *f, const char *name, const void *data, size_t bytes)
{
    const char *begin = data;

    f->path = strdup(name);
    if (!f->path) return mg_fail(MG_ENOMEM, "%s: %zu bytes", name, strlen(name));
    f->data = begin, f->n_bytes = bytes;
    const bool is_torch = mg_torch_file_is(begin, bytes);
    if (!is_torch && !is_safetensors(begin, bytes)) MG_RETURN(mg_foreign_file_refuse(name, begin, bytes));
    if (!is_torch && (is_safetensors(begin, bytes) || !is_named_as_torch(name)))
        return mg_safetensors_parse(&f->header, name, begin, (int64_t)bytes);
    MG_RETURN(mg_torch_file_parse(&f->torch, name, begin, bytes));
    return mg_torch_entries_read(&f->torch_entries, f->torch, name);
}

mg_status mg_data_file_open(mg_data_file *f, const char *path)
{
    MG_RETURN(mg_in_file_map(&f->map, path));
    const mg_status st = mg_data_file_parse(f, path, f->map.data ? f->map.data : "", (size_t)f->map.bytes);
    MG_RETURN(mg_in_file_check(&f->map)); /* the better reason of the two */
    return st;
}

void mg_data_file_close(mg_data_file *f)
{
    mg_torch_entries_close(&f->torch_entries);
    mg_torch_file_close(f->torch);
    mg_safetensors_close(&f->header);
    mg_in_file_unmap(&f->map);
    free(f->path);
    *f = (mg_data_file){0};
}

size_t mg_data_file_count(const mg_data_file *f)
{
    return f->torch ? f->torch_entries.n : (size_t)f->header.n;
}

static int by_data(const void *a, const void *b)
{
    const mg_checkpoint_source *x = a, *y = b;
    const char *p = x->tensor.data, *q = y->tensor.data;

    return p != q ? (p < q ? -1 : 1) : strcmp(x->name, y->name);
}

static void find_in_file(mg_checkpoint_source *s, const mg_data_file *f)
{
    if (!f->map.data || s->in_memory) return;
    s->fd = f->map.fd;
    s->offset = (const char *)s->tensor.data - f->map.data;
}

void mg_data_file_list(const mg_data_file *f, mg_checkpoint_source *out)
{
    const size_t n = mg_data_file_count(f);

    for (size_t i = 0; i < n; i++) {
        mg_checkpoint_source *s = &out[i];
        s->file = f->path;
        s->fd = -1;
        if (f->torch) {
            s->name = f->torch_entries.list[i].name;
            s->tensor = f->torch_entries.list[i].tensor;
            s->in_memory = f->torch_entries.list[i].in_memory;
            find_in_file(s, f);
            continue;
        }
        const mg_safetensors_entry *e = &f->header.entries[i];
        s->name = e->name;
        s->tensor = (mg_tensor){
            .data = (void *)(uintptr_t)(f->data + e->begin), .dtype = e->dtype, .n_dims = e->n_dims};
        memcpy(s->tensor.dim, e->dim, sizeof e->dim);
        find_in_file(s, f);
    }
    /* a torch file's dict is in order as it is */
    if (!f->torch && n) qsort(out, n, sizeof *out, by_data);
}
