/* mg-dist replay: a clip's metadata in, the same bytes out, or what it is that differs. Rank 0 reads, looks
 * at the files that the clip was made from, and compares; everybody makes the clip. */
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "in_file.h"
#include "model_options.h"
#include "path.h"
#include "recorded_machine.h"
#include "replay.h"
#include "show.h"

#define AT(field)          offsetof(mg_replay_settings, field)
#define MAX_METADATA_BYTES ((int64_t)64 << 20)

/* clang-format off */
static const mg_option options[] = {
    {.name = "JSON", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(file), .group = "Operand",
     .help = "the metadata beside a clip: out/000000.json; or a file with a clip's line of a dataset"},
    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out_dir), .arg = "DIR", .group = "Output",
     .help = "keep the clip in this folder (default: it is compared and removed)"},
    MG_MODEL_OPTIONS(mg_replay_settings, model), /* where it is now, whatever was recorded */
    MG_MACHINE_OPTIONS(mg_replay_settings),
};
/* clang-format on */

/* People name what they hear. */
static mg_status check_file(const char *file)
{
    if (mg_path_is_folder(file))
        return mg_fail(MG_EUSAGE,
                       "%s: is a folder; a clip is named by its metadata: %s/000000.json, say, or of a "
                       "dataset its line of manifest.jsonl in a file of its own",
                       file, file);
    if (mg_audio_is_name(file))
        return mg_fail(MG_EUSAGE,
                       "%s: is a sound; give the .json beside it, or of a dataset its line of manifest.jsonl "
                       "in a file of its own",
                       file);
    return MG_OK;
}

/* Rank 0's file to everybody. */
static mg_status share_metadata(mg_replay *r, const mg_world *w)
{
    mg_status st = MG_OK;
    char *text = NULL;
    int64_t bytes = 0;

    if (w->rank == 0) st = check_file(r->asked.file);
    if (w->rank == 0 && st == MG_OK) st = mg_in_file_read(&text, &bytes, r->asked.file, MAX_METADATA_BYTES);
    MG_TRY(mg_world_await_first(w, st));
    MG_TRY(mg_comm_bcast(w->all, &bytes, 1, MG_I64, 0));
    if (w->rank > 0) text = malloc((size_t)bytes + 1);
    MG_TRY(
        mg_comm_agree(w->all, text ? MG_OK : mg_fail(MG_ENOMEM, "metadata: %lld bytes", (long long)bytes)));
    if (bytes > 0) MG_TRY(mg_comm_bcast(w->all, text, bytes, MG_U8, 0));
    st = mg_comm_agree(w->all, mg_replay_is_line(text, bytes)
                                   ? mg_replay_read_line(r, text, bytes)
                                   : mg_clip_metadata_parse(&r->m, r->asked.file, text, bytes));
done:
    free(text);
    return st;
}

/* "; KEY: is A, recorded B" */
static void add_difference(char *out, size_t out_bytes, const char *key, const char *now,
                           const char *recorded)
{
    const size_t n = strlen(out);

    now = now ? now : "none", recorded = recorded ? recorded : "none";
    if (strcmp(now, recorded) == 0) return;
    snprintf(out + n, out_bytes - n, "%s%s is %s, recorded is %s", n ? "; " : "", key, now, recorded);
}

static void add_weights(char *out, size_t out_bytes, const mg_clip_metadata *now,
                        const mg_clip_metadata *recorded)
{
    char n_now[32], n_recorded[32], key[200];

    snprintf(n_now, sizeof n_now, "%d", now->n_weights);
    snprintf(n_recorded, sizeof n_recorded, "%d", recorded->n_weights);
    add_difference(out, out_bytes, "number of weight files", n_now, n_recorded);
    for (int i = 0; i < now->n_weights && now->n_weights == recorded->n_weights; i++) {
        snprintf(key, sizeof key, "weights: %.150s: sha256", now->weights[i].path);
        add_difference(out, out_bytes, key, now->weights[i].sha256, recorded->weights[i].sha256);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Codes and sound are the clip; how a file holds them is its encoder's affair. */
static void print_same(const mg_clip_metadata *was, bool same_file, const char *why)
{
    if (same_file)
        mg_print(stdout, "the same bytes: %s\n", was->audio_file ? was->audio_file : was->codes_file);
    else
        mg_print(stdout, "the same codes and sound: %s; only its file is encoded otherwise (%s)\n",
                 was->audio_file, *why ? why : "by other libraries below libsndfile");
    fflush(stdout);
}

/* A dataset's line says less than a clip's own metadata: nothing of libraries and builds, nor of weights that
 * had no part in the clip. */
static void keep_to_line(mg_clip_metadata *now, char version[64])
{
    now->tokenizer_sha256 = now->audio_library = now->reduce = NULL;
    if (!now->version) return;
    snprintf(version, 64, "%.*s", (int)strcspn(now->version, "+"), now->version);
    now->version = version;
}

static mg_status compare(const mg_replay *r)
{
    const mg_clip_metadata *was = &r->m;
    char path[MG_PATH_SIZE], why[8192] = "", version[64];
    mg_clip_metadata now;

    MG_RETURN(mg_path_format(path, "%s/%s.json", r->out_dir, was->recipe.id));
    MG_RETURN(mg_clip_metadata_load(&now, path));
    const bool same_codes = !was->codes_sha256 || same_text(now.codes_sha256, was->codes_sha256);
    const bool same_file = !was->audio_sha256 || same_text(now.audio_sha256, was->audio_sha256);
    const bool same_sound = same_file || same_text(now.sound_sha256, was->sound_sha256);
    if (r->line.json) keep_to_line(&now, version);
    if (!r->line.json || now.n_weights == was->n_weights) add_weights(why, sizeof why, &now, was);
    add_difference(why, sizeof why, "tokenizer: sha256", now.tokenizer_sha256, was->tokenizer_sha256);
    const bool same_model = !*why;
    add_difference(why, sizeof why, "version", now.version, was->version);
    add_difference(why, sizeof why, "device", now.backend, was->backend);
    add_difference(why, sizeof why, "text device", now.text_backend, was->text_backend);
    add_difference(why, sizeof why, "codec device", now.codec_backend, was->codec_backend);
    add_difference(why, sizeof why, "dtype", now.dtype, was->dtype);
    add_difference(why, sizeof why, "kv", now.kv, was->kv);
    add_difference(why, sizeof why, "reduce", now.reduce, was->reduce);
    if (same_codes) add_difference(why, sizeof why, "audio library", now.audio_library, was->audio_library);
    mg_clip_metadata_close(&now);
    if (!was->audio_sha256 && !was->codes_sha256) {
        mg_print(stdout, "made: %s/%s; nothing to compare with\n", r->out_dir, was->audio_file);
        fflush(stdout);
        return MG_OK;
    }
    if (same_codes && same_sound && (same_model || same_file)) {
        print_same(was, same_file, why);
        return MG_OK;
    }
    return mg_fail(MG_EFAIL, "replay: %s: not the same bytes (%s): %s", r->asked.file,
                   !same_codes                   ? "the codes differ"
                   : !same_sound && r->line.json ? "the sound file differs"
                   : !same_sound                 ? "the codes are the same, the sound is not"
                                                 : "codes and sound are the same, the model is not",
                   *why ? why : "and weights, version, device and dtype are as recorded");
}

static mg_status run_replay(mg_replay *r, mg_context *context)
{
    mg_world *w = context->world;
    const int64_t tp = r->asked.machine.tp;
    mg_status st = MG_OK;

    if (tp > 0 && tp != w->size)
        MG_TRY(mg_fail(MG_EUSAGE, "option --tp: %lld: replay makes one clip, on one group of all %d ranks",
                       (long long)tp, w->size));
    MG_TRY(share_metadata(r, w));
    mg_cli_forget_environment(context->cli, &r->asked, MG_RECORDED_MACHINE_OPTIONS);
    if (!r->line.json) /* a dataset's line names no model */
        mg_cli_forget_environment(context->cli, &r->asked, MG_MODEL_OPTION_NAMES);
    MG_TRY(mg_world_await_first(w, mg_replay_prepare(r, w)));
    MG_TRY(mg_comm_bcast(w->all, r->out_dir, MG_PATH_SIZE, MG_U8, 0));
    MG_TRY(mg_generate_run(context, &r->call));
    st = mg_world_await_first(w, w->rank == 0 ? compare(r) : MG_OK);
done:
    return st;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_replay *r = calloc(1, sizeof *r);
    mg_status st = mg_comm_agree(context->world->all, r ? MG_OK : mg_fail(MG_ENOMEM, "replay: no memory"));

    if (st == MG_OK) {
        r->asked = *(const mg_replay_settings *)settings;
        st = run_replay(r, context);
    }
    if (r) {
        mg_out_folder_abandon(&r->temp);
        mg_clip_metadata_close(&r->m);
        mg_clip_line_close(&r->line);
    }
    free(r);
    return st;
}

static const char details[] =
    "Everything is taken from the metadata: prompt, seed, settings, --dtype, --gemm and --cpu-level (unless "
    "they\n"
    "are given here). Files that were named by relative paths are looked for in the current folder, then "
    "beside the\n"
    "metadata; a model that has moved is named by --model or its parts. Exit code 0 and \"the same bytes\" "
    "on stdout, or 1 and a sentence that names what differs: a "
    "file that\n"
    "the clip was made from, the weights, the version, the device, the number format.\n"
    "\n"
    "  mg-dist replay out/000000.json\n"
    "  grep '\"id\":\"track-17\"' dataset/manifest.jsonl >clip.json && mg-dist replay clip.json --model DIR";

const mg_command mg_cmd_replay = {
    .name = "replay",
    .summary = "make a clip again from its metadata, and compare",
    .usage = "JSON [options]",
    .details = details,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_replay_settings),
    .run = run,
};
