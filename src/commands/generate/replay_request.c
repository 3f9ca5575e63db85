/* From a clip's metadata to the call that makes it again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "dataset.h"
#include "hash.h"
#include "out_file.h"
#include "recorded_machine.h"
#include "replay.h"

/* A recorded path: as it stands, else beside the metadata, else as it stands (an id, or a sentence about what
 * is missing). */
static mg_status find_path(char out[MG_PATH_SIZE], const mg_replay *r, const char *path)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(out, "%s", path));
    if (path[0] == '/' || mg_path_exists(path)) return MG_OK;
    MG_RETURN(mg_path_folder(folder, r->asked.file));
    MG_RETURN(mg_path_format(out, "%s/%s", folder, path));
    return mg_path_exists(out) ? MG_OK : mg_path_format(out, "%s", path);
}

static mg_status find_part(char room[MG_PATH_SIZE], const char **out, const mg_replay *r, const char *now,
                           const char *recorded)
{
    *out = now;
    if (now || !recorded) return MG_OK;
    *out = room;
    return find_path(room, r, recorded);
}

static mg_status find_parts(mg_replay *r)
{
    const mg_model_request *now = &r->asked.model, *then = &r->m.asked;
    mg_call *call = &r->call.call;

    MG_RETURN(find_part(r->part[0], &call->model.model, r, now->model, then->model));
    MG_RETURN(find_part(r->part[1], &call->model.lm, r, now->lm, then->lm));
    MG_RETURN(find_part(r->part[2], &call->model.text_encoder, r, now->text_encoder, then->text_encoder));
    MG_RETURN(find_part(r->part[3], &call->model.codec, r, now->codec, then->codec));
    MG_RETURN(find_part(r->part[4], &call->model.tokenizer, r, now->tokenizer, then->tokenizer));
    MG_RETURN(find_part(r->part[5], &call->model.lora, r, now->lora, then->lora));
    MG_RETURN(find_part(r->part[6], &call->model.style_encoder, r, now->style_encoder, then->style_encoder));
    call->model_key = now->model ? NULL : r->m.model_key;
    r->call.apply_proposed = r->m.n_applied > 0;
    return MG_OK;
}

/* The call's side: everything but the request. The same on every rank. */
static mg_status describe_call(mg_replay *r)
{
    const mg_clip_metadata *m = &r->m;
    mg_generate_settings *s = &r->call;

    if (r->line.json && !r->asked.model.model && !r->asked.model.lm)
        return mg_fail(MG_EUSAGE,
                       "option --model: missing: a dataset's line does not say where its model is");
    if (!r->line.json && (!m->recipe.id || (!m->audio_sha256 && !m->codes_sha256)))
        return mg_fail(MG_EFAIL, "%s: audio_sha256: missing; there is nothing to compare with",
                       r->asked.file);
    mg_generate_settings_init(s);
    MG_RETURN(find_parts(r));
    s->machine = r->asked.machine;
    MG_RETURN(mg_recorded_machine(&s->machine, m, r->asked.file));
    s->call.codes_only = !m->audio_file;
    s->call.save_codes = m->codes_file != NULL;
    s->call.all.seed = m->recipe.seed;
    s->call.no_paths = true;
    s->call.out_dir = r->out_dir;
    s->n_slots = 1;
    return MG_OK;
}

/* A file that the clip was made from is where it was, and the same. */
static mg_status check_input(char out[MG_PATH_SIZE], const mg_replay *r, const char *key, const char *path,
                             const char *recorded)
{
    char found[MG_PATH_SIZE], folder[MG_PATH_SIZE], sha256[65];

    MG_RETURN(find_path(found, r, path));
    if (found[0] != '/' && !mg_path_exists(found))
        return mg_fail(MG_EFAIL,
                       "replay: %s: %s: the clip was made from it, and it is neither in the current folder "
                       "nor beside %s: start where it lies, or put it there",
                       key, path, r->asked.file);
    MG_RETURN(mg_hash_file(sha256, found));
    if (recorded && strcmp(sha256, recorded) != 0)
        return mg_fail(MG_EFAIL,
                       "replay: %s: %s: not the file that the clip was made from: its sha256 is %s, "
                       "recorded is %s",
                       key, found, sha256, recorded);
    if (found[0] == '/') return mg_path_format(out, "%s", found);
    if (!getcwd(folder, sizeof folder)) return mg_fail(MG_EFAIL, "current folder: %s", strerror(errno));
    return mg_path_format(out, "%s/%s", folder, found); /* its own name stays: it is part of the tag */
}

/* The recipe as it was recorded, with its files where they are now. Its values may have been edited: they
 * pass the same checks as anybody's JSON lines. */
static mg_status describe_request(mg_replay *r)
{
    r->recipe = r->m.recipe;
    r->recipe.where = r->asked.file;
    MG_RETURN(mg_recipe_check(&r->recipe, r->asked.file));
    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const mg_recipe_key *key = mg_recipe_input(i);
        const char **path = mg_recipe_at(&r->recipe, key);
        if (!*path) continue;
        MG_RETURN(check_input(r->input[i], r, key->record, *path, r->m.input_sha256[i]));
        *path = r->input[i];
    }
    r->call.call.more = &r->recipe;
    r->call.call.n_more = 1;
    return MG_OK;
}

/* Where the clip goes. Nothing there is written over: it may be the clip that is compared with. */
static mg_status choose_folder(mg_replay *r)
{
    char folder[MG_PATH_SIZE], path[MG_PATH_SIZE], json[MG_PATH_SIZE];
    const char *const names[] = {r->m.audio_file, r->m.codes_file, json};

    if (r->asked.out_dir) {
        MG_RETURN(mg_dataset_check_outside(r->asked.out_dir, false));
        MG_RETURN(mg_path_format(json, "%s.json", r->m.recipe.id));
        MG_RETURN(mg_path_format(r->out_dir, "%s", r->asked.out_dir));
        for (int i = 0; i < 3; i++) {
            if (!names[i]) continue;
            MG_RETURN(mg_path_format(path, "%s/%s", r->out_dir, names[i]));
            MG_RETURN(mg_out_check_free(path, false, "give another --out"));
        }
        return MG_OK;
    }
    MG_RETURN(mg_path_folder(folder, r->asked.file));
    MG_RETURN(mg_path_format(path, "%s/%s.replay", folder, r->m.recipe.id));
    MG_RETURN(mg_out_folder_begin_somewhere(&r->temp, path));
    return mg_path_format(r->out_dir, "%s", r->temp.temp);
}

mg_status mg_replay_prepare(mg_replay *r, const mg_world *world)
{
    MG_RETURN(describe_call(r));
    if (world->rank > 0) return MG_OK;
    MG_RETURN(mg_replay_hash_beside(r));
    MG_RETURN(describe_request(r));
    return choose_folder(r);
}
