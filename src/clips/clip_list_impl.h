/* What clip_list_requests.c, clip_list.c and clip_list_fill.c share. */
#ifndef MG_CLIP_LIST_IMPL_H
#define MG_CLIP_LIST_IMPL_H

#include "clip_list.h"
#include "tokenizer.h"

/* What rank 0 found in the files that a request names, for every rank: integers only, for they are broadcast.
 * Zero where nothing is named. */
typedef struct mg_request_files {
    int64_t prompt_n_frames, prompt_n_channels, prompt_rate_hz; /* an audio prompt that is sound */
    int64_t codes_K, codes_T, codes_low, codes_high;            /* or codes */
    int64_t melody_n_frames, melody_rate_hz;
    int64_t states_S, states_d;
    int64_t refused; /* mg_status: one of them cannot be used */
} mg_request_files;

enum { MG_REQUEST_FILES_INTS = sizeof(mg_request_files) / sizeof(int64_t) };

/* What the leader's tokenizer made of a request, for its group: integers only. */
typedef struct mg_request_tokens {
    int64_t S, S_negative;
    int64_t refused; /* mg_status */
} mg_request_tokens;

typedef struct mg_request_state {
    mg_request_files files;
    uint64_t own;            /* what it said itself: mg_recipe.said, before the call's was added */
    int64_t i_clip, n_clips; /* its clips in the list */
    mg_request_tokens tokens;
    int32_t *ids, *negative_ids; /* [S], [S_negative] on a leader, which its clips borrow */
    mg_status refused;           /* MG_OK: not */
    char *why;                   /* on the ranks that know; NULL once it was said */
} mg_request_state;

/* Rank 0: all requests of the call, in order. They include the options that are given once for all or once
 * for each. MG_EUSAGE if they do not go together, or there is nothing. */
mg_status mg_requests_read(mg_request_list *list, const mg_call *call);

/* Rank 0: look into the files that a request names. MG_EFAIL: it cannot be made. */
mg_status mg_requests_probe(mg_request_files *files, const mg_recipe *r);

/* Rank 0's requests, their files and the seed to everybody; the texts to the leaders alone. Collective and
 * agreed. */
mg_status mg_requests_share(mg_clip_list *list, const mg_world *w);

/* A leader: the tokens of a request's texts. `tokenizer` may be NULL if no clip has a text. */
mg_status mg_request_encode(mg_request_state *state, const mg_recipe *q, const mg_replica *replica,
                            const mg_tokenizer *tokenizer);

/* The clip that a request stands for, in the list but for index and seed; the recipe gets what the checkpoint
 * and the rules say. MG_EUSAGE or MG_EFAIL if the model cannot make it. */
mg_status mg_request_fill(mg_clip *c, mg_recipe *q, const mg_request_state *state, const mg_call *call,
                          const mg_replica *replica);

/* Do titles or first words name the files, where no id does? Else numbers do. */
static inline bool mg_clip_list_is_by_title(const mg_call *call)
{
    return call->naming == MG_NAMING_TITLE || (call->naming < 0 && call->prompt_files.n > 0);
}

/* One more than the highest number that names a file in the folder. */
mg_status mg_clip_list_find_start(int64_t *start, const char *folder);

#endif
