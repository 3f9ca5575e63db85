/* YAML text as a tree, through libyaml, with limits; and the two things that omegaconf adds: dotted paths and
 * ${a.b.c} interpolations, which are followed only where a key is read.
 *
 * Plain scalars mean what PyYAML and omegaconf take them for (YAML 1.1, and 1e-8 is a float); numbers in base
 * 60 stay text. Aliases and merge keys are refused: omegaconf writes none, and they are how a small file
 * grows large. */
#ifndef MG_YAML_DOC_H
#define MG_YAML_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef enum mg_yaml_kind {
    MG_YAML_NULL,
    MG_YAML_BOOL,
    MG_YAML_INT,
    MG_YAML_FLOAT,
    MG_YAML_STRING,
    MG_YAML_LIST,
    MG_YAML_DICT,
} mg_yaml_kind;

typedef struct mg_yaml_node {
    mg_yaml_kind kind;
    const char *key;  /* in its dict; NULL elsewhere */
    const char *text; /* of a scalar: as it was written, without quotes */
    bool boolean;
    int64_t integer;
    double number;                   /* of a FLOAT and of an INT */
    struct mg_yaml_node *child;      /* the first of a LIST or DICT */
    struct mg_yaml_node *next;       /* sibling */
    struct mg_yaml_node *last_child; /* where the next one is added */
    size_t n_children;
} mg_yaml_node;

typedef struct mg_yaml mg_yaml;

/* One document, whose root is a mapping. `name` is for messages. MG_ECHECKPOINT if it is no YAML, is longer
 * than 1 MiB, nests deeper than 64 or holds more than 100,000 values. */
mg_status mg_yaml_parse(mg_yaml **out, const char *name, const char *text, size_t bytes);
void mg_yaml_close(mg_yaml *y);

const mg_yaml_node *mg_yaml_root(const mg_yaml *y);

/* The value at "a.b.c" ("a.b.0" in a list) with interpolations followed; NULL if there is none. Borrowed
 * until close. MG_ECHECKPOINT if an interpolation leads nowhere or in a circle, or asks a resolver
 * (${oc.env:USER}), and if a key on the way is there twice. */
mg_status mg_yaml_find(mg_yaml *y, const char *path, const mg_yaml_node **out);

/* Typed reads. Absent or null: *out keeps its value, and false comes back in *found if found is not NULL. A
 * wrong type is MG_ECHECKPOINT "name: a.b.c: …". */
mg_status mg_yaml_int(mg_yaml *y, const char *path, int64_t *out, bool *found);
mg_status mg_yaml_double(mg_yaml *y, const char *path, double *out, bool *found);
mg_status mg_yaml_bool(mg_yaml *y, const char *path, bool *out, bool *found);

/* Borrowed, NULL if absent or null. */
mg_status mg_yaml_string(mg_yaml *y, const char *path, const char **out);
mg_status mg_yaml_list(mg_yaml *y, const char *path, const mg_yaml_node **out);
mg_status mg_yaml_dict(mg_yaml *y, const char *path, const mg_yaml_node **out);

/* "false", "4", "t5", "a list": what a message says of a value. `n` NULL is "missing". */
const char *mg_yaml_describe(const mg_yaml_node *n, char *text, size_t text_bytes);

#endif
