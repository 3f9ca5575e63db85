/* What yaml_doc.c (the tree), yaml_scalar.c (what a plain word means) and yaml_find.c (paths) share. */
#ifndef MG_YAML_IMPL_H
#define MG_YAML_IMPL_H

#include "yaml_doc.h"

struct mg_yaml {
    char *name;
    mg_yaml_node *root;
    struct mg_yaml_block *blocks;
    size_t n_nodes;
    int n_followed; /* interpolations so far: bounds what hostile ones can cost */
};

/* Zeroed memory that lives until close. */
mg_status mg_yaml_take(mg_yaml *y, void **out, size_t bytes);

/* Kind and value of an unquoted scalar, from n->text. */
void mg_yaml_resolve_plain(mg_yaml_node *n);

#endif
