#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "log.h"
#include "model_notes.h"
#include "model_options.h"
#include "replica.h"
#include "stop.h"
#include "utf8.h"

static void note_reason(mg_inspection *i)
{
    if (!i->reason[0]) mg_utf8_copy(i->reason, sizeof i->reason, mg_last_error());
    mg_clear_error();
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Does a tensor belong to the part, and does it count as one of its parameters? The position table is
 * computed, an alias is counted once, and a full T5's decoder is none of ours. `name` is without prefix. */
static bool is_of_part(int part, const mg_model_part *files, const char *name)
{
    switch (part) {
    case MG_INSPECT_LM:
        return starts(name, "decoder.model.decoder.") || starts(name, "decoder.lm_heads.") ||
               starts(name, "enc_to_dec_proj.") || starts(name, "audio_enc_to_dec_proj.");
    case MG_INSPECT_T5:
        if (strcmp(name, "encoder.embed_tokens.weight") == 0) {
            char shared[64];
            snprintf(shared, sizeof shared, "%.40sshared.weight", files->prefix);
            return !mg_checkpoint_find(files->checkpoint, shared);
        }
        return starts(name, "encoder.") || starts(name, "shared.");
    default:
        return starts(name, "encoder.layers.") || starts(name, "decoder.layers.") ||
               starts(name, "quantizer.");
    }
}

static void count_part(mg_inspect_part *p, int part)
{
    const mg_checkpoint *c = p->files->checkpoint;
    const size_t n_prefix = strlen(p->files->prefix);

    for (size_t k = 0; k < mg_checkpoint_count(c); k++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(c, k);
        if (!starts(e->name, p->files->prefix) || !is_of_part(part, p->files, e->name + n_prefix)) continue;
        p->n_tensors++;
        p->bytes += (int64_t)mg_tensor_bytes(&e->tensor);
        if (strstr(e->name, "embed_positions")) {
            p->has_positions = true;
            continue;
        }
        if (part == MG_INSPECT_CODEC && starts(e->name + n_prefix, "encoder.layers.")) p->has_encoder = true;
        p->n_parameters += mg_tensor_count(&e->tensor);
        p->dtypes[e->tensor.dtype] = true;
    }
}

/* The part's own survey, and the report over it. */
static mg_status map_part(mg_inspection *i, mg_inspect_part *p, int part)
{
    mg_status st = MG_OK;
    mg_arena arena = mg_arena_measure("weights");
    mg_t5 *t5 = NULL;
    mg_lm *lm = NULL;
    mg_encodec *codec = NULL;
    mg_weights w;

    mg_weights_init(&w, i->backend.ops, p->files->checkpoint, &arena, p->files->prefix);
    w.requests = &p->requests;
    switch (part) {
    case MG_INSPECT_LM:
        MG_TRY(mg_lm_load(&lm, &i->files->config.lm, i->backend.formats, i->backend.group, &w));
        break;
    case MG_INSPECT_T5: MG_TRY(mg_t5_load(&t5, &i->files->config.t5, &w)); break;
    default:
        MG_TRY(mg_encodec_load(&codec, &i->files->config.codec, MG_ENCODEC_DECODER | MG_ENCODEC_ENCODER, &w));
        break;
    }
    if (w.problems.n) mg_utf8_copy(p->mapping_error, sizeof p->mapping_error, w.problems.data);
    MG_TRY(mg_mapping_report_make(&p->mapping, &p->requests));
    p->is_mapped = true;
done:
    mg_t5_close(t5);
    mg_lm_close(lm);
    mg_encodec_close(codec);
    mg_weights_close(&w);
    return st;
}

static void look_at_part(mg_inspection *i, int part, const mg_model_part *files)
{
    mg_inspect_part *p = &i->part[part];

    if (!files->checkpoint) return;
    p->files = files;
    count_part(p, part);
    if (map_part(i, p, part) != MG_OK) {
        mg_utf8_copy(p->mapping_error, sizeof p->mapping_error, mg_last_error());
        mg_clear_error();
    }
    if (!p->is_mapped || p->mapping.n_rows || p->mapping_error[0]) i->is_sound = false;
}

/* As much of a model as opens: everything, else less and less. The first refusal is the reason; one that
 * calls what is there wrong, not absent, makes it unsound. */
static void open_files(mg_inspection *i)
{
    const mg_inspect_settings *s = i->settings;
    static const int needs[] = {MG_NEED_ALL, MG_NEED_LM | MG_NEED_CODEC, MG_NEED_LM | MG_NEED_T5, MG_NEED_LM};
    const mg_model_request request = mg_model_with_parts(i->path, &s->parts);
    const mg_model_request t5 = {.text_encoder = i->path, .tokenizer = s->parts.tokenizer};
    const mg_model_request codec = {.codec = i->path};
    const mg_model_request lm = {.lm = i->path};

    for (size_t k = 0; k < sizeof needs / sizeof *needs; k++) {
        const mg_status st = mg_model_files_open(&i->files, &request, needs[k] | MG_WANT_STYLE);
        if (st == MG_OK) return;
        if (k == 0 && st == MG_ECHECKPOINT) i->is_sound = false;
        note_reason(i);
    }
    if (mg_model_files_open(&i->files, &lm, MG_NEED_LM) == MG_OK) return;
    mg_clear_error();
    if (mg_model_files_open(&i->files, &codec, MG_NEED_CODEC) != MG_OK) {
        mg_clear_error();
        if (mg_model_files_open(&i->files, &t5, MG_NEED_T5) != MG_OK) mg_clear_error();
    }
    if (!i->files) return;
    i->is_sound = true; /* of what it is */
    snprintf(i->reason, sizeof i->reason, "it is %s alone; give it to generate as %s, beside --model or --lm",
             i->files->codec.checkpoint ? "a codec" : "a text encoder",
             i->files->codec.checkpoint ? "--codec" : "--text-encoder");
}

/* Weights that belong to no model that we know, or a torch file without any. */
static void open_alone(mg_inspection *i)
{
    i->is_sound = false;
    if (mg_checkpoint_open(&i->lone, i->path) == MG_OK) {
        if (mg_checkpoint_get_kind(i->lone) == MG_CHECKPOINT_POINTER) {
            i->is_sound = true;
            snprintf(i->reason, sizeof i->reason,
                     "it is a codec pointer; give it to generate as --codec, where %s is found",
                     mg_checkpoint_pointer(i->lone));
        }
        return;
    }
    note_reason(i);
    if (!mg_path_is_folder(i->path) && mg_torch_file_open(&i->foreign, i->path) != MG_OK) mg_clear_error();
}

static const char *describe(const mg_inspection *i)
{
    const mg_checkpoint *c = mg_inspection_checkpoint(i);

    if (!c) return i->foreign ? "torch file without weights that we know" : "nothing that we can open";
    const mg_checkpoint_kind kind = mg_checkpoint_get_kind(c);
    if (kind == MG_CHECKPOINT_POINTER) return "AudioCraft codec pointer";
    if (kind == MG_CHECKPOINT_TRAINING)
        return i->files && i->files->lm.checkpoint ? "AudioCraft training checkpoint of a language model"
                                                   : "AudioCraft training checkpoint of a codec";
    if (!i->files)
        return mg_path_has(i->path, "adapter_config.json") ? "adapter (PEFT)" : "weights of an unknown model";
    if (!i->files->lm.checkpoint)
        return i->files->codec.checkpoint ? "codec (EnCodec) by itself" : "text encoder (T5) by itself";
    return strcmp(i->files->lm.form, "AudioCraft") == 0 ? "AudioCraft model" : "Hugging Face model";
}

/* The very call that generate makes. */
static void try_replica(mg_inspection *i)
{
    const mg_replica_source source = {.model = mg_model_with_parts(i->path, &i->settings->parts),
                                      .with_text = true,
                                      .with_tokenizer = true,
                                      .may_style = true};
    mg_replica *r = NULL;

    i->loads = mg_replica_open(&r, &source, &i->backend, &i->backend, i->backend.group) == MG_OK;
    if (!i->loads) note_reason(i);
    mg_replica_close(r);
}

mg_status mg_inspection_open(mg_inspection *i)
{
    static const char *const names[] = {"language model", "text encoder", "codec"};

    for (int k = 0; k < MG_INSPECT_PARTS; k++) i->part[k].name = names[k];
    MG_RETURN(mg_hub_find(i->path, i->settings->source));
    i->is_sound = true;
    open_files(i);
    if (i->files) {
        if (mg_model_notes(&i->notes, i->files) != MG_OK) note_reason(i);
        look_at_part(i, MG_INSPECT_LM, &i->files->lm);
        look_at_part(i, MG_INSPECT_T5, &i->files->t5);
        look_at_part(i, MG_INSPECT_CODEC, &i->files->codec);
        if (i->files->lm.checkpoint) {
            if (i->part[MG_INSPECT_LM].is_mapped && i->is_sound) i->reason[0] = '\0';
            try_replica(i);
        }
    } else {
        open_alone(i);
    }
    i->what = describe(i);
    const mg_checkpoint *c = mg_inspection_checkpoint(i);
    if (c && mg_checkpoint_get_kind(c) == MG_CHECKPOINT_TRAINING)
        snprintf(i->reason, sizeof i->reason,
                 "it is a training checkpoint: export it first (mg-dist export)");
    if (i->loads) i->reason[0] = '\0';
    return mg_stop_check(); /* it may be why a part could not be looked at */
}

void mg_inspection_close(mg_inspection *i)
{
    for (int k = 0; k < MG_INSPECT_PARTS; k++) {
        mg_mapping_report_close(&i->part[k].mapping);
        mg_weights_requests_close(&i->part[k].requests);
    }
    mg_text_reset(&i->notes);
    mg_model_files_close(i->files);
    mg_checkpoint_close(i->lone);
    mg_torch_file_close(i->foreign);
}

mg_checkpoint *mg_inspection_checkpoint(const mg_inspection *i)
{
    const mg_model_files *f = i->files;

    if (!f) return i->lone;
    return f->lm.checkpoint ? f->lm.checkpoint : f->codec.checkpoint ? f->codec.checkpoint : f->t5.checkpoint;
}

/* "ignored", "unexpected", or NULL: it has a place, or no part was mapped. */
static const char *left_over(const mg_mapping_report *m, const mg_checkpoint *c, size_t i_source)
{
    for (size_t k = 0; k < m->n_ignored; k++)
        if (m->ignored[k].checkpoint == c && m->ignored[k].i_source == i_source) return "ignored";
    for (size_t k = m->n_missing + m->n_wrong; k < m->n_rows; k++)
        if (m->rows[k].checkpoint == c && m->rows[k].i_source == i_source) return "unexpected";
    return NULL;
}

void mg_inspection_target(char out[MG_INSPECT_TEXT], const mg_inspection *i, const mg_checkpoint *c,
                          size_t i_source)
{
    int n = 0;

    out[0] = '\0';
    for (int part = 0; part < MG_INSPECT_PARTS; part++) {
        const char *word = left_over(&i->part[part].mapping, c, i_source);
        if (!word) continue;
        snprintf(out, MG_INSPECT_TEXT, "%s", word);
        return;
    }
    for (size_t k = 0; k < mg_checkpoint_count(c); k++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(c, k);
        if (e->i_source != i_source || n < 0 || n >= MG_INSPECT_TEXT) continue;
        n += snprintf(out + n, MG_INSPECT_TEXT - (size_t)n, "%s%s", n ? ", " : "", e->name);
    }
}

void mg_inspection_dtypes(char out[MG_INSPECT_DTYPES_SIZE], const mg_inspect_part *p)
{
    int n = 0;

    out[0] = '\0';
    for (int d = 0; d < MG_INSPECT_DTYPES && n < MG_INSPECT_DTYPES_SIZE; d++)
        if (p->dtypes[d])
            n += snprintf(out + n, (size_t)(MG_INSPECT_DTYPES_SIZE - n), "%s%s", n ? ", " : "",
                          mg_dtype_name((mg_dtype)d));
}

/* MODULE.NAME, each as long as there is room for. */
static void format_global(char out[128], const char *before, const mg_pickle_value *v)
{
    char module[41], name[41];

    mg_utf8_copy(module, sizeof module, v->global.module);
    mg_utf8_copy(name, sizeof name, v->global.name);
    snprintf(out, 128, "%s %s.%s", before, module, name);
}

void mg_inspection_value(char out[128], const mg_torch_file *f, const mg_pickle_value *v)
{
    static const char *const names[] = {
        [MG_PICKLE_NONE] = "none",     [MG_PICKLE_BOOL] = "truth value",  [MG_PICKLE_INT] = "integer",
        [MG_PICKLE_LONG] = "integer",  [MG_PICKLE_FLOAT] = "number",      [MG_PICKLE_STRING] = "text",
        [MG_PICKLE_BYTES] = "bytes",   [MG_PICKLE_TUPLE] = "tuple",       [MG_PICKLE_LIST] = "list",
        [MG_PICKLE_SET] = "set",       [MG_PICKLE_DICT] = "dict",         [MG_PICKLE_GLOBAL] = "name",
        [MG_PICKLE_OBJECT] = "object", [MG_PICKLE_PERSISTENT] = "storage"};
    char dims[MG_DIMS_SIZE];
    mg_torch_tensor t;

    if (mg_torch_file_is_tensor(v) && mg_torch_file_tensor(f, &t, "", v) == MG_OK) {
        snprintf(out, 128, "%s %s", mg_dtype_name(t.dtype), mg_dims_format(dims, t.n_dims, t.dim));
        return;
    }
    mg_clear_error();
    switch (v->kind) {
    case MG_PICKLE_STRING:
    case MG_PICKLE_BYTES:
        if (v->text.n < 40)
            snprintf(out, 128, "%s \"%.40s\"", names[v->kind], v->text.data);
        else
            snprintf(out, 128, "%s of %zu bytes", names[v->kind], v->text.n);
        break;
    case MG_PICKLE_TUPLE:
    case MG_PICKLE_LIST:
    case MG_PICKLE_SET: snprintf(out, 128, "%s of %zu", names[v->kind], v->items.n); break;
    case MG_PICKLE_DICT: snprintf(out, 128, "dict of %zu", v->items.n / 2); break;
    case MG_PICKLE_INT: snprintf(out, 128, "integer %lld", (long long)v->integer); break;
    case MG_PICKLE_GLOBAL: format_global(out, "name", v); break;
    case MG_PICKLE_OBJECT:
        if (v->object.callable && v->object.callable->kind == MG_PICKLE_GLOBAL)
            format_global(out, "object of", v->object.callable);
        else
            snprintf(out, 128, "object");
        break;
    default: snprintf(out, 128, "%s", names[v->kind]);
    }
}
