/* The two containers of torch.save: where the pickle and the storages lie. */
#include "torch_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stop.h"
#include "torch_impl.h"

bool mg_torch_file_is(const char *data, size_t bytes)
{
    /* a pickle's PROTO, and behind it LONG1: the magic number */
    return mg_zip_archive_is(data, bytes) ||
           (bytes >= 3 && (uint8_t)data[0] == 0x80 && data[1] <= 5 && (uint8_t)data[2] == 0x8a);
}

static mg_status open_zip(mg_torch_file *f)
{
    static const char pickle_name[] = "data.pkl";
    const mg_zip_entry *pickle = NULL;

    f->is_zip = true;
    MG_RETURN(mg_zip_archive_open(&f->zip, f->path, f->data, f->n_bytes));
    for (size_t i = 0; i < f->zip.n; i++) {
        const char *name = f->zip.entries[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash + 1, pickle_name) != 0 || (size_t)(slash - name) + 2 > sizeof f->top)
            continue;
        if (pickle) return mg_fail(MG_ECHECKPOINT, "%s: two data.pkl: not written by torch.save", f->path);
        pickle = &f->zip.entries[i];
        snprintf(f->top, sizeof f->top, "%.*s", (int)(slash - name) + 1, name);
    }
    if (!pickle)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: a zip archive without data.pkl, so not of torch.save (it begins with %.64s): "
                       "unpack it, and give the weights in it",
                       f->path, f->zip.n ? f->zip.entries[0].name : "nothing");
    char order_name[sizeof f->top + 16];
    snprintf(order_name, sizeof order_name, "%sbyteorder", f->top);
    const mg_zip_entry *order = mg_zip_archive_find(&f->zip, order_name);
    if (order && (order->bytes < 6 || memcmp(order->data, "little", 6) != 0))
        return mg_fail(MG_ECHECKPOINT,
                       "%s: written on a big-endian machine: save it again on a little-endian one", f->path);
    return mg_pickle_read(&f->store, &f->root, f->path, pickle->data, pickle->bytes, NULL);
}

/* A storage's element type: only the tensors that use it say, in their persistent ids. */
typedef struct key_type {
    const char *key;
    const mg_torch_type *type;
} key_type;

static int by_type_key(const void *a, const void *b)
{
    return strcmp(((const key_type *)a)->key, ((const key_type *)b)->key);
}

static mg_status list_types(const mg_torch_file *f, key_type **types, size_t *n)
{
    const mg_pickle_items *all = mg_pickle_persistents(f->store);
    int64_t n_elements;

    *n = 0;
    *types = calloc(all->n + 1, sizeof **types);
    if (!*types) return mg_fail(MG_ENOMEM, "%s: %zu storages", f->path, all->n);
    for (size_t i = 0; i < all->n; i++) {
        key_type *t = &(*types)[*n];
        if (mg_torch_storage_of(all->item[i], &t->type, &t->key, &n_elements) && t->type) ++*n;
    }
    qsort(*types, *n, sizeof **types, by_type_key);
    return MG_OK;
}

/* After the five pickles, for each key in order: int64 count, then the elements. */
static mg_status locate_old_storages(mg_torch_file *f, const mg_pickle_value *keys, size_t at)
{
    mg_status st = MG_OK;
    key_type *types = NULL;
    size_t n_types;

    MG_TRY(list_types(f, &types, &n_types));
    f->old = calloc(keys->items.n + 1, sizeof *f->old);
    if (!f->old) MG_TRY(mg_fail(MG_ENOMEM, "%s: %zu storages", f->path, keys->items.n));
    for (size_t i = 0; i < keys->items.n; i++) {
        const mg_pickle_value *key = keys->items.item[i];
        const key_type wanted = {.key = key->kind == MG_PICKLE_STRING ? key->text.data : ""};
        const key_type *found = bsearch(&wanted, types, n_types, sizeof *types, by_type_key);
        int64_t count;
        if (!found) MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: a storage of no known element type", f->path));
        if (f->n_bytes - at < sizeof count)
            MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: is truncated: storages are missing", f->path));
        memcpy(&count, f->data + at, sizeof count);
        at += sizeof count;
        const size_t element_bytes = mg_dtype_bytes(found->type->dtype);
        if (count < 0 || (uint64_t)count > (f->n_bytes - at) / element_bytes)
            MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: is truncated: storage %s wants %" PRId64 " elements", f->path,
                           found->key, count));
        f->old[f->n_old++] = (mg_torch_storage){found->key, f->data + at, (size_t)count * element_bytes};
        at += (size_t)count * element_bytes;
    }
    if (at != f->n_bytes)
        MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: %zu bytes at its end belong to no storage", f->path,
                       f->n_bytes - at));
    if (f->n_old) qsort(f->old, f->n_old, sizeof *f->old, mg_torch_storage_by_key);
done:
    free(types);
    return st;
}

/* torch < 1.6: magic number, protocol, system, object, storage keys; then the storages. */
static mg_status open_old(mg_torch_file *f)
{
    static const uint8_t magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    const mg_pickle_value *part[5];
    size_t at = 0;

    for (int i = 0; i < 5; i++) {
        size_t used;
        MG_RETURN(mg_pickle_read(&f->store, &part[i], f->path, f->data + at, f->n_bytes - at, &used));
        at += used;
        if (i == 0 && (part[0]->kind != MG_PICKLE_LONG || part[0]->text.n != sizeof magic ||
                       memcmp(part[0]->text.data, magic, sizeof magic) != 0))
            return mg_fail(MG_ECHECKPOINT, "%s: not written by torch.save", f->path);
    }
    const mg_pickle_value *little = mg_pickle_get(part[2], "little_endian");
    if (!little || little->kind != MG_PICKLE_BOOL || !little->boolean)
        return mg_fail(MG_ECHECKPOINT, "%s: not written on a little-endian machine: save it again", f->path);
    if (part[4]->kind != MG_PICKLE_LIST) return mg_fail(MG_ECHECKPOINT, "%s: no list of storages", f->path);
    f->root = part[3];
    return locate_old_storages(f, part[4], at);
}

static mg_status parse(mg_torch_file *f)
{
    if (f->n_bytes == 0) return mg_fail(MG_ECHECKPOINT, "%s: is empty", f->path);
    return mg_zip_archive_is(f->data, f->n_bytes) ? open_zip(f) : open_old(f);
}

/* Map `path`, or take the caller's `data`. */
static mg_status open_file(mg_torch_file **out, const char *path, const void *data, size_t bytes)
{
    mg_status st = MG_OK;
    mg_torch_file *f = calloc(1, sizeof *f);

    *out = NULL;
    if (!f) return mg_fail(MG_ENOMEM, "%s: out of memory", path);
    f->data = data, f->n_bytes = bytes;
    f->path = strdup(path);
    if (!f->path) MG_TRY(mg_fail(MG_ENOMEM, "%s: out of memory", path));
    if (!data) {
        MG_TRY(mg_in_file_map(&f->map, path));
        f->data = f->map.data, f->n_bytes = (size_t)f->map.bytes;
    }
    st = parse(f);
    if (mg_in_file_check(&f->map) != MG_OK) st = MG_EFAIL; /* the better reason of the two */
    if (st == MG_OK) *out = f;
done:
    if (st != MG_OK) mg_torch_file_close(f);
    return st;
}

mg_status mg_torch_file_open(mg_torch_file **out, const char *path)
{
    return open_file(out, path, NULL, 0);
}

mg_status mg_torch_file_parse(mg_torch_file **out, const char *name, const void *data, size_t bytes)
{
    return open_file(out, name, data, bytes);
}

void mg_torch_file_close(mg_torch_file *f)
{
    if (!f) return;
    mg_pickle_close(f->store);
    mg_zip_archive_close(&f->zip);
    mg_in_file_unmap(&f->map);
    free(f->old);
    free(f->path);
    free(f);
}

const mg_pickle_value *mg_torch_file_root(const mg_torch_file *f)
{
    return f->root;
}

mg_status mg_torch_file_check(const mg_torch_file *f)
{
    return mg_in_file_check(&f->map);
}

mg_status mg_torch_file_check_sums(const mg_torch_file *f, int64_t *n)
{
    for (size_t i = 0; i < f->zip.n; i++) {
        const mg_zip_entry *e = &f->zip.entries[i];
        MG_RETURN(mg_stop_check());
        if (!mg_zip_entry_is_whole(e))
            return mg_fail(MG_ECHECKPOINT,
                           "%s: %s is not what its checksum says: damaged: get the file again", f->path,
                           e->name);
        *n += e->sum != 0;
    }
    return MG_OK;
}

bool mg_torch_file_is_zip(const mg_torch_file *f)
{
    return f->is_zip;
}

size_t mg_torch_file_bytes(const mg_torch_file *f)
{
    return f->n_bytes;
}
