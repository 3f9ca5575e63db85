/* The human's table, on stdout. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "log.h"
#include "show.h"

/* What is fit to be shown already (show.h), in several lines perhaps. */
static void print_lines(const char *text)
{
    fputs(text, stdout);
    fputs("\n", stdout);
}

static void __attribute__((format(printf, 2, 3))) line(const char *label, const char *format, ...)
{
    mg_text text = {0};
    va_list args;

    va_start(args, format);
    mg_text_vshow(&text, format, args);
    va_end(args);
    mg_print(stdout, "%-16s", label);
    print_lines(text.data ? text.data : "");
    mg_text_reset(&text);
}

/* 420371456 -> "420,371,456" */
static const char *with_commas(char out[32], int64_t n)
{
    char digits[24];
    const int n_digits = snprintf(digits, sizeof digits, "%lld", (long long)n);
    int at = 0;

    for (int i = 0; i < n_digits; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

static const char *as_size(char out[32], int64_t bytes)
{
    if (bytes >= 1000000000)
        snprintf(out, 32, "%.2f GB", (double)bytes / 1e9);
    else if (bytes >= 1000000)
        snprintf(out, 32, "%.1f MB", (double)bytes / 1e6);
    else if (bytes >= 1000)
        snprintf(out, 32, "%.1f kB", (double)bytes / 1e3);
    else
        snprintf(out, 32, "%lld B", (long long)bytes);
    return out;
}

static void print_architecture(const mg_inspection *i)
{
    const mg_config *c = &i->files->config;
    const mg_model_files *f = i->files;

    if (f->lm.checkpoint) {
        line("makes", "sound from %s, %s",
             c->lm.is_style   ? "text and the style of an excerpt"
             : c->lm.n_chroma ? "text and melody"
                              : "text",
             c->lm.n_channels == 2 ? "stereo" : "mono");
        line("language model", "width %lld, %lld layers, %lld heads, feed-forward %lld", (long long)c->lm.D,
             (long long)c->lm.L, (long long)c->lm.H, (long long)c->lm.F);
        line("", "%lld codebooks of %lld, %lld positions%s, texts of width %lld%s", (long long)c->lm.K,
             (long long)c->lm.V, (long long)c->lm.max_positions,
             i->part[MG_INSPECT_LM].has_positions ? " (stored)" : " (computed)", (long long)c->lm.d_text,
             c->lm.project_text ? " (projected)" : "");
    }
    if (c->lm.is_style)
        line("style encoder", "width %lld, %lld layers, %lld heads, %lld codebooks of %lld; MERT %s",
             (long long)c->style.D, (long long)c->style.n_layers, (long long)c->style.n_heads,
             (long long)c->style.n_codebooks, (long long)c->style.codebook_size,
             f->mert.checkpoint ? f->mert.path : "is not here");
    if (f->t5.checkpoint)
        line("text encoder", "T5, width %lld, %lld layers, %lld heads, feed-forward %lld%s, %lld pieces",
             (long long)c->t5.d_model, (long long)c->t5.n_layers, (long long)c->t5.n_heads,
             (long long)c->t5.d_ff, c->t5.gated ? " (gated)" : "", (long long)c->t5.vocab_size);
    else if (*f->t5_name)
        line("text encoder", "%s, by name: it is not here", f->t5_name);
    if (f->codec.checkpoint) {
        line("codec", "EnCodec, %lld Hz, %lld frames/s, %lld codebooks of %lld, pads with %s%s",
             (long long)c->codec.sampling_rate, (long long)c->codec.frame_rate,
             (long long)c->codec.n_codebooks, (long long)c->codec.codebook_size,
             c->codec.pad_reflect ? "reflection" : "zeros",
             i->part[MG_INSPECT_CODEC].has_encoder ? "" : "; its encoder is not there");
    }
    if (*f->pointer) line("", "pointed to: %s", f->pointer);
}

static void print_generation(const mg_inspection *i)
{
    const mg_generation_config *g = &i->files->config.generation;

    if (!i->files->lm.checkpoint) return;
    char text[256];
    int n = 0;
    text[0] = '\0';
#define PUT(has, ...) \
    if (has) n += snprintf(text + n, sizeof text - (size_t)n, __VA_ARGS__);
    PUT(g->has_guidance_scale, "guidance %g, ", g->guidance_scale)
    PUT(g->has_do_sample, "%s, ", g->do_sample ? "sampling" : "greedy")
    PUT(g->has_top_k, "top-k %lld, ", (long long)g->top_k)
    PUT(g->has_top_p, "top-p %g, ", g->top_p)
    PUT(g->has_min_p, "min-p %g, ", g->min_p)
    PUT(g->has_temperature, "temperature %g, ", g->temperature)
    PUT(g->has_max_length, "%lld columns, ", (long long)g->max_length)
#undef PUT
    if (i->files->window_s > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "windows of %g s, ", i->files->window_s);
    line("its defaults", "%.*s", n > 2 ? n - 2 : 4, n > 2 ? text : "none");
}

static void print_notes(const mg_inspection *i)
{
    const char *at = i->notes.data ? i->notes.data : "";

    for (const char *label = "notes"; *at; label = "") {
        const size_t n = strcspn(at, "\n");
        mg_print(stdout, "%-16s", label);
        fwrite(at, 1, n, stdout);
        fputs("\n", stdout);
        at += n + (at[n] == '\n');
    }
}

static void print_parts(const mg_inspection *i)
{
    char parameters[32], size[32], dtypes[MG_INSPECT_DTYPES_SIZE];

    mg_print(stdout, "\n%-15s %15s %10s %-11s %7s %8s %6s %11s %8s\n", "part", "parameters", "size", "dtype",
             "filled", "missing", "wrong", "unexpected", "ignored");
    for (int k = 0; k < MG_INSPECT_PARTS; k++) {
        const mg_inspect_part *p = &i->part[k];
        const mg_mapping_report *m = &p->mapping;
        if (!p->files) continue;
        mg_inspection_dtypes(dtypes, p);
        mg_print(stdout, "%-15s %15s %10s %-11s ", p->name, with_commas(parameters, p->n_parameters),
                 as_size(size, p->bytes), dtypes);
        if (p->is_mapped)
            mg_print(stdout, "%7zu %8zu %6zu %11zu %8zu\n", p->requests.n - m->n_missing - m->n_wrong,
                     m->n_missing, m->n_wrong, m->n_unexpected, m->n_ignored);
        else
            mg_print(stdout, "%s\n", "not mapped");
        if (p->mapping_error[0]) print_lines(p->mapping_error);
    }
}

static mg_status print_faults(const mg_inspection *i)
{
    for (int k = 0; k < MG_INSPECT_PARTS; k++) {
        char *table = NULL;
        if (!i->part[k].is_mapped || i->part[k].mapping.n_rows == 0) continue;
        MG_RETURN(mg_mapping_report_table(&table, &i->part[k].mapping, mg_log_get_level() >= MG_LOG_VERBOSE));
        mg_print(stdout, "\n%s:\n", i->part[k].name);
        print_lines(table);
        free(table);
    }
    return MG_OK;
}

static void print_checkpoint_files(const mg_checkpoint *c)
{
    char bytes[32];

    for (size_t k = 0; k < mg_checkpoint_n_files(c); k++) {
        const char *file = mg_checkpoint_file(c, k);
        const int64_t n = mg_path_bytes(file);
        mg_print(stdout, "  %-52s %10s\n", file, as_size(bytes, n > 0 ? n : 0));
    }
}

static void print_files(const mg_inspection *i)
{
    mg_print(stdout, "\nweight files\n");
    if (i->lone) print_checkpoint_files(i->lone);
    for (int k = 0; i->files && k < i->files->n_opened; k++) print_checkpoint_files(i->files->opened[k]);
}

static void print_keys(const mg_inspection *i, const mg_checkpoint *c)
{
    char target[MG_INSPECT_TEXT], shape[MG_DIMS_SIZE];

    mg_print(stdout, "\n%-72s %-8s %-18s -> %s\n", "in the file", "dtype", "shape", "ours");
    for (size_t k = 0; k < mg_checkpoint_n_sources(c); k++) {
        const mg_checkpoint_source *s = mg_checkpoint_source_at(c, k);
        mg_inspection_target(target, i, c, k);
        mg_print(stdout, "%-72s %-8s %-18s -> %s\n", s->name, mg_dtype_name(s->tensor.dtype),
                 mg_dims_format(shape, s->tensor.n_dims, s->tensor.dim), target);
    }
}

static void print_foreign(const mg_torch_file *f)
{
    const mg_pickle_value *root = mg_torch_file_root(f);
    char value[128];

    if (root->kind != MG_PICKLE_DICT) {
        mg_inspection_value(value, f, root);
        line("holds", "%s", value);
        return;
    }
    mg_print(stdout, "\ntop-level keys\n");
    for (size_t k = 0; k + 1 < root->items.n; k += 2) {
        const mg_pickle_value *key = root->items.item[k];
        mg_inspection_value(value, f, root->items.item[k + 1]);
        mg_print(stdout, "  %-40s %s\n", key->kind == MG_PICKLE_STRING ? key->text.data : "(no text)", value);
    }
}

void mg_inspection_print(const mg_inspection *i)
{
    const mg_checkpoint *c = mg_inspection_checkpoint(i);
    char bytes[32];

    line("model", "%s", i->settings->source);
    if (strcmp(i->settings->source, i->path) != 0) line("found at", "%s", i->path);
    line("is", "%s", i->what);
    if (c)
        line("stored as", "%s, %zu file%s, %s, %s names", mg_checkpoint_container(c),
             mg_checkpoint_n_files(c), mg_checkpoint_n_files(c) == 1 ? "" : "s",
             as_size(bytes, (int64_t)mg_checkpoint_bytes(c)), mg_dialect_name(mg_checkpoint_get_dialect(c)));
    if (c && *mg_checkpoint_prefix(c)) line("", "%s stands before the names", mg_checkpoint_prefix(c));
    if (c && mg_checkpoint_pointer(c)) line("points to", "%s", mg_checkpoint_pointer(c));
    if (i->files) {
        print_architecture(i);
        print_generation(i);
        if (*i->files->tokenizer) line("tokenizer", "%s", i->files->tokenizer);
        print_notes(i);
        print_parts(i);
        if (print_faults(i) != MG_OK) print_lines(mg_last_error());
    }
    if (c) print_files(i);
    if (i->foreign) print_foreign(i->foreign);
    if (c && i->settings->keys) {
        if (i->lone) print_keys(i, i->lone);
        for (int k = 0; i->files && k < i->files->n_opened; k++) print_keys(i, i->files->opened[k]);
    }
    mg_print(stdout, "\n");
    line("generate", "%s%.*s",
         i->loads ? "would load it" : "would not load it: ", (int)strcspn(i->reason, "\n"), i->reason);
}
