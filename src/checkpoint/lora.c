#include "lora.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "lora_product.h"
#include "path.h"
#include "stop.h"
#include "tensor_stream.h"
#include "threads.h"

#define CONFIG "adapter_config.json"

enum { MAX_RANK = 1 << 14, MOST_THREADS = 16, ROWS = 32 };

typedef struct adapter {
    const char *name; /* of its folder */
    cJSON *config;
    mg_checkpoint *weights;
    double alpha;
    bool by_root; /* use_rslora */
    mg_threads *threads;
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
    {"corda_config", {0}},
    {"arrow_config", {0}},
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
    if (isfinite(a->alpha) && fabs(a->alpha) < 1e6) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: " CONFIG ": lora_alpha: %g is not possible", a->name, a->alpha);
}

/* alpha_pattern: {"a.b": 16} holds for every module whose name ends in .a.b. */
static mg_status alpha_of(double *alpha, const adapter *a, const char *module)
{
    const cJSON *pattern;
    const size_t n_module = strlen(module);

    *alpha = a->alpha;
    MG_RETURN(mg_json_object(a->config, a->name, "alpha_pattern", &pattern));
    for (const cJSON *p = pattern ? pattern->child : NULL; p; p = p->next) {
        const size_t n = strlen(p->string);
        if (!cJSON_IsNumber(p) || p->string[strcspn(p->string, "^$*+?()[]{}|\\")])
            return mg_fail(MG_ECHECKPOINT,
                           "%s: " CONFIG
                           ": alpha_pattern: \"%.64s\": only plain names are supported: merge the "
                           "adapter in Python (merge_and_unload() of PEFT)",
                           a->name, p->string);
        const bool same = n == n_module && strcmp(p->string, module) == 0;
        const bool ends =
            n < n_module && module[n_module - n - 1] == '.' && strcmp(module + n_module - n, p->string) == 0;
        if (!same && !ends) continue;
        *alpha = p->valuedouble;
        break;
    }
    return MG_OK;
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

/* All values as fp32, malloc'ed. */
static mg_status read_all(float **out, const adapter *a, const char *name, const mg_tensor *t)
{
    const int64_t n = mg_tensor_count(t);

    *out = NULL;
    if (!mg_tensor_stream_can(t->dtype, MG_F32))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: %s values are not supported", a->name, name,
                       mg_dtype_name(t->dtype));
    *out = malloc((size_t)(n > 0 ? n : 1) * sizeof **out);
    if (!*out) return mg_fail(MG_ENOMEM, "%s: %s: %lld values", a->name, name, (long long)n);
    const mg_status st = mg_tensor_read(*out, MG_F32, t, 0, n, NULL);
    if (st != MG_OK) {
        free(*out);
        *out = NULL;
    }
    return st;
}

/* `data`, malloc'ed, in e's place, unless n_over values of it have become infinite. */
static mg_status put_in_place(mg_checkpoint *base, const mg_checkpoint_entry *e, void *data, int64_t n_over)
{
    if (n_over == 0) return mg_checkpoint_replace(base, e->name, data);
    free(data);
    return mg_fail(MG_ECHECKPOINT, "%s: with the adapter %lld values are beyond what %s can hold", e->name,
                   (long long)n_over, mg_dtype_name(e->tensor.dtype));
}

/* fp32 values into a new tensor of e's type, in e's place. */
static mg_status put_back(mg_checkpoint *base, const mg_checkpoint_entry *e, const float *value)
{
    const int64_t n = mg_tensor_count(&e->tensor);
    const mg_tensor from = {(void *)(uintptr_t)value, MG_F32, 1, {n, 1, 1, 1}};
    void *data = malloc(mg_tensor_bytes(&e->tensor) + 1);
    int64_t n_over = 0;

    if (!data) return mg_fail(MG_ENOMEM, "%s: %zu bytes", e->name, mg_tensor_bytes(&e->tensor));
    const mg_status st = mg_tensor_read(data, e->tensor.dtype, &from, 0, n, &n_over);
    if (st == MG_OK) return put_in_place(base, e, data, n_over);
    free(data);
    return st;
}

/* base [n_rows, n_cols] + scale c [n_rows, R] v [R, n_cols]: into `out`, of base's type. The product stays in
 * fp32 whatever the adapter is stored in: PEFT widens an adapter when it loads it. */
typedef struct merge_job {
    const mg_tensor *base;
    char *out;
    const float *c, *v;
    int64_t R;
    float scale;
    int64_t n_over; /* of all threads, as is: */
    bool is_short;  /* of memory */
} merge_job;

static void merge_rows(void *arg, int64_t first, int64_t end, int i_thread)
{
    merge_job *j = arg;
    const mg_tensor *t = j->base;
    const int64_t n_cols = t->dim[1], size = (int64_t)mg_dtype_bytes(t->dtype);
    float *rows = malloc((size_t)(ROWS * n_cols) * sizeof *rows);
    int64_t n_over = 0, n;

    (void)i_thread;
    if (!rows) __atomic_store_n(&j->is_short, true, __ATOMIC_RELAXED);
    for (int64_t row = first; rows && row < end; row += n) {
        n = end - row < ROWS ? end - row : ROWS;
        const mg_tensor merged = {rows, MG_F32, 1, {n * n_cols, 1, 1, 1}};
        (void)mg_tensor_read(rows, MG_F32, t, row * n_cols, n * n_cols, NULL); /* the types were looked at */
        mg_lora_add_product(rows, j->c + row * j->R, j->v, n, j->R, n_cols, j->scale);
        (void)mg_tensor_read(j->out + row * n_cols * size, t->dtype, &merged, 0, n * n_cols, &n_over);
    }
    __atomic_fetch_add(&j->n_over, n_over, __ATOMIC_RELAXED);
    free(rows);
}

static mg_status merge_product(mg_checkpoint *base, const adapter *a, const mg_checkpoint_entry *e,
                               const float *c, const float *v, int64_t R, float scale)
{
    merge_job job = {.base = &e->tensor, .c = c, .v = v, .R = R, .scale = scale};

    if (!mg_tensor_stream_can(e->tensor.dtype, MG_F32))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: %s values are not supported", a->name, e->name,
                       mg_dtype_name(e->tensor.dtype));
    job.out = malloc(mg_tensor_bytes(&e->tensor) + 1);
    if (job.out) mg_threads_run(a->threads, merge_rows, &job, e->tensor.dim[0]);
    if (job.out && !job.is_short) return put_in_place(base, e, job.out, job.n_over);
    free(job.out);
    return mg_fail(MG_ENOMEM, "%s: %zu bytes", e->name, mg_tensor_bytes(&e->tensor));
}

/* [n_rows, n_cols] -> [n_cols, n_rows], in its place. */
static mg_status turn(float **value, int64_t n_rows, int64_t n_cols)
{
    float *to = malloc((size_t)(n_rows * n_cols) * sizeof *to);

    if (!to) return mg_fail(MG_ENOMEM, "lora: %lld values", (long long)(n_rows * n_cols));
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = 0; i < n_cols; i++) to[i * n_rows + r] = (*value)[r * n_cols + i];
    free(*value);
    *value = to;
    return MG_OK;
}

/* W [O,I] += s B [O,R] A [R,I]; of an embedding W [I,O] += s (B A) transposed, which is A transposed times B
 * transposed. */
static mg_status merge_pair(mg_checkpoint *base, const adapter *a, const char *module,
                            const mg_checkpoint_source *A, const mg_checkpoint_source *B, bool transposed)
{
    char name[MG_KEY_MAX], want[MG_DIMS_SIZE], got[MG_DIMS_SIZE], have[MG_DIMS_SIZE];
    float *a_value = NULL, *b_value = NULL;
    mg_status st = MG_OK;
    double alpha;

    snprintf(name, sizeof name, "%.480s.weight", module);
    const mg_checkpoint_entry *e = find_target(base, name);
    if (!e) return no_place(a, name);
    const mg_tensor *t = &e->tensor, *x = &A->tensor, *y = &B->tensor;
    const int64_t R = x->dim[0];
    const bool fits = t->n_dims == 2 && x->n_dims == 2 && y->n_dims == 2 && y->dim[1] == R && R >= 1 &&
                      R <= MAX_RANK && x->dim[1] == t->dim[transposed ? 0 : 1] &&
                      y->dim[0] == t->dim[transposed ? 1 : 0];
    if (!fits)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: shapes %s and %s do not go with the model's %s", a->name,
                       module, mg_dims_format(got, x->n_dims, x->dim),
                       mg_dims_format(have, y->n_dims, y->dim), mg_dims_format(want, t->n_dims, t->dim));
    MG_RETURN(alpha_of(&alpha, a, module));
    const double scale = alpha / (a->by_root ? sqrt((double)R) : (double)R);
    MG_TRY(read_all(&a_value, a, A->name, x));
    MG_TRY(read_all(&b_value, a, B->name, y));
    if (transposed) MG_TRY(turn(&a_value, R, x->dim[1]));
    if (transposed) MG_TRY(turn(&b_value, y->dim[0], R));
    MG_TRY(merge_product(base, a, e, transposed ? a_value : b_value, transposed ? b_value : a_value, R,
                         (float)scale));
done:
    free(a_value);
    free(b_value);
    return st;
}

/* A whole tensor that was trained beside the adapter (modules_to_save, biases): in the base's place. */
static mg_status take_whole(mg_checkpoint *base, const adapter *a, const char *name,
                            const mg_checkpoint_source *s)
{
    static const char layer[] = ".base_layer.";
    char plain[MG_KEY_MAX];
    const char *at = strstr(name, layer);
    float *value;

    snprintf(plain, sizeof plain, "%.*s%s", (int)(at ? (size_t)(at - name) : strlen(name)), name,
             at ? at + strlen(layer) - 1 : "");
    const mg_checkpoint_entry *e = find_target(base, plain);

    if (!e) return no_place(a, name);
    if (!mg_tensor_is(&s->tensor, s->tensor.dtype, e->tensor.n_dims, e->tensor.dim))
        return mg_fail(MG_ECHECKPOINT, "%s: %s: of another shape than the model's", a->name, name);
    MG_RETURN(read_all(&value, a, name, &s->tensor));
    const mg_status st = put_back(base, e, value);
    free(value);
    return st;
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

    MG_RETURN(mg_path_is_folder(path) ? mg_path_format(folder, "%s", path) : mg_path_folder(folder, path));
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
    const int n_threads = mg_threads_available();
    mg_status st = MG_OK;

    if (out) *out = NULL;
    MG_TRY(open_adapter(&a, path));
    MG_TRY(mg_threads_open(&a.threads, n_threads < MOST_THREADS ? n_threads : MOST_THREADS, false));
    for (int of_pairs = 0; of_pairs < 2; of_pairs++)
        for (size_t i = 0; i < mg_checkpoint_n_sources(a.weights); i++) {
            MG_TRY(mg_stop_check());
            if (is_of_pair(mg_checkpoint_source_at(a.weights, i)) == (of_pairs == 1))
                MG_TRY(merge_tensor(base, &a, mg_checkpoint_source_at(a.weights, i)));
        }
    MG_TRY(mg_checkpoint_check_files(a.weights));
    if (out) *out = a.weights, a.weights = NULL;
done:
    mg_threads_close(a.threads);
    cJSON_Delete(a.config);
    mg_checkpoint_close(a.weights);
    return st;
}

mg_status mg_lora_refuse(const char *folder)
{
    char file[MG_PATH_SIZE];
    cJSON *config;

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
