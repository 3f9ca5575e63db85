/* What a call asks for, as rank 0 reads it and every rank gets it. */
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "clip_list_impl.h"
#include "npy.h"
#include "prompt_list.h"
#include "text_states.h"

/* What rank 0 tells the others before the requests. */
typedef struct call_head {
    int64_t n_bytes, seed;
} call_head;

enum { HEAD_INTS = sizeof(call_head) / sizeof(int64_t) };

static mg_status add(mg_request_list *list, const char *where, const char *prompt, const char *title,
                     int64_t n)
{
    mg_request r;

    mg_request_init(&r);
    /* The list copies; a request's strings are its own only there. */
    r.prompt = (char *)(uintptr_t)prompt;
    r.title = (char *)(uintptr_t)title;
    r.where = (char *)(uintptr_t)where;
    r.n = n;
    return mg_request_list_append(list, &r);
}

static mg_status add_prompt_file(mg_request_list *list, const char *path)
{
    char *prompt, *title;

    MG_RETURN(mg_prompt_file_read(&prompt, &title, path));
    const mg_status st = add(list, path, prompt, title, -1);
    free(prompt);
    free(title);
    return st;
}

/* Clips without a text: one request for all of them, or one each where each has something else to follow. */
static mg_status add_unconditional(mg_request_list *list, const mg_generate_settings *s, bool one_each)
{
    if (s->n_unconditional <= 0) return MG_OK;
    if (!one_each)
        return add(list, "option --unconditional", NULL, NULL, s->n_unconditional * s->n_per_prompt);
    for (int64_t i = 0; i < s->n_unconditional; i++)
        MG_RETURN(add(list, "option --unconditional", NULL, NULL, -1));
    return MG_OK;
}

/* An option that is given once for all requests, or once for each: in those that say nothing themselves. */
typedef struct followed {
    const char *name;
    const mg_strings *given;
    size_t offset;
} followed;

static mg_status spread(mg_request_list *list, const followed *f)
{
    char where[64];

    if (f->given->n == 0) return MG_OK;
    if (f->given->n != 1 && f->given->n != list->n)
        return mg_fail(MG_EUSAGE,
                       "option --%s: given %lld times for %lld prompts; give it once, or once for each",
                       f->name, (long long)f->given->n, (long long)list->n);
    snprintf(where, sizeof where, "option --%s", f->name);
    for (int64_t i = 0; i < f->given->n; i++) MG_RETURN(mg_prompt_check(where, f->given->item[i]));
    for (int64_t i = 0; i < list->n; i++) {
        char **field = (char **)(void *)((char *)&list->request[i] + f->offset);
        if (*field) continue;
        *field = strdup(f->given->item[f->given->n == 1 ? 0 : i]);
        if (!*field) return mg_fail(MG_ENOMEM, "%s: no memory", where);
    }
    return MG_OK;
}

mg_status mg_requests_read(mg_request_list *list, const mg_generate_settings *s)
{
    const followed all[] = {
        {"negative-prompt", &s->negative_prompts, offsetof(mg_request, negative_prompt)},
        {"audio-prompt", &s->audio_prompts, offsetof(mg_request, audio_prompt)},
        {"melody", &s->melodies, offsetof(mg_request, melody)},
        {"text-states", &s->text_states, offsetof(mg_request, text_states)},
    };
    enum { N_ALL = sizeof all / sizeof *all };
    int64_t n_most = 0;

    for (int i = 0; i < N_ALL; i++)
        if (all[i].given->n > n_most) n_most = all[i].given->n;
    for (int64_t i = 0; i < s->prompts.n; i++) {
        MG_RETURN(mg_prompt_check("option --prompt", s->prompts.item[i]));
        MG_RETURN(add(list, "option --prompt", s->prompts.item[i], NULL, -1));
    }
    if (s->prompts_file) MG_RETURN(mg_request_list_load(list, s->prompts_file));
    for (int64_t i = 0; i < s->prompt_files.n; i++) MG_RETURN(add_prompt_file(list, s->prompt_files.item[i]));
    if (s->request) MG_RETURN(mg_request_list_append(list, s->request));
    MG_RETURN(add_unconditional(list, s, n_most > 1));
    if (list->n == 0 && s->prompts_file)
        return mg_fail(MG_EUSAGE, "option --prompts: %s: holds no prompt", s->prompts_file);
    if (list->n == 0) /* something to follow, and no words */
        for (int64_t i = 0; i < n_most; i++) MG_RETURN(add(list, "", NULL, NULL, -1));
    for (int64_t i = 0; i < list->n; i++) {
        char **where = &list->request[i].where;
        if (!*where && !(*where = strdup("request"))) return mg_fail(MG_ENOMEM, "requests: no memory");
    }
    for (int i = 0; i < N_ALL; i++) MG_RETURN(spread(list, &all[i]));
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

mg_status mg_requests_probe(mg_request_files *files, const mg_request *r)
{
    mg_audio_info info;

    *files = (mg_request_files){0};
    if (r->text_states && *r->text_states)
        MG_RETURN(mg_text_states_probe(&files->states_S, &files->states_d, r->text_states));
    if (r->melody && *r->melody) MG_RETURN(mg_audio_file_probe(&info, r->melody));
    if (!r->audio_prompt || !*r->audio_prompt) return MG_OK;
    if (mg_npy_is_named(r->audio_prompt)) return probe_codes(files, r->audio_prompt);
    MG_RETURN(mg_audio_file_probe(&info, r->audio_prompt));
    files->prompt_n_frames = info.n_frames;
    files->prompt_n_channels = info.n_channels;
    files->prompt_rate_hz = info.rate_hz;
    return MG_OK;
}

/* The list as text, and back. */
static mg_status share_list(mg_clip_list *list, const mg_world *w)
{
    call_head head = {.seed = (int64_t)list->seed};
    char *text = NULL;
    mg_status st = MG_OK;

    if (w->rank == 0) st = mg_request_list_print(&text, &head.n_bytes, &list->requests);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_comm_bcast(w->all, &head, HEAD_INTS, MG_I64, 0));
    if (w->rank > 0) text = malloc((size_t)head.n_bytes + 1);
    MG_TRY(mg_comm_agree(w->all, text ? MG_OK : mg_fail(MG_ENOMEM, "requests: no memory")));
    MG_TRY(mg_comm_bcast(w->all, text, head.n_bytes, MG_U8, 0));
    list->seed = (uint64_t)head.seed;
    if (w->rank > 0) st = mg_request_list_parse(&list->requests, "requests", text, head.n_bytes);
    st = mg_comm_agree(w->all, st);
done:
    free(text);
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
