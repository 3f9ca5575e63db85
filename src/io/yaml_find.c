/* Paths through the tree and the ${…} in it. A value that is one interpolation and nothing else becomes what
 * it leads to, of any kind; inside a longer text it becomes text. */
#include <stdio.h>
#include <string.h>

#include "yaml_impl.h"

enum { MAX_FOLLOW_DEPTH = 16, MAX_FOLLOWED = 10000, MAX_EXPANDED_BYTES = 4096 };

typedef struct lookup {
    mg_yaml *y;
    const char *path; /* that was asked for, for messages */
    int depth;
} lookup;

typedef struct text_buffer {
    char data[MAX_EXPANDED_BYTES];
    size_t n;
} text_buffer;

static mg_status find_from_root(lookup *l, const char *path, const mg_yaml_node **out);

static mg_status fail(const lookup *l, const char *text, const char *why)
{
    return mg_fail(MG_ECHECKPOINT, "%s: %s: %.80s %s", l->y->name, l->path, text, why);
}

static mg_status append(const lookup *l, text_buffer *b, const char *text, size_t n)
{
    if (n >= sizeof b->data - b->n) return fail(l, "the text", "grows beyond 4096 bytes");
    memcpy(b->data + b->n, text, n);
    b->n += n;
    b->data[b->n] = '\0';
    return MG_OK;
}

/* Behind the brace that closes the "${" at `text`; NULL if none does. */
static const char *end_of_interpolation(const char *text)
{
    int depth = 0;

    for (const char *p = text; *p; p++) {
        if (p[0] == '$' && p[1] == '{')
            depth++, p++;
        else if (*p == '}' && --depth == 0)
            return p + 1;
    }
    return NULL;
}

static mg_status expand(lookup *l, text_buffer *b, const char *text);

/* What ${inner} leads to. */
static mg_status follow(lookup *l, const char *inner, size_t n, const mg_yaml_node **out)
{
    text_buffer raw = {.n = 0}, path = {.n = 0};
    mg_status st = MG_OK;

    *out = NULL;
    if (++l->depth > MAX_FOLLOW_DEPTH || ++l->y->n_followed > MAX_FOLLOWED)
        return fail(l, "its interpolation", "goes in a circle");
    MG_TRY(append(l, &raw, inner, n));
    MG_TRY(expand(l, &path, raw.data));
    if (strchr(path.data, ':')) MG_TRY(fail(l, path.data, "is a resolver: only ${a.b.c} is supported"));
    if (path.data[0] == '.')
        MG_TRY(fail(l, path.data, "is a relative interpolation: only ${a.b.c} is supported"));
    MG_TRY(find_from_root(l, path.data, out));
    if (!*out) MG_TRY(fail(l, path.data, "is interpolated, but there is no such key"));
done:
    l->depth--;
    return st;
}

/* Every ${…} of `text` as text; "\${" is a plain "${". */
static mg_status expand(lookup *l, text_buffer *b, const char *text)
{
    while (*text) {
        const char *dollar = strstr(text, "${");
        if (!dollar) return append(l, b, text, strlen(text));
        const bool escaped = dollar > text && dollar[-1] == '\\';
        MG_RETURN(append(l, b, text, (size_t)(dollar - text) - escaped));
        if (escaped) {
            MG_RETURN(append(l, b, dollar, 2));
            text = dollar + 2;
            continue;
        }
        const char *end = end_of_interpolation(dollar);
        const mg_yaml_node *n;
        if (!end) return fail(l, dollar, "has no closing brace");
        MG_RETURN(follow(l, dollar + 2, (size_t)(end - dollar) - 3, &n));
        if (!n->text) return fail(l, dollar, "is a list or a mapping inside a text");
        MG_RETURN(append(l, b, n->text, strlen(n->text)));
        text = end;
    }
    return MG_OK;
}

static mg_status resolve(lookup *l, const mg_yaml_node *n, const mg_yaml_node **out)
{
    text_buffer b = {.n = 0};
    void *piece, *text;

    *out = n;
    if (n->kind != MG_YAML_STRING || !strstr(n->text, "${")) return MG_OK;
    const size_t n_text = strlen(n->text);
    if (n->text[0] == '$' && n->text[1] == '{' && end_of_interpolation(n->text) == n->text + n_text)
        return follow(l, n->text + 2, n_text - 3, out);
    MG_RETURN(expand(l, &b, n->text));
    MG_RETURN(mg_yaml_take(l->y, &piece, sizeof *n));
    MG_RETURN(mg_yaml_take(l->y, &text, b.n + 1));
    memcpy(text, b.data, b.n + 1);
    *(mg_yaml_node *)piece = (mg_yaml_node){.kind = MG_YAML_STRING, .key = n->key, .text = text};
    *out = piece;
    return MG_OK;
}

/* The child under the key (or, in a list, the number) that begins `path`, up to a dot. */
static mg_status child_of(const lookup *l, const mg_yaml_node *parent, const char *path, size_t n_key,
                          const mg_yaml_node **out)
{
    char number[24];
    size_t i = 0;

    *out = NULL;
    for (const mg_yaml_node *c = parent->child; c; c = c->next, i++) {
        const char *key = c->key;
        if (!key) {
            snprintf(number, sizeof number, "%zu", i);
            key = number;
        }
        if (strlen(key) != n_key || memcmp(key, path, n_key) != 0) continue;
        if (*out) return fail(l, key, "is given twice");
        *out = c;
    }
    return MG_OK;
}

static mg_status find_from_root(lookup *l, const char *path, const mg_yaml_node **out)
{
    const mg_yaml_node *n = l->y->root;

    *out = NULL;
    for (const char *p = path;; p++) {
        const size_t n_key = strcspn(p, ".");
        MG_RETURN(child_of(l, n, p, n_key, &n));
        if (!n) return MG_OK;
        MG_RETURN(resolve(l, n, &n));
        p += n_key;
        if (!*p) break;
    }
    *out = n;
    return MG_OK;
}

mg_status mg_yaml_find(mg_yaml *y, const char *path, const mg_yaml_node **out)
{
    lookup l = {.y = y, .path = path};

    return find_from_root(&l, path, out);
}

const char *mg_yaml_describe(const mg_yaml_node *n, char *text, size_t text_bytes)
{
    if (!n) return "missing";
    if (n->kind == MG_YAML_LIST) return n->child ? "a list" : "an empty list";
    if (n->kind == MG_YAML_DICT) return n->child ? "a mapping" : "an empty mapping";
    if (n->kind == MG_YAML_NULL) return "null";
    snprintf(text, text_bytes, n->kind == MG_YAML_STRING ? "\"%.64s\"" : "%.64s", n->text);
    return text;
}

/* As mg_yaml_find, but what is null is absent. */
static mg_status find_value(mg_yaml *y, const char *path, const mg_yaml_node **out, bool *found)
{
    MG_RETURN(mg_yaml_find(y, path, out));
    if (*out && (*out)->kind == MG_YAML_NULL) *out = NULL;
    if (found) *found = *out != NULL;
    return MG_OK;
}

static mg_status wrong_type(const mg_yaml *y, const char *path, const mg_yaml_node *n, const char *wanted)
{
    char text[80];

    return mg_fail(MG_ECHECKPOINT, "%s: %s: %s: must be %s", y->name, path,
                   mg_yaml_describe(n, text, sizeof text), wanted);
}

mg_status mg_yaml_int(mg_yaml *y, const char *path, int64_t *out, bool *found)
{
    const mg_yaml_node *n;

    MG_RETURN(find_value(y, path, &n, found));
    if (!n) return MG_OK;
    if (n->kind != MG_YAML_INT) return wrong_type(y, path, n, "an integer");
    *out = n->integer;
    return MG_OK;
}

mg_status mg_yaml_double(mg_yaml *y, const char *path, double *out, bool *found)
{
    const mg_yaml_node *n;

    MG_RETURN(find_value(y, path, &n, found));
    if (!n) return MG_OK;
    if ((n->kind != MG_YAML_INT && n->kind != MG_YAML_FLOAT) || !(n->number - n->number == 0))
        return wrong_type(y, path, n, "a finite number");
    *out = n->number;
    return MG_OK;
}

mg_status mg_yaml_bool(mg_yaml *y, const char *path, bool *out, bool *found)
{
    const mg_yaml_node *n;

    MG_RETURN(find_value(y, path, &n, found));
    if (!n) return MG_OK;
    if (n->kind != MG_YAML_BOOL) return wrong_type(y, path, n, "true or false");
    *out = n->boolean;
    return MG_OK;
}

mg_status mg_yaml_string(mg_yaml *y, const char *path, const char **out)
{
    const mg_yaml_node *n;

    *out = NULL;
    MG_RETURN(find_value(y, path, &n, NULL));
    if (!n) return MG_OK;
    if (n->kind != MG_YAML_STRING || strcmp(n->text, "???") == 0) return wrong_type(y, path, n, "a text");
    *out = n->text;
    return MG_OK;
}

mg_status mg_yaml_list(mg_yaml *y, const char *path, const mg_yaml_node **out)
{
    MG_RETURN(find_value(y, path, out, NULL));
    return !*out || (*out)->kind == MG_YAML_LIST ? MG_OK : wrong_type(y, path, *out, "a list");
}

mg_status mg_yaml_dict(mg_yaml *y, const char *path, const mg_yaml_node **out)
{
    MG_RETURN(find_value(y, path, out, NULL));
    return !*out || (*out)->kind == MG_YAML_DICT ? MG_OK : wrong_type(y, path, *out, "a mapping");
}
