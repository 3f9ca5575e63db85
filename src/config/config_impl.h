/* What config.c, config_codec.c and config_mert.c share: reading one section of a config.json. Private to
 * them. */
#ifndef MG_CONFIG_IMPL_H
#define MG_CONFIG_IMPL_H

#include "config.h"
#include "config_field.h"
#include "path.h"

struct cJSON;

/* DIR/config.json, and its path for messages. The caller cJSON_Deletes it. */
mg_status mg_config_load_root(struct cJSON **root, char path[MG_PATH_SIZE], const char *dir);

/* Each *out holds its default before. */
mg_status mg_config_fields(const struct cJSON *section, const char *name, const mg_config_field *fields,
                           int n_fields);

/* A string that must be absent or `supported`. */
mg_status mg_config_only(const struct cJSON *section, const char *name, const char *key,
                         const char *supported);

/* The EnCodec section. `name` ("FILE: audio_encoder") is for messages. */
mg_status mg_config_read_codec(mg_codec_config *out, const struct cJSON *section, const char *name);

#endif
