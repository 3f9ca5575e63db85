#include "pickle_store.h"

#include <stdlib.h>
#include <string.h>

typedef struct mg_pickle_block {
    struct mg_pickle_block *next;
    size_t size_bytes, used_bytes;
    _Alignas(16) char data[];
} mg_pickle_block;

enum { BLOCK_BYTES = 256 * 1024 };

static mg_status take(mg_pickle *p, void **out, size_t bytes)
{
    const size_t rounded = (bytes + 15) / 16 * 16;
    mg_pickle_block *b = p->blocks;

    *out = NULL;
    if (bytes > MG_PICKLE_LIMIT_BYTES || p->used_bytes + rounded > MG_PICKLE_LIMIT_BYTES)
        return mg_fail(MG_ECHECKPOINT, "pickle: needs more than %zu MiB: not a checkpoint, or a damaged one",
                       MG_PICKLE_LIMIT_BYTES >> 20);
    if (!b || b->size_bytes - b->used_bytes < rounded) {
        const size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        b = malloc(sizeof *b + size);
        if (!b) return mg_fail(MG_ENOMEM, "pickle: %zu bytes", size);
        *b = (mg_pickle_block){.next = p->blocks, .size_bytes = size};
        p->blocks = b;
    }
    *out = b->data + b->used_bytes;
    b->used_bytes += rounded;
    p->used_bytes += rounded;
    return MG_OK;
}

mg_status mg_pickle_store_value(mg_pickle *p, mg_pickle_value **out, mg_pickle_kind kind)
{
    void *piece;

    *out = NULL;
    MG_RETURN(take(p, &piece, sizeof **out));
    if (!piece) return MG_ENOMEM;
    memset(piece, 0, sizeof **out);
    *out = piece;
    (*out)->kind = kind;
    return MG_OK;
}

mg_status mg_pickle_store_text(mg_pickle *p, mg_pickle_value **out, mg_pickle_kind kind, const void *data,
                               size_t n)
{
    void *copy;

    MG_RETURN(take(p, &copy, n + 1));
    memcpy(copy, data, n);
    ((char *)copy)[n] = '\0';
    MG_RETURN(mg_pickle_store_value(p, out, kind));
    (*out)->text.data = copy;
    (*out)->text.n = n;
    return MG_OK;
}

mg_status mg_pickle_store_push(mg_pickle *p, mg_pickle_items *items, mg_pickle_value *v)
{
    if (items->n == items->capacity) {
        const size_t capacity = items->capacity ? 2 * items->capacity : 4;
        void *grown;
        MG_RETURN(take(p, &grown, capacity * sizeof *items->item));
        if (items->n) memcpy(grown, items->item, items->n * sizeof *items->item);
        items->item = grown;
        items->capacity = capacity;
    }
    items->item[items->n++] = v;
    return MG_OK;
}

void mg_pickle_close(mg_pickle *store)
{
    if (!store) return;
    for (mg_pickle_block *b = store->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(store);
}

const mg_pickle_items *mg_pickle_persistents(const mg_pickle *store)
{
    return &store->persistents;
}

const mg_pickle_value *mg_pickle_get(const mg_pickle_value *v, const char *key)
{
    if (!v || v->kind != MG_PICKLE_DICT) return NULL;
    for (size_t i = v->items.n; i >= 2; i -= 2)
        if (mg_pickle_is_string(v->items.item[i - 2], key)) return v->items.item[i - 1];
    return NULL;
}

bool mg_pickle_is_string(const mg_pickle_value *v, const char *text)
{
    return v && v->kind == MG_PICKLE_STRING && v->text.n == strlen(text) &&
           !memcmp(v->text.data, text, v->text.n);
}

bool mg_pickle_is_global(const mg_pickle_value *v, const char *module, const char *name)
{
    return v && v->kind == MG_PICKLE_GLOBAL && !strcmp(v->global.module, module) &&
           !strcmp(v->global.name, name);
}

bool mg_pickle_is_object_of(const mg_pickle_value *v, const char *module, const char *name)
{
    return v && v->kind == MG_PICKLE_OBJECT && mg_pickle_is_global(v->object.callable, module, name);
}
