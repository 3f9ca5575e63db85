/* What xp_config.c and xp_config_codec.c share: tables of what a key may say. Private to them. */
#ifndef MG_XP_CONFIG_IMPL_H
#define MG_XP_CONFIG_IMPL_H

#include "xp_config.h"
#include "yaml_doc.h"

/* The one value that is supported, as YAML would write it; "{}" stands for an empty list or mapping, or null.
 */
typedef struct mg_xp_rule {
    const char *path, *only;
    bool required; /* absent, the class that reads it defaults to something else */
} mg_xp_rule;

mg_status mg_xp_check_rules(mg_yaml *y, const char *name, const mg_xp_rule *rules, int n_rules);

/* An integer with its bounds; *out holds the default, or 0 where there is none. */
typedef struct mg_xp_field {
    const char *path;
    int64_t *out, low, high;
} mg_xp_field;

mg_status mg_xp_read_fields(mg_yaml *y, const char *name, const mg_xp_field *fields, int n_fields);

/* Refuse `path` because of its value. */
mg_status mg_xp_refuse(mg_yaml *y, const char *name, const char *path, const char *supported);

#endif
