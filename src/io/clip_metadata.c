#include "clip_metadata.h"

#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out_file.h"

/* cJSON prints 17 digits where 15 do not give the same double. Each add returns NULL when memory is short;
 * one flag collects them. */
typedef struct writer {
    bool failed;
} writer;

static void add_text(writer *w, cJSON *object, const char *key, const char *value)
{
    if (!(value ? cJSON_AddStringToObject(object, key, value) : cJSON_AddNullToObject(object, key)))
        w->failed = true;
}

/* The shortest text that reads back as the same double. (cJSON's own printing is content with nearly the
 * same, and a seed must be exact.) */
static void add_number(writer *w, cJSON *object, const char *key, double value)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (!cJSON_AddRawToObject(object, key, text)) w->failed = true;
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

static void add_request(writer *w, cJSON *root, const mg_clip_metadata *m)
{
    add_text(w, root, "audio_file", m->audio_file);
    if (m->codes_file) add_text(w, root, "codes_file", m->codes_file);
    add_text(w, root, "prompt", m->prompt);
    add_number(w, root, "index", (double)m->index);
    add_number(w, root, "seed", (double)m->seed);
    add_number(w, root, "call_seed", (double)m->call_seed);
    add_number(w, root, "duration_s", m->dur_s);
    add_number(w, root, "sampling_rate", (double)m->sampling_rate);
    add_number(w, root, "channels", (double)m->n_channels);
    add_number(w, root, "samples", (double)m->n_frames_pcm);

    cJSON *p = add_object(w, root, "parameters");
    add_number(w, p, "frames", (double)m->n_frames);
    add_number(w, p, "cfg_coef", m->cfg_coef);
    add_bool(w, p, "greedy", m->greedy);
    add_number(w, p, "top_k", (double)m->top_k);
    add_number(w, p, "top_p", m->top_p);
    add_number(w, p, "temperature", m->temperature);
    add_text(w, p, "format", m->format);
    add_text(w, p, "strategy", m->strategy);
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

static cJSON *add_array(writer *w, cJSON *object, const char *key)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);

    if (!array) w->failed = true;
    return array;
}

static void add_parts(writer *w, cJSON *model, const mg_clip_metadata *m)
{
    cJSON *parts = add_object(w, model, "parts");

    for (int i = 0; i < m->n_parts; i++) {
        cJSON *part = add_object(w, parts, m->parts[i].name);
        add_text(w, part, "path", m->parts[i].path);
        add_text(w, part, "form", m->parts[i].form);
        add_text(w, part, "container", m->parts[i].container);
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
    add_parts(w, model, m);
    cJSON *weights = add_array(w, model, "weights");
    for (int i = 0; i < m->n_weights; i++) {
        cJSON *file = add_item(w, weights);
        add_text(w, file, "file", m->weights[i].path);
        add_text(w, file, "sha256", m->weights[i].sha256);
        add_text(w, file, "sha256_from", m->weights[i].of_blob_name ? "blob_name" : "content");
    }
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
    add_number(w, run, "ranks", (double)m->n_ranks);
    add_number(w, run, "tp", (double)m->tp);
    add_number(w, run, "batch", (double)m->batch);
    add_number(w, run, "threads", (double)m->n_threads);
    add_text(w, run, "host", m->host);

    cJSON *t = add_object(w, root, "timings");
    add_number(w, t, "text_s", m->text_s);
    add_number(w, t, "lm_s", m->lm_s);
    add_number(w, t, "codec_s", m->codec_s);
    add_number(w, t, "steps", (double)m->n_steps);
    add_number(w, t, "ms_per_step", m->ms_per_step);
}

mg_status mg_clip_metadata_write(const char *path, const mg_clip_metadata *m)
{
    mg_status st = MG_OK;
    writer w = {false};
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();

    if (root) {
        add_request(&w, root, m);
        add_model(&w, root, m);
        add_run(&w, root, m);
        text = w.failed ? NULL : cJSON_Print(root);
    }
    if (!text) MG_TRY(mg_fail(MG_ENOMEM, "%s: no memory for the metadata", path));
    const size_t n = strlen(text);
    text[n] = '\n'; /* in place of the NUL: the file ends its last line */
    MG_TRY(mg_out_file_put(path, text, n + 1));
done:
    cJSON_free(text);
    cJSON_Delete(root);
    return st;
}
