#include "clip_metadata.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "choice_words.h"
#include "json_text.h"
#include "out_file.h"
#include "path.h"

enum { TAG_TEXT_BYTES = 8192 }; /* libsndfile's room for a WAV header is 100 kB, most players' is less */

typedef struct writer {
    mg_json_text t;
    const mg_clip_metadata *m;
    bool is_tag; /* leave out what mg_clip_metadata_tag promises to */
} writer;

static void put_text(writer *w, const char *key, const char *value)
{
    mg_json_text_string(&w->t, key, value);
}

/* null for what is not known */
static void put_count(writer *w, const char *key, int64_t value)
{
    if (value < 0)
        mg_json_text_string(&w->t, key, NULL);
    else
        mg_json_text_int(&w->t, key, value);
}

static void put_number(writer *w, const char *key, double value)
{
    mg_json_text_number(&w->t, key, value);
}

/* A prompt: in a tag none is none, and a long one is cut between two characters. */
static void put_prompt(writer *w, const char *key, const char *value)
{
    char cut[TAG_TEXT_BYTES + 4];

    if (w->is_tag && value && strlen(value) > TAG_TEXT_BYTES) {
        size_t n = TAG_TEXT_BYTES;
        while (n > 0 && ((unsigned char)value[n] & 0xC0) == 0x80) n--;
        memcpy(cut, value, n);
        memcpy(cut + n, "…", sizeof "…");
        value = cut;
    }
    put_text(w, key, w->is_tag && value && !*value ? NULL : value);
}

static void put_choice(writer *w, const char *key, const char *choices, int i)
{
    char word[MG_CHOICE_WORD_SIZE] = "";

    if (i >= 0) mg_choice_word(word, choices, i);
    put_text(w, key, *word ? word : NULL);
}

/* The recipe's keys that stand here, in the table's order. */
static void put_keys(writer *w, mg_recipe_place place)
{
    const mg_recipe *r = &w->m->recipe;

    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        const void *at = mg_recipe_get(r, key);
        if (key->place != place || (w->is_tag && (key->flags & MG_KEY_NOT_IN_TAG))) continue;
        if (!mg_recipe_is_recorded(r, key)) continue;
        switch (key->type) {
        case MG_KEY_TEXT:
        case MG_KEY_ID:
        case MG_KEY_PATH: put_prompt(w, key->record, *(const char *const *)at); break;
        case MG_KEY_NUMBER: put_number(w, key->record, *(const double *)at); break;
        case MG_KEY_INT: put_count(w, key->record, *(const int64_t *)at); break;
        case MG_KEY_BOOL: mg_json_text_bool(&w->t, key->record, *(const bool *)at); break;
        case MG_KEY_CHOICE: put_choice(w, key->record, key->choices, *(const int *)at); break;
        }
    }
}

static void put_files(writer *w)
{
    const mg_clip_metadata *m = w->m;

    put_keys(w, MG_AT_NAMES);
    put_text(w, "audio_file", m->audio_file);
    put_text(w, "audio_sha256", m->audio_sha256);
    put_text(w, "sound_sha256", m->sound_sha256);
    if (m->codes_file) put_text(w, "codes_file", m->codes_file);
    put_text(w, "codes_sha256", m->codes_sha256);
}

static void put_inputs(writer *w)
{
    bool is_open = false;

    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const mg_recipe_key *key = mg_recipe_input(i);
        const char *path = *(const char *const *)mg_recipe_get(&w->m->recipe, key);
        if (!path) continue;
        if (!is_open) mg_json_text_object(&w->t, "inputs");
        is_open = true;
        mg_json_text_object(&w->t, key->record);
        put_text(w, "file", w->is_tag ? mg_path_name(path) : path);
        put_text(w, "sha256", w->m->input_sha256[i]);
        mg_json_text_close(&w->t);
    }
    if (is_open) mg_json_text_close(&w->t);
}

static void put_request(writer *w)
{
    const mg_clip_metadata *m = w->m;

    put_keys(w, MG_AT_TEXTS);
    put_inputs(w);
    if (!w->is_tag) put_count(w, "index", m->index);
    put_keys(w, MG_AT_SEED);
    if (!w->is_tag) put_count(w, "call_seed", (int64_t)m->call_seed);
    put_number(w, "duration_s", m->dur_s);
    put_count(w, "sampling_rate", m->sampling_rate);
    put_count(w, "channels", m->n_channels);
    put_count(w, "samples", m->n_frames_pcm);
    put_count(w, "codebooks", m->n_codebooks);
    mg_json_text_object(&w->t, "parameters");
    put_keys(w, MG_AT_PARAMETERS);
    mg_json_text_close(&w->t);
}

/* What a meter shows. */
static void put_levels(writer *w)
{
    const mg_clip_metadata *m = w->m;

    if (!m->audio_file) return;
    mg_json_text_object(&w->t, "sound");
    put_number(w, "loudness_lufs", m->levels.loudness_lufs);
    put_number(w, "true_peak_dbtp", m->levels.true_peak_dbtp);
    put_number(w, "sample_peak_dbfs", m->levels.sample_peak_dbfs);
    put_count(w, "clipped_samples", m->n_clipped);
    put_number(w, "silence_start_s", m->levels.silence_start_s);
    put_number(w, "silence_end_s", m->levels.silence_end_s);
    mg_json_text_close(&w->t);
}

bool mg_recipe_uses(const mg_recipe *r, mg_weights_use use)
{
    return use == MG_USED_BY_ALL || (use == MG_USED_BY_TEXTS ? mg_recipe_encodes_text(r) : r->melody != NULL);
}

/* A tag leaves out what the clip was not made of: it was loaded for the clips beside it. */
static void put_weights(writer *w)
{
    const mg_clip_metadata *m = w->m;

    mg_json_text_array(&w->t, "weights");
    for (int i = 0; i < m->n_weights; i++) {
        if (w->is_tag && !mg_recipe_uses(&m->recipe, m->weights[i].use)) continue;
        mg_json_text_object(&w->t, NULL);
        if (!w->is_tag) put_text(w, "file", m->weights[i].path);
        put_text(w, "sha256", m->weights[i].sha256);
        if (!w->is_tag) put_text(w, "sha256_from", m->weights[i].of_blob_name ? "blob_name" : "content");
        mg_json_text_close(&w->t);
    }
    mg_json_text_close(&w->t);
}

static void put_model(writer *w)
{
    const mg_clip_metadata *m = w->m;

    mg_json_text_object(&w->t, "model");
    put_text(w, "path", m->asked.model);
    put_text(w, "key", m->model_key);
    put_text(w, "lm", m->asked.lm);
    if (m->asked.lora) put_text(w, "lora", m->asked.lora);
    put_text(w, "text_encoder", m->asked.text_encoder);
    if (m->asked.style_encoder) put_text(w, "style_encoder", m->asked.style_encoder);
    put_text(w, "codec", m->asked.codec);
    put_text(w, "tokenizer", m->asked.tokenizer);
    put_text(w, "tokenizer_sha256", m->tokenizer_sha256);
    mg_json_text_object(&w->t, "parts");
    for (int i = 0; i < m->n_parts; i++) {
        mg_json_text_object(&w->t, m->parts[i].name);
        put_text(w, "path", m->parts[i].path);
        put_text(w, "form", m->parts[i].form);
        put_text(w, "container", m->parts[i].container);
        mg_json_text_close(&w->t);
    }
    mg_json_text_close(&w->t);
    put_weights(w);
    mg_json_text_array(&w->t, "applied_proposals");
    for (int i = 0; i < m->n_applied; i++) {
        mg_json_text_object(&w->t, NULL);
        put_text(w, "target", m->applied[i].target);
        put_text(w, "source", m->applied[i].source);
        mg_json_text_close(&w->t);
    }
    mg_json_text_close(&w->t);
    mg_json_text_close(&w->t);
}

static void put_run(writer *w)
{
    const mg_clip_metadata *m = w->m;

    mg_json_text_object(&w->t, "run");
    put_text(w, "program", "mg-dist");
    put_text(w, "version", w->is_tag ? MG_VERSION : m->version); /* no commit changes a sound file */
    put_text(w, "backend", m->backend);
    if (m->text_backend) put_text(w, "text_backend", m->text_backend);
    if (m->codec_backend) put_text(w, "codec_backend", m->codec_backend);
    put_text(w, "dtype", m->dtype);
    if (m->kv) put_text(w, "kv", m->kv);
    if (w->is_tag) return;
    if (m->reduce) put_text(w, "reduce", m->reduce);
    put_text(w, "audio_library", m->audio_library);
    put_count(w, "ranks", m->n_ranks);
    put_count(w, "tp", m->tp);
    put_count(w, "batch", m->batch);
    put_count(w, "threads", m->n_threads);
    put_text(w, "host", m->host);
    mg_json_text_close(&w->t);

    mg_json_text_object(&w->t, "timings");
    put_number(w, "text_s", m->text_s);
    put_number(w, "lm_s", m->lm_s);
    put_number(w, "codec_s", m->codec_s);
    put_count(w, "steps", m->n_steps);
    put_count(w, "windows", m->n_windows);
    put_number(w, "ms_per_step", m->ms_per_step);
}

mg_status mg_clip_metadata_write(const char *path, const mg_clip_metadata *m)
{
    writer w = {.t = {.layout = MG_JSON_TABS}, .m = m};
    char *text;

    mg_json_text_object(&w.t, NULL);
    put_files(&w);
    put_request(&w);
    put_levels(&w);
    put_model(&w);
    put_run(&w);
    MG_RETURN(mg_json_text_end(&w.t, &text));
    const mg_status st = mg_out_file_put(path, text, strlen(text));
    free(text);
    return st;
}

mg_status mg_clip_metadata_tag(char **text, const mg_clip_metadata *m)
{
    writer w = {.t = {.layout = MG_JSON_LINE}, .m = m, .is_tag = true};

    mg_json_text_object(&w.t, NULL);
    put_request(&w);
    put_weights(&w);
    put_run(&w);
    return mg_json_text_end(&w.t, text);
}
