/* Values of one section of a config.json that a table can describe. */
#include <cjson/cJSON.h>
#include <string.h>

#include "config_impl.h"
#include "json.h"

mg_status mg_config_fields(const cJSON *section, const char *name, const mg_config_field *fields,
                           int n_fields)
{
    for (int i = 0; i < n_fields; i++) {
        const mg_config_field *f = &fields[i];
        MG_RETURN(mg_json_int(section, name, f->key, f->out, NULL));
        MG_RETURN(mg_config_field_check(f, name));
    }
    return MG_OK;
}

mg_status mg_config_only(const cJSON *section, const char *name, const char *key, const char *supported)
{
    const char *value;

    MG_RETURN(mg_json_string(section, name, key, &value));
    if (value && strcmp(value, supported) != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: \"%.64s\" is not supported, only \"%s\" is", name, key, value,
                       supported);
    return MG_OK;
}
