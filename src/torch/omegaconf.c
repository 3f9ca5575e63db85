/* Only `_content` and `_val` are walked: `_parent` points back up, and nothing else says what was configured.
 * Reference: omegaconf 2.3, BaseContainer._to_content. */
#include "omegaconf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "yaml_writer.h"

enum { MAX_DEPTH = 64, MAX_VALUES = 100000, MAX_WRAPPERS = 8 };

typedef struct walk {
    const char *name;
    mg_yaml_writer *writer;
    int n_values;
} walk;

static bool is_of_omegaconf(const mg_pickle_value *v)
{
    return v->kind == MG_PICKLE_OBJECT && v->object.callable->kind == MG_PICKLE_GLOBAL &&
           strncmp(v->object.callable->global.module, "omegaconf.", 10) == 0;
}

bool mg_omegaconf_is(const mg_pickle_value *v)
{
    return mg_pickle_is_object_of(v, "omegaconf.dictconfig", "DictConfig");
}

/* The plain value inside a node, or inside the node that a node holds. `v` itself if it is no node; NULL if
 * it is one without a value. */
static const mg_pickle_value *unwrap(const mg_pickle_value *v)
{
    for (int i = 0; v && i < MAX_WRAPPERS && is_of_omegaconf(v); i++) {
        const mg_pickle_value *content = mg_pickle_get(v->object.state, "_content");
        v = content ? content : mg_pickle_get(v->object.state, "_val");
    }
    return v && !is_of_omegaconf(v) ? v : NULL;
}

static mg_status refuse(const walk *k, const char *key, const char *what)
{
    return mg_fail(MG_ECHECKPOINT, "%s: %.80s: %s", k->name, key, what);
}

/* A scalar that needs no quotes; "" if it is none. */
static void format_word(char word[40], const mg_pickle_value *v)
{
    word[0] = '\0';
    switch (v->kind) {
    case MG_PICKLE_NONE: strcpy(word, "null"); break;
    case MG_PICKLE_BOOL: strcpy(word, v->boolean ? "true" : "false"); break;
    case MG_PICKLE_INT: snprintf(word, 40, "%" PRId64, v->integer); break;
    case MG_PICKLE_FLOAT: mg_yaml_format_double(word, v->number); break;
    default: break;
    }
}

static mg_status write_value(walk *k, const char *key, const mg_pickle_value *node, int depth);

static mg_status write_dict(walk *k, const mg_pickle_value *v, int depth)
{
    for (size_t i = 0; i + 1 < v->items.n; i += 2) {
        const mg_pickle_value *key = v->items.item[i];
        char word[40];
        const bool is_text = key->kind == MG_PICKLE_STRING;
        const char *text = word;
        format_word(word, key);
        if (is_text) text = key->text.data;
        if (!is_text && !*word) return refuse(k, "a key", "is neither a text nor a number");
        MG_RETURN(is_text ? mg_yaml_writer_string(k->writer, text, key->text.n)
                          : mg_yaml_writer_word(k->writer, word));
        MG_RETURN(write_value(k, text, v->items.item[i + 1], depth));
    }
    return MG_OK;
}

static mg_status write_list(walk *k, const char *key, const mg_pickle_value *v, int depth)
{
    for (size_t i = 0; i < v->items.n; i++) MG_RETURN(write_value(k, key, v->items.item[i], depth));
    return MG_OK;
}

/* `key` is the nearest key above, for messages. */
static mg_status write_value(walk *k, const char *key, const mg_pickle_value *node, int depth)
{
    const mg_pickle_value *v = unwrap(node);
    char word[40];

    if (depth > MAX_DEPTH) return refuse(k, key, "nested deeper than 64");
    if (++k->n_values > MAX_VALUES) return refuse(k, key, "more than 100000 values");
    if (!v) return refuse(k, key, "is an omegaconf object without a value");
    format_word(word, v);
    if (*word) return mg_yaml_writer_word(k->writer, word);
    if (v->kind == MG_PICKLE_STRING) return mg_yaml_writer_string(k->writer, v->text.data, v->text.n);
    if (v->kind != MG_PICKLE_DICT && v->kind != MG_PICKLE_LIST && v->kind != MG_PICKLE_TUPLE)
        return refuse(k, key, "is neither a text, a number, a list nor a mapping: it has no form in YAML");
    const bool is_list = v->kind != MG_PICKLE_DICT;
    MG_RETURN(mg_yaml_writer_begin(k->writer, is_list));
    MG_RETURN(is_list ? write_list(k, key, v, depth + 1) : write_dict(k, v, depth + 1));
    return mg_yaml_writer_end(k->writer, is_list);
}

mg_status mg_omegaconf_to_yaml(char **out, const char *name, const mg_pickle_value *cfg)
{
    mg_status st = MG_OK;
    walk k = {.name = name};
    const mg_pickle_value *root = unwrap(cfg);

    *out = NULL;
    if (!root || root->kind != MG_PICKLE_DICT)
        return mg_fail(MG_ECHECKPOINT, "%s: is no configuration: a mapping was expected", name);
    MG_TRY(mg_yaml_writer_open(&k.writer, name));
    MG_TRY(write_value(&k, "the root", cfg, 0));
    MG_TRY(mg_yaml_writer_finish(k.writer, out));
done:
    mg_yaml_writer_close(k.writer);
    return st;
}
