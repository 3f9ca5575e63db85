/* From libyaml's events to the tree. Every event is checked against the limits before it costs memory. */
#include "yaml_doc.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "yaml_impl.h"

enum { MAX_DEPTH = 64, MAX_NODES = 100000, MAX_TEXT_BYTES = 1 << 20, BLOCK_BYTES = 64 * 1024 };

typedef struct mg_yaml_block {
    struct mg_yaml_block *next;
    size_t used_bytes, size_bytes;
    _Alignas(16) char data[];
} mg_yaml_block;

typedef struct reader {
    mg_yaml *y;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; an empty one is of type YAML_NO_EVENT */
} reader;

mg_status mg_yaml_take(mg_yaml *y, void **out, size_t bytes)
{
    const size_t rounded = (bytes + 15) / 16 * 16;
    mg_yaml_block *b = y->blocks;

    *out = NULL;
    if (!b || b->size_bytes - b->used_bytes < rounded) {
        const size_t size_bytes = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        b = calloc(1, sizeof *b + size_bytes);
        if (!b) return mg_fail(MG_ENOMEM, "%s: %zu bytes", y->name, size_bytes);
        b->size_bytes = size_bytes;
        b->next = y->blocks;
        y->blocks = b;
    }
    *out = b->data + b->used_bytes;
    b->used_bytes += rounded;
    return MG_OK;
}

static mg_status refuse(const reader *r, const char *what)
{
    return mg_fail(MG_ECHECKPOINT, "%s: line %zu: %s", r->y->name, r->event.start_mark.line + 1, what);
}

static mg_status advance(reader *r)
{
    const yaml_parser_t *p = &r->parser;

    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event)) return MG_OK;
    if (p->error == YAML_MEMORY_ERROR) return mg_fail(MG_ENOMEM, "%s: out of memory", r->y->name);
    return mg_fail(MG_ECHECKPOINT, "%s: line %zu: not YAML: %s", r->y->name,
                   (p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line) + 1,
                   p->problem ? p->problem : "an error");
}

static mg_status take_node(reader *r, mg_yaml_node **out)
{
    void *piece;

    *out = NULL;
    if (++r->y->n_nodes > MAX_NODES) return refuse(r, "more than 100000 values");
    MG_RETURN(mg_yaml_take(r->y, &piece, sizeof **out));
    *out = piece;
    return MG_OK;
}

/* The text of the current scalar event. */
static mg_status take_text(reader *r, const char **out)
{
    const size_t n = r->event.data.scalar.length;
    void *piece;

    *out = NULL;
    if (memchr(r->event.data.scalar.value, 0, n)) return refuse(r, "a NUL in a text");
    MG_RETURN(mg_yaml_take(r->y, &piece, n + 1));
    memcpy(piece, r->event.data.scalar.value, n);
    *out = piece;
    return MG_OK;
}

static mg_status read_scalar(reader *r, mg_yaml_node *n)
{
    MG_RETURN(take_text(r, &n->text));
    n->kind = MG_YAML_STRING;
    if (r->event.data.scalar.plain_implicit) mg_yaml_resolve_plain(n);
    return MG_OK;
}

static void add_child(mg_yaml_node *parent, mg_yaml_node *n)
{
    if (parent->last_child)
        parent->last_child->next = n;
    else
        parent->child = n;
    parent->last_child = n;
    parent->n_children++;
}

static mg_status read_key(reader *r, const char **key)
{
    *key = NULL;
    if (r->event.type == YAML_ALIAS_EVENT) return refuse(r, "aliases are not supported");
    if (r->event.type != YAML_SCALAR_EVENT) return refuse(r, "a key that is no text");
    MG_RETURN(take_text(r, key));
    if (r->event.data.scalar.plain_implicit && strcmp(*key, "<<") == 0)
        return refuse(r, "merge keys are not supported");
    return advance(r);
}

/* The value that the current event begins; afterwards the current event is the one behind it. */
static mg_status read_node(reader *r, mg_yaml_node **out, const char *key, int depth)
{
    mg_yaml_node *n;

    *out = NULL;
    if (depth > MAX_DEPTH) return refuse(r, "nested deeper than 64");
    if (r->event.type == YAML_ALIAS_EVENT) return refuse(r, "aliases are not supported");
    MG_RETURN(take_node(r, &n));
    n->key = key;
    *out = n;
    if (r->event.type == YAML_SCALAR_EVENT) {
        MG_RETURN(read_scalar(r, n));
        return advance(r);
    }
    if (r->event.type != YAML_MAPPING_START_EVENT && r->event.type != YAML_SEQUENCE_START_EVENT)
        return refuse(r, "a value was expected");
    n->kind = r->event.type == YAML_MAPPING_START_EVENT ? MG_YAML_DICT : MG_YAML_LIST;
    const yaml_event_type_t end = n->kind == MG_YAML_DICT ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    MG_RETURN(advance(r));
    while (r->event.type != end) {
        const char *child_key = NULL;
        mg_yaml_node *child;
        if (n->kind == MG_YAML_DICT) MG_RETURN(read_key(r, &child_key));
        MG_RETURN(read_node(r, &child, child_key, depth + 1));
        add_child(n, child);
    }
    return advance(r);
}

static mg_status read_document(reader *r)
{
    do {
        MG_RETURN(advance(r));
    } while (r->event.type == YAML_STREAM_START_EVENT || r->event.type == YAML_DOCUMENT_START_EVENT);
    if (r->event.type != YAML_MAPPING_START_EVENT) return refuse(r, "the document must be a mapping");
    MG_RETURN(read_node(r, &r->y->root, NULL, 0));
    if (r->event.type != YAML_DOCUMENT_END_EVENT) return refuse(r, "something behind the document");
    MG_RETURN(advance(r));
    return r->event.type == YAML_STREAM_END_EVENT ? MG_OK : refuse(r, "more than one document");
}

mg_status mg_yaml_parse(mg_yaml **out, const char *name, const char *text, size_t bytes)
{
    mg_status st = MG_OK;
    mg_yaml *y = NULL;
    reader r = {0};

    *out = NULL;
    if (bytes > MAX_TEXT_BYTES)
        return mg_fail(MG_ECHECKPOINT, "%s: %zu bytes of YAML: more than 1 MiB", name, bytes);
    if (!yaml_parser_initialize(&r.parser)) return mg_fail(MG_ENOMEM, "%s: out of memory", name);
    y = r.y = calloc(1, sizeof *y);
    if (y) y->name = strdup(name);
    if (!y || !y->name) MG_TRY(mg_fail(MG_ENOMEM, "%s: out of memory", name));
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    MG_TRY(read_document(&r));
    *out = y;
done:
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (st != MG_OK) mg_yaml_close(y);
    return st;
}

void mg_yaml_close(mg_yaml *y)
{
    if (!y) return;
    for (mg_yaml_block *b = y->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(y->name);
    free(y);
}

const mg_yaml_node *mg_yaml_root(const mg_yaml *y)
{
    return y->root;
}
