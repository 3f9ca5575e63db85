/* mg-dist export: what a trainer saved becomes what a player loads, as audiocraft/utils/export.py does it
 * (export_lm, export_encodec, export_pretrained_compression_model; version 1.4.0a2). Whether it is a language
 * model or a codec, xp.cfg says. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "dataset.h"
#include "hub.h"
#include "key_map.h"
#include "log.h"
#include "omegaconf.h"
#include "out_file.h"
#include "path.h"
#include "progress.h"
#include "stop.h"
#include "torch_entries.h"
#include "torch_writer.h"
#include "xp_config.h"
#include "yaml_doc.h"

typedef struct export_settings {
    const char *first, *second; /* CHECKPOINT OUT; with --pointer only OUT */
    const char *pointer, *version;
    bool overwrite;
} export_settings;

/* clang-format off */
static const mg_option options[] = {
    {.name = "CHECKPOINT", .type = MG_OPT_STRING, .is_operand = true, .offset = offsetof(export_settings, first),
     .group = "Operands", .help = "a trainer's checkpoint.th (left out with --pointer)"},
    {.name = "OUT", .type = MG_OPT_STRING, .is_operand = true, .is_optional = true,
     .offset = offsetof(export_settings, second), .group = "Operands",
     .help = "a file, or a folder: then state_dict.bin or compression_state_dict.bin in it"},
    {.name = "pointer", .type = MG_OPT_STRING, .offset = offsetof(export_settings, pointer), .arg = "NAME",
     .group = "Export", .help = "write a codec that is only a name, such as facebook/encodec_32khz"},
    {.name = "version-string", .type = MG_OPT_STRING, .offset = offsetof(export_settings, version), .arg = "TEXT",
     .preset = "1.4.0a2", .group = "Export",
     .help = "what the file says under version: the AudioCraft whose form it has"},
    {.name = "overwrite", .type = MG_OPT_FLAG, .offset = offsetof(export_settings, overwrite), .group = "Export",
     .help = "replace a file that is there"},
};
/* clang-format on */

typedef enum export_kind { EXPORT_LM, EXPORT_CODEC } export_kind;
static const char *const kind_names[] = {"language model", "codec"};
static const char *const file_names[] = {"state_dict.bin", "compression_state_dict.bin"};

typedef struct export_job {
    const export_settings *settings;
    const char *source;
    mg_torch_file *file;
    mg_torch_entries entries;
    char *yaml_made; /* from an omegaconf object; owned */
    const char *yaml;
    mg_yaml *xp;
    export_kind kind;
    char out[MG_PATH_SIZE];
    mg_progress progress;
} export_job;

/* What CompressionModel.get_pretrained takes (AudioCraft 1.4.0a2). */
static bool is_resolvable(const char *name)
{
    return strcmp(name, "dac_44khz") == 0 || strcmp(name, "dac_24khz") == 0 ||
           (strchr(name, '/') && mg_hub_is_id(name));
}

static mg_status check(const void *settings)
{
    const export_settings *s = settings;

    if (s->pointer && s->second)
        return mg_fail(MG_EUSAGE, "export --pointer: %s: takes only OUT beside the name", s->second);
    if (s->pointer && mg_path_exists(s->pointer))
        return mg_fail(MG_EUSAGE,
                       "option --pointer: %s: is a path; a pointer is a name such as facebook/encodec_32khz: "
                       "export the codec itself instead",
                       s->pointer);
    if (s->pointer && !is_resolvable(s->pointer))
        return mg_fail(MG_EUSAGE,
                       "option --pointer: \"%s\": AudioCraft finds a codec only by an id such as "
                       "facebook/encodec_32khz, or as dac_44khz or dac_24khz",
                       s->pointer);
    if (!s->pointer && !s->second)
        return mg_fail(MG_EUSAGE, "export: OUT: missing; see mg-dist export --help");
    return MG_OK;
}

/* xp.cfg as text: an export has it so, a trainer pickles the object. */
static mg_status read_xp_config(export_job *j)
{
    const mg_pickle_value *v = mg_pickle_get(mg_torch_file_root(j->file), "xp.cfg");
    char name[MG_PATH_SIZE + 16];

    snprintf(name, sizeof name, "%s: xp.cfg", j->source);
    if (!v)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: has no xp.cfg: not a checkpoint of AudioCraft's trainer (mg-dist inspect says what it is)",
            j->source);
    if (v->kind == MG_PICKLE_STRING) {
        j->yaml = v->text.data;
    } else {
        MG_RETURN(mg_omegaconf_to_yaml(&j->yaml_made, name, v));
        j->yaml = j->yaml_made;
    }
    return mg_yaml_parse(&j->xp, name, j->yaml, strlen(j->yaml));
}

static mg_status detect_dialect(mg_dialect *out, const mg_torch_entries *e)
{
    const char **names = calloc(e->n + 1, sizeof *names);

    *out = MG_DIALECT_UNKNOWN;
    if (!names) return mg_fail(MG_ENOMEM, "export: %zu names", e->n);
    for (size_t i = 0; i < e->n; i++) names[i] = e->list[i].name;
    *out = mg_key_map_detect(names, e->n);
    free(names);
    return MG_OK;
}

/* What xp.cfg says it is; the tensors must not say otherwise. */
static mg_status detect_kind(export_job *j)
{
    const mg_yaml_node *lm, *codec;
    const char *solver;
    mg_dialect dialect;

    MG_RETURN(mg_yaml_find(j->xp, "lm_model", &lm));
    MG_RETURN(mg_yaml_find(j->xp, "compression_model", &codec));
    MG_RETURN(mg_yaml_string(j->xp, "solver", &solver));
    if (!lm == !codec)
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: xp.cfg: has %s lm_model %s compression_model (its solver is \"%.64s\"): only language "
            "models and codecs can be exported",
            j->source, lm ? "both" : "neither", lm ? "and" : "nor", solver ? solver : "?");
    j->kind = lm ? EXPORT_LM : EXPORT_CODEC;
    MG_RETURN(detect_dialect(&dialect, &j->entries));
    if (dialect == (lm ? MG_DIALECT_AUDIOCRAFT_CODEC : MG_DIALECT_AUDIOCRAFT_LM))
        return mg_fail(MG_ECHECKPOINT, "%s: xp.cfg describes a %s, but the tensors are a %s's", j->source,
                       kind_names[j->kind], kind_names[!j->kind]);
    return MG_OK;
}

/* OUT, or its usual name inside OUT. */
static mg_status choose_file(char out[MG_PATH_SIZE], const char *wanted, const char *name)
{
    const size_t n = strlen(wanted);
    const bool has_slash = n && wanted[n - 1] == '/', is_folder = has_slash || mg_path_is_folder(wanted);

    return mg_path_format(out, "%s%s%s", wanted, is_folder && !has_slash ? "/" : "", is_folder ? name : "");
}

/* The file must be free, its folder there. */
static mg_status prepare_file(const char *out, const export_settings *s)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_dataset_check_file_outside(out));
    MG_RETURN(mg_out_check_free(out, s->overwrite, "give --overwrite or another OUT"));
    MG_RETURN(mg_path_folder(folder, out));
    return mg_out_dir_open(folder);
}

/* The mistakes: over the checkpoint itself; and a codec file without a codec in it, from the language model's
 * checkpoint. */
static mg_status check_file(const export_job *j)
{
    const char *codec;
    struct stat from, to;

    if (stat(j->source, &from) == 0 && stat(j->out, &to) == 0 && from.st_dev == to.st_dev &&
        from.st_ino == to.st_ino)
        return mg_fail(MG_EUSAGE, "export: %s: is the checkpoint itself, which is never written to", j->out);
    if (strcmp(mg_path_name(j->out), file_names[!j->kind]) != 0) return MG_OK;
    if (j->kind == EXPORT_CODEC)
        return mg_fail(MG_ECHECKPOINT, "%s: is a codec, so it cannot become %s: its name is %s", j->source,
                       file_names[EXPORT_LM], file_names[EXPORT_CODEC]);
    MG_RETURN(mg_yaml_string(j->xp, "compression_model_checkpoint", &codec));
    return mg_fail(
        MG_ECHECKPOINT,
        "%s: is a language model and holds no codec, so it cannot become %s: export the codec's own "
        "checkpoint%s%.200s%s, or write its name with --pointer",
        j->source, file_names[EXPORT_CODEC], codec ? " (it was trained on " : "", codec ? codec : "",
        codec ? ")" : "");
}

static mg_status advance(void *context, int64_t done_bytes, int64_t all_bytes)
{
    export_job *j = context;

    (void)all_bytes;
    MG_RETURN(mg_torch_file_check(j->file));
    mg_progress_update(&j->progress, done_bytes);
    return mg_stop_check();
}

static mg_status add_state(mg_torch_writer *w, const mg_torch_entries *e, int64_t *n_bytes)
{
    *n_bytes = 0;
    MG_RETURN(mg_torch_writer_begin_dict(w, "best_state"));
    for (size_t i = 0; i < e->n; i++) {
        const mg_tensor *from = &e->list[i].tensor;
        mg_torch_tensor t = {.data = from->data, .dtype = from->dtype, .n_dims = from->n_dims};
        int64_t stride = 1;
        for (int d = t.n_dims - 1; d >= 0; d--) {
            t.dim[d] = from->dim[d];
            t.stride[d] = stride;
            stride *= t.dim[d];
        }
        MG_RETURN(mg_torch_writer_tensor(w, e->list[i].name, &t));
        *n_bytes += (int64_t)mg_tensor_bytes(from);
    }
    return mg_torch_writer_end_dict(w);
}

static mg_status write_export(export_job *j)
{
    const mg_pickle_value *version = mg_pickle_get(mg_torch_file_root(j->file), "version");
    mg_status st = MG_OK;
    mg_torch_writer *w = NULL;
    int64_t n_bytes;

    MG_TRY(mg_torch_writer_open(&w, j->out));
    MG_TRY(add_state(w, &j->entries, &n_bytes));
    MG_TRY(mg_torch_writer_text(w, "xp.cfg", j->yaml));
    MG_TRY(mg_torch_writer_text(w, "version",
                                version && version->kind == MG_PICKLE_STRING ? version->text.data
                                                                             : j->settings->version));
    MG_TRY(mg_torch_writer_bool(w, "exported", true));
    mg_progress_begin(&j->progress, "export", "MB", n_bytes);
    j->progress.unit_size = 1000000;
    st = mg_torch_writer_commit(w, advance, j);
    mg_progress_end(&j->progress);
    if (st == MG_OK)
        mg_log_info("export: %s: the %s, %zu tensors, %.1f MB", j->out, kind_names[j->kind], j->entries.n,
                    (double)n_bytes / 1e6);
done:
    mg_torch_writer_close(w);
    return st;
}

/* What its owner should know before using it. */
static mg_status advise(const export_job *j)
{
    const mg_pickle_value *root = mg_torch_file_root(j->file), *fsdp = mg_pickle_get(root, "fsdp_best_state");
    static const char prefix[] = "//pretrained/";
    bool sharded = false;
    const char *codec;
    mg_xp_lm lm;
    mg_codec_config c;

    if ((j->kind == EXPORT_LM ? mg_xp_config_lm(&lm, j->source, j->yaml)
                              : mg_xp_config_codec(&c, j->source, j->yaml)) != MG_OK) {
        mg_log_warn("export: AudioCraft can load it, this program cannot: %s", mg_last_error());
        mg_clear_error();
    }
    if (j->kind != EXPORT_LM) return MG_OK;
    MG_RETURN(mg_yaml_bool(j->xp, "fsdp.use", &sharded, NULL));
    if (sharded && (!fsdp || fsdp->kind != MG_PICKLE_DICT || !fsdp->items.n))
        mg_log_warn(
            "export: it was trained with fsdp.use, but fsdp_best_state is empty: best_state, which was "
            "taken, may be out of date");
    MG_RETURN(mg_yaml_string(j->xp, "compression_model_checkpoint", &codec));
    if (codec && strncmp(codec, prefix, sizeof prefix - 1) == 0)
        mg_log_info("export: its codec goes beside it: mg-dist export --pointer %s OUT",
                    codec + sizeof prefix - 1);
    else if (codec)
        mg_log_info("export: its codec goes beside it: it was trained on %s", codec);
    return MG_OK;
}

static mg_status export_checkpoint(const export_settings *s)
{
    mg_status st = MG_OK;
    export_job j = {.settings = s, .source = s->first};

    MG_TRY(mg_torch_file_open(&j.file, j.source));
    MG_TRY(mg_torch_entries_read(&j.entries, j.file, j.source));
    if (j.entries.kind == MG_CHECKPOINT_POINTER)
        MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: is a pointer to %s already: copy it as it is", j.source,
                       j.entries.pointer));
    if (j.entries.n_names)
        MG_TRY(
            mg_fail(MG_ECHECKPOINT,
                    "%s: another trainer's checkpoint, with an averaged copy: mg-dist convert MODEL OUT --lm "
                    "%s makes a whole model of it",
                    j.source, j.source));
    MG_TRY(read_xp_config(&j));
    MG_TRY(detect_kind(&j));
    MG_TRY(choose_file(j.out, s->second, file_names[j.kind]));
    MG_TRY(check_file(&j));
    MG_TRY(prepare_file(j.out, s));
    MG_TRY(write_export(&j));
    MG_TRY(advise(&j));
done:
    mg_yaml_close(j.xp);
    free(j.yaml_made);
    mg_torch_entries_close(&j.entries);
    mg_torch_file_close(j.file);
    return st;
}

static mg_status export_pointer(const export_settings *s)
{
    mg_status st = MG_OK;
    mg_torch_writer *w = NULL;
    char out[MG_PATH_SIZE];

    MG_TRY(choose_file(out, s->first, file_names[EXPORT_CODEC]));
    MG_TRY(prepare_file(out, s));
    MG_TRY(mg_torch_writer_open(&w, out));
    MG_TRY(mg_torch_writer_text(w, "pretrained", s->pointer));
    MG_TRY(mg_torch_writer_bool(w, "exported", true));
    MG_TRY(mg_torch_writer_text(w, "version", s->version));
    MG_TRY(mg_torch_writer_commit(w, NULL, NULL));
    mg_log_info("export: %s: a pointer to %s", out, s->pointer);
done:
    mg_torch_writer_close(w);
    return st;
}

static mg_status work(const export_settings *s)
{
    return s->pointer ? export_pointer(s) : export_checkpoint(s);
}

static mg_status run(mg_context *context, const void *settings)
{
    const mg_world *w = context->world;

    return mg_world_await_first(w, w->rank == 0 ? work(settings) : MG_OK);
}

static const char details[] =
    "What is taken is what AudioCraft's own exporter takes: fsdp_best_state if it holds anything, else\n"
    "best_state, with every tensor as it is, and xp.cfg as YAML with its interpolations. A source that is\n"
    "exported already is written again. The result appears whole or not at all.\n"
    "\n"
    "  mg-dist export outputs/xps/9a8b7c6d/checkpoint.th my-model/\n"
    "  mg-dist export --pointer facebook/encodec_32khz my-model/\n"
    "  mg-dist generate --model my-model --prompt \"slow sad piano\"";

static const mg_foreign_word foreign[] = {
    {"out|output|output-dir", "OUT is the last word: export CHECKPOINT OUT"}, {0}};

const mg_command mg_cmd_export = {
    .name = "export",
    .summary = "make a trainer's checkpoint.th into AudioCraft's state_dict.bin",
    .usage = "CHECKPOINT OUT | --pointer NAME OUT",
    .details = details,
    .options = options,
    .foreign = {foreign},
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(export_settings),
    .is_single = true,
    .check = check,
    .run = run,
};
