/* Files -> sources (the tensors as they are named there) -> entries (under our names, fused ones split). */
#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "averaged.h"
#include "checkpoint_sources.h"
#include "lora_change.h"
#include "text.h"

struct mg_checkpoint {
    mg_checkpoint_sources sources;
    mg_dialect dialect;
    char prefix[MG_KEY_MAX];      /* taken off the names that have it */
    char *choice;                 /* what was chosen of two copies; NULL: there is one */
    mg_checkpoint_entry *entries; /* [n_entries], by name */
    size_t n_entries, entries_capacity;
    char **names; /* [n_names] of entries that are not called as in the file */
    size_t n_names, names_capacity;
    mg_lora_change **changes; /* [n_changes] of entries */
    size_t n_changes, changes_capacity;
    const mg_checkpoint *adapter; /* whose tensors they are; NULL: there are none */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mg_checkpoint_entry *)a)->name, ((const mg_checkpoint_entry *)b)->name);
}

/* `name`, or a copy of it that close frees. */
static mg_status keep_name(mg_checkpoint *c, const char **out, const char *name)
{
    *out = NULL;
    MG_RETURN(mg_grow(&c->names, &c->names_capacity, c->n_names + 1, sizeof *c->names, "checkpoint"));
    *out = c->names[c->n_names] = strdup(name);
    if (!*out) return mg_fail(MG_ENOMEM, "checkpoint: %zu bytes", strlen(name));
    c->n_names++;
    return MG_OK;
}

/* Source `i` under the name and in the part of `target`, behind the other entries. */
static mg_status add_entry(mg_checkpoint *c, size_t i, const mg_key_target *target)
{
    const mg_checkpoint_source *s = &c->sources.list[i];

    MG_RETURN(mg_grow(&c->entries, &c->entries_capacity, c->n_entries + 1, sizeof *c->entries, "checkpoint"));
    mg_checkpoint_entry e = {.source = s->name,
                             .tensor = s->tensor,
                             .file = s->file,
                             .i_source = i,
                             .in_memory = s->in_memory,
                             .fd = s->fd};
    e.name = s->name;
    if (strcmp(target->name, s->name) != 0) MG_RETURN(keep_name(c, &e.name, target->name));
    if (target->n_parts > 1) {
        if (s->tensor.n_dims < 1 || s->tensor.dim[0] % target->n_parts != 0)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: its rows do not split into %d parts", s->file, s->name,
                           target->n_parts);
        const int64_t n_rows = s->tensor.dim[0] / target->n_parts;
        e.tensor = mg_tensor_rows(&s->tensor, target->i_part * n_rows, n_rows);
    }
    e.offset = s->offset + ((const char *)e.tensor.data - (const char *)s->tensor.data);
    c->entries[c->n_entries++] = e;
    return MG_OK;
}

static mg_status sort_entries(mg_checkpoint *c)
{
    if (c->n_entries) qsort(c->entries, c->n_entries, sizeof *c->entries, by_name);
    for (size_t i = 1; i < c->n_entries; i++) {
        const mg_checkpoint_entry *a = &c->entries[i - 1], *b = &c->entries[i];
        if (strcmp(a->name, b->name) == 0)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: there is also %s in %s, and both are %s", b->file,
                           b->source, a->source, a->file, a->name);
    }
    return MG_OK;
}

/* Source `i`, which is called `name` without what stands before it. */
static mg_status list_entry(mg_checkpoint *c, size_t i, const char *name)
{
    mg_key_target target[MG_KEY_PARTS];
    int n = mg_key_map(target, c->dialect, name);

    if (n == 0) {
        /* no rule: it stays as it is, for the mapping report to judge */
        if (strlen(name) >= MG_KEY_MAX)
            return mg_fail(MG_ECHECKPOINT, "%s: %.64s…: a name of more than %d bytes",
                           c->sources.list[i].file, c->sources.list[i].name, MG_KEY_MAX - 1);
        snprintf(target[0].name, sizeof target[0].name, "%s", name);
        target[0].i_part = 0, target[0].n_parts = 1, n = 1;
    }
    for (int part = 0; part < n; part++) MG_RETURN(add_entry(c, i, &target[part]));
    return MG_OK;
}

static mg_status say_choice(mg_checkpoint *c, const mg_plain_names *plain)
{
    mg_text text = {0};
    const char *path = c->sources.files[0].path;
    const char *note = c->sources.files[0].torch_entries.note;

    if (*plain->averaged) {
        mg_text_show(&text, "%s: its weights are there twice: the averaged copy is used (%s, %zu tensors)",
                     path, plain->averaged, plain->n_averaged);
        if (plain->n_others) mg_text_format(&text, ", and %zu tensors that are there once", plain->n_others);
    } else if (note) {
        mg_text_show(&text, "%s: %s", path, note);
    } else {
        return MG_OK;
    }
    return mg_text_end(&text, &c->choice, "checkpoint");
}

static mg_status list_entries(mg_checkpoint *c)
{
    mg_status st = MG_OK;
    mg_plain_names plain = {0};
    const char *path = c->sources.n_files ? c->sources.files[0].path : "checkpoint";
    const char **names = NULL;
    size_t n = 0;

    MG_TRY(mg_plain_names_make(&plain, c->sources.names, c->sources.n, path));
    memcpy(c->prefix, plain.prefix, sizeof c->prefix);
    names = calloc(c->sources.n + 1, sizeof *names);
    if (!names) MG_TRY(mg_fail(MG_ENOMEM, "checkpoint: %zu names", c->sources.n));
    for (size_t i = 0; i < c->sources.n; i++)
        if (plain.list[i]) names[n++] = plain.list[i];
    c->dialect = mg_key_map_detect(names, n);
    for (size_t i = 0; i < c->sources.n; i++)
        if (plain.list[i]) MG_TRY(list_entry(c, i, plain.list[i]));
    if (c->sources.n_files) MG_TRY(say_choice(c, &plain));
    MG_TRY(sort_entries(c));
done:
    free(names);
    mg_plain_names_close(&plain);
    return st;
}

/* DeepSpeed's ZeRO 3 saves the names of all weights, and their values elsewhere. */
static mg_status check_filled(const mg_checkpoint *c)
{
    size_t n_empty = 0;

    for (size_t i = 0; i < c->sources.n; i++) n_empty += mg_tensor_count(&c->sources.list[i].tensor) == 0;
    if (2 * n_empty <= c->sources.n) return MG_OK;
    return mg_fail(
        MG_ECHECKPOINT,
        "%s: %zu of its %zu tensors are empty, as DeepSpeed's ZeRO 3 leaves them, which cuts the "
        "values up into other files: zero_to_fp32.py, which lies in the checkpoint's folder, makes "
        "one file of them",
        c->sources.files[0].path, n_empty, c->sources.n);
}

/* `data` NULL: what `path` names. */
static mg_status open_any(mg_checkpoint **out, const char *path, const void *data, size_t bytes)
{
    mg_status st = MG_OK;
    mg_checkpoint *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c) return mg_fail(MG_ENOMEM, "checkpoint: %zu bytes", sizeof *c);
    MG_TRY(data ? mg_checkpoint_sources_parse(&c->sources, path, data, bytes)
                : mg_checkpoint_sources_open(&c->sources, path));
    MG_TRY(check_filled(c));
    MG_TRY(list_entries(c));
    *out = c;
done:
    if (st != MG_OK) mg_checkpoint_close(c);
    return st;
}

mg_status mg_checkpoint_open(mg_checkpoint **out, const char *path)
{
    return open_any(out, path, NULL, 0);
}

mg_status mg_checkpoint_parse(mg_checkpoint **out, const char *name, const void *data, size_t bytes)
{
    return open_any(out, name, data, bytes);
}

void mg_checkpoint_close(mg_checkpoint *c)
{
    if (!c) return;
    mg_checkpoint_sources_close(&c->sources);
    for (size_t i = 0; i < c->n_names; i++) free(c->names[i]);
    for (size_t i = 0; i < c->n_changes; i++) free(c->changes[i]);
    free(c->changes);
    free(c->choice);
    free(c->entries);
    free(c->names);
    free(c);
}

mg_status mg_checkpoint_check_files(const mg_checkpoint *c)
{
    for (size_t i = 0; i < c->sources.n_files; i++) MG_RETURN(mg_in_file_check(&c->sources.files[i].map));
    return c->adapter ? mg_checkpoint_check_files(c->adapter) : MG_OK;
}

mg_status mg_checkpoint_check_sums(const mg_checkpoint *c, int64_t *n)
{
    for (size_t i = 0; i < c->sources.n_files; i++) {
        const mg_torch_file *torch = c->sources.files[i].torch;
        if (torch) MG_RETURN(mg_torch_file_check_sums(torch, n));
    }
    return MG_OK;
}

const mg_checkpoint_entry *mg_checkpoint_find(const mg_checkpoint *c, const char *name)
{
    const mg_checkpoint_entry key = {.name = name};

    return c->n_entries ? bsearch(&key, c->entries, c->n_entries, sizeof *c->entries, by_name) : NULL;
}

/* What an adapter does to source `i` it does to the last entry as well: to the same rows, or to none of them.
 * A change is of whole entries. */
static mg_status take_change(mg_checkpoint *c, size_t i)
{
    mg_checkpoint_entry *e = &c->entries[c->n_entries - 1];
    const char *first = e->tensor.data, *end = first + mg_tensor_bytes(&e->tensor);

    for (size_t k = 0; k + 1 < c->n_entries; k++) {
        const mg_checkpoint_entry *other = &c->entries[k];
        const char *data = other->tensor.data, *end_data = data + mg_tensor_bytes(&other->tensor);
        if (other->i_source != i || !other->change || end_data <= first || end <= data) continue;
        if (data != first || end_data != end)
            return mg_fail(
                MG_ECHECKPOINT,
                "%s: %s: an adapter changes %s, and only a part of it would be %s: merge the adapter "
                "into the model that has the right names",
                e->file, e->source, other->name, e->name);
        e->change = other->change;
    }
    return MG_OK;
}

mg_status mg_checkpoint_alias(mg_checkpoint *c, const mg_key_target *target, const char *source)
{
    const mg_checkpoint_source *s = mg_checkpoint_sources_find(&c->sources, source);

    if (!s) return mg_fail(MG_ECHECKPOINT, "checkpoint: %s: no such tensor", source);
    if (mg_checkpoint_find(c, target->name))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: is there already", s->file, target->name);
    MG_RETURN(add_entry(c, (size_t)(s - c->sources.list), target));
    MG_RETURN(take_change(c, (size_t)(s - c->sources.list)));
    return sort_entries(c);
}

mg_status mg_checkpoint_borrow(mg_checkpoint *c, const mg_checkpoint_entry *e)
{
    const mg_checkpoint_source s = {.name = e->name,
                                    .tensor = e->tensor,
                                    .file = e->file,
                                    .in_memory = e->in_memory,
                                    .fd = e->fd,
                                    .offset = e->offset};
    mg_key_target target = {.n_parts = 1};

    MG_REQUIRE(!e->change);
    MG_RETURN(mg_checkpoint_sources_add(&c->sources, &s));
    snprintf(target.name, sizeof target.name, "%s", e->name);
    MG_RETURN(add_entry(c, c->sources.n - 1, &target));
    return sort_entries(c);
}

mg_status mg_checkpoint_change(mg_checkpoint *c, const char *name, const mg_lora_change *change,
                               const mg_checkpoint *adapter)
{
    const mg_checkpoint_entry *found = mg_checkpoint_find(c, name);

    MG_REQUIRE(!c->adapter || c->adapter == adapter);
    if (!found) return mg_fail(MG_ECHECKPOINT, "checkpoint: %s: no such tensor", name);
    mg_checkpoint_entry *e = &c->entries[found - c->entries];
    MG_RETURN(mg_grow(&c->changes, &c->changes_capacity, c->n_changes + 1, sizeof *c->changes, "checkpoint"));
    mg_lora_change *own = c->changes[c->n_changes] = malloc(sizeof *own);
    if (!own) return mg_fail(MG_ENOMEM, "checkpoint: %zu bytes", sizeof *own);
    c->n_changes++;
    *own = *change;
    own->before = e->change;
    e->change = own;
    c->adapter = adapter;
    return MG_OK;
}

size_t mg_checkpoint_count(const mg_checkpoint *c)
{
    return c->n_entries;
}

const mg_checkpoint_entry *mg_checkpoint_at(const mg_checkpoint *c, size_t i)
{
    return &c->entries[i];
}

size_t mg_checkpoint_n_sources(const mg_checkpoint *c)
{
    return c->sources.n;
}

const mg_checkpoint_source *mg_checkpoint_source_at(const mg_checkpoint *c, size_t i)
{
    return &c->sources.list[i];
}

mg_checkpoint_kind mg_checkpoint_get_kind(const mg_checkpoint *c)
{
    return c->sources.files[0].torch ? c->sources.files[0].torch_entries.kind : MG_CHECKPOINT_WEIGHTS;
}

const char *mg_checkpoint_prefix(const mg_checkpoint *c)
{
    return c->prefix;
}

const char *mg_checkpoint_choice(const mg_checkpoint *c)
{
    return c->choice;
}

const char *mg_checkpoint_packing(const mg_checkpoint *c)
{
    static const struct {
        const char *part, *packing;
    } marks[] = {
        {".SCB", "bitsandbytes int8"},
        {".quant_state.bitsandbytes__nf4", "bitsandbytes nf4"},
        {".quant_state.bitsandbytes__fp4", "bitsandbytes fp4"},
        {".weight_packed", "compressed-tensors"},
        {".qweight", "GPTQ or AWQ"},
        {".qzeros", "GPTQ or AWQ"},
        {".weight_scale_inv", "fp8"},
        {".weight._data", "quanto"},
        {"._weight_qdata", "torchao"},
    };

    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
        for (size_t i = 0; i < c->sources.n; i++)
            if (strstr(c->sources.list[i].name, marks[k].part)) return marks[k].packing;
    for (size_t i = 0; i < c->sources.n; i++) {
        const mg_dtype dtype = c->sources.list[i].tensor.dtype;
        if (!mg_text_ends_with(c->sources.list[i].name, ".weight")) continue;
        if (dtype == MG_F8_E4M3 || dtype == MG_F8_E5M2) return "fp8";
        if (dtype == MG_I8) return "int8";
    }
    return NULL;
}

mg_dialect mg_checkpoint_get_dialect(const mg_checkpoint *c)
{
    return c->dialect;
}

const char *mg_checkpoint_container(const mg_checkpoint *c)
{
    const mg_torch_file *torch = c->sources.files[0].torch;

    return !torch ? "safetensors" : mg_torch_file_is_zip(torch) ? "torch zip" : "torch pickle";
}

const char *mg_checkpoint_xp_config(const mg_checkpoint *c)
{
    return c->sources.files[0].torch_entries.xp_config;
}

const char *mg_checkpoint_pointer(const mg_checkpoint *c)
{
    return c->sources.files[0].torch_entries.pointer;
}

size_t mg_checkpoint_n_files(const mg_checkpoint *c)
{
    return c->sources.n_files;
}

const char *mg_checkpoint_file(const mg_checkpoint *c, size_t i)
{
    return c->sources.files[i].path;
}

int mg_checkpoint_file_fd(const mg_checkpoint *c, size_t i)
{
    const mg_mapped_file *map = &c->sources.files[i].map;

    return map->data ? map->fd : -1;
}

size_t mg_checkpoint_bytes(const mg_checkpoint *c)
{
    size_t bytes = 0;

    for (size_t i = 0; i < c->sources.n_files; i++) bytes += c->sources.files[i].n_bytes;
    return bytes;
}
