/* From the requests to the list of clips, the same on every rank: their order, seeds and names, and which of
 * them are left out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clip_list_impl.h"
#include "clip_name.h"
#include "job_id.h"
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

/* Request i is left out, for mg_last_error(). `st` itself if that ends the call. */
static mg_status refuse(mg_clip_list *list, int64_t i_request, mg_status st)
{
    mg_request_state *state = &list->state[i_request];

    if (st != MG_EUSAGE && st != MG_EFAIL) return st;
    state->refused = st;
    state->files.refused = st;
    state->why = strdup(mg_last_error());
    mg_clear_error();
    if (!state->why) return mg_fail(MG_ENOMEM, "requests: no memory");
    for (int64_t j = 0; list->job && j < state->n_clips; j++) list->job[state->i_clip + j].refused = true;
    return MG_OK;
}

/* Say what was refused since the last time and why; the last one's failure if nothing is left. */
static mg_status report_refused(mg_clip_list *list)
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
        if (mg_log_rank() == 0) mg_log_error("clip %s: %s", list->job[s->i_clip].name, s->why);
    }
    if (n_left == 0) st = mg_fail(last->refused, "%s", last->why ? last->why : "");
    for (int64_t i = 0; i < list->requests.n; i++) {
        free(list->state[i].why);
        list->state[i].why = NULL;
    }
    return st;
}

/* Rank 0: the requests, what their files hold, and the seed. */
static mg_status read_call(mg_clip_list *list, const mg_call *call)
{
    int64_t seed = call->all.seed;

    MG_RETURN(mg_requests_read(&list->requests, call));
    if (seed < 0) MG_RETURN(draw_seed(&seed));
    list->seed = (uint64_t)seed;
    list->start_index = call->start_index;
    if (list->start_index == MG_START_NEXT)
        MG_RETURN(mg_clip_list_find_start(&list->start_index, call->out_dir));
    list->state = calloc((size_t)list->requests.n, sizeof *list->state);
    if (!list->state) return mg_fail(MG_ENOMEM, "requests: %lld", (long long)list->requests.n);
    for (int64_t i = 0; i < list->requests.n; i++) {
        const mg_status st = mg_requests_probe(&list->state[i].files, &list->requests.recipe[i]);
        if (st != MG_OK) MG_RETURN(refuse(list, i, st));
    }
    return MG_OK;
}

/* "" is how a request says "none, whatever the call says". */
static void drop_empty(mg_recipe *r)
{
    if (MG_SAID(r, negative_prompt) && !*r->negative_prompt) MG_UNSAY(r, negative_prompt);
    if (MG_SAID(r, text_states) && !*r->text_states) MG_UNSAY(r, text_states);
    if (MG_SAID(r, audio_prompt) && !*r->audio_prompt) MG_UNSAY(r, audio_prompt);
    if (MG_SAID(r, melody) && !*r->melody) MG_UNSAY(r, melody);
}

/* Where a request says nothing, the call's options hold: of the two ways to say how long, at most one. */
static void add_options(mg_clip_list *list, const mg_call *call)
{
    for (int64_t i = 0; i < list->requests.n; i++) {
        mg_recipe *r = &list->requests.recipe[i], all = call->all;
        list->state[i].own = r->said;
        if (MG_SAID(r, n_frames)) MG_UNSAY(&all, dur_s);
        if (MG_SAID(r, dur_s)) MG_UNSAY(&all, n_frames);
        mg_recipe_fill(r, &all);
        drop_empty(r);
    }
}

/* What a request says of a clip in so many words. */
static mg_clip describe(const mg_recipe *r)
{
    return (mg_clip){
        .terms.with_melody = r->melody != NULL,
        .text = {.text = r->prompt ? r->prompt : "", .states = r->text_states},
        .negative = {.text = r->negative_prompt ? r->negative_prompt : ""},
        .melody = r->melody,
        .style_start_s = r->style_start_s,
        .audio_prompt = r->audio_prompt,
        .audio_prompt_dur_s = r->prompt_dur_s,
    };
}

static mg_status count_clips(mg_clip_list *list)
{
    for (int64_t i = 0; i < list->requests.n; i++) {
        list->state[i].i_clip = list->n;
        list->state[i].n_clips = list->requests.recipe[i].n;
        list->n += list->state[i].n_clips;
        if (list->n > MAX_CLIPS)
            return mg_fail(MG_EUSAGE, "clips: more than %d in one call; make several calls", MAX_CLIPS);
    }
    list->job = calloc((size_t)list->n, sizeof *list->job);
    return list->job ? MG_OK : mg_fail(MG_ENOMEM, "clips: no memory for %lld", (long long)list->n);
}

static void lay_out(mg_clip_list *list)
{
    for (int64_t i = 0; i < list->requests.n; i++) {
        const mg_recipe *r = &list->requests.recipe[i];
        const mg_request_state *state = &list->state[i];
        const uint64_t first = r->seed >= 0 ? (uint64_t)r->seed : list->seed + (uint64_t)state->i_clip;
        for (int64_t j = 0; j < state->n_clips; j++) {
            const int64_t index = state->i_clip + j;
            mg_job *job = &list->job[index];
            *job = (mg_job){.clip = describe(r), .i_request = i, .refused = state->refused != MG_OK};
            job->clip.index = index;
            job->clip.terms.seed = (first + (uint64_t)j) % MG_SEED_LIMIT;
        }
    }
}

/* Ids come first, for they were chosen: one that is taken is a mistake. */
static mg_status name_by_id(mg_clip_list *list, mg_name_set *taken, int64_t index)
{
    const mg_recipe *r = mg_clip_list_recipe(list, index);
    const mg_request_state *state = &list->state[list->job[index].i_request];
    char name[MG_JOB_ID_SIZE + 20];

    if (state->n_clips == 1)
        snprintf(name, sizeof name, "%s", r->id);
    else
        snprintf(name, sizeof name, "%s-%lld", r->id, (long long)(index - state->i_clip));
    if (mg_name_set_has(taken, name))
        return mg_fail(MG_EUSAGE, "%s: id: \"%s\": an earlier clip has this name", r->where, name);
    return mg_name_set_take(taken, &list->job[index].name, name);
}

static mg_status name_clips(mg_clip_list *list, const mg_call *call)
{
    mg_status st = MG_OK;
    mg_name_set *taken;
    char name[MG_SLUG_SIZE];
    const bool by_title = mg_clip_list_is_by_title(call);

    MG_RETURN(mg_name_set_open(&taken, list->n));
    for (int64_t i = 0; i < list->n; i++)
        if (mg_clip_list_recipe(list, i)->id) MG_TRY(name_by_id(list, taken, i));
    for (int64_t i = 0; i < list->n; i++) {
        const mg_recipe *r = mg_clip_list_recipe(list, i);
        if (r->id) continue;
        if (by_title)
            mg_slug_make(name, r->title ? r->title : r->prompt ? r->prompt : "");
        else
            snprintf(name, sizeof name, "%06lld", (long long)(list->start_index + i));
        MG_TRY(mg_name_set_take(taken, &list->job[i].name, name));
    }
done:
    mg_name_set_close(taken);
    return st;
}

mg_status mg_clip_list_open(mg_clip_list *list, const mg_call *call, const mg_world *world)
{
    mg_status st = MG_OK;

    *list = (mg_clip_list){0};
    if (world->rank == 0) st = read_call(list, call);
    MG_TRY(mg_world_await_first(world, st));
    MG_TRY(mg_requests_share(list, world));
    add_options(list, call);
    st = count_clips(list);
    if (st == MG_OK) lay_out(list);
    if (st == MG_OK && world->tp_rank == 0) st = name_clips(list, call);
    if (st == MG_OK && mg_call_is_to_stdout(call) && list->n != 1)
        st = mg_fail(MG_EUSAGE, "option --out: -: %lld clips; standard output takes one", (long long)list->n);
    MG_TRY(mg_comm_agree(world->all, st));
    st = mg_comm_agree(world->all, report_refused(list));
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
    for (int64_t i = 0; list->job && i < list->n; i++) free(list->job[i].name);
    free(list->state);
    free(list->job);
    mg_request_list_close(&list->requests);
    *list = (mg_clip_list){0};
}

/* The leader's tokens become every rank's numbers. Collective over the group. */
static mg_status share_tokens(mg_clip_list *list, const mg_replica *replica, const mg_tokenizer *tokenizer)
{
    enum { INTS = sizeof(mg_request_tokens) / sizeof(int64_t) };
    const int64_t n = list->requests.n;
    mg_request_tokens *all = calloc((size_t)n, sizeof *all);
    mg_status st = all ? MG_OK : mg_fail(MG_ENOMEM, "tokens: %lld requests", (long long)n);

    for (int64_t i = 0; st == MG_OK && replica->is_leader && i < n; i++) {
        if (list->state[i].refused != MG_OK) continue;
        st = mg_request_encode(&list->state[i], &list->requests.recipe[i], replica, tokenizer);
        if (st != MG_OK) st = refuse(list, i, st);
        all[i] = list->state[i].tokens;
        all[i].refused = list->state[i].refused;
    }
    MG_TRY(mg_comm_agree(replica->group, st));
    MG_TRY(mg_comm_bcast(replica->group, all, n * INTS, MG_I64, 0));
    for (int64_t i = 0; i < n; i++) {
        list->state[i].tokens = all[i];
        if (all[i].refused != MG_OK) list->state[i].refused = (mg_status)all[i].refused;
    }
done:
    free(all);
    return st;
}

static mg_status fill(mg_clip_list *list, const mg_call *call, const mg_replica *replica)
{
    for (int64_t i = 0; i < list->requests.n; i++) {
        mg_request_state *state = &list->state[i];
        if (state->refused == MG_OK) {
            mg_job *first = &list->job[state->i_clip];
            mg_clip c = first->clip;
            const mg_status st = mg_request_fill(&c, &list->requests.recipe[i], state, call, replica);
            if (st != MG_OK) MG_RETURN(refuse(list, i, st));
            for (int64_t j = 0; j < state->n_clips; j++) {
                mg_clip *to = &first[j].clip;
                c.index = to->index, c.terms.seed = to->terms.seed;
                *to = c;
            }
        }
        for (int64_t j = 0; state->refused != MG_OK && j < state->n_clips; j++)
            list->job[state->i_clip + j].refused = true;
    }
    return report_refused(list);
}

mg_status mg_clip_list_fill(mg_clip_list *list, const mg_call *call, const mg_replica *replica)
{
    mg_tokenizer *tokenizer = NULL;
    mg_status st = MG_OK;

    if (replica->is_leader && mg_clip_list_has_text(list))
        st = mg_tokenizer_open(&tokenizer, replica->files->tokenizer);
    MG_TRY(mg_comm_agree(replica->group, st));
    MG_TRY(share_tokens(list, replica, tokenizer));
    st = fill(list, call, replica);
done:
    mg_tokenizer_close(tokenizer);
    return st;
}

/* What mg_clip_list_open and mg_clip_list_fill do with many, for one and on this rank alone. */
static mg_status open_one(mg_clip_list *list, const mg_call *call, const mg_replica *replica,
                          const struct mg_tokenizer *tokenizer, const mg_clip_record *from)
{
    mg_request_state *state;
    mg_recipe *r;

    MG_RETURN(mg_request_list_add(&list->requests, from->where, from->folder, from->text, from->text_bytes));
    list->state = state = calloc(1, sizeof *list->state);
    if (!state) return mg_fail(MG_ENOMEM, "requests: no memory");
    r = &list->requests.recipe[0];
    add_options(list, call);
    MG_RETURN(mg_requests_probe(&state->files, r));
    r->n = 1;
    r->seed =
        r->seed >= 0 ? (int64_t)(((uint64_t)r->seed + (uint64_t)from->copy) % MG_SEED_LIMIT) : from->seed;
    MG_RETURN(count_clips(list));
    lay_out(list);
    list->job[0].name = strdup(from->name);
    if (!list->job[0].name) return mg_fail(MG_ENOMEM, "clips: no memory");
    MG_RETURN(mg_request_encode(state, r, replica, tokenizer));
    return mg_request_fill(&list->job[0].clip, r, state, call, replica);
}

mg_status mg_clip_list_open_one(mg_clip_list *list, const mg_call *call, const mg_replica *replica,
                                const struct mg_tokenizer *tokenizer, const mg_clip_record *from)
{
    *list = (mg_clip_list){0};
    const mg_status st = open_one(list, call, replica, tokenizer, from);
    if (st != MG_OK) mg_clip_list_close(list);
    return st;
}

static bool has_words(const mg_clip *c)
{
    return (*c->text.text && !c->text.states) || *c->negative.text;
}

bool mg_clip_list_has_text(const mg_clip_list *list)
{
    for (int64_t i = 0; i < list->n; i++)
        if (!list->job[i].refused && has_words(&list->job[i].clip)) return true;
    return false;
}

bool mg_clip_list_has_melody(const mg_clip_list *list)
{
    for (int64_t i = 0; i < list->requests.n; i++)
        if (list->state[i].refused == MG_OK && list->requests.recipe[i].melody) return true;
    return false;
}

bool mg_clip_list_has_audio_prompt(const mg_clip_list *list)
{
    for (int64_t i = 0; i < list->requests.n; i++)
        if (list->state[i].refused == MG_OK && list->state[i].files.prompt_n_frames > 0) return true;
    return false;
}
