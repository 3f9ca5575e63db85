/* The same as one JSON object, on stdout. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "json_text.h"
#include "utf8.h"

static bool is_utf8(const char *text)
{
    return !text || mg_utf8_bad_offset(text, (int64_t)strlen(text)) < 0;
}

/* What a file says, or is called: it stays as it is if it is UTF-8, else its other bytes are escaped, for
 * JSON is UTF-8. */
static void put_text(mg_json_text *t, const char *key, const char *value)
{
    mg_text shown_key = {0}, shown = {0};

    if (!is_utf8(key)) mg_text_show(&shown_key, "%s", key);
    if (!is_utf8(value)) mg_text_show(&shown, "%s", value);
    mg_json_text_string(t, shown_key.data ? shown_key.data : key, shown.data ? shown.data : value);
    t->text.failed = t->text.failed || shown_key.failed || shown.failed;
    mg_text_reset(&shown_key);
    mg_text_reset(&shown);
}

static void put_lm(mg_json_text *t, const mg_inspection *i)
{
    const mg_lm_config *c = &i->files->config.lm;

    mg_json_text_int(t, "hidden_size", c->D);
    mg_json_text_int(t, "num_hidden_layers", c->L);
    mg_json_text_int(t, "num_attention_heads", c->H);
    mg_json_text_int(t, "ffn_dim", c->F);
    mg_json_text_int(t, "num_codebooks", c->K);
    mg_json_text_int(t, "vocab_size", c->V);
    mg_json_text_int(t, "audio_channels", c->n_channels);
    mg_json_text_int(t, "max_position_embeddings", c->max_positions);
    mg_json_text_bool(t, "positions_stored", i->part[MG_INSPECT_LM].has_positions);
    mg_json_text_int(t, "text_width", c->d_text);
    mg_json_text_bool(t, "text_projected", c->project_text);
    mg_json_text_int(t, "num_chroma", c->n_chroma);
}

static void put_t5(mg_json_text *t, const mg_t5_config *c)
{
    mg_json_text_int(t, "d_model", c->d_model);
    mg_json_text_int(t, "num_layers", c->n_layers);
    mg_json_text_int(t, "num_heads", c->n_heads);
    mg_json_text_int(t, "d_ff", c->d_ff);
    mg_json_text_bool(t, "gated", c->gated);
    mg_json_text_int(t, "vocab_size", c->vocab_size);
}

static void put_codec(mg_json_text *t, const mg_inspection *i)
{
    const mg_codec_config *c = &i->files->config.codec;

    mg_json_text_int(t, "sampling_rate", c->sampling_rate);
    mg_json_text_int(t, "frame_rate", c->frame_rate);
    mg_json_text_int(t, "num_codebooks", c->n_codebooks);
    mg_json_text_int(t, "codebook_size", c->codebook_size);
    mg_json_text_string(t, "pad_mode", c->pad_reflect ? "reflect" : "constant");
    mg_json_text_bool(t, "has_encoder", i->part[MG_INSPECT_CODEC].has_encoder);
    put_text(t, "pointer", *i->files->pointer ? i->files->pointer : NULL);
}

static void put_mapping(mg_json_text *t, const mg_inspect_part *p)
{
    static const char *const faults[] = {"missing", "wrong", "unexpected"};
    const mg_mapping_report *m = &p->mapping;

    mg_json_text_object(t, "mapping");
    mg_json_text_bool(t, "done", p->is_mapped);
    mg_json_text_int(t, "filled", p->is_mapped ? (int64_t)(p->requests.n - m->n_missing - m->n_wrong) : 0);
    mg_json_text_int(t, "missing", (int64_t)m->n_missing);
    mg_json_text_int(t, "wrong", (int64_t)m->n_wrong);
    mg_json_text_int(t, "unexpected", (int64_t)m->n_unexpected);
    mg_json_text_int(t, "ignored", (int64_t)m->n_ignored);
    put_text(t, "error", p->mapping_error[0] ? p->mapping_error : NULL);
    mg_json_text_array(t, "faults");
    for (size_t k = 0; k < m->n_rows; k++) {
        mg_json_text_object(t, NULL);
        mg_json_text_string(t, "fault", faults[m->rows[k].fault]);
        put_text(t, "name", m->rows[k].name);
        put_text(t, "wanted", *m->rows[k].wanted ? m->rows[k].wanted : NULL);
        put_text(t, "found", *m->rows[k].found ? m->rows[k].found : NULL);
        if (m->rows[k].n_proposals) {
            put_text(t, "proposal", m->rows[k].proposals[0].source);
            mg_json_text_number(t, "confidence", m->rows[k].proposals[0].confidence);
            mg_json_text_bool(t, "sure", m->rows[k].sure);
        }
        mg_json_text_close(t);
    }
    mg_json_text_close(t);
    mg_json_text_close(t);
}

static void put_part(mg_json_text *t, const mg_inspection *i, int part)
{
    static const char *const keys[] = {"language_model", "text_encoder", "codec"};
    const mg_inspect_part *p = &i->part[part];

    if (!p->files) {
        mg_json_text_string(t, keys[part], NULL);
        return;
    }
    mg_json_text_object(t, keys[part]);
    put_text(t, "path", p->files->path);
    put_text(t, "form", p->files->form);
    mg_json_text_int(t, "tensors", p->n_tensors);
    mg_json_text_int(t, "parameters", p->n_parameters);
    mg_json_text_int(t, "bytes", p->bytes);
    mg_json_text_array(t, "dtypes");
    for (int d = 0; d < MG_INSPECT_DTYPES; d++)
        if (p->dtypes[d]) mg_json_text_string(t, NULL, mg_dtype_name((mg_dtype)d));
    mg_json_text_close(t);
    if (part == MG_INSPECT_LM)
        put_lm(t, i);
    else if (part == MG_INSPECT_T5)
        put_t5(t, &i->files->config.t5);
    else
        put_codec(t, i);
    put_mapping(t, p);
    mg_json_text_close(t);
}

static void put_notes(mg_json_text *t, const mg_inspection *i)
{
    const char *at = i->notes.data ? i->notes.data : "";
    char note[2000];

    mg_json_text_array(t, "notes");
    while (*at) {
        const size_t n = strcspn(at, "\n");
        snprintf(note, sizeof note, "%.*s", (int)n, at);
        put_text(t, NULL, note);
        at += n + (at[n] == '\n');
    }
    mg_json_text_close(t);
}

static void put_generation(mg_json_text *t, const mg_inspection *i)
{
    const mg_generation_config *g = &i->files->config.generation;

    mg_json_text_object(t, "generation");
    if (g->has_guidance_scale) mg_json_text_number(t, "guidance_scale", g->guidance_scale);
    if (g->has_do_sample) mg_json_text_bool(t, "do_sample", g->do_sample);
    if (g->has_top_k) mg_json_text_int(t, "top_k", g->top_k);
    if (g->has_top_p) mg_json_text_number(t, "top_p", g->top_p);
    if (g->has_min_p) mg_json_text_number(t, "min_p", g->min_p);
    if (g->has_temperature) mg_json_text_number(t, "temperature", g->temperature);
    if (g->has_max_length) mg_json_text_int(t, "max_length", g->max_length);
    if (i->files->window_s > 0) mg_json_text_number(t, "window_s", i->files->window_s);
    mg_json_text_close(t);
}

static void put_files(mg_json_text *t, const mg_checkpoint *c)
{
    for (size_t k = 0; k < mg_checkpoint_n_files(c); k++) {
        mg_json_text_object(t, NULL);
        put_text(t, "path", mg_checkpoint_file(c, k));
        mg_json_text_int(t, "bytes", mg_path_bytes(mg_checkpoint_file(c, k)));
        mg_json_text_close(t);
    }
}

static void put_keys(mg_json_text *t, const mg_inspection *i, const mg_checkpoint *c)
{
    char target[MG_INSPECT_TEXT];

    for (size_t k = 0; k < mg_checkpoint_n_sources(c); k++) {
        const mg_checkpoint_source *s = mg_checkpoint_source_at(c, k);
        mg_inspection_target(target, i, c, k);
        mg_json_text_object(t, NULL);
        put_text(t, "source", s->name);
        put_text(t, "target", target);
        mg_json_text_string(t, "dtype", mg_dtype_name(s->tensor.dtype));
        mg_json_text_array(t, "shape");
        for (int d = 0; d < s->tensor.n_dims; d++) mg_json_text_int(t, NULL, s->tensor.dim[d]);
        mg_json_text_close(t);
        put_text(t, "file", s->file);
        mg_json_text_close(t);
    }
}

static void put_foreign(mg_json_text *t, const mg_torch_file *f)
{
    const mg_pickle_value *root = mg_torch_file_root(f);
    char value[128];

    mg_json_text_object(t, "top_level");
    for (size_t k = 0; root->kind == MG_PICKLE_DICT && k + 1 < root->items.n; k += 2) {
        const mg_pickle_value *key = root->items.item[k];
        mg_inspection_value(value, f, root->items.item[k + 1]);
        put_text(t, key->kind == MG_PICKLE_STRING ? key->text.data : "(no text)", value);
    }
    mg_json_text_close(t);
}

static void put_weights(mg_json_text *t, const mg_inspection *i)
{
    const mg_checkpoint *c = mg_inspection_checkpoint(i);

    mg_json_text_string(t, "container", mg_checkpoint_container(c));
    mg_json_text_string(t, "dialect", mg_dialect_name(mg_checkpoint_get_dialect(c)));
    put_text(t, "points_to", mg_checkpoint_pointer(c));
    mg_json_text_array(t, "files");
    if (i->lone) put_files(t, i->lone);
    for (int k = 0; i->files && k < i->files->n_opened; k++) put_files(t, i->files->opened[k]);
    mg_json_text_close(t);
    if (!i->settings->keys) return;
    mg_json_text_array(t, "keys");
    if (i->lone) put_keys(t, i, i->lone);
    for (int k = 0; i->files && k < i->files->n_opened; k++) put_keys(t, i, i->files->opened[k]);
    mg_json_text_close(t);
}

mg_status mg_inspection_print_json(const mg_inspection *i)
{
    mg_json_text t = {0};
    char *text = NULL;

    mg_json_text_object(&t, NULL);
    put_text(&t, "source", i->settings->source);
    put_text(&t, "path", i->path);
    put_text(&t, "is", i->what);
    mg_json_text_bool(&t, "sound", i->is_sound);
    mg_json_text_bool(&t, "loads", i->loads);
    put_text(&t, "reason", i->reason[0] ? i->reason : NULL);
    if (mg_inspection_checkpoint(i)) put_weights(&t, i);
    if (i->files) {
        put_text(&t, "model_type", i->files->config.model_type);
        for (int k = 0; k < MG_INSPECT_PARTS; k++) put_part(&t, i, k);
        put_text(&t, "text_encoder_name", *i->files->t5_name ? i->files->t5_name : NULL);
        put_text(&t, "tokenizer", *i->files->tokenizer ? i->files->tokenizer : NULL);
        put_generation(&t, i);
        put_notes(&t, i);
    }
    if (i->foreign) put_foreign(&t, i->foreign);
    MG_RETURN(mg_json_text_end(&t, &text));
    fputs(text, stdout);
    free(text);
    return MG_OK;
}
