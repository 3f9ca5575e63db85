/* MERT's config.json. Defaults are those of its MERTConfig, which hold for every key that a file leaves out.
 * The names are those of transformers' HubertConfig, and MERT's own behind them. */
#include <cjson/cJSON.h>

#include "config_impl.h"
#include "json.h"

enum { MAX_WIDTH = 1 << 16, MAX_LAYERS = 1024, MAX_POSITIONS = 4096 };
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* A list of 1 … MG_MAX_MERT_CONVS integers, 1 … high; absent: as it is. */
static mg_status read_list(int64_t *n, int64_t out[MG_MAX_MERT_CONVS], const cJSON *root, const char *name,
                           const char *key, int64_t high)
{
    const cJSON *list;
    char shown[MG_JSON_SHOWN];

    MG_RETURN(mg_json_array(root, name, key, &list));
    if (!list) return MG_OK;
    *n = 0;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (*n == MG_MAX_MERT_CONVS)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: more than %d are not supported", name, key,
                           MG_MAX_MERT_CONVS);
        if (!mg_json_exact_int(item, &out[*n]) || out[*n] < 1 || out[*n] > high) {
            mg_json_show(shown, item);
            return mg_fail(MG_ECHECKPOINT, "%s: %s: %s: must be an integer of 1 to %lld", name, key, shown,
                           (long long)high);
        }
        ++*n;
    }
    return *n > 0 ? MG_OK : mg_fail(MG_ECHECKPOINT, "%s: %s: is empty", name, key);
}

static mg_status read_convs(mg_mert_config *out, const cJSON *root, const char *name)
{
    int64_t n_kernels = out->n_convs, n_strides = out->n_convs;

    MG_RETURN(read_list(&out->n_convs, out->conv_dim, root, name, "conv_dim", MAX_WIDTH));
    MG_RETURN(read_list(&n_kernels, out->conv_kernel, root, name, "conv_kernel", MG_MAX_MERT_TAPS));
    MG_RETURN(read_list(&n_strides, out->conv_stride, root, name, "conv_stride", MG_MAX_MERT_TAPS));
    if (n_kernels != out->n_convs || n_strides != out->n_convs)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: conv_dim: %lld layers, but conv_kernel has %lld and conv_stride %lld", name,
                       (long long)out->n_convs, (long long)n_kernels, (long long)n_strides);
    return MG_OK;
}

/* What this code does in one way only. */
static mg_status read_ways(const cJSON *root, const char *name)
{
    static const struct {
        const char *key;
        bool value; /* the default too */
    } way[] = {{"conv_bias", false},
               {"feat_proj_layer_norm", true},
               {"do_stable_layer_norm", false},
               {"conv_pos_batch_norm", false},
               {"deepnorm", false},
               {"feature_extractor_cqt", false}};
    double relax = -1;

    MG_RETURN(mg_config_only(root, name, "model_type", "mert_model"));
    MG_RETURN(mg_config_only(root, name, "feat_extract_norm", "group"));
    MG_RETURN(mg_config_only(root, name, "feat_extract_activation", "gelu"));
    MG_RETURN(mg_config_only(root, name, "hidden_act", "gelu"));
    for (int i = 0; i < COUNT(way); i++) {
        bool value = way[i].value;
        MG_RETURN(mg_json_bool(root, name, way[i].key, &value, NULL));
        if (value != way[i].value)
            return mg_fail(MG_ECHECKPOINT, "%s: %s: %s is not supported, only %s is", name, way[i].key,
                           value ? "true" : "false", value ? "false" : "true");
    }
    MG_RETURN(mg_json_double(root, name, "attention_relax", &relax, NULL));
    if (relax > 0)
        return mg_fail(MG_ECHECKPOINT, "%s: attention_relax: %g is not supported, only -1 is", name, relax);
    return MG_OK;
}

static mg_status read_mert(mg_mert_config *out, const cJSON *root, const char *name)
{
    *out = (mg_mert_config){.sampling_rate = 24000,
                            .n_convs = 7,
                            .conv_dim = {512, 512, 512, 512, 512, 512, 512},
                            .conv_kernel = {10, 3, 3, 3, 3, 2, 2},
                            .conv_stride = {5, 2, 2, 2, 2, 2, 2},
                            .D = 768,
                            .n_layers = 12,
                            .n_heads = 12,
                            .F = 3072,
                            .n_pos_taps = 128,
                            .n_pos_groups = 16,
                            .eps = 1e-5};
    const mg_config_field fields[] = {
        {"sample_rate", &out->sampling_rate, 1000, 384000},
        {"hidden_size", &out->D, 1, MAX_WIDTH},
        {"num_hidden_layers", &out->n_layers, 1, MAX_LAYERS},
        {"num_attention_heads", &out->n_heads, 1, 4096},
        {"intermediate_size", &out->F, 1, 4 * MAX_WIDTH},
        {"num_conv_pos_embeddings", &out->n_pos_taps, 1, MAX_POSITIONS},
        {"num_conv_pos_embedding_groups", &out->n_pos_groups, 1, MAX_POSITIONS},
    };

    MG_RETURN(read_ways(root, name));
    MG_RETURN(mg_config_fields(root, name, fields, COUNT(fields)));
    MG_RETURN(read_convs(out, root, name));
    if (out->D % out->n_heads != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: num_attention_heads: %lld does not divide hidden_size %lld", name,
                       (long long)out->n_heads, (long long)out->D);
    if (out->D % out->n_pos_groups != 0)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: num_conv_pos_embedding_groups: %lld does not divide hidden_size %lld", name,
                       (long long)out->n_pos_groups, (long long)out->D);
    MG_RETURN(mg_json_double(root, name, "layer_norm_eps", &out->eps, NULL));
    if (!(out->eps > 0 && out->eps < 1))
        return mg_fail(MG_ECHECKPOINT, "%s: layer_norm_eps: %g is not possible", name, out->eps);
    return MG_OK;
}

mg_status mg_config_parse_mert(mg_mert_config *out, const char *name, const char *text, int64_t text_bytes)
{
    cJSON *root;

    *out = (mg_mert_config){0};
    MG_RETURN(mg_json_parse(&root, name, text, text_bytes));
    const mg_status st = read_mert(out, root, name);
    cJSON_Delete(root);
    return st;
}

mg_status mg_config_load_mert(mg_mert_config *out, const char *dir)
{
    char path[MG_PATH_SIZE];
    cJSON *root;

    *out = (mg_mert_config){0};
    MG_RETURN(mg_config_load_root(&root, path, dir));
    const mg_status st = read_mert(out, root, path);
    cJSON_Delete(root);
    return st;
}
