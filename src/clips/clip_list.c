/* From the requests to the list of clips, the same on every rank: their order, seeds and names, and which of
 * them are left out. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clip_list_impl.h"
#include "clip_name.h"
#include "log.h"
#include "rng.h"

enum { MAX_CLIPS = 10000000 };

static mg_status draw_seed(int64_t *seed)
{
    uint64_t bits;

    if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
        return mg_fail(MG_EFAIL, "seed: cannot draw one: %s; give --seed", strerror(errno));
    *seed = (int64_t)(bits % MG_SEED_LIMIT);
    mg_log_info("generate: seed %lld (drawn; --seed %lld makes the same clips again)", (long long)*seed,
                (long long)*seed);
    return MG_OK;
}

/* Rank 0: the requests, what their files hold, and the seed. */
static mg_status read_call(mg_clip_list *list, const mg_generate_settings *settings)
{
    int64_t seed = settings->seed;

    MG_RETURN(mg_requests_read(&list->requests, settings));
    if (seed < 0) MG_RETURN(draw_seed(&seed));
    list->seed = (uint64_t)seed;
    list->state = calloc((size_t)list->requests.n, sizeof *list->state);
    if (!list->state) return mg_fail(MG_ENOMEM, "requests: %lld", (long long)list->requests.n);
    for (int64_t i = 0; i < list->requests.n; i++) {
        const mg_status st = mg_requests_probe(&list->state[i].files, &list->requests.request[i]);
        if (st != MG_OK) MG_RETURN(mg_clip_list_refuse(list, i, st));
    }
    return MG_OK;
}

/* What a request says of a clip in so many words. */
static mg_clip describe(const mg_request *r, const mg_generate_settings *s)
{
    return (mg_clip){
        .text = {.text = r->prompt ? r->prompt : "",
                 .states = r->text_states && *r->text_states ? r->text_states : NULL},
        .negative = {.text = r->negative_prompt ? r->negative_prompt : ""},
        .melody = r->melody && *r->melody ? r->melody : NULL,
        .audio_prompt = r->audio_prompt && *r->audio_prompt ? r->audio_prompt : NULL,
        .audio_prompt_dur_s = isnan(r->prompt_duration_s) ? s->prompt_dur_s : r->prompt_duration_s,
    };
}

static mg_status count_clips(mg_clip_list *list, const mg_generate_settings *settings)
{
    for (int64_t i = 0; i < list->requests.n; i++) {
        const int64_t n = list->requests.request[i].n;
        list->state[i].i_clip = list->n;
        list->state[i].n_clips = n > 0 ? n : settings->n_per_prompt;
        list->n += list->state[i].n_clips;
        if (list->n > MAX_CLIPS)
            return mg_fail(MG_EUSAGE, "clips: more than %d in one call; make several calls", MAX_CLIPS);
    }
    list->clip = calloc((size_t)list->n, sizeof *list->clip);
    list->name = calloc((size_t)list->n, sizeof *list->name);
    list->asked = calloc((size_t)list->n, sizeof *list->asked);
    list->refused = calloc((size_t)list->n, sizeof *list->refused);
    if (list->clip && list->name && list->asked && list->refused) return MG_OK;
    return mg_fail(MG_ENOMEM, "clips: no memory for %lld", (long long)list->n);
}

static void lay_out(mg_clip_list *list, const mg_generate_settings *settings)
{
    for (int64_t i = 0; i < list->requests.n; i++) {
        const mg_request *r = &list->requests.request[i];
        const mg_request_state *state = &list->state[i];
        for (int64_t j = 0; j < state->n_clips; j++) {
            const int64_t index = state->i_clip + j;
            const uint64_t first = r->seed >= 0 ? (uint64_t)r->seed : list->seed + (uint64_t)state->i_clip;
            list->clip[index] = describe(r, settings);
            list->clip[index].index = index;
            list->clip[index].seed = (first + (uint64_t)j) % MG_SEED_LIMIT;
            list->asked[index] = r;
            list->refused[index] = state->refused != MG_OK;
        }
    }
}

/* Ids come first, for they were chosen: one that is taken is a mistake. */
static mg_status name_by_id(mg_clip_list *list, mg_name_set *taken, int64_t index)
{
    const mg_request *r = list->asked[index];
    const mg_request_state *state = &list->state[r - list->requests.request];
    char name[160];

    if (state->n_clips == 1)
        snprintf(name, sizeof name, "%s", r->id);
    else
        snprintf(name, sizeof name, "%s-%lld", r->id, (long long)(index - state->i_clip));
    if (mg_name_set_has(taken, name))
        return mg_fail(MG_EUSAGE, "%s: id: \"%s\": an earlier clip has this name", r->where, name);
    return mg_name_set_take(taken, &list->name[index], name);
}

static mg_status name_clips(mg_clip_list *list, const mg_generate_settings *settings)
{
    mg_status st = MG_OK;
    mg_name_set *taken;
    char name[MG_SLUG_SIZE];
    const bool by_title =
        settings->naming == MG_NAMING_TITLE || (settings->naming < 0 && settings->prompt_files.n > 0);

    MG_RETURN(mg_name_set_open(&taken, list->n));
    for (int64_t i = 0; i < list->n; i++)
        if (list->asked[i]->id) MG_TRY(name_by_id(list, taken, i));
    for (int64_t i = 0; i < list->n; i++) {
        const mg_request *r = list->asked[i];
        if (r->id) continue;
        if (by_title)
            mg_slug_make(name, r->title ? r->title : r->prompt ? r->prompt : "");
        else
            snprintf(name, sizeof name, "%06lld", (long long)i);
        MG_TRY(mg_name_set_take(taken, &list->name[i], name));
    }
done:
    mg_name_set_close(taken);
    return st;
}

mg_status mg_clip_list_open(mg_clip_list *list, const mg_generate_settings *settings, const mg_world *world)
{
    mg_status st = MG_OK;

    *list = (mg_clip_list){0};
    if (world->rank == 0) st = read_call(list, settings);
    MG_TRY(mg_comm_agree(world->all, st));
    MG_TRY(mg_requests_share(list, world));
    st = count_clips(list, settings);
    if (st == MG_OK) lay_out(list, settings);
    if (st == MG_OK) st = name_clips(list, settings);
    if (st == MG_OK && strcmp(settings->out_dir, "-") == 0 && list->n != 1)
        st = mg_fail(MG_EUSAGE, "option --out: -: %lld clips; standard output takes one", (long long)list->n);
    MG_TRY(mg_comm_agree(world->all, st));
    st = mg_comm_agree(world->all, mg_clip_list_report(list));
done:
    if (st != MG_OK) mg_clip_list_close(list);
    return st;
}

void mg_clip_list_close(mg_clip_list *list)
{
    for (int64_t i = 0; list->state && i < list->requests.n; i++) {
        free(list->state[i].ids);
        free(list->state[i].negative_ids);
        free(list->state[i].why);
    }
    for (int64_t i = 0; list->name && i < list->n; i++) free(list->name[i]);
    free(list->state);
    free(list->clip);
    free(list->name);
    free(list->asked);
    free(list->refused);
    mg_request_list_close(&list->requests);
    *list = (mg_clip_list){0};
}

mg_status mg_clip_list_refuse(mg_clip_list *list, int64_t i_request, mg_status st)
{
    mg_request_state *state = &list->state[i_request];

    if (st != MG_EUSAGE && st != MG_EFAIL) return st;
    state->refused = st;
    state->files.refused = st;
    state->why = strdup(mg_last_error());
    mg_clear_error();
    if (!state->why) return mg_fail(MG_ENOMEM, "requests: no memory");
    for (int64_t j = 0; list->refused && j < state->n_clips; j++) list->refused[state->i_clip + j] = true;
    return MG_OK;
}

mg_status mg_clip_list_report(mg_clip_list *list)
{
    const mg_request_state *last = NULL, *said = NULL;
    mg_status st = MG_OK;
    int64_t n_left = 0;

    for (int64_t i = 0; i < list->requests.n; i++) {
        n_left += list->state[i].refused == MG_OK;
        if (list->state[i].why || !last) last = &list->state[i];
    }
    for (int64_t i = 0; i < list->requests.n; i++) {
        const mg_request_state *s = &list->state[i];
        const bool again = s->why && said && strcmp(said->why, s->why) == 0;
        if (!s->why || again || (n_left == 0 && strcmp(s->why, last->why) == 0)) continue;
        said = s;
        if (mg_log_rank() == 0) mg_log_error("clip %s: %s", list->name[s->i_clip], s->why);
    }
    if (n_left == 0) st = mg_fail(last->refused, "%s", last->why ? last->why : "");
    for (int64_t i = 0; i < list->requests.n; i++) {
        free(list->state[i].why);
        list->state[i].why = NULL;
    }
    return st;
}

mg_status mg_clip_list_fill(mg_clip_list *list, const mg_generate_settings *settings,
                            const mg_replica *replica)
{
    mg_status st = MG_OK;
    mg_tokenizer *tokenizer = NULL;

    if (mg_clip_list_has_text(list)) MG_TRY(mg_tokenizer_open(&tokenizer, replica->files->tokenizer));
    for (int64_t i = 0; i < list->requests.n; i++) {
        mg_request_state *state = &list->state[i];
        if (state->refused != MG_OK) continue;
        mg_clip c = list->clip[state->i_clip];
        st = mg_request_fill(&c, &list->requests.request[i], state, settings, replica, tokenizer);
        if (st != MG_OK) MG_TRY(mg_clip_list_refuse(list, i, st));
        for (int64_t j = 0; j < state->n_clips; j++) {
            mg_clip *to = &list->clip[state->i_clip + j];
            c.index = to->index, c.seed = to->seed;
            *to = c;
        }
    }
    st = mg_clip_list_report(list);
done:
    mg_tokenizer_close(tokenizer);
    return st;
}

static bool has_words(const mg_clip *c)
{
    return (*c->text.text && !c->text.states) || *c->negative.text;
}

bool mg_clip_list_has_text(const mg_clip_list *list)
{
    for (int64_t i = 0; i < list->n; i++)
        if (!list->refused[i] && has_words(&list->clip[i])) return true;
    return false;
}

bool mg_clip_list_has_audio_prompt(const mg_clip_list *list)
{
    for (int64_t i = 0; i < list->requests.n; i++)
        if (list->state[i].refused == MG_OK && list->state[i].files.prompt_n_frames > 0) return true;
    return false;
}
