/* Integers of a config and their bounds, in the words of both dialects: config.json and xp.cfg. */
#ifndef MG_CONFIG_FIELD_H
#define MG_CONFIG_FIELD_H

#include "config.h"

typedef struct mg_config_field {
    const char *key; /* of a JSON section, or a path of xp.cfg */
    int64_t *out;    /* holds the default; in xp.cfg 0 where there is none */
    int64_t low, high;
} mg_config_field;

/* MG_ECHECKPOINT names the key, its value and the bounds. `name` is the file, for messages. */
mg_status mg_config_field_check(const mg_config_field *f, const char *name);

typedef enum mg_config_dialect { MG_CONFIG_JSON, MG_CONFIG_XP } mg_config_dialect;
enum { MG_CODEC_FIELDS = 12 };

/* The codec's sizes. Returns how many of `fields` the dialect has. */
int mg_config_codec_fields(mg_config_field fields[MG_CODEC_FIELDS], mg_codec_config *c,
                           mg_config_dialect dialect);

/* MG_ECHECKPOINT if `c`'s sizes do not go together, in the dialect's words. */
mg_status mg_config_codec_check(const mg_codec_config *c, const char *name, mg_config_dialect dialect);

/* Set hop and frame_rate by the ratios, which must not be more than a sane product. `key` is theirs. */
mg_status mg_config_codec_hop(mg_codec_config *c, const char *name, const char *key);

#endif
