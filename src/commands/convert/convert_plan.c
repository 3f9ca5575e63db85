/* From the tensors that the output must hold (tensor_list.h) to those that they are made of: a
 * fused convolution is taken apart, what follows from others is computed, and for AudioCraft's form three
 * projections become one. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_read.h"
#include "convert.h"
#include "key_map.h"
#include "lines.h"
#include "lm.h"
#include "log.h"
#include "text.h"

#define PROJECTION "enc_to_dec_proj."

/* The tensors of one part, on their way into a list. */
typedef struct planner {
    mg_convert *convert;
    mg_convert_list *list;
    const mg_model_part *part;
    const char *prefix; /* in the output */
    mg_dialect dialect; /* of the output */
    bool *used;         /* [entries of the part's checkpoint] */
    mg_text problems;   /* one a line */
    int n_problems;
} planner;

static void __attribute__((format(printf, 2, 3))) problem(planner *p, const char *format, ...)
{
    va_list args;

    p->n_problems++;
    if (p->problems.n) mg_text_add(&p->problems, "\n");
    va_start(args, format);
    mg_text_vshow(&p->problems, format, args);
    va_end(args);
}

/* The part's tensor of this name, marked as used. */
static const mg_checkpoint_entry *find(planner *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const mg_checkpoint_entry *find(planner *p, const char *format, ...)
{
    char name[MG_KEY_MAX];
    va_list args;

    va_start(args, format);
    const int n = snprintf(name, sizeof name, "%s", p->part->prefix);
    vsnprintf(name + n, sizeof name - (size_t)n, format, args);
    va_end(args);
    const mg_checkpoint_entry *e = mg_checkpoint_find(p->part->checkpoint, name);
    for (size_t i = 0; e && i < mg_checkpoint_count(p->part->checkpoint); i++)
        if (mg_checkpoint_at(p->part->checkpoint, i) == e) p->used[i] = true;
    return e;
}

/* A name that ends in ".weight_g" without that end. */
static int stem(const mg_listed_tensor *t)
{
    return (int)(strlen(t->name) - strlen(".weight_g"));
}

/* What the tensor is made of: itself under one of its names, or what it follows from. */
static const mg_checkpoint_entry *find_source(planner *p, const mg_listed_tensor *t)
{
    const mg_checkpoint_entry *e = find(p, "%s", t->name);

    if (e) return e;
    switch (t->role) {
    case MG_ROLE_NORM_G:
        e = find(p, "%.*s.parametrizations.weight.original0", stem(t), t->name);
        return e ? e : find(p, "%.*s.weight", stem(t), t->name);
    case MG_ROLE_NORM_V:
        e = find(p, "%.*s.parametrizations.weight.original1", stem(t), t->name);
        return e ? e : find(p, "%.*s.weight", stem(t), t->name);
    case MG_ROLE_EMBED_AVG: return find(p, "%.*s", (int)(strlen(t->name) - strlen("_avg")), t->name);
    default: return strcmp(t->name, "shared.weight") == 0 ? find(p, "encoder.embed_tokens.weight") : NULL;
    }
}

/* A convolution that is stored fused has its rows' lengths nowhere. */
static bool is_fused(const mg_listed_tensor *t, const mg_checkpoint_entry *e)
{
    const size_t n = strlen(e->name);

    return t->role == MG_ROLE_NORM_G && n > 7 && strcmp(e->name + n - 7, ".weight") == 0;
}

static mg_status plan_tensor(planner *p, mg_convert_tensor *out, mg_listed_tensor *t)
{
    const mg_checkpoint_entry *e = find_source(p, t);
    char want[MG_DIMS_SIZE], have[MG_DIMS_SIZE];

    snprintf(out->name, sizeof out->name, "%s%s", p->prefix, t->name);
    out->n_sources = 1;
    if (!e) {
        const bool identity =
            p->convert->adds_projection && strncmp(t->name, PROJECTION, strlen(PROJECTION)) == 0;
        if (t->role == MG_ROLE_POSITIONS || t->role == MG_ROLE_INITED || t->role == MG_ROLE_CLUSTER_SIZE ||
            identity)
            return mg_convert_make(p->convert, out, t, NULL);
        problem(p, "%s%s: missing", p->part->prefix, t->name);
        return MG_OK;
    }
    if (is_fused(t, e)) return mg_convert_make(p->convert, out, t, e);
    if (t->role == MG_ROLE_POSITIONS && e->tensor.n_dims == 2) t->dim[0] = e->tensor.dim[0];
    if (!mg_tensor_is(&e->tensor, e->tensor.dtype, t->n_dims, t->dim))
        problem(p, "%s: shape %s, expected %s", e->name,
                mg_dims_format(have, e->tensor.n_dims, e->tensor.dim),
                mg_dims_format(want, t->n_dims, t->dim));
    out->source[0] = *e;
    out->tensor = e->tensor;
    out->tensor.data = NULL;
    out->tensor.dtype = mg_convert_dtype_of(p->convert, e->tensor.dtype);
    return MG_OK;
}

/* AudioCraft's name. False if it does not hold this tensor. */
static bool spell(mg_key_target *target, mg_dialect d, const mg_listed_tensor *t)
{
    mg_key_target spellings[MG_KEY_SPELLINGS];
    const int n = mg_key_map_back(spellings, d, t->name);

    if (n == 0) return false;
    *target = spellings[n > 1 && t->transposed ? 1 : 0];
    return true;
}

/* Stack the last `n` tensors of the list, which bear one name, into one. */
static mg_status stack(mg_convert_list *list, int n)
{
    mg_convert_tensor *first = &list->tensor[list->n - n];

    MG_REQUIRE(n <= MG_CONVERT_MAX_SOURCES);
    for (int i = 1; i < n; i++) {
        const mg_convert_tensor *t = first + i;
        first->source[i] = t->source[0];
        first->tensor.dim[0] += t->tensor.dim[0];
        if (t->tensor.dtype != first->tensor.dtype) first->tensor.dtype = MG_F32;
    }
    first->n_sources = n;
    list->n -= n - 1;
    return MG_OK;
}

/* The listed tensors of a part into the output's list, in its dialect. */
static mg_status plan_list(planner *p, mg_tensor_list *list)
{
    for (int64_t i = 0; i < list->n; i++) {
        mg_listed_tensor *t = &list->tensor[i];
        mg_key_target target = {.n_parts = 1};
        mg_convert_tensor *out = NULL;
        if (p->dialect != MG_DIALECT_HF && !spell(&target, p->dialect, t)) {
            const mg_checkpoint_entry *e =
                find(p, "%s", t->name); /* the positions: AudioCraft computes them */
            if (e && e->tensor.dtype != MG_F32)
                mg_log_warn(
                    "convert: the model's positions are rounded to %s, and AudioCraft computes its own: its "
                    "sound will differ a little",
                    mg_dtype_name(e->tensor.dtype));
            continue;
        }
        MG_RETURN(mg_convert_add(p->list, &out));
        MG_RETURN(plan_tensor(p, out, t));
        if (p->dialect == MG_DIALECT_HF) continue;
        snprintf(out->name, sizeof out->name, "%.191s", target.name);
        if (target.n_parts > 1 && target.i_part == target.n_parts - 1)
            MG_RETURN(stack(p->list, target.n_parts));
    }
    return MG_OK;
}

/* All that are used have been found: this is one more. */
static bool is_codebook(const char *name)
{
    static const char stem[] = "quantizer.layers.";

    if (strncmp(name, stem, sizeof stem - 1) != 0) return false;
    name += sizeof stem - 1;
    return strncmp(name + strspn(name, "0123456789"), ".codebook.", 10) == 0;
}

/* Nothing is dropped in silence. Another part's tensors are its own business. */
static void check_left_over(planner *p)
{
    const mg_checkpoint *c = p->part->checkpoint;
    const size_t n_prefix = strlen(p->part->prefix);
    bool leaves_codebooks = false;

    for (size_t i = 0; i < mg_checkpoint_count(c); i++) {
        const char *name = mg_checkpoint_at(c, i)->name;
        bool skip =
            p->used[i] || mg_key_map_is_ignorable(name) || !mg_key_map_is_of_part(name, p->part->prefix);
        skip = skip || (p->convert->drops_projection && strncmp(name, PROJECTION, strlen(PROJECTION)) == 0);
        if (!skip && is_codebook(name + n_prefix)) skip = leaves_codebooks = true;
        if (!skip) problem(p, "%s: unexpected", mg_checkpoint_at(c, i)->source);
    }
    if (leaves_codebooks)
        mg_log_info("convert: %s: only the first %lld codebooks are taken, as many as the model writes",
                    p->part->path, (long long)p->convert->config.codec.n_codebooks);
}

static mg_status fail_problems(const planner *p, const char *path)
{
    const char *problems = p->problems.data ? p->problems.data : "";
    mg_text t = {0};

    if (p->n_problems > MG_LINES_MOST) mg_log_detail_text(problems);
    mg_text_show(&t, "%s: not every tensor is as it should be:\n", path);
    mg_status st = mg_lines_group(&t, problems, MG_LINES_MOST);
    if (st == MG_OK) st = mg_text_fail(&t, MG_ECHECKPOINT);
    mg_text_reset(&t);
    return st;
}

static mg_status plan_part(mg_convert *c, const mg_model_part *part, mg_convert_list *out, const char *prefix,
                           mg_dialect dialect, mg_tensor_list *list)
{
    mg_status st = MG_OK;
    planner p = {.convert = c, .list = out, .part = part, .prefix = prefix, .dialect = dialect};

    p.used = calloc(mg_checkpoint_count(part->checkpoint) + 1, sizeof *p.used);
    if (!p.used) MG_TRY(mg_fail(MG_ENOMEM, "convert: no memory for the list of %s", part->path));
    MG_TRY(plan_list(&p, list));
    check_left_over(&p);
    if (p.n_problems) MG_TRY(fail_problems(&p, part->path));
done:
    free(p.used);
    mg_text_reset(&p.problems);
    return st;
}

/* One part after another: what is listed, found. */
static mg_status plan_parts(mg_convert *c, mg_tensor_list *list)
{
    const mg_model_files *f = c->files;
    const bool hf = c->settings->to == MG_CONVERT_HF;

    MG_RETURN(mg_tensor_list_lm(list, &c->config.lm));
    MG_RETURN(plan_part(c, &f->lm, &c->lm, "", hf ? MG_DIALECT_HF : MG_DIALECT_AUDIOCRAFT_LM, list));
    if (!hf && c->config.lm.n_chroma) MG_RETURN(mg_convert_add_window(c));
    for (int64_t i = 0; i < list->n; i++)
        if (list->tensor[i].role == MG_ROLE_POSITIONS) c->config.lm.max_positions = list->tensor[i].dim[0];
    mg_tensor_list_close(list);
    if (hf) {
        MG_RETURN(mg_tensor_list_t5(list, &c->config.t5));
        MG_RETURN(plan_part(c, &f->t5, &c->lm, "text_encoder.", MG_DIALECT_HF, list));
        mg_tensor_list_close(list);
    }
    if (c->writes_pointer) return MG_OK;
    MG_RETURN(mg_tensor_list_codec(list, &c->config.codec));
    return plan_part(c, &f->codec, hf ? &c->lm : &c->rest, hf ? "audio_encoder." : "",
                     hf ? MG_DIALECT_HF : MG_DIALECT_AUDIOCRAFT_CODEC, list);
}

static mg_status is_identity(void *arg, const void *data, size_t bytes)
{
    int64_t *state = arg; /* width; elements so far; how many of them are not the identity's */

    for (size_t i = 0; i < bytes / sizeof(float); i++, state[1]++) {
        float x;
        memcpy(&x, (const float *)data + i, sizeof x);
        state[2] += x != (state[0] > 0 && state[1] % (state[0] + 1) == 0);
    }
    return MG_OK;
}

/* AudioCraft projects texts always, transformers only where the widths differ: one that changes nothing comes
 * and goes. */
static mg_status plan_projection(mg_convert *c)
{
    mg_lm_config *lm = &c->config.lm;
    const mg_checkpoint_entry *w = mg_checkpoint_find(c->files->lm.checkpoint, PROJECTION "weight");
    const mg_checkpoint_entry *b = mg_checkpoint_find(c->files->lm.checkpoint, PROJECTION "bias");
    int64_t matrix[3] = {lm->D}, vector[3] = {0};

    c->adds_projection = c->settings->to == MG_CONVERT_AUDIOCRAFT && !lm->project_text;
    if (c->adds_projection) lm->project_text = true;
    if (c->settings->to == MG_CONVERT_AUDIOCRAFT || !lm->project_text || lm->d_text != lm->D || !w || !b)
        return MG_OK;
    MG_RETURN(mg_checkpoint_stream(w, is_identity, matrix));
    MG_RETURN(mg_checkpoint_stream(b, is_identity, vector));
    if (matrix[2] + vector[2])
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: projects texts from width %lld to the same width, which transformers' form of the "
            "model cannot say",
            c->files->lm.path, (long long)lm->D);
    lm->project_text = false;
    c->drops_projection = true;
    return MG_OK;
}

/* Would the parts play together? transformers and AudioCraft check less. */
static mg_status check_parts(const mg_convert *c)
{
    const mg_config *g = &c->config;

    if (g->lm.is_style)
        return mg_fail(
            MG_ECHECKPOINT,
            "convert: %s: is MusicGen-Style, which transformers does not have; it is used as it is",
            c->files->lm.path);
    if (c->settings->to == MG_CONVERT_HF && g->t5.d_model != g->lm.d_text)
        return mg_fail(MG_ECHECKPOINT,
                       "text encoder: %s: states of width %lld, the language model reads %lld",
                       c->files->t5.path, (long long)g->t5.d_model, (long long)g->lm.d_text);
    if (c->writes_pointer) return MG_OK;
    if (g->lm.K != g->lm.n_channels * g->codec.n_codebooks)
        return mg_fail(MG_ECHECKPOINT, "codec: %s: has %lld codebooks, the language model writes %lld",
                       c->files->codec.path, (long long)g->codec.n_codebooks,
                       (long long)(g->lm.K / g->lm.n_channels));
    if (g->lm.V != g->codec.codebook_size)
        return mg_fail(MG_ECHECKPOINT, "codec: %s: codebooks of %lld entries, the language model writes %lld",
                       c->files->codec.path, (long long)g->codec.codebook_size, (long long)g->lm.V);
    return MG_OK;
}

/* transformers computes all parts of a model in one format, and stops at the first product of two. */
static void choose_dtype(mg_convert *c)
{
    static const char *const words[] = {"fp32", "fp16", "bf16"};
    static const mg_dtype dtypes[] = {MG_F32, MG_F16, MG_BF16};
    const mg_model_part *const parts[] = {&c->files->lm, &c->files->t5, &c->files->codec};
    int64_t n[3] = {0}, of_part[MG_DTYPES];
    int most = 0, n_kinds = 0;

    c->dtype = c->settings->dtype;
    if (c->dtype != MG_CONVERT_AUTO) return;
    c->dtype = MG_CONVERT_KEEP;
    if (c->settings->to != MG_CONVERT_HF) return;
    for (int k = 0; k < 3; k++) {
        mg_model_part_count(of_part, parts[k]);
        for (int i = 0; i < 3; i++) n[i] += of_part[dtypes[i]];
    }
    for (int i = 0; i < 3; i++) {
        n_kinds += n[i] > 0;
        if (n[i] > n[most]) most = i;
    }
    c->dtype = MG_CONVERT_FP32 + most; /* of one kind too: what is computed is to have it */
    if (n_kinds < 2) return;
    mg_log_info(
        "convert: all tensors in %s, which most of the source is in; --dtype keep leaves each as it is",
        words[most]);
}

mg_status mg_convert_plan(mg_convert *c)
{
    mg_status st = MG_OK;
    mg_tensor_list list = {0};

    MG_TRY(mg_model_files_check_tensors(c->files));
    MG_TRY(check_parts(c));
    choose_dtype(c);
    MG_TRY(plan_projection(c));
    MG_TRY(plan_parts(c, &list));
done:
    mg_tensor_list_close(&list);
    return st;
}
