/* mg-dist verify: does a model do what it should? A table of checks. */
#include <stdio.h>
#include <stdlib.h>

#include "agreement.h"
#include "json_text.h"
#include "model_options.h"
#include "recorded_machine.h"
#include "show.h"
#include "verify_dataset.h"

#define AT(field) offsetof(mg_verify_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "WHAT", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(source), .group = "Operand",
     .help = "a model: a folder, state_dict.bin or the id of a cached one; or the folder of a dataset"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = AT(json), .group = "Output",
     .help = "print one JSON object instead of a table"},
    {.name = "replay", .type = MG_OPT_INT, .offset = AT(n_replay), .arg = "N", .low = 0, .high = 1e9, .group = "Dataset",
     .help = "make N clips of a dataset again, chosen by --seed, and compare their bytes; needs --model"},
    {.name = "seed", .letter = 's', .type = MG_OPT_INT, .offset = AT(seed), .arg = "N", .preset = "0", .low = 0,
     .high = 9007199254740991.0, .group = "Dataset", .help = "which clips --replay chooses"},
    {.name = "inputs", .type = MG_OPT_STRING, .offset = AT(inputs), .arg = "DIR", .preset = ".", .group = "Dataset",
     .help = "where --replay finds melodies, audio prompts and text states, by their names"},
    {.name = "again", .type = MG_OPT_FLAG, .offset = AT(again), .group = "Dataset",
     .help = "let clips whose sound is missing or damaged wait for the next mg-dist run"},
    {.name = "model", .letter = 'm', .type = MG_OPT_STRING, .offset = AT(parts.model), .arg = "DIR|ID", .group = "Model",
     .help = "with --replay: the model that the dataset was made with"},
    MG_PART_OPTIONS(mg_verify_settings, parts),
    MG_MACHINE_OPTIONS(mg_verify_settings),
};
/* clang-format on */

static const char *const outcomes[] = {"ok", "FAILED", "skipped"};

static int count_failed(const mg_verify *v)
{
    int n = 0;

    for (int i = 0; i < v->n_checks; i++) n += v->check[i].outcome == MG_VERIFY_FAILED;
    return n;
}

static mg_status print_json(const mg_verify *v)
{
    mg_json_text t = {0};
    char *text = NULL;

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "source", v->settings->source);
    mg_json_text_bool(&t, "passed", count_failed(v) == 0);
    mg_json_text_array(&t, "checks");
    for (int i = 0; i < v->n_checks; i++) {
        mg_json_text_object(&t, NULL);
        mg_json_text_string(&t, "check", v->check[i].name);
        mg_json_text_string(&t, "outcome", outcomes[v->check[i].outcome]);
        mg_json_text_string(&t, "seen", v->check[i].text);
        mg_json_text_close(&t);
    }
    mg_json_text_close(&t);
    MG_RETURN(mg_json_text_end(&t, &text));
    fputs(text, stdout);
    free(text);
    return MG_OK;
}

static mg_status print(const mg_verify *v)
{
    if (v->settings->json) MG_RETURN(print_json(v));
    for (int i = 0; i < v->n_checks && !v->settings->json; i++) {
        mg_print(stdout, "%-22s %-8s ", v->check[i].name, outcomes[v->check[i].outcome]);
        fputs(v->check[i].text, stdout); /* fit to be shown, with its line breaks */
        fputs("\n", stdout);
    }
    fflush(stdout);
    const int n_failed = count_failed(v);
    if (!n_failed) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "verify: %s: %d of %d checks failed; see above", v->settings->source,
                   n_failed, v->n_checks);
}

/* Every rank opens the files, rank 0 reads them. What cannot be opened because it is wrong is a finding. */
static mg_status verify_files(mg_verify *v)
{
    const mg_verify_settings *s = v->settings;
    const mg_model_request request = mg_model_with_parts(s->source, &s->parts);

    const mg_status st = mg_model_files_open(&v->files, &request, MG_NEED_ALL);
    if (st == MG_ECHECKPOINT) mg_verify_note_error(v, "opens");
    if (st != MG_OK || v->world->rank != 0) return st;
    MG_RETURN(mg_verify_hashes(v));
    return mg_verify_finite(v);
}

static mg_status verify(mg_verify *v)
{
    mg_world *w = v->world;
    const int tp = v->settings->machine.tp > 0 ? (int)v->settings->machine.tp : w->size;
    mg_status st = MG_OK;

    MG_TRY(mg_world_split(w, tp));
    MG_TRY(mg_comm_agree(
        w->all,
        w->n_replicas == 1
            ? MG_OK
            : mg_fail(MG_EUSAGE, "option --tp: %d: verify runs one group of all %d ranks", tp, w->size)));
    MG_TRY(mg_comm_agree(w->all, mg_machine_open(&v->backend, &v->settings->machine, w)));
    MG_TRY(mg_comm_agree(w->all, mg_machine_open_beside(&v->beside, &v->settings->machine, w, true)));
    st = mg_world_await_first(w, verify_files(v));
    if (st == MG_OK)
        MG_TRY(mg_agree_model(w, v->files, mg_format_name(v->backend.formats.weights), MG_NEED_ALL));
    if (st == MG_OK) st = mg_verify_model(v);
    if (st == MG_OK || st == MG_ECHECKPOINT) st = mg_comm_agree(w->all, w->rank == 0 ? print(v) : MG_OK);
done:
    mg_replica_close(v->replica);
    mg_model_files_close(v->files);
    mg_machine_close(&v->backend);
    mg_machine_close(&v->beside);
    return st;
}

static mg_status check(const void *arg)
{
    const mg_verify_settings *s = arg;
    const bool with_replay = s->n_replay > 0;

    if (with_replay && !s->parts.model)
        return mg_fail(MG_EUSAGE, "option --replay: needs --model, the model that the dataset was made with");
    return MG_OK;
}

static mg_status check_model(const mg_verify_settings *s)
{
    if (!s->parts.model || s->n_replay > 0) return MG_OK;
    return mg_fail(MG_EUSAGE, "option --model: is for --replay; the model to look at is named without it");
}

/* Rank 0 looks: is it a dataset, and not a model? */
static mg_status is_dataset(int32_t *yes, const mg_world *w, const mg_verify_settings *s)
{
    *yes = mg_path_is_folder(s->source) && !mg_path_has(s->source, "config.json") &&
           mg_dataset_is_one(s->source);
    MG_RETURN(mg_comm_bcast(w->all, yes, 1, MG_I32, 0));
    if (*yes || (s->n_replay <= 0 && !s->again)) return MG_OK;
    return mg_comm_agree(w->all, mg_fail(MG_EUSAGE, "option --%s: %s: is no dataset of mg-dist run",
                                         s->again ? "again" : "replay", s->source));
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_verify_settings own = *(const mg_verify_settings *)settings;
    int32_t yes;

    if (own.n_replay <= 0) mg_cli_forget_environment(context->cli, &own, "model");
    MG_RETURN(mg_comm_agree(context->world->all, check_model(&own)));
    MG_RETURN(is_dataset(&yes, context->world, &own));
    if (yes) {
        mg_cli_forget_environment(context->cli, &own, MG_RECORDED_MACHINE_OPTIONS);
        return mg_verify_dataset(context, &own);
    }
    mg_verify *v = calloc(1, sizeof *v);
    mg_status st = mg_comm_agree(context->world->all, v ? MG_OK : mg_fail(MG_ENOMEM, "verify: no memory"));

    if (st == MG_OK) {
        v->settings = &own;
        v->world = context->world;
        st = verify(v);
    }
    free(v);
    return st;
}

const mg_command mg_cmd_verify = {
    .name = "verify",
    .summary = "check that a model, or a dataset, is whole",
    .usage = "WHAT [options]",
    .details =
        "Of a model: hashes of cached files, finite weights, every tensor in its place, then a short run: "
        "two texts "
        "must\n"
        "give different logits, guidance must change them, and the codec must make sound. Exit code 4 if a\n"
        "check fails. Under mpirun all ranks share the model.\n"
        "\n"
        "Of a dataset (mg-dist run): every file is hashed and decoded; lengths, SHA256SUMS, manifest, "
        "metadata\n"
        "and state must agree, and no file may be there that no list names. Each damage is a line on stdout\n"
        "that names the thing and the remedy; then the exit code is 1. --replay makes clips again: bytes "
        "that\n"
        "differ are damage, the same sound in another container is said and is none.\n"
        "\n"
        "  mg-dist verify models/mg-demo\n"
        "  mg-dist verify state_dict.bin --text-encoder t5-base\n"
        "  mg-dist verify dataset --replay 10 --model facebook/musicgen-small",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_verify_settings),
    .check = check,
    .run = run,
};
