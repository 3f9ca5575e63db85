/* A clip's .json back into the struct that it was written from. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "choice_words.h"
#include "clip_metadata.h"
#include "json.h"

enum { MAX_FILES = 4096, MAX_RENAMED = 65536, MAX_PARTS = 16 };
#define NOT_KNOWN (-1)

struct mg_clip_metadata_memory {
    cJSON *root; /* behind every string */
    mg_part_source *parts;
    mg_file_hash *weights;
    mg_renamed *applied;
};

/* One object and what to call it. The first failure stays; everything behind it is passed over. */
typedef struct reader {
    const cJSON *object; /* NULL: absent, and so is all that is in it */
    const char *name;
    mg_status st;
} reader;

static const char *get_text(reader *r, const char *key)
{
    const char *value = NULL;

    if (r->object && r->st == MG_OK) r->st = mg_json_string(r->object, r->name, key, &value);
    return value;
}

static int64_t get_int(reader *r, const char *key)
{
    int64_t value = NOT_KNOWN;
    bool found = false;

    if (r->object && r->st == MG_OK) r->st = mg_json_int(r->object, r->name, key, &value, &found);
    if (found && r->st == MG_OK && value < 0)
        r->st = mg_fail(MG_EFAIL, "%s: %s: %lld: must not be negative", r->name, key, (long long)value);
    return value;
}

static double get_number(reader *r, const char *key)
{
    double value = NAN;

    if (r->object && r->st == MG_OK) r->st = mg_json_double(r->object, r->name, key, &value, NULL);
    return value;
}

static bool get_bool(reader *r, const char *key)
{
    bool value = false;

    if (r->object && r->st == MG_OK) r->st = mg_json_bool(r->object, r->name, key, &value, NULL);
    return value;
}

/* Is it there, and not null? */
static bool has_value(const reader *r, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->object, key);

    return item && !cJSON_IsNull(item);
}

static const cJSON *get_object(reader *r, const char *key)
{
    const cJSON *value = NULL;

    if (r->object && r->st == MG_OK) r->st = mg_json_object(r->object, r->name, key, &value);
    return value;
}

static const cJSON *get_array(reader *r, const char *key)
{
    const cJSON *value = NULL;

    if (r->object && r->st == MG_OK) r->st = mg_json_array(r->object, r->name, key, &value);
    return value;
}

static const char *get_sha256(reader *r, const char *key)
{
    const char *value = get_text(r, key);

    if (value && r->st == MG_OK && (strlen(value) != 64 || strspn(value, "0123456789abcdef") != 64))
        r->st = mg_fail(MG_EFAIL, "%s: %s: %.80s: no SHA-256, which has 64 hex digits", r->name, key, value);
    return value;
}

/* A name that will be put behind a folder. */
static const char *get_name(reader *r, const char *key)
{
    const char *value = get_text(r, key);

    if (value && r->st == MG_OK && (!*value || *value == '.' || strchr(value, '/')))
        r->st = mg_fail(MG_EFAIL, "%s: %s: \"%.80s\": must be a file's name without a folder", r->name, key,
                        value);
    return value;
}

/* The word of a choice, which must be known: a clip cannot be made again by guessing. */
static int get_choice(reader *r, const mg_recipe_key *key, const char *inside)
{
    const char *word = get_text(r, key->record);
    const int i = mg_choice_find(key->choices, word);

    if (word && i < 0 && r->st == MG_OK)
        r->st = mg_fail(MG_EFAIL, "%s: %s%s: \"%.80s\": must be one of %s", r->name, inside, key->record,
                        word, key->choices);
    return i;
}

/* What a recorded key says is said; null and what is missing are not. */
static void read_key(reader *r, mg_recipe *recipe, const mg_recipe_key *key, const char *inside)
{
    void *at = mg_recipe_at(recipe, key);

    switch (key->type) {
    case MG_KEY_ID: *(const char **)at = get_name(r, key->record); break;
    case MG_KEY_TEXT:
    case MG_KEY_PATH: *(const char **)at = get_text(r, key->record); break;
    case MG_KEY_NUMBER: *(double *)at = get_number(r, key->record); break;
    case MG_KEY_INT: *(int64_t *)at = get_int(r, key->record); break;
    case MG_KEY_BOOL: *(bool *)at = get_bool(r, key->record); break;
    case MG_KEY_CHOICE: *(int *)at = get_choice(r, key, inside); break;
    }
    if (!mg_recipe_is_absent(recipe, key) || (key->type == MG_KEY_BOOL && has_value(r, key->record)))
        mg_recipe_say(recipe, key);
}

static void read_keys(reader *r, mg_recipe *recipe, mg_recipe_place place, const char *inside)
{
    for (int i = 0; i < mg_recipe_n_keys; i++)
        if (mg_recipe_keys[i].place == place) read_key(r, recipe, &mg_recipe_keys[i], inside);
}

static void read_inputs(reader *root, mg_clip_metadata *m)
{
    reader inputs = {get_object(root, "inputs"), root->name, root->st};

    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const mg_recipe_key *key = mg_recipe_input(i);
        reader item = {get_object(&inputs, key->record), root->name, inputs.st};
        const char **path = mg_recipe_at(&m->recipe, key);
        *path = get_text(&item, "file");
        if (*path) mg_recipe_say(&m->recipe, key);
        m->input_sha256[i] = get_sha256(&item, "sha256");
        inputs.st = item.st;
    }
    root->st = inputs.st;
}

static void read_files(reader *r, mg_clip_metadata *m)
{
    read_keys(r, &m->recipe, MG_AT_NAMES, "");
    m->audio_file = get_name(r, "audio_file");
    m->codes_file = get_name(r, "codes_file");
    m->audio_sha256 = get_sha256(r, "audio_sha256");
    m->sound_sha256 = get_sha256(r, "sound_sha256");
    m->codes_sha256 = get_sha256(r, "codes_sha256");
}

static void read_request(reader *r, mg_clip_metadata *m)
{
    read_keys(r, &m->recipe, MG_AT_TEXTS, "");
    read_inputs(r, m);
    m->index = get_int(r, "index");
    read_keys(r, &m->recipe, MG_AT_SEED, "");
    if (r->st == MG_OK && !MG_SAID(&m->recipe, seed))
        r->st = mg_fail(MG_EFAIL, "%s: seed: missing; this is no clip's metadata", r->name);
    const int64_t call_seed = get_int(r, "call_seed");
    m->call_seed = (uint64_t)(call_seed == NOT_KNOWN ? m->recipe.seed : call_seed);
    m->dur_s = get_number(r, "duration_s");
    m->sampling_rate = get_int(r, "sampling_rate");
    m->n_channels = get_int(r, "channels");
    m->n_frames_pcm = get_int(r, "samples");
    m->n_codebooks = get_int(r, "codebooks");
}

static void read_levels(reader *root, mg_clip_metadata *m)
{
    reader r = {get_object(root, "sound"), root->name, root->st};

    m->levels.loudness_lufs = get_number(&r, "loudness_lufs");
    m->levels.true_peak_dbtp = get_number(&r, "true_peak_dbtp");
    m->levels.sample_peak_dbfs = get_number(&r, "sample_peak_dbfs");
    m->n_clipped = get_int(&r, "clipped_samples");
    m->levels.silence_start_s = get_number(&r, "silence_start_s");
    m->levels.silence_end_s = get_number(&r, "silence_end_s");
    root->st = r.st;
}

static void read_parameters(reader *root, mg_clip_metadata *m)
{
    reader r = {get_object(root, "parameters"), root->name, root->st};

    read_keys(&r, &m->recipe, MG_AT_PARAMETERS, "parameters.");
    if (r.st == MG_OK && m->recipe.n_frames < 1)
        r.st = mg_fail(MG_EFAIL, "%s: parameters.frames: missing; this is no clip's metadata", r.name);
    root->st = r.st;
}

/* Room for the items of an array, zeroed; at least one. */
static void *take_room(reader *r, const char *key, const cJSON *array, int limit, size_t item_bytes)
{
    const int n = array ? cJSON_GetArraySize(array) : 0;
    void *room = NULL;

    if (r->st != MG_OK) return NULL;
    if (n > limit)
        r->st = mg_fail(MG_EFAIL, "%s: model.%s: %d items, at most %d make sense", r->name, key, n, limit);
    else if (!(room = calloc((size_t)n + 1, item_bytes)))
        r->st = mg_fail(MG_ENOMEM, "%s: model.%s: %d items", r->name, key, n);
    return room;
}

/* A tag has hashes alone. */
static void read_weights(reader *model, mg_clip_metadata *m, bool is_tag)
{
    const cJSON *files = get_array(model, "weights");
    mg_file_hash *weights = take_room(model, "weights", files, MAX_FILES, sizeof *weights);

    m->memory->weights = weights;
    m->weights = weights;
    for (const cJSON *item = weights && files ? files->child : NULL; item && model->st == MG_OK;
         item = item->next) {
        reader r = {item, model->name, MG_OK};
        mg_file_hash *h = &weights[m->n_weights];
        const char *path = get_text(&r, "file"), *sha256 = get_sha256(&r, "sha256"),
                   *from = get_text(&r, "sha256_from");
        if (is_tag && !path) path = "";
        if (r.st == MG_OK && (!path || !sha256 || strlen(path) >= sizeof h->path))
            r.st = mg_fail(MG_EFAIL, "%s: model.weights: item %d: must have a file and its sha256", r.name,
                           m->n_weights);
        model->st = r.st;
        if (r.st != MG_OK) return;
        snprintf(h->path, sizeof h->path, "%s", path);
        snprintf(h->sha256, sizeof h->sha256, "%s", sha256);
        h->of_blob_name = from && strcmp(from, "blob_name") == 0;
        m->n_weights++;
    }
}

static void read_parts(reader *model, mg_clip_metadata *m)
{
    const cJSON *object = get_object(model, "parts");
    mg_part_source *parts = take_room(model, "parts", object, MAX_PARTS, sizeof *parts);

    m->memory->parts = parts;
    m->parts = parts;
    for (const cJSON *item = parts && object ? object->child : NULL; item && model->st == MG_OK;
         item = item->next) {
        reader r = {item, model->name, MG_OK};
        parts[m->n_parts].name = item->string;
        parts[m->n_parts].path = get_text(&r, "path");
        parts[m->n_parts].form = get_text(&r, "form");
        parts[m->n_parts++].container = get_text(&r, "container");
        model->st = r.st;
    }
}

static void read_applied(reader *model, mg_clip_metadata *m)
{
    const cJSON *array = get_array(model, "applied_proposals");
    mg_renamed *applied = take_room(model, "applied_proposals", array, MAX_RENAMED, sizeof *applied);

    m->memory->applied = applied;
    m->applied = applied;
    for (const cJSON *item = applied && array ? array->child : NULL; item && model->st == MG_OK;
         item = item->next) {
        reader r = {item, model->name, MG_OK};
        applied[m->n_applied].target = get_text(&r, "target");
        applied[m->n_applied++].source = get_text(&r, "source");
        model->st = r.st;
    }
}

static void read_model(reader *root, mg_clip_metadata *m)
{
    reader r = {get_object(root, "model"), root->name, root->st};

    m->asked.model = get_text(&r, "path");
    m->model_key = get_text(&r, "key");
    m->asked.lm = get_text(&r, "lm");
    m->asked.lora = get_text(&r, "lora");
    m->asked.text_encoder = get_text(&r, "text_encoder");
    m->asked.style_encoder = get_text(&r, "style_encoder");
    m->asked.codec = get_text(&r, "codec");
    m->asked.tokenizer = get_text(&r, "tokenizer");
    m->tokenizer_sha256 = get_sha256(&r, "tokenizer_sha256");
    read_parts(&r, m);
    reader weights = r.object ? r : (reader){root->object, root->name, r.st};
    read_weights(&weights, m, !r.object);
    r.st = weights.st;
    read_applied(&r, m);
    root->st = r.st;
}

static void read_run(reader *root, mg_clip_metadata *m)
{
    reader r = {get_object(root, "run"), root->name, root->st};

    m->version = get_text(&r, "version");
    m->backend = get_text(&r, "backend");
    m->text_backend = get_text(&r, "text_backend");
    m->codec_backend = get_text(&r, "codec_backend");
    m->dtype = get_text(&r, "dtype");
    m->kv = get_text(&r, "kv");
    m->reduce = get_text(&r, "reduce");
    m->audio_library = get_text(&r, "audio_library");
    m->n_ranks = get_int(&r, "ranks");
    m->tp = get_int(&r, "tp");
    m->batch = get_int(&r, "batch");
    m->n_threads = get_int(&r, "threads");
    m->host = get_text(&r, "host");
    root->st = r.st;

    reader t = {get_object(root, "timings"), root->name, root->st};
    m->text_s = get_number(&t, "text_s");
    m->lm_s = get_number(&t, "lm_s");
    m->codec_s = get_number(&t, "codec_s");
    m->n_steps = get_int(&t, "steps");
    m->n_windows = get_int(&t, "windows");
    m->ms_per_step = get_number(&t, "ms_per_step");
    root->st = t.st;
}

/* json.h takes every file for a checkpoint's; its message stands. */
static mg_status not_a_checkpoint(mg_status st)
{
    return st == MG_ECHECKPOINT ? MG_EFAIL : st;
}

/* Takes `root`. */
static mg_status read_all(mg_clip_metadata *m, const char *name, cJSON *root)
{
    reader r = {root, name, MG_OK};

    m->memory = calloc(1, sizeof *m->memory);
    if (!m->memory) {
        cJSON_Delete(root);
        return mg_fail(MG_ENOMEM, "%s: no memory", name);
    }
    m->memory->root = root;
    read_files(&r, m);
    read_request(&r, m);
    read_levels(&r, m);
    read_parameters(&r, m);
    read_model(&r, m);
    read_run(&r, m);
    if (r.st != MG_OK) mg_clip_metadata_close(m);
    return not_a_checkpoint(r.st);
}

mg_status mg_clip_metadata_parse(mg_clip_metadata *m, const char *name, const char *text, int64_t text_bytes)
{
    cJSON *root;

    *m = (mg_clip_metadata){0};
    mg_recipe_init(&m->recipe);
    MG_RETURN(not_a_checkpoint(mg_json_parse(&root, name, text, text_bytes)));
    return read_all(m, name, root);
}

mg_status mg_clip_metadata_load(mg_clip_metadata *m, const char *path)
{
    cJSON *root;

    *m = (mg_clip_metadata){0};
    mg_recipe_init(&m->recipe);
    MG_RETURN(not_a_checkpoint(mg_json_load(&root, path)));
    return read_all(m, path, root);
}

void mg_clip_metadata_close(mg_clip_metadata *m)
{
    if (m->memory) {
        cJSON_Delete(m->memory->root);
        free(m->memory->parts);
        free(m->memory->weights);
        free(m->memory->applied);
        free(m->memory);
    }
    *m = (mg_clip_metadata){0};
    mg_recipe_init(&m->recipe);
}
