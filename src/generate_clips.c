/* From the command line to the list of clips, the same on every rank. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "generate.h"
#include "log.h"
#include "rng.h"
#include "tokenizer.h"

#define DEFAULT_DURATION_S 30.0 /* AudioCraft's */

/* What rank 0 tells the others before the texts. */
typedef struct call_head {
    int64_t n_prompts, n_bytes, seed;
} call_head;

enum { HEAD_INTS = sizeof(call_head) / sizeof(int64_t) };

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

static mg_status read_prompts(mg_prompt_list *list, const mg_generate_settings *settings)
{
    for (int64_t i = 0; i < settings->prompts.n; i++)
        MG_RETURN(mg_prompt_list_append(list, "option --prompt", settings->prompts.item[i]));
    if (settings->prompts_file) MG_RETURN(mg_prompt_list_load(list, settings->prompts_file));
    if (list->n == 0 && settings->n_unconditional <= 0)
        return mg_fail(MG_EUSAGE, "option --prompts: %s: holds no prompt", settings->prompts_file);
    return MG_OK;
}

/* All texts one behind the other, each with its NUL. */
static char *join_prompts(const mg_prompt_list *list, int64_t *n_bytes)
{
    char *text, *p;

    *n_bytes = 0;
    for (int64_t i = 0; i < list->n; i++) *n_bytes += (int64_t)strlen(list->text[i]) + 1;
    text = p = malloc((size_t)*n_bytes + 1);
    for (int64_t i = 0; text && i < list->n; i++) p = stpcpy(p, list->text[i]) + 1;
    return text;
}

/* Rank 0's prompts and seed to everybody. Agreed. */
static mg_status share_call(mg_prompt_list *list, int64_t *seed, const mg_world *w)
{
    call_head head = {.n_prompts = list->n, .seed = *seed};
    mg_status st = MG_OK;
    char *text = w->rank == 0 ? join_prompts(list, &head.n_bytes) : NULL;

    MG_TRY(mg_comm_bcast(w->all, &head, HEAD_INTS, MG_I64, 0));
    if (w->rank > 0) text = malloc((size_t)head.n_bytes + 1);
    MG_TRY(mg_comm_agree(w->all, text ? MG_OK : mg_fail(MG_ENOMEM, "prompts: no memory")));
    MG_TRY(mg_comm_bcast(w->all, text, head.n_bytes, MG_U8, 0));
    *seed = head.seed;
    for (const char *p = text; w->rank > 0 && list->n < head.n_prompts && st == MG_OK; p += strlen(p) + 1)
        st = mg_prompt_list_append(list, "prompt", p);
    st = mg_comm_agree(w->all, st);
done:
    free(text);
    return st;
}

mg_status mg_clip_list_open(mg_clip_list *list, const mg_generate_settings *settings, const mg_world *world)
{
    int64_t seed = settings->seed;
    mg_status st = MG_OK;

    *list = (mg_clip_list){0};
    if (world->rank == 0) {
        st = read_prompts(&list->prompts, settings);
        if (st == MG_OK && seed < 0) st = draw_seed(&seed);
    }
    MG_TRY(mg_comm_agree(world->all, st));
    if (world->size > 1) MG_TRY(share_call(&list->prompts, &seed, world));
    list->seed = (uint64_t)seed;
    list->n_with_prompt = list->prompts.n;
    list->n = list->prompts.n + (settings->n_unconditional > 0 ? settings->n_unconditional : 0);
    list->clip = calloc((size_t)list->n, sizeof *list->clip);
    MG_TRY(mg_comm_agree(world->all,
                         list->clip ? MG_OK
                                    : mg_fail(MG_ENOMEM, "clips: no memory for %lld", (long long)list->n)));
    for (int64_t i = 0; i < list->n; i++) {
        mg_clip *c = &list->clip[i];
        c->index = i;
        c->prompt = i < list->n_with_prompt ? list->prompts.text[i] : "";
        c->seed = (list->seed + (uint64_t)i) % MG_SEED_LIMIT;
    }
done:
    if (st != MG_OK) mg_clip_list_close(list);
    return st;
}

void mg_clip_list_close(mg_clip_list *list)
{
    for (int64_t i = 0; list->clip && i < list->n; i++) free(list->clip[i].ids);
    free(list->clip);
    mg_prompt_list_close(&list->prompts);
    *list = (mg_clip_list){0};
}

bool mg_clip_list_has_text(const mg_clip_list *list)
{
    for (int64_t i = 0; i < list->n; i++)
        if (*list->clip[i].prompt) return true;
    return false;
}

/* AudioCraft's int(duration * frame_rate), in doubles: 8.2 s at 50 a second are 409 frames. */
static mg_status count_frames(int64_t *T, const mg_generate_settings *settings, const mg_config *config)
{
    const double dur_s = isnan(settings->dur_s) ? DEFAULT_DURATION_S : settings->dur_s;

    *T = settings->n_frames > 0 ? settings->n_frames : (int64_t)(dur_s * (double)config->codec.frame_rate);
    if (*T >= 1) return MG_OK;
    return mg_fail(MG_EUSAGE, "option --duration: %g: shorter than one frame, %g s", dur_s,
                   1.0 / (double)config->codec.frame_rate);
}

static mg_status encode(mg_clip *c, const mg_tokenizer *t, const mg_config *config, const char *path)
{
    MG_RETURN(mg_tokenizer_encode(t, c->prompt, &c->ids, &c->S));
    for (int64_t s = 0; s < c->S; s++)
        if (c->ids[s] < 0 || c->ids[s] >= config->t5.vocab_size)
            return mg_fail(MG_ECHECKPOINT, "tokenizer: %s: gives token %d, and the text encoder has %lld",
                           path, c->ids[s], (long long)config->t5.vocab_size);
    return MG_OK;
}

mg_status mg_clip_list_fill(mg_clip_list *list, const mg_generate_settings *settings,
                            const mg_model_files *files)
{
    const mg_config *config = &files->config;
    mg_tokenizer *tokenizer = NULL;
    mg_status st = MG_OK;
    int64_t T;

    MG_TRY(count_frames(&T, settings, config));
    if (mg_clip_list_has_text(list)) MG_TRY(mg_tokenizer_open(&tokenizer, files->tokenizer));
    for (int64_t i = 0; i < list->n; i++) {
        mg_clip *c = &list->clip[i];
        c->T = T;
        c->guidance = settings->cfg_coef;
        c->sampling = (mg_sampling){
            .greedy = settings->greedy,
            .rules = MG_RULES_AUDIOCRAFT,
            .top_k = settings->top_k,
            .top_p = settings->top_p,
            .temperature = settings->temperature,
        };
        if (*c->prompt) MG_TRY(encode(c, tokenizer, config, files->tokenizer));
    }
done:
    mg_tokenizer_close(tokenizer);
    return st;
}
