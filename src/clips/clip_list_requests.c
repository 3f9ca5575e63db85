/* What a call asks for, as rank 0 reads it and every rank gets it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "clip_list_impl.h"
#include "npy.h"
#include "prompt_text.h"
#include "text.h"
#include "text_states.h"

/* What rank 0 tells the others before the requests. */
typedef struct call_head {
    int64_t n, text_bytes, seed, start_index;
} call_head;

enum { HEAD_INTS = sizeof(call_head) / sizeof(int64_t) };

/* n: 0 as the call says. */
static mg_status add(mg_request_list *list, const char *where, const char *prompt, const char *title,
                     int64_t n)
{
    mg_recipe r;

    mg_recipe_init(&r);
    r.where = where;
    if (prompt) MG_SAY(&r, prompt, prompt);
    if (title) MG_SAY(&r, title, title);
    if (n > 0) MG_SAY(&r, n, n);
    return mg_request_list_append(list, &r);
}

static mg_status add_prompt_file(mg_request_list *list, const char *path)
{
    char *prompt, *title;

    MG_RETURN(mg_prompt_file_read(&prompt, &title, path));
    const mg_status st = add(list, path, prompt, title, 0);
    free(prompt);
    free(title);
    return st;
}

/* Clips without a text: one request for all of them, or one each where each has something else to follow. */
static mg_status add_unconditional(mg_request_list *list, const mg_call *s, bool one_each)
{
    if (s->n_unconditional <= 0) return MG_OK;
    if (!one_each) return add(list, "option --unconditional", NULL, NULL, s->n_unconditional * s->all.n);
    for (int64_t i = 0; i < s->n_unconditional; i++)
        MG_RETURN(add(list, "option --unconditional", NULL, NULL, 0));
    return MG_OK;
}

/* An option that is given once for all requests, or once for each: in those that say nothing themselves. */
static mg_status spread(mg_request_list *list, const mg_strings *given, const mg_recipe_key *key)
{
    char where[64];

    if (given->n == 0) return MG_OK;
    if (given->n != 1 && given->n != list->n)
        return mg_fail(MG_EUSAGE,
                       "option --%s: given %lld times for %lld prompt%s; give it once, or once for each",
                       key->option, (long long)given->n, (long long)list->n, mg_plural(list->n));
    snprintf(where, sizeof where, "option --%s", key->option);
    for (int64_t i = 0; i < given->n; i++) MG_RETURN(mg_prompt_check(where, given->item[i]));
    for (int64_t i = 0; i < list->n; i++) {
        if (mg_recipe_says(&list->recipe[i], key)) continue;
        const char **at = mg_recipe_at(&list->recipe[i], key);
        MG_RETURN(mg_request_list_keep(list, at, given->item[given->n == 1 ? 0 : i]));
        mg_recipe_say(&list->recipe[i], key);
    }
    return MG_OK;
}

mg_status mg_requests_read(mg_request_list *list, const mg_call *s)
{
    const struct {
        const mg_strings *given;
        size_t offset;
    } all[] = {{&s->given.negative_prompt, offsetof(mg_recipe, negative_prompt)},
               {&s->given.audio_prompt, offsetof(mg_recipe, audio_prompt)},
               {&s->given.melody, offsetof(mg_recipe, melody)},
               {&s->given.text_states, offsetof(mg_recipe, text_states)}};
    enum { N_ALL = sizeof all / sizeof *all };
    int64_t n_most = 0;

    for (int i = 0; i < N_ALL; i++)
        if (all[i].given->n > n_most) n_most = all[i].given->n;
    for (int64_t i = 0; i < s->given.prompt.n; i++) {
        MG_RETURN(mg_prompt_check("option --prompt", s->given.prompt.item[i]));
        MG_RETURN(add(list, "option --prompt", s->given.prompt.item[i], NULL, 0));
    }
    if (s->prompts_file) MG_RETURN(mg_request_list_load(list, s->prompts_file, &s->prompts_how));
    for (int64_t i = 0; i < s->prompt_files.n; i++) MG_RETURN(add_prompt_file(list, s->prompt_files.item[i]));
    for (int64_t i = 0; i < s->n_more; i++) MG_RETURN(mg_request_list_append(list, &s->more[i]));
    MG_RETURN(add_unconditional(list, s, n_most > 1));
    if (list->n == 0 && s->prompts_file)
        return mg_fail(MG_EUSAGE, "option --prompts: %s: holds no prompt", s->prompts_file);
    if (list->n == 0) /* something to follow, and no words */
        for (int64_t i = 0; i < n_most; i++) MG_RETURN(add(list, "request", NULL, NULL, 0));
    for (int i = 0; i < N_ALL; i++) MG_RETURN(spread(list, all[i].given, mg_recipe_key_of(all[i].offset)));
    return MG_OK;
}

/* All of them: a number out of range shall not be found after an hour's work. */
static mg_status probe_codes(mg_request_files *files, const char *path)
{
    int32_t *codes;

    MG_RETURN(mg_npy_read_i32(path, &codes, &files->codes_K, &files->codes_T));
    const int64_t n = files->codes_K * files->codes_T;
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || codes[i] < files->codes_low) files->codes_low = codes[i];
        if (i == 0 || codes[i] > files->codes_high) files->codes_high = codes[i];
    }
    free(codes);
    return n > 0 ? MG_OK : mg_fail(MG_EFAIL, "%s: holds no codes", path);
}

mg_status mg_requests_probe(mg_request_files *files, const mg_recipe *r)
{
    mg_audio_info info;

    *files = (mg_request_files){0};
    if (r->text_states && *r->text_states)
        MG_RETURN(mg_text_states_probe(&files->states_S, &files->states_d, r->text_states));
    if (r->melody && *r->melody) {
        MG_RETURN(mg_audio_file_probe(&info, r->melody));
        files->melody_n_frames = info.n_frames;
        files->melody_rate_hz = info.rate_hz;
    }
    if (!r->audio_prompt || !*r->audio_prompt) return MG_OK;
    if (mg_npy_is_named(r->audio_prompt)) return probe_codes(files, r->audio_prompt);
    MG_RETURN(mg_audio_file_probe(&info, r->audio_prompt));
    files->prompt_n_frames = info.n_frames;
    files->prompt_n_channels = info.n_channels;
    files->prompt_rate_hz = info.rate_hz;
    return MG_OK;
}

/* The recipes to every rank, their texts to leaders. */
static mg_status share_list(mg_clip_list *list, const mg_world *w)
{
    call_head head = {.n = list->requests.n, .seed = (int64_t)list->seed, .start_index = list->start_index};
    mg_request_pack pack = {0};
    mg_status st = MG_OK;

    if (w->rank == 0) st = mg_request_list_pack(&pack, &list->requests);
    MG_TRY(mg_comm_agree(w->all, st));
    head.text_bytes = pack.text_bytes;
    MG_TRY(mg_comm_bcast(w->all, &head, HEAD_INTS, MG_I64, 0));
    list->seed = (uint64_t)head.seed;
    list->start_index = head.start_index;
    if (w->rank > 0) st = mg_request_pack_open(&pack, head.n, head.text_bytes);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_comm_bcast(w->all, pack.recipe, head.n * (int64_t)sizeof *pack.recipe, MG_U8, 0));
    MG_TRY(mg_comm_bcast(w->all, pack.text, head.text_bytes, MG_U8, 0));
    if (w->rank > 0) st = mg_request_list_unpack(&list->requests, &pack, w->tp_rank == 0);
    st = mg_comm_agree(w->all, st);
done:
    mg_request_pack_close(&pack);
    return st;
}

mg_status mg_requests_share(mg_clip_list *list, const mg_world *w)
{
    mg_status st = MG_OK;
    mg_request_files *files = NULL;

    if (w->size > 1) MG_RETURN(share_list(list, w));
    const int64_t n = list->requests.n;
    if (w->rank > 0) list->state = calloc((size_t)n, sizeof *list->state);
    files = calloc((size_t)n, sizeof *files);
    MG_TRY(mg_comm_agree(w->all, list->state && files ? MG_OK : mg_fail(MG_ENOMEM, "requests: no memory")));
    for (int64_t i = 0; i < n; i++) files[i] = list->state[i].files;
    if (w->size > 1) MG_TRY(mg_comm_bcast(w->all, files, n * MG_REQUEST_FILES_INTS, MG_I64, 0));
    for (int64_t i = 0; w->rank > 0 && i < n; i++) {
        list->state[i].files = files[i];
        list->state[i].refused = (mg_status)files[i].refused;
    }
done:
    free(files);
    return st;
}
