/* What stands already under the names that a call is going to write: the same clip, which need not be made
 * again, or something else, which is not replaced unless --overwrite says so. Looked at before anything is
 * loaded. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clip_index.h"
#include "clip_list_impl.h"
#include "hash.h"
#include "hub.h"
#include "log.h"
#include "stop.h"
#include "text.h"

enum { N_SUFFIXES = MG_AUDIO_N_FORMATS + 2, MIN_DIGITS = 6, MAX_DIGITS = 12 };

/* The i-th ending that a file of a clip may have. */
static const char *suffix_at(int i)
{
    return i == 0 ? ".json" : i == 1 ? ".codes.npy" : mg_audio_format_suffix((mg_audio_format)(i - 2));
}

mg_status mg_clip_list_find_start(int64_t *start, const char *folder)
{
    DIR *d = opendir(folder);

    *start = 0;
    if (!d) return MG_OK; /* it will be made */
    for (struct dirent *e; (e = readdir(d));) {
        const size_t n = strspn(e->d_name, "0123456789");
        if (n < MIN_DIGITS || n > MAX_DIGITS || e->d_name[n] != '.') continue;
        const int64_t next = strtoll(e->d_name, NULL, 10) + 1;
        if (next > *start) *start = next;
    }
    closedir(d);
    return MG_OK;
}

/* What the call will make under a name. */
typedef struct wanted {
    const mg_call *call;
    const mg_recipe *recipe;
    const char *name;
    int64_t seed, sampling_rate;
    const mg_replica *replica;
} wanted;

static mg_status path_of(char path[MG_PATH_SIZE], const wanted *w, const char *suffix)
{
    return mg_path_format(path, "%s/%s%s", w->call->out_dir, w->name, suffix);
}

/* The files that it is made from, by content. */
static const char *other_input(const wanted *w, const mg_clip_metadata *there)
{
    char sha256[65];

    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const mg_recipe_key *key = mg_recipe_input(i);
        const char *path = *(const char *const *)mg_recipe_get(w->recipe, key);
        const char *recorded = there->input_sha256[i];
        if (!path && !*(const char *const *)mg_recipe_get(&there->recipe, key)) continue;
        if (path && recorded && mg_hash_file(sha256, path) == MG_OK && strcmp(sha256, recorded) == 0)
            continue;
        mg_clear_error();
        return key->record;
    }
    return NULL;
}

/* Was the clip made of this file? A cached one is what its blob is called, whichever snapshot a name leads to
 * now; of others the path says it. */
static bool was_made_of(const mg_clip_metadata *there, const char *path)
{
    char sha256[65];
    const bool is_blob = mg_hub_blob_hash(sha256, path) && strlen(sha256) == 64;

    for (int i = 0; i < there->n_weights; i++)
        if (strcmp(is_blob ? sha256 : path, is_blob ? there->weights[i].sha256 : there->weights[i].path) == 0)
            return true;
    return false;
}

/* Do the names lead to files that it was not made of? */
static bool other_weights(const wanted *w, const mg_clip_metadata *there)
{
    const mg_model_files *files = w->replica->files;

    for (int i = 0; i < files->n_opened; i++) {
        const mg_checkpoint *c = files->opened[i];
        if (!mg_recipe_uses(w->recipe, mg_model_files_use(files, c))) continue;
        for (size_t f = 0; f < mg_checkpoint_n_files(c); f++)
            if (!was_made_of(there, mg_checkpoint_file(c, f))) return true;
    }
    return false;
}

/* A model is known by its name and by weights that are no newer than the clip: their hashes cost too much
 * here. */
static const char *other_model(const wanted *w, const mg_clip_metadata *there, const char *json)
{
    const mg_model_request *now = &w->call->model, *then = &there->asked;
    struct stat clip, weights;

    if (!mg_text_is_same(now->model, then->model) || !mg_text_is_same(w->call->model_key, there->model_key) ||
        !mg_text_is_same(now->lm, then->lm) || !mg_text_is_same(now->lora, then->lora) ||
        !mg_text_is_same(now->text_encoder, then->text_encoder) ||
        !mg_text_is_same(now->style_encoder, then->style_encoder) ||
        !mg_text_is_same(now->codec, then->codec) || !mg_text_is_same(now->tokenizer, then->tokenizer))
        return "model";
    if (other_weights(w, there)) return "model";
    for (int i = 0; i < there->n_weights; i++)
        if (stat(json, &clip) != 0 || stat(there->weights[i].path, &weights) != 0 ||
            weights.st_mtime > clip.st_mtime)
            return "model";
    const char *text = mg_clip_text_backend(w->recipe, w->replica);
    if (!mg_text_is_same(w->replica->backend.ops->name, there->backend)) return "device";
    if (!mg_text_is_same(text, there->text_backend)) return "text device";
    if (!mg_text_is_same(mg_replica_codec_backend(w->replica), there->codec_backend)) return "codec device";
    if (mg_comm_sums_in_order(w->replica->backend.group->name) != mg_comm_sums_in_order(there->reduce))
        return "reduce";
    if ((w->replica->backend.formats.kv == MG_FORMAT_Q8) != (there->kv != NULL)) return "kv";
    return mg_text_is_same(mg_format_name(w->replica->backend.formats.weights), there->dtype) ? NULL
                                                                                              : "dtype";
}

/* The first thing that says it is another clip; NULL: it is this one. */
static const char *difference(const wanted *w, const mg_clip_metadata *there, const char *json)
{
    mg_recipe recipe = *w->recipe;

    MG_SAY(&recipe, seed, w->seed);
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        if (key->type == MG_KEY_ID || key->place == MG_AT_INPUTS ||
            (key->flags & (MG_KEY_NOT_IN_TAG | MG_KEY_OF_RESULT)))
            continue;
        if (!mg_recipe_same_record(&recipe, &there->recipe, key)) return key->record;
    }
    if (!w->call->codes_only && there->sampling_rate != w->sampling_rate) return "sample_rate";
    const char *input = other_input(w, there);
    return input ? input : other_model(w, there, json);
}

/* Is its sound there, whole, and its codes, if they are asked for? */
static bool is_whole(const wanted *w, const mg_clip_metadata *there)
{
    char path[MG_PATH_SIZE], name[MG_PATH_SIZE], sha256[65];
    bool whole = true;

    if (!w->call->codes_only) {
        const char *suffix = mg_audio_format_suffix((mg_audio_format)w->recipe->format);
        whole = there->audio_file && there->audio_sha256 &&
                mg_path_format(name, "%s%s", w->name, suffix) == MG_OK &&
                strcmp(name, there->audio_file) == 0 && path_of(path, w, suffix) == MG_OK &&
                mg_hash_file(sha256, path) == MG_OK && strcmp(sha256, there->audio_sha256) == 0;
    }
    if (w->call->codes_only || w->call->save_codes)
        whole = whole && there->codes_file && path_of(path, w, ".codes.npy") == MG_OK && mg_path_exists(path);
    mg_clear_error();
    return whole;
}

/* *why: what is wrong with what is there; NULL: it is this clip. */
static const char *compare(const wanted *w, char room[200])
{
    char json[MG_PATH_SIZE];
    mg_clip_metadata there;

    if (path_of(json, w, ".json") != MG_OK || mg_clip_metadata_load(&there, json) != MG_OK) {
        mg_clear_error();
        return "no metadata says what it is";
    }
    const char *key = difference(w, &there, json);
    const bool whole = key || is_whole(w, &there);
    snprintf(room, 200, "another clip: its %s differs", key ? key : "");
    mg_clip_metadata_close(&there);
    return key ? room : whole ? NULL : "its files are not those that its metadata describes";
}

/* Is anything of this name there? Its path, for a message. */
static mg_status find_any(char path[MG_PATH_SIZE], bool *found, const wanted *w)
{
    struct stat info;

    *found = false;
    for (int i = N_SUFFIXES - 1; i >= 0 && !*found; i--) {
        MG_RETURN(path_of(path, w, suffix_at(i)));
        *found = lstat(path, &info) == 0;
    }
    return MG_OK;
}

/* What --overwrite does not replace. */
static mg_status check_folders(const wanted *w)
{
    char path[MG_PATH_SIZE];
    struct stat info;

    for (int i = N_SUFFIXES - 1; i >= 0; i--) {
        MG_RETURN(path_of(path, w, suffix_at(i)));
        if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            return mg_fail(MG_EUSAGE,
                           "%s: is a folder, which --overwrite does not replace; give another --out", path);
    }
    return MG_OK;
}

static mg_status look_at(bool *is_there, const wanted *w)
{
    char path[MG_PATH_SIZE], room[200];
    bool found;

    *is_there = false;
    if (w->call->overwrite) return check_folders(w);
    MG_RETURN(find_any(path, &found, w));
    if (!found) return MG_OK;
    const char *why = compare(w, room);
    MG_RETURN(mg_stop_check()); /* it may be why a hash is none */
    *is_there = !why;
    if (!why) return MG_OK;
    return mg_fail(MG_EUSAGE, "%s: is there already (%s); give --overwrite%s", path, why,
                   w->recipe->id || mg_clip_list_is_by_title(w->call)
                       ? " or another --out"
                       : ", another --out or --start-index next");
}

mg_status mg_clip_list_check_free(const mg_call *call, const char *name)
{
    const wanted w = {.call = call, .name = name};
    char path[MG_PATH_SIZE];
    bool found;

    MG_RETURN(find_any(path, &found, &w));
    if (!found) return MG_OK;
    return mg_fail(MG_EFAIL,
                   "%s: is there by now, made by another call, and is not replaced; give this one another "
                   "--out, or names of its own",
                   path);
}

static mg_status look(uint8_t *is_there, const mg_clip_list *list, const mg_call *call,
                      const mg_replica *replica)
{
    for (int64_t i = 0; i < list->n; i++) {
        const mg_job *job = &list->job[i];
        const mg_recipe *r = mg_clip_list_recipe(list, i);
        const wanted w = {.call = call,
                          .recipe = r,
                          .name = job->name,
                          .seed = (int64_t)job->clip.terms.seed,
                          .sampling_rate = r->rate_hz > 0 ? r->rate_hz : replica->config.codec.sampling_rate,
                          .replica = replica};
        bool found = false;
        if (!job->refused) MG_RETURN(look_at(&found, &w));
        is_there[i] = found;
    }
    return MG_OK;
}

mg_status mg_clip_list_look(mg_clip_list *list, const mg_call *call, const mg_replica *replica,
                            const mg_world *w)
{
    mg_status st = MG_OK;
    uint8_t *is_there = NULL;
    int64_t n_there = 0;

    if (mg_call_is_to_stdout(call)) return MG_OK;
    is_there = calloc((size_t)list->n, sizeof *is_there);
    if (!is_there) st = mg_fail(MG_ENOMEM, "clips: %lld", (long long)list->n);
    if (st == MG_OK && w->rank == 0) st = look(is_there, list, call, replica);
    if (st == MG_OK && w->rank == 0 && !call->codes_only && !call->overwrite)
        st = mg_clip_index_check(call->out_dir);
    MG_TRY(mg_world_await_first(w, st)); /* it hashes what is there */
    MG_TRY(mg_comm_bcast(w->all, is_there, list->n, MG_U8, 0));
    for (int64_t i = 0; i < list->n; i++) n_there += list->job[i].is_there = is_there[i] != 0;
    if (n_there > 0)
        mg_log_info("generate: %lld of %lld clips %s there already", (long long)n_there, (long long)list->n,
                    n_there == 1 ? "is" : "are");
done:
    free(is_there);
    return st;
}
