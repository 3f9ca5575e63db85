/* mg-dist models: which models are here. The manifest's keys and the caches' models with their sizes and what
 * is missing; `add` and `remove` edit the manifest; `packs` is in models_packs.c. Nothing is opened but
 * configs and indexes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_text.h"
#include "log.h"
#include "manifest.h"
#include "model_folder.h"
#include "model_options.h"
#include "models_packs.h"
#include "show.h"
#include "stop.h"
#include "text.h"

typedef struct models_settings {
    int what; /* models_what */
    const char *key, *source, *notes, *manifest;
    mg_model_request parts;
    const char *pack_cache;
    bool json, overwrite, prune;
} models_settings;

enum models_what { MODELS_LIST, MODELS_ADD, MODELS_REMOVE, MODELS_PACKS };
enum { STATE_SIZE = 300 };

#define AT(field) offsetof(models_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "WHAT", .type = MG_OPT_CHOICE, .is_operand = true, .is_optional = true, .offset = AT(what),
     .preset = "list", .choices = "list|add|remove|packs", .group = "Operands", .help = "what to do"},
    {.name = "KEY", .type = MG_OPT_STRING, .is_operand = true, .is_optional = true, .offset = AT(key),
     .group = "Operands", .help = "add, remove: a name of your own, for --model-key"},
    {.name = "PATH|ID", .type = MG_OPT_STRING, .is_operand = true, .is_optional = true, .offset = AT(source),
     .group = "Operands", .help = "add: what it stands for: a folder or file, or the id of a cached model"},
    MG_PART_OPTIONS(models_settings, parts),
    {.name = "notes", .type = MG_OPT_STRING, .offset = AT(notes), .arg = "TEXT", .group = "Manifest",
     .help = "add: a remark, shown in the list"},
    {.name = "manifest", .type = MG_OPT_STRING, .offset = AT(manifest), .arg = "FILE", .group = "Manifest",
     .help = "the file of the keys; see below"},
    {.name = "overwrite", .type = MG_OPT_FLAG, .offset = AT(overwrite), .group = "Manifest",
     .help = "add: replace what the key stands for"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = AT(json), .group = "Manifest",
     .help = "list, packs: print one JSON object instead of a table"},
    {.name = "pack-cache", .type = MG_OPT_STRING, .offset = AT(pack_cache), .arg = "none|model|DIR", .group = "Packs",
     .help = "packs: look into DIR too, as the runs that were given it"},
    {.name = "prune", .type = MG_OPT_FLAG, .offset = AT(prune), .group = "Packs",
     .help = "packs: remove those that this build cannot use"},
};
/* clang-format on */

static bool has_parts(const mg_model_request *p)
{
    return p->lm || p->lora || p->text_encoder || p->style_encoder || p->codec || p->tokenizer;
}

static mg_status check(const void *settings)
{
    const models_settings *s = settings;

    if (s->what == MODELS_ADD && (!s->key || (!s->source && !s->parts.lm)))
        return mg_fail(MG_EUSAGE, "models add: %s: missing; write: models add KEY PATH|ID",
                       s->key ? "PATH|ID" : "KEY");
    if (s->what == MODELS_REMOVE && !s->key)
        return mg_fail(MG_EUSAGE, "models remove: KEY: missing; write: models remove KEY");
    if (s->what != MODELS_ADD && (s->source || s->notes || has_parts(&s->parts)))
        return mg_fail(MG_EUSAGE, "models: PATH|ID, parts and --notes belong to: models add KEY PATH|ID");
    if ((s->what == MODELS_LIST || s->what == MODELS_PACKS) && s->key)
        return mg_fail(MG_EUSAGE, "models %s: \"%s\": a word too many",
                       s->what == MODELS_LIST ? "list" : "packs", s->key);
    if (s->prune && s->what != MODELS_PACKS)
        return mg_fail(MG_EUSAGE, "models: --prune belongs to: models packs");
    if (s->key && (!*s->key || strlen(s->key) > 100))
        return mg_fail(MG_EUSAGE, "models: KEY: must have 1 to 100 bytes");
    return MG_OK;
}

/* One line of the list. */
typedef struct models_row {
    const char *name; /* key or id */
    const char *id;   /* what a key stands for, or NULL */
    const char *path; /* "" if it leads nowhere */
    const char *notes;
    const mg_manifest_entry *entry; /* a key's, for its parts; NULL: a cached model */
} models_row;

/* What is there, in words: form, type, bytes and state of a row. */
typedef struct models_state {
    const char *form;
    char type[32], state[STATE_SIZE];
    int64_t bytes;
} models_state;

static mg_status look_at(models_state *out, const models_row *row)
{
    mg_model_folder folder;

    *out = (models_state){.form = "-"};
    if (!*row->path) {
        snprintf(out->state, sizeof out->state, "not here");
        return MG_OK;
    }
    if (!mg_path_is_folder(row->path)) {
        out->bytes = mg_path_bytes(row->path);
        snprintf(out->state, sizeof out->state, "one file");
        return MG_OK;
    }
    MG_RETURN(mg_model_folder_survey(&folder, row->path));
    out->form = mg_model_folder_form(&folder);
    snprintf(out->type, sizeof out->type, "%s", folder.type);
    out->bytes = folder.bytes;
    mg_model_folder_state(out->state, sizeof out->state, &folder);
    return MG_OK;
}

enum { N_PARTS = 6 };
static const char *const part_names[N_PARTS] = {"lm",        "text_encoder", "codec",
                                                "tokenizer", "lora",         "style_encoder"};

static const char *part_at(const mg_manifest_entry *e, int i)
{
    const char *const parts[N_PARTS] = {e->lm,        e->text_encoder, e->codec,
                                        e->tokenizer, e->lora,         e->style_encoder};

    return parts[i];
}

static void print_json_row(mg_json_text *t, const models_row *row, const models_state *state, bool is_key)
{
    mg_json_text_object(t, NULL);
    mg_json_text_string(t, is_key ? "key" : "id", row->name);
    if (is_key) mg_json_text_string(t, "id", row->id);
    mg_json_text_string(t, "path", *row->path ? row->path : NULL);
    mg_json_text_string(t, "form", state->form);
    mg_json_text_string(t, "model_type", *state->type ? state->type : NULL);
    mg_json_text_string(t, "state", state->state);
    mg_json_text_int(t, "bytes", state->bytes);
    if (is_key) mg_json_text_string(t, "notes", row->notes);
    for (int i = 0; is_key && i < N_PARTS; i++)
        if (part_at(row->entry, i)) mg_json_text_string(t, part_names[i], part_at(row->entry, i));
    mg_json_text_close(t);
}

/* A line, or with `json` an object of it. */
static mg_status print_row(mg_json_text *json, const models_row *row, bool is_key)
{
    models_state state;

    MG_RETURN(look_at(&state, row));
    if (json) {
        print_json_row(json, row, &state, is_key);
        return MG_OK;
    }
    mg_print(stdout, "  %-34s %9.1f MB  %-13s %-16s %s", row->name, (double)state.bytes / 1e6, state.form,
             state.type, state.state);
    if (row->id) mg_print(stdout, "  = %s", row->id);
    if (is_key && *row->path) mg_print(stdout, "  %s", row->path);
    for (int i = 0; is_key && i < N_PARTS; i++)
        if (part_at(row->entry, i)) mg_print(stdout, "  %s = %s", part_names[i], part_at(row->entry, i));
    if (row->notes) mg_print(stdout, "  (%s)", row->notes);
    mg_print(stdout, "\n");
    return MG_OK;
}

static mg_status list_manifest(mg_json_text *json, const mg_manifest *m)
{
    char path[MG_PATH_SIZE];

    if (!json)
        mg_print(stdout, "%s%s\n", m->file,
                 mg_manifest_count(m)      ? ""
                 : mg_path_exists(m->file) ? " (empty)"
                                           : " (none)");
    for (size_t i = 0; i < mg_manifest_count(m); i++) {
        const mg_manifest_entry e = mg_manifest_at(m, i);
        if (mg_manifest_locate(path, m, &e) != MG_OK) {
            mg_clear_error(); /* the row says that it is not here */
            path[0] = '\0';
        }
        if (!*path && e.lm && mg_manifest_locate_part(path, m, e.lm) != MG_OK) {
            mg_clear_error();
            path[0] = '\0';
        }
        const models_row row = {e.key, e.id, path, e.notes, &e};
        MG_RETURN(print_row(json, &row, true));
    }
    return MG_OK;
}

/* A cache holds all kinds of models: those that have a part for us. */
static mg_status is_ours(bool *out, const mg_hub_model *model)
{
    static const char *const types[] = {"musicgen", "musicgen_melody", "t5", "encodec"};
    mg_model_folder folder;

    *out = false;
    if (!*model->snapshot) return MG_OK;
    MG_RETURN(mg_model_folder_survey(&folder, model->snapshot));
    *out = folder.has_lm || folder.has_codec;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(folder.type, types[i]) == 0) *out = true;
    return MG_OK;
}

static mg_status list_cache(mg_json_text *json, const mg_hub_root *root)
{
    mg_hub_model *models = NULL;
    mg_status st = MG_OK;
    size_t n, n_others = 0;

    if (!json)
        mg_print(stdout, "%s (%s)%s\n", root->path, root->source,
                 mg_path_is_folder(root->path) ? "" : " (none)");
    MG_TRY(mg_hub_list(&models, &n, root->path));
    for (size_t i = 0; i < n; i++) {
        const models_row row = {models[i].id, NULL, models[i].snapshot, NULL, NULL};
        bool ours;
        MG_TRY(mg_stop_check());
        MG_TRY(is_ours(&ours, &models[i]));
        n_others += !ours;
        if (ours) MG_TRY(print_row(json, &row, false));
    }
    if (n_others && !json) mg_print(stdout, "  (%zu other%s)\n", n_others, n_others == 1 ? "" : "s");
done:
    free(models);
    return st;
}

/* {"manifest": FILE, "keys": [...], "caches": [{"path", "source", "models": [...]}]} */
static mg_status list_json(mg_json_text *t, const mg_manifest *m, const mg_hub_root *roots, int n_roots)
{
    mg_json_text_object(t, NULL);
    mg_json_text_string(t, "manifest", m->file);
    mg_json_text_array(t, "keys");
    MG_RETURN(list_manifest(t, m));
    mg_json_text_close(t);
    mg_json_text_array(t, "caches");
    for (int i = 0; i < n_roots; i++) {
        mg_json_text_object(t, NULL);
        mg_json_text_string(t, "path", roots[i].path);
        mg_json_text_string(t, "source", roots[i].source);
        mg_json_text_array(t, "models");
        MG_RETURN(list_cache(t, &roots[i]));
        mg_json_text_close(t);
        mg_json_text_close(t);
    }
    mg_json_text_close(t);
    mg_json_text_close(t);
    return MG_OK;
}

static mg_status list(const mg_manifest *m, bool json)
{
    mg_hub_root roots[MG_HUB_MAX_ROOTS];
    const int n_roots = mg_hub_roots(roots);
    mg_json_text t = {0};
    char *text = NULL;

    if (!json) {
        MG_RETURN(list_manifest(NULL, m));
        for (int i = 0; i < n_roots; i++) MG_RETURN(list_cache(NULL, &roots[i]));
        return MG_OK;
    }
    const mg_status st = list_json(&t, m, roots, n_roots);
    const mg_status end = mg_json_text_end(&t, &text);
    if (st == MG_OK && end == MG_OK) fputs(text, stdout);
    free(text);
    return st == MG_OK ? end : st;
}

/* A path that is there is kept whole, from the root; an id stays an id, even before it is in the cache. */
static mg_status take(char path[MG_PATH_SIZE], const char **as_path, const char **as_id, const char *source)
{
    char found[MG_PATH_SIZE];

    if (!source) return MG_OK;
    if (mg_path_exists(source)) {
        if (!realpath(source, path))
            return mg_fail(MG_EFAIL, "models add: %s: its path cannot be resolved", source);
        *as_path = path;
        return MG_OK;
    }
    if (!mg_hub_is_id(source))
        return mg_fail(MG_EFAIL, "models add: %s: no such file or folder, and not an id such as OWNER/NAME",
                       source);
    *as_id = source;
    if (mg_hub_find(found, source) != MG_OK) mg_log_warn("%s", mg_last_error());
    mg_clear_error();
    return MG_OK;
}

static mg_status check_free(const mg_manifest *m, const mg_manifest_entry *e, bool overwrite)
{
    mg_manifest_entry there;
    bool same = true;

    if (overwrite || !mg_manifest_find(m, e->key, &there)) return MG_OK;
    for (int i = 0; i < N_PARTS; i++) same = same && mg_text_is_same(part_at(e, i), part_at(&there, i));
    if (same && mg_text_is_same(e->path, there.path) && mg_text_is_same(e->id, there.id)) return MG_OK;
    const char *what = there.path ? there.path : there.id ? there.id : there.lm;
    return mg_fail(MG_EUSAGE,
                   "models add: %s: is there already (= %s in %s); give --overwrite or another KEY", e->key,
                   what ? what : "", m->file);
}

static mg_status add(mg_manifest *m, const models_settings *s)
{
    mg_manifest_entry e = {.key = s->key, .notes = s->notes};
    mg_manifest_room room;

    MG_RETURN(take(room.path[0], &e.path, &e.id, s->source));
    MG_RETURN(take(room.path[1], &e.lm, &e.lm, s->parts.lm));
    MG_RETURN(take(room.path[2], &e.text_encoder, &e.text_encoder, s->parts.text_encoder));
    MG_RETURN(take(room.path[3], &e.codec, &e.codec, s->parts.codec));
    MG_RETURN(take(room.path[4], &e.tokenizer, &e.tokenizer, s->parts.tokenizer));
    MG_RETURN(take(room.path[5], &e.lora, &e.lora, s->parts.lora));
    MG_RETURN(take(room.path[6], &e.style_encoder, &e.style_encoder, s->parts.style_encoder));
    MG_RETURN(check_free(m, &e, s->overwrite));
    MG_RETURN(mg_manifest_set(m, &e));
    MG_RETURN(mg_manifest_save(m));
    mg_log_info("models: %s = %s in %s", s->key, s->source ? s->source : "the parts named", m->file);
    return MG_OK;
}

static mg_status remove_key(mg_manifest *m, const models_settings *s)
{
    if (!mg_manifest_remove(m, s->key))
        return mg_fail(MG_EFAIL, "models remove: %s: not in %s", s->key, m->file);
    MG_RETURN(mg_manifest_save(m));
    mg_log_info("models: %s removed from %s", s->key, m->file);
    return MG_OK;
}

static mg_status work(const models_settings *s)
{
    mg_manifest m;
    const bool edits = s->what == MODELS_ADD || s->what == MODELS_REMOVE;
    mg_status st = edits ? mg_manifest_edit(&m, s->manifest) : mg_manifest_open(&m, s->manifest);

    if (st != MG_OK) return st;
    switch (s->what) {
    case MODELS_ADD: st = add(&m, s); break;
    case MODELS_REMOVE: st = remove_key(&m, s); break;
    case MODELS_PACKS:
        st = mg_models_packs(&(mg_models_packs_call){&m, s->pack_cache, s->prune, s->json});
        break;
    default: st = list(&m, s->json);
    }
    mg_manifest_close(&m);
    return st;
}

static mg_status run(mg_context *context, const void *settings)
{
    const mg_world *w = context->world;

    return mg_world_await_first(w, w->rank == 0 ? work(settings) : MG_OK);
}

static const char details[] =
    "The keys are those of models_manifest.json: --manifest or MGDIST_MANIFEST (generate has them too),\n"
    "else in $XDG_CONFIG_HOME/mg-dist/, else in ~/.config/mg-dist/. The caches are AUDIOCRAFT_CACHE_DIR and\n"
    "Hugging Face's: HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else\n"
    "~/.cache/huggingface/hub. This program never goes online, whatever HF_HUB_OFFLINE says: what is "
    "missing\n"
    "is fetched elsewhere, with " MG_HUB_FETCH " OWNER/NAME (older tools:\n" MG_HUB_FETCH_OLDER
    "), and copied into the cache.\n"
    "\n"
    "  mg-dist models add large /models/musicgen-large --notes \"from the lab's share\"\n"
    "  mg-dist models add mine --lm /xps/9a8b/export --text-encoder t5-base --codec facebook/encodec_32khz\n"
    "  mg-dist generate --model-key large --prompt \"slow sad piano\"\n"
    "\n"
    "packs lists the packed weights that --pack-cache has left beside the models of this list and in DIR, or "
    "in\n"
    "MGDIST_PACK_CACHE: size, number format, model, and whether this build uses them. --prune removes those\n"
    "that it does not: of another version, cut short or damaged in the head. The data are not read.\n"
    "\n"
    "  mg-dist models packs --pack-cache /srv/packs --prune";

const mg_command mg_cmd_models = {
    .name = "models",
    .meant_by = "list|model|manifest|download|fetch|pull|packs|cache|prune",
    .summary = "list the models that are here and their packs, and give them short keys",
    .usage = "[list | add KEY [PATH|ID] | remove KEY | packs] [options]",
    .details = details,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(models_settings),
    .is_single = true,
    .check = check,
    .run = run,
};
