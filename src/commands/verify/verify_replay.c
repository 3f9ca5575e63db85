/* --replay: some clips of a dataset made again from their lines of manifest.jsonl, all in one call. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_sound.h"
#include "generate.h"
#include "hash.h"
#include "out_folder.h"
#include "recorded_machine.h"
#include "rng.h"
#include "verify_dataset.h"

/* A clip to make again. */
typedef struct chosen {
    int64_t i; /* its place among the lines */
    mg_clip_line line;
    mg_clip_metadata m;
    mg_recipe recipe;
    char name[32]; /* of its files now */
    char input[MG_RECIPE_INPUTS][MG_PATH_SIZE];
    char *text; /* the line */
} chosen;

typedef struct replay {
    mg_verify_account *account;
    const mg_verify_settings *s;
    chosen *clip;
    mg_recipe *recipe; /* [n_recipes] of those that can be made */
    int64_t n, n_recipes;
    mg_out_folder temp;
    char out_dir[MG_PATH_SIZE];
    mg_generate_settings call;
} replay;

static int compare_places(const void *a, const void *b)
{
    const chosen *x = a, *y = b;

    return x->i < y->i ? -1 : x->i > y->i;
}

/* `n` of `n_all`, all alike likely, the same for the same seed. */
static mg_status choose(replay *r, int64_t n_all)
{
    int64_t *left = malloc((size_t)(n_all + 1) * sizeof *left);

    r->n = r->s->n_replay < n_all ? r->s->n_replay : n_all;
    r->clip = calloc((size_t)r->n + 1, sizeof *r->clip);
    r->recipe = calloc((size_t)r->n + 1, sizeof *r->recipe);
    if (!left || !r->clip || !r->recipe) {
        free(left);
        return mg_fail(MG_ENOMEM, "verify: %lld clips", (long long)r->n);
    }
    for (int64_t i = 0; i < n_all; i++) left[i] = i;
    for (int64_t k = 0; k < r->n; k++) {
        const int64_t at = k + (int64_t)(mg_rng_uniform((uint64_t)r->s->seed, k, 0) * (double)(n_all - k));
        r->clip[k].i = left[at];
        left[at] = left[k];
    }
    free(left);
    qsort(r->clip, (size_t)r->n, sizeof *r->clip, compare_places);
    return MG_OK;
}

/* A file that the clip was made from, by its name and its hash. */
static mg_status find_inputs(chosen *c, const replay *r)
{
    char sha256[65];

    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const mg_recipe_key *key = mg_recipe_input(i);
        const char **path = mg_recipe_at(&c->recipe, key);
        if (!*path || !**path) continue;
        MG_RETURN(mg_path_format(c->input[i], "%s/%s", r->s->inputs, *path));
        if (mg_path_bytes(c->input[i]) < 0)
            return mg_fail(MG_EUSAGE, "its %s %s is not in %s; name its folder with --inputs", key->record,
                           *path, r->s->inputs);
        MG_RETURN(mg_hash_file(sha256, c->input[i]));
        if (c->m.input_sha256[i] && strcmp(sha256, c->m.input_sha256[i]) != 0)
            return mg_fail(MG_EUSAGE, "its %s %s is not the file it was made from", key->record, c->input[i]);
        *path = c->input[i];
    }
    return MG_OK;
}

/* The line as a recipe. */
static mg_status describe(chosen *c, const replay *r, int64_t k)
{
    const mg_clip_line *line = &c->line;

    if (!line->file || !line->recipe || !line->sha256)
        return mg_fail(MG_EUSAGE, "its line has no %s",
                       !line->file     ? "file"
                       : !line->recipe ? "recipe"
                                       : "sha256");
    MG_RETURN(mg_clip_line_describe(&c->m, line, line->file));
    c->recipe = c->m.recipe;
    c->recipe.where = line->file;
    snprintf(c->name, sizeof c->name, "replay-%06lld", (long long)k);
    MG_SAY(&c->recipe, id, c->name);
    MG_RETURN(find_inputs(c, r));
    return mg_recipe_check(&c->recipe, line->file);
}

static mg_status take_line(chosen *c, const mg_json_lines *l)
{
    c->text = strndup(l->text, (size_t)l->bytes);
    if (!c->text) return mg_fail(MG_ENOMEM, "verify: no memory for a line");
    return mg_clip_line_parse(&c->line, "manifest.jsonl", c->text, l->bytes);
}

/* The chosen lines; a clip that cannot be made is said and left out. */
static mg_status read_lines(replay *r, const char *path)
{
    mg_status st = MG_OK;
    mg_json_lines l = {0};
    int64_t k = 0;

    MG_TRY(mg_json_lines_open(&l, path));
    for (int64_t i = 0; k < r->n && mg_json_lines_next(&l); i++) {
        chosen *c = &r->clip[k];
        if (c->i != i) continue;
        st = take_line(c, &l);
        if (st == MG_OK) st = describe(c, r, k);
        if (st == MG_OK) r->recipe[r->n_recipes++] = c->recipe;
        if (st == MG_EUSAGE || st == MG_EFAIL) {
            mg_verify_account_add(r->account, true, "%s: cannot be made again: %s",
                                  c->line.file ? c->line.file : "manifest.jsonl", mg_last_error());
            c->name[0] = '\0';
            st = MG_OK;
        }
        MG_TRY(st);
        k++;
    }
    r->n = k;
done:
    mg_json_lines_close(&l);
    return st;
}

/* As the first clip's record says, unless the command line insists. */
static mg_status choose_machine(replay *r)
{
    for (int64_t k = 0; k < r->n; k++)
        if (r->clip[k].name[0])
            return mg_recorded_machine(&r->call.machine, &r->clip[k].m, r->clip[k].line.file);
    return MG_OK;
}

/* For the clips, beside the dataset. */
static mg_status make_folder(replay *r)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(path, "%s", r->s->source));
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = '\0';
    MG_RETURN(mg_path_format(r->out_dir, "%s.replay", path));
    MG_RETURN(mg_out_folder_begin_somewhere(&r->temp, r->out_dir));
    return mg_path_format(r->out_dir, "%s", r->temp.temp);
}

/* All of them, damaged ones too: a place among them is what is drawn. */
static mg_status count_lines(int64_t *n, const char *path)
{
    mg_json_lines l;

    *n = 0;
    MG_RETURN(mg_json_lines_open(&l, path));
    while (mg_json_lines_next(&l)) ++*n;
    mg_json_lines_close(&l);
    return MG_OK;
}

static mg_status prepare(replay *r)
{
    char path[MG_PATH_SIZE];
    int64_t n_lines;

    MG_RETURN(mg_path_format(path, "%s/manifest.jsonl", r->s->source));
    MG_RETURN(count_lines(&n_lines, path));
    MG_RETURN(choose(r, n_lines));
    MG_RETURN(read_lines(r, path));
    MG_RETURN(choose_machine(r));
    return make_folder(r);
}

/* The files' bytes differ: do the sounds in them? */
static mg_status compare_sounds(bool *same, const replay *r, const chosen *c, const char *path)
{
    mg_status st = MG_OK;
    char *data = NULL;
    int64_t bytes;
    mg_sound now = {0}, was = {0};

    MG_TRY(mg_audio_file_read(&now, path, INFINITY));
    MG_TRY(mg_dataset_read_clip(&data, &bytes, r->s->source, &c->line));
    MG_TRY(mg_dataset_decode(&was, data, bytes, c->line.file));
    *same = now.n_frames == was.n_frames && now.n_channels == was.n_channels && now.rate_hz == was.rate_hz &&
            memcmp(now.pcm, was.pcm, (size_t)(now.n_frames * now.n_channels) * sizeof *now.pcm) == 0;
done:
    free(data);
    mg_sound_close(&now);
    mg_sound_close(&was);
    return st;
}

static mg_status compare_clip(replay *r, const chosen *c)
{
    char path[MG_PATH_SIZE];
    mg_clip_metadata now = {0};
    bool same = false;

    MG_RETURN(mg_path_format(path, "%s/%s.json", r->out_dir, c->name));
    if (!mg_path_exists(path)) {
        mg_verify_account_add(r->account, true, "%s: could not be made again", c->line.file);
        return MG_OK;
    }
    MG_RETURN(mg_clip_metadata_load(&now, path));
    r->account->n_replayed++;
    mg_status st = mg_path_format(path, "%s/%s", r->out_dir, now.audio_file ? now.audio_file : "");
    const bool same_bytes = now.audio_sha256 && strcmp(now.audio_sha256, c->line.sha256) == 0;
    mg_clip_metadata_close(&now);
    if (st != MG_OK || same_bytes) return st;
    st = compare_sounds(&same, r, c, path);
    if (st != MG_OK && st != MG_EFAIL) return st;
    if (same) {
        r->account->n_same_sound++;
        mg_verify_account_add(r->account, false,
                              "%s: made again it is the same sound in another container (%s here)",
                              c->line.file, mg_audio_library());
    } else {
        mg_verify_account_add(r->account, true,
                              "%s: made again it is another sound; is it this model, and this machine?",
                              c->line.file);
    }
    return MG_OK;
}

static mg_status compare(replay *r)
{
    for (int64_t k = 0; k < r->n; k++)
        if (r->clip[k].name[0]) MG_RETURN(compare_clip(r, &r->clip[k]));
    return MG_OK;
}

static void close_replay(replay *r)
{
    for (int64_t k = 0; r->clip && k < r->n; k++) {
        mg_clip_metadata_close(&r->clip[k].m);
        mg_clip_line_close(&r->clip[k].line);
        free(r->clip[k].text);
    }
    mg_out_folder_abandon(&r->temp);
    free(r->clip);
    free(r->recipe);
    free(r);
}

mg_status mg_verify_replay(mg_verify_account *a, mg_context *context)
{
    mg_world *w = context->world;
    mg_status st = MG_OK;
    int64_t n_recipes;
    replay *r = calloc(1, sizeof *r);

    MG_TRY(mg_comm_agree(w->all, r ? MG_OK : mg_fail(MG_ENOMEM, "verify: no memory")));
    r->account = a;
    r->s = a->settings;
    mg_generate_settings_init(&r->call);
    mg_machine *machine = &r->call.machine;
    *machine = r->s->machine;
    if (w->rank == 0) st = prepare(r);
    MG_TRY(mg_world_await_first(w, st));
    n_recipes = r->n_recipes;
    MG_TRY(mg_comm_bcast(w->all, &n_recipes, 1, MG_I64, 0));
    MG_TRY(mg_comm_bcast(w->all, r->out_dir, MG_PATH_SIZE, MG_U8, 0));
    MG_TRY(mg_comm_bcast(w->all, machine, sizeof *machine, MG_U8, 0));
    machine->offload = r->s->machine.offload; /* this process's own words */
    machine->pack_cache = r->s->machine.pack_cache;
    if (n_recipes == 0) goto done;
    r->call.call.model = r->s->parts;
    r->call.call.out_dir = r->out_dir;
    r->call.call.no_paths = true;
    r->call.call.all.seed = 0; /* each clip has its own */
    r->call.call.more = r->recipe;
    r->call.call.n_more = r->n_recipes;
    st = mg_generate_run(context, &r->call);
    if (st == MG_EPARTIAL) st = MG_OK; /* each is said below */
    MG_TRY(mg_comm_agree(w->all, st));
    st = mg_world_await_first(w, w->rank == 0 ? compare(r) : MG_OK);
done:
    if (r) close_replay(r);
    return st;
}
