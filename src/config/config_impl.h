/* What config.c and config_codec.c share: reading one section of a config.json. Private to them. */
#ifndef MG_CONFIG_IMPL_H
#define MG_CONFIG_IMPL_H

#include "config.h"

struct cJSON;

/* An integer key with its bounds; *out holds the default. */
typedef struct mg_config_field {
    const char *key;
    int64_t *out;
    int64_t low, high;
} mg_config_field;

mg_status mg_config_fields(const struct cJSON *section, const char *name, const mg_config_field *fields,
                           int n_fields);

/* A string that must be absent or `supported`. */
mg_status mg_config_only(const struct cJSON *section, const char *name, const char *key,
                         const char *supported);

/* The EnCodec section. `name` ("FILE: audio_encoder") is for messages. */
mg_status mg_config_read_codec(mg_codec_config *out, const struct cJSON *section, const char *name);

#endif
