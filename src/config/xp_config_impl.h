/* What xp_config.c and xp_config_codec.c share: tables of what a key may say. Private to them. */
#ifndef MG_XP_CONFIG_IMPL_H
#define MG_XP_CONFIG_IMPL_H

#include "config_field.h"
#include "xp_config.h"
#include "yaml_doc.h"

/* The one value that is supported, as YAML would write it; "{}" stands for an empty list or mapping, or null.
 */
typedef struct mg_xp_rule {
    const char *path, *only;
    bool required; /* absent, the class that reads it defaults to something else */
} mg_xp_rule;

mg_status mg_xp_check_rules(mg_yaml *y, const char *name, const mg_xp_rule *rules, int n_rules);

/* Integers, each with its default in *out, or 0 where the file must have it. */
mg_status mg_xp_read_fields(mg_yaml *y, const char *name, const mg_config_field *fields, int n_fields);

/* Refuse `path` because of its value. */
mg_status mg_xp_refuse(mg_yaml *y, const char *name, const char *path, const char *supported);

#endif
