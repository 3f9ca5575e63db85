#include "lora.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint_files.h"
#include "json.h"
#include "lora_change.h"
#include "path.h"

#define CONFIG "adapter_config.json"

enum { MAX_RANK = 1 << 14 };

typedef struct adapter {
    const char *name; /* of its folder */
    cJSON *config;
    mg_checkpoint *weights;
    double alpha;
    bool by_root; /* use_rslora */
} adapter;

/* What changes the merge and is not done here: absent, null, false, empty, or one of the values. What only
 * says how a training begins does not, unless it takes a part out of the base's weights: PiSSA, OLoRA, CorDA,
 * LoftQ. */
static const struct {
    const char *key, *only[5];
} built_in[] = {
    {"peft_type", {"LORA"}},
    {"bias", {"none", "all", "lora_only"}}, /* those that were trained are in the file by their names */
    {"init_lora_weights", {"gaussian", "eva", "orthogonal", "true"}},
    {"use_dora", {0}},
    {"fan_in_fan_out", {0}},
    {"lora_bias", {0}},
    {"layer_replication", {0}},
    {"megatron_config", {0}},
    {"use_qalora", {0}},
    {"alora_invocation_tokens", {0}},
    {"target_parameters", {0}},
    {"trainable_token_indices", {0}},
    {"corda_config", {0}},
    {"lora_ga_config", {0}},
    {"arrow_config", {0}},
    {"kasa_config", {0}},
    {"monteclora_config", {0}},
    {"velora_config", {0}},
    {"use_bdlora", {0}},
};

static bool is_empty(const cJSON *item)
{
    return !item || cJSON_IsNull(item) || cJSON_IsFalse(item) ||
           ((cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child);
}

static bool is_one_of(const char *text, const char *const *only)
{
    for (int i = 0; i < 5 && only[i]; i++)
        if (strcmp(text, only[i]) == 0) return true;
    return false;
}

static mg_status check_alpha(const adapter *a, const char *key, double alpha)
{
    if (isfinite(alpha) && fabs(alpha) < 1e12) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: " CONFIG ": %s: %g is not possible", a->name, key, alpha);
}

static mg_status check_config(adapter *a)
{
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(a->config, built_in[i].key);
        const char *text = cJSON_GetStringValue(item);
        if (!text && cJSON_IsTrue(item)) text = "true";
        if (is_empty(item) || (text && is_one_of(text, built_in[i].only))) continue;
        return mg_fail(MG_ECHECKPOINT,
                       "%s: " CONFIG ": %s: %.40s is not supported%s%s: merge the adapter in Python "
                       "(merge_and_unload() of PEFT), and give the model that comes of it",
                       a->name, built_in[i].key, text ? text : "what it says", i == 0 ? ", only " : "",
                       i == 0 ? built_in[i].only[0] : "");
    }
    MG_RETURN(mg_json_double(a->config, a->name, "lora_alpha", &a->alpha, NULL));
    MG_RETURN(mg_json_bool(a->config, a->name, "use_rslora", &a->by_root, NULL));
    return check_alpha(a, "lora_alpha", a->alpha);
}

/* A key of alpha_pattern, a regular expression that is a name: ^ before it, and \. for a dot. */
static bool read_pattern(char name[MG_KEY_MAX], bool *is_whole, const char *key)
{
    size_t n = 0;

    *is_whole = *key == '^';
    for (key += *is_whole; *key; key++) {
        if (key[0] == '\\' && key[1] == '.') key++;
        if (n + 1 >= MG_KEY_MAX || strchr("^$*+?()[]{}|\\", *key)) return false;
        name[n++] = *key;
    }
    name[n] = '\0';
    return true;
}

/* alpha_pattern: {"a.b": 16} holds for every module whose name ends in .a.b, {"^a.b": 16} for a.b alone; the
 * first that fits does. */
static mg_status alpha_of(double *alpha, const adapter *a, const char *module)
{
    const cJSON *pattern;
    const size_t n_module = strlen(module);
    char name[MG_KEY_MAX];
    bool is_whole, found = false;

    *alpha = a->alpha;
    MG_RETURN(mg_json_object(a->config, a->name, "alpha_pattern", &pattern));
    for (const cJSON *p = pattern ? pattern->child : NULL; p && !found; p = p->next) {
        if (!cJSON_IsNumber(p) || !read_pattern(name, &is_whole, p->string))
            return mg_fail(MG_ECHECKPOINT,
                           "%s: " CONFIG
                           ": alpha_pattern: \"%.64s\": only plain names are supported: merge the "
                           "adapter in Python (merge_and_unload() of PEFT)",
                           a->name, p->string);
        const size_t n = strlen(name);
        if (n > n_module || strcmp(module + n_module - n, name) != 0) continue;
        found = n == n_module || (!is_whole && module[n_module - n - 1] == '.');
        if (found) *alpha = p->valuedouble;
    }
    return check_alpha(a, "alpha_pattern", *alpha);
}

/* The base's tensor for a name in the adapter: as it stands, or by a rule, with components before it dropped.
 */
static const mg_checkpoint_entry *find_target(const mg_checkpoint *base, const char *name)
{
    static const mg_dialect dialects[] = {MG_DIALECT_HF, MG_DIALECT_AUDIOCRAFT_LM};

    for (;;) {
        const mg_checkpoint_entry *e = mg_checkpoint_find(base, name);
        for (int i = 0; !e && i < 2; i++) {
            mg_key_target target[MG_KEY_PARTS];
            if (mg_key_map(target, dialects[i], name) == 1) e = mg_checkpoint_find(base, target[0].name);
        }
        if (e) return e;
        name = strchr(name, '.');
        if (!name) return NULL;
        name++;
    }
}

static mg_status no_place(const adapter *a, const char *name)
{
    return mg_fail(
        MG_ECHECKPOINT,
        "%s: %s: the language model has no such tensor: is this adapter of another model, or of another part "
        "of it?",
        a->name, name);
}

/* Can it be computed with? */
static mg_status check_type(const adapter *a, const char *name, mg_dtype dtype)
{
    if (mg_tensor_can_read(dtype, MG_F32)) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: %s: %s values are not supported", a->name, name,
                   mg_dtype_name(dtype));
}

/* W [O,I] += s B [O,R] A [R,I]; of an embedding W [I,O]. */
static mg_status merge_pair(mg_checkpoint *base, const adapter *a, const char *module,
                            const mg_checkpoint_source *A, const mg_checkpoint_source *B, bool is_embedding)
{
    char name[MG_KEY_MAX], want[MG_DIMS_SIZE], got[MG_DIMS_SIZE], have[MG_DIMS_SIZE];
    double alpha;

    snprintf(name, sizeof name, "%.480s.weight", module);
    const mg_checkpoint_entry *e = find_target(base, name);
    if (!e) return no_place(a, name);
    const mg_tensor *t = &e->tensor, *x = &A->tensor, *y = &B->tensor;
    const int64_t R = x->dim[0];
    const bool fits = t->n_dims == 2 && x->n_dims == 2 && y->n_dims == 2 && y->dim[1] == R && R >= 1 &&
                      R <= MAX_RANK && x->dim[1] == t->dim[is_embedding ? 0 : 1] &&
                      y->dim[0] == t->dim[is_embedding ? 1 : 0];
    if (!fits)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: shapes %s and %s do not go with the model's %s", a->name,
                       module, mg_dims_format(got, x->n_dims, x->dim),
                       mg_dims_format(have, y->n_dims, y->dim), mg_dims_format(want, t->n_dims, t->dim));
    MG_RETURN(alpha_of(&alpha, a, module));
    const double scale = alpha / (a->by_root ? sqrt((double)R) : (double)R);
    MG_RETURN(check_type(a, e->name, t->dtype));
    MG_RETURN(check_type(a, A->name, x->dtype));
    MG_RETURN(check_type(a, B->name, y->dtype));
    const mg_lora_change change = {.a = *x, .b = *y, .is_embedding = is_embedding, .scale = (float)scale};
    return mg_checkpoint_change(base, e->name, &change, a->weights);
}

/* A whole tensor that was trained beside the adapter (modules_to_save, biases): in the base's place. */
static mg_status take_whole(mg_checkpoint *base, const adapter *a, const char *name,
                            const mg_checkpoint_source *s)
{
    static const char layer[] = ".base_layer.";
    char plain[MG_KEY_MAX];
    const char *at = strstr(name, layer);

    snprintf(plain, sizeof plain, "%.*s%s", (int)(at ? (size_t)(at - name) : strlen(name)), name,
             at ? at + strlen(layer) - 1 : "");
    const mg_checkpoint_entry *e = find_target(base, plain);

    if (!e) return no_place(a, name);
    if (!mg_tensor_is(&s->tensor, s->tensor.dtype, e->tensor.n_dims, e->tensor.dim))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: of another shape than the model's", a->name, name);
    MG_RETURN(check_type(a, name, s->tensor.dtype));
    MG_RETURN(check_type(a, e->name, e->tensor.dtype));
    const mg_lora_change change = {.is_whole = true, .whole = s->tensor};
    return mg_checkpoint_change(base, e->name, &change, a->weights);
}

static const mg_checkpoint_source *find_source(const mg_checkpoint *c, const char *name)
{
    for (size_t i = 0; i < mg_checkpoint_n_sources(c); i++)
        if (strcmp(mg_checkpoint_source_at(c, i)->name, name) == 0) return mg_checkpoint_source_at(c, i);
    return NULL;
}

/* "base_model.model.MODULE.lora_A.weight" or "….lora_A.default.weight", or of an embedding
 * "….lora_embedding_A". */
static mg_status merge_tensor(mg_checkpoint *base, const adapter *a, const mg_checkpoint_source *s)
{
    static const char prefix[] = "base_model.model.";
    const char *name = s->name;
    char module[MG_KEY_MAX], other[MG_KEY_MAX];

    if (strlen(name) >= MG_KEY_MAX) return no_place(a, "a name of more than 511 bytes");
    if (strncmp(name, prefix, sizeof prefix - 1) == 0) name += sizeof prefix - 1;
    const char *embedding = strstr(name, ".lora_embedding_A"), *linear = strstr(name, ".lora_A.");
    if (strstr(name, ".lora_B.") || strstr(name, ".lora_embedding_B")) {
        snprintf(other, sizeof other, "%s", s->name);
        char *b = strstr(other, ".lora_B.");
        b = b ? b + strlen(".lora_") : strstr(other, ".lora_embedding_B") + strlen(".lora_embedding_");
        *b = 'A';
        return find_source(a->weights, other) ? MG_OK : no_place(a, other);
    }
    if (!embedding && !linear) {
        if (strstr(name, "lora_"))
            return mg_fail(MG_ECHECKPOINT, "%s: %s: is not supported: only lora_A and lora_B are", a->name,
                           s->name);
        return take_whole(base, a, name, s);
    }
    const char *at = embedding ? embedding : linear;
    snprintf(module, sizeof module, "%.*s", (int)(at - name), name);
    snprintf(other, sizeof other, "%s", s->name);
    other[at - s->name + (embedding ? (int)strlen(".lora_embedding_") : (int)strlen(".lora_"))] = 'B';
    const mg_checkpoint_source *B = find_source(a->weights, other);
    if (!B) return mg_fail(MG_ECHECKPOINT, "%s: %s: there is no %s beside it", a->name, s->name, other);
    return merge_pair(base, a, module, s, B, embedding != NULL);
}

/* The folder, or its file of weights. */
static mg_status open_adapter(adapter *a, const char *path)
{
    static const char *const names[] = {"adapter_model.safetensors", "adapter_model.bin"};
    char file[MG_PATH_SIZE], folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_as_folder(folder, path));
    MG_RETURN(mg_path_format(file, "%s/" CONFIG, folder));
    if (!mg_path_exists(file))
        return mg_fail(MG_EFAIL,
                       "lora: %s: no " CONFIG
                       ": an adapter is a folder that PEFT's save_pretrained has made; of "
                       "one with several adapters give the folder of the one",
                       path);
    MG_RETURN(mg_json_load(&a->config, file));
    MG_RETURN(check_config(a));
    if (!mg_path_is_folder(path)) return mg_checkpoint_open(&a->weights, path);
    for (int i = 0; i < 2; i++) {
        MG_RETURN(mg_path_format(file, "%s/%s", folder, names[i]));
        if (mg_path_exists(file)) return mg_checkpoint_open(&a->weights, file);
    }
    return mg_fail(MG_EFAIL, "lora: %s: has neither adapter_model.safetensors nor adapter_model.bin", path);
}

/* A product is added to the whole tensor that the adapter may bring along, not replaced by it: those go
 * first, wherever they lie. */
static bool is_of_pair(const mg_checkpoint_source *s)
{
    return strstr(s->name, "lora_") != NULL;
}

mg_status mg_lora_merge(mg_checkpoint *base, const char *path, mg_checkpoint **out)
{
    adapter a = {.name = path, .alpha = 8};
    mg_status st = MG_OK;

    *out = NULL;
    MG_TRY(open_adapter(&a, path));
    for (int of_pairs = 0; of_pairs < 2; of_pairs++)
        for (size_t i = 0; i < mg_checkpoint_n_sources(a.weights); i++)
            if (is_of_pair(mg_checkpoint_source_at(a.weights, i)) == (of_pairs == 1))
                MG_TRY(merge_tensor(base, &a, mg_checkpoint_source_at(a.weights, i)));
    *out = a.weights;
done:
    cJSON_Delete(a.config);
    if (st != MG_OK) mg_checkpoint_close(a.weights);
    return st;
}

/* The folder of the adapter that somebody who asks for the weights at `path` is given; "" if it is none. */
static mg_status find_adapter(char folder[MG_PATH_SIZE], const char *path)
{
    char file[MG_PATH_SIZE];

    if (mg_checkpoint_resolve(file, path) == MG_OK) {
        folder[0] = '\0';
        return strncmp(mg_path_name(file), "adapter_model.", 14) == 0 ? mg_path_folder(folder, file) : MG_OK;
    }
    mg_clear_error(); /* a folder without weights may be an adapter's all the same */
    return mg_path_format(folder, "%s", path);
}

mg_status mg_lora_refuse(const char *path)
{
    char file[MG_PATH_SIZE], folder[MG_PATH_SIZE];
    cJSON *config;

    MG_RETURN(find_adapter(folder, path));
    if (!*folder) return MG_OK;
    MG_RETURN(mg_path_format(file, "%s/" CONFIG, folder));
    if (!mg_path_exists(file)) return MG_OK;
    MG_RETURN(mg_json_load(&config, file));
    const char *base =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "base_model_name_or_path"));
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "peft_type"));
    const mg_status st =
        mg_fail(MG_ECHECKPOINT,
                "%s: a %.32s adapter for %.200s, not a model: give it as --lora, beside --model %.200s",
                folder, type ? type : "PEFT", base && *base ? base : "a model that it does not name",
                base && *base ? base : "MODEL");
    cJSON_Delete(config);
    return st;
}

mg_status mg_lora_check_merged(const mg_checkpoint *c, const char *path)
{
    const char *found = NULL;
    bool has_base = false;

    for (size_t i = 0; i < mg_checkpoint_n_sources(c); i++) {
        const char *name = mg_checkpoint_source_at(c, i)->name;
        if (strstr(name, ".lora_A.") || strstr(name, ".lora_embedding_A")) found = name;
        has_base |= strstr(name, ".base_layer.") != NULL;
    }
    if (!found) return MG_OK;
    if (has_base)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: weights with an adapter that is not merged (%s): save what merge_and_unload() of "
                       "PEFT makes of them, or the adapter by its save_pretrained(), for --lora",
                       path, found);
    return mg_fail(MG_ECHECKPOINT,
                   "%s: an adapter's weights (%s), not a model's: give the folder that has them beside their "
                   "adapter_config.json as --lora",
                   path, found);
}

mg_status mg_lora_check(const char *name, const char *text, int64_t bytes)
{
    adapter a = {.name = name, .alpha = 8};
    double alpha;

    MG_RETURN(mg_json_parse(&a.config, name, text, bytes));
    mg_status st = check_config(&a);
    if (st == MG_OK) st = alpha_of(&alpha, &a, "decoder.model.decoder.layers.0.self_attn.q_proj");
    cJSON_Delete(a.config);
    return st;
}
