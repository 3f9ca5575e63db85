#include "clip_metadata.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out_file.h"
#include "path.h"

enum { TAG_TEXT_BYTES = 8192 }; /* libsndfile's room for a WAV header is 100 kB, most players' is less */

/* Each add returns NULL when memory is short; one flag collects them. */
typedef struct writer {
    bool is_tag; /* leave out what mg_clip_metadata_tag promises to */
    bool failed;
} writer;

static void add_text(writer *w, cJSON *object, const char *key, const char *value)
{
    if (!(value ? cJSON_AddStringToObject(object, key, value) : cJSON_AddNullToObject(object, key)))
        w->failed = true;
}

/* A prompt: in a tag none is none, and a long one is cut between two characters. */
static void add_prompt(writer *w, cJSON *object, const char *key, const char *value)
{
    char cut[TAG_TEXT_BYTES + 4];

    if (w->is_tag && value && strlen(value) > TAG_TEXT_BYTES) {
        size_t n = TAG_TEXT_BYTES;
        while (n > 0 && ((unsigned char)value[n] & 0xC0) == 0x80) n--;
        memcpy(cut, value, n);
        memcpy(cut + n, "…", sizeof "…");
        value = cut;
    }
    add_text(w, object, key, w->is_tag && value && !*value ? NULL : value);
}

/* The shortest text that reads back as the same double (cJSON's own printing is content with nearly the
 * same, and a seed must be exact); null for none. */
static void add_number(writer *w, cJSON *object, const char *key, double value)
{
    char text[32] = "null";

    for (int digits = 15; digits <= 17 && isfinite(value); digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (!cJSON_AddRawToObject(object, key, text)) w->failed = true;
}

/* null for what is not known */
static void add_count(writer *w, cJSON *object, const char *key, int64_t value)
{
    add_number(w, object, key, value < 0 ? NAN : (double)value);
}

static void add_bool(writer *w, cJSON *object, const char *key, bool value)
{
    if (!cJSON_AddBoolToObject(object, key, value)) w->failed = true;
}

static cJSON *add_object(writer *w, cJSON *object, const char *key)
{
    cJSON *child = cJSON_AddObjectToObject(object, key);

    if (!child) w->failed = true;
    return child;
}

static cJSON *add_array(writer *w, cJSON *object, const char *key)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);

    if (!array) w->failed = true;
    return array;
}

/* A new object at the end of an array; NULL when memory is short. */
static cJSON *add_item(writer *w, cJSON *array)
{
    cJSON *item = cJSON_CreateObject();

    if (item && cJSON_AddItemToArray(array, item)) return item;
    cJSON_Delete(item);
    w->failed = true;
    return NULL;
}

static void add_files(writer *w, cJSON *root, const mg_clip_metadata *m)
{
    add_text(w, root, "id", m->id);
    add_text(w, root, "title", m->title);
    add_text(w, root, "audio_file", m->audio_file);
    add_text(w, root, "audio_sha256", m->audio_sha256);
    if (m->codes_file) add_text(w, root, "codes_file", m->codes_file);
    add_text(w, root, "codes_sha256", m->codes_sha256);
}

static void add_input(writer *w, cJSON *inputs, const char *key, const mg_clip_input *input)
{
    if (!input->path) return;
    cJSON *item = add_object(w, inputs, key);
    add_text(w, item, "file", w->is_tag ? mg_path_name(input->path) : input->path);
    add_text(w, item, "sha256", input->sha256);
}

static void add_request(writer *w, cJSON *root, const mg_clip_metadata *m)
{
    add_prompt(w, root, "prompt", m->prompt);
    add_prompt(w, root, "negative_prompt", m->negative_prompt);
    if (m->text_states.path || m->audio_prompt.path || m->melody.path) {
        cJSON *inputs = add_object(w, root, "inputs");
        add_input(w, inputs, "text_states", &m->text_states);
        add_input(w, inputs, "audio_prompt", &m->audio_prompt);
        add_input(w, inputs, "melody", &m->melody);
    }
    if (!w->is_tag) add_count(w, root, "index", m->index);
    add_number(w, root, "seed", (double)m->seed);
    if (!w->is_tag) add_number(w, root, "call_seed", (double)m->call_seed);
    add_number(w, root, "duration_s", m->dur_s);
    add_count(w, root, "sampling_rate", m->sampling_rate);
    add_count(w, root, "channels", m->n_channels);
    add_count(w, root, "samples", m->n_frames_pcm);
    add_count(w, root, "codebooks", m->n_codebooks);
}

static void add_parameters(writer *w, cJSON *root, const mg_clip_metadata *m)
{
    cJSON *p = add_object(w, root, "parameters");

    add_count(w, p, "frames", m->n_frames);
    if (m->audio_prompt.path) {
        add_count(w, p, "prompt_frames", m->n_prompt_frames);
        add_number(w, p, "prompt_duration_s", m->prompt_dur_s);
        add_bool(w, p, "drop_prompt", m->drop_prompt);
    }
    if (m->n_window_frames > 0 && m->n_frames > m->n_window_frames) {
        add_count(w, p, "window_frames", m->n_window_frames);
        add_count(w, p, "stride_frames", m->n_stride_frames);
    }
    if (!w->is_tag) {
        add_number(w, p, "window_s", m->window_s);
        add_number(w, p, "extend_stride_s", m->stride_s);
    }
    add_number(w, p, "cfg_coef", m->cfg_coef);
    add_number(w, p, "cfg_coef_beta", m->cfg_coef_beta);
    add_text(w, p, "sampler", m->sampler);
    add_bool(w, p, "greedy", m->greedy);
    add_count(w, p, "top_k", m->top_k);
    add_number(w, p, "top_p", m->top_p);
    add_number(w, p, "temperature", m->temperature);
    add_text(w, p, "format", m->format);
    add_text(w, p, "strategy", m->strategy);
    add_number(w, p, "peak_headroom_db", m->peak_headroom_db);
    add_number(w, p, "rms_headroom_db", m->rms_headroom_db);
    add_number(w, p, "loudness_headroom_db", m->loudness_headroom_db);
    add_bool(w, p, "loudness_compressor", m->loudness_compressor);
    if (!w->is_tag) add_count(w, p, "sample_rate", m->rate_asked_hz);
}

/* A tag leaves out the text encoder of a clip without text: beside clips with text it was loaded, alone not.
 */
static void add_weights(writer *w, cJSON *model, const mg_clip_metadata *m)
{
    const bool has_text =
        (m->prompt && *m->prompt && !m->text_states.path) || (m->negative_prompt && *m->negative_prompt);
    cJSON *weights = add_array(w, model, "weights");

    for (int i = 0; i < m->n_weights; i++) {
        if (w->is_tag && m->weights[i].is_of_text && !has_text) continue;
        cJSON *file = add_item(w, weights);
        if (!w->is_tag) add_text(w, file, "file", m->weights[i].path);
        add_text(w, file, "sha256", m->weights[i].sha256);
        if (!w->is_tag)
            add_text(w, file, "sha256_from", m->weights[i].of_blob_name ? "blob_name" : "content");
    }
}

static void add_model(writer *w, cJSON *root, const mg_clip_metadata *m)
{
    cJSON *model = add_object(w, root, "model");

    add_text(w, model, "path", m->model);
    add_text(w, model, "key", m->model_key);
    add_text(w, model, "lm", m->lm);
    add_text(w, model, "text_encoder", m->text_encoder);
    add_text(w, model, "codec", m->codec);
    add_text(w, model, "tokenizer", m->tokenizer);
    add_text(w, model, "tokenizer_sha256", m->tokenizer_sha256);
    cJSON *parts = add_object(w, model, "parts");
    for (int i = 0; i < m->n_parts; i++) {
        cJSON *part = add_object(w, parts, m->parts[i].name);
        add_text(w, part, "path", m->parts[i].path);
        add_text(w, part, "form", m->parts[i].form);
        add_text(w, part, "container", m->parts[i].container);
    }
    add_weights(w, model, m);
    cJSON *applied = add_array(w, model, "applied_proposals");
    for (int i = 0; i < m->n_applied; i++) {
        cJSON *renamed = add_item(w, applied);
        add_text(w, renamed, "target", m->applied[i].target);
        add_text(w, renamed, "source", m->applied[i].source);
    }
}

static void add_run(writer *w, cJSON *root, const mg_clip_metadata *m)
{
    cJSON *run = add_object(w, root, "run");

    add_text(w, run, "program", "mg-dist");
    add_text(w, run, "version", m->version);
    add_text(w, run, "backend", m->backend);
    add_text(w, run, "dtype", m->dtype);
    if (w->is_tag) return;
    add_text(w, run, "audio_library", m->audio_library);
    add_count(w, run, "ranks", m->n_ranks);
    add_count(w, run, "tp", m->tp);
    add_count(w, run, "batch", m->batch);
    add_count(w, run, "threads", m->n_threads);
    add_text(w, run, "host", m->host);

    cJSON *t = add_object(w, root, "timings");
    add_number(w, t, "text_s", m->text_s);
    add_number(w, t, "lm_s", m->lm_s);
    add_number(w, t, "codec_s", m->codec_s);
    add_count(w, t, "steps", m->n_steps);
    add_count(w, t, "windows", m->n_windows);
    add_number(w, t, "ms_per_step", m->ms_per_step);
}

/* *text is cJSON's; `name` is for messages. */
static mg_status print(char **text, writer w, const char *name, const mg_clip_metadata *m)
{
    cJSON *root = cJSON_CreateObject();

    *text = NULL;
    if (root) {
        if (!w.is_tag) add_files(&w, root, m);
        add_request(&w, root, m);
        add_parameters(&w, root, m);
        if (w.is_tag)
            add_weights(&w, root, m);
        else
            add_model(&w, root, m);
        add_run(&w, root, m);
        if (!w.failed) *text = w.is_tag ? cJSON_PrintUnformatted(root) : cJSON_Print(root);
    }
    cJSON_Delete(root);
    return *text ? MG_OK : mg_fail(MG_ENOMEM, "%s: no memory for the metadata", name);
}

mg_status mg_clip_metadata_write(const char *path, const mg_clip_metadata *m)
{
    char *text;

    MG_RETURN(print(&text, (writer){0}, path, m));
    const size_t n = strlen(text);
    text[n] = '\n'; /* in place of the NUL: the file ends its last line */
    const mg_status st = mg_out_file_put(path, text, n + 1);
    cJSON_free(text);
    return st;
}

mg_status mg_clip_metadata_tag(char **text, const mg_clip_metadata *m)
{
    return print(text, (writer){.is_tag = true}, "tag", m);
}
