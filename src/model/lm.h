/* MusicGen's language model, this rank's tensor-parallel part of it. Spec: docs/MODEL.md §LM (transformers'
 * MusicgenForCausalLM and MusicgenMelodyForCausalLM). Written once, in the order of the maths.
 *
 * One forward pass takes a flat list of tokens: one column of K codes each, with its own sequence (a row of
 * the KV cache) and position. So a step over clips of different lengths, and a prompt's many columns at once,
 * are the same call. A text comes in by cross-attention (set_text). In a melody model text and melody stand
 * before the columns of their sequence (set_prefix).
 *
 * The codes of all slots are the model's, in the backend's memory. The schedule says where a code is read and
 * where one is drawn; it never looks at a value. So the host may run steps ahead of the device. It waits once
 * a clip, or every few frames of one that is heard, in get_codes. Everything else goes between host and
 * model as host arrays.
 *
 * Under tensor parallelism rank r of T owns heads and feed-forward rows [r/T, (r+1)/T): Q, K, V, fc1 and the
 * output heads by rows, the out projections and fc2 by columns, completed by the ordered all-reduce: three a
 * layer, two in melody models. */
#ifndef MG_LM_H
#define MG_LM_H

#include "comm.h"
#include "config.h"
#include "weights.h"

typedef struct mg_lm mg_lm;

enum { MG_LM_BUFFERS = MG_FETCH_LANES }; /* for layers outside */

/* What a run may ask for: sizes of the KV cache, of the activations and of the grid of codes. */
typedef struct mg_lm_limits {
    int64_t n_rows;   /* sequences at once: two a clip under guidance, three under double guidance */
    int64_t n_texts;  /* texts at once: one a clip, two with a negative one */
    int64_t n_tokens; /* tokens of one forward pass */
    int64_t n_logits; /* tokens of one that computes logits */
    int64_t T_max;    /* positions of a sequence: its prefix and its columns */
    int64_t S_max;    /* tokens of a text */
    int64_t n_slots;  /* clips at once whose codes the model keeps */
    int64_t n_frames; /* codec frames of a clip */
} mg_lm_limits;

/* The tokens of one forward pass, in host arrays. Tokens with a text come first: [0, n_with_text). A token's
 * K codes are named by their cells (mg_lm_cell), so that the host need not know their values. */
typedef struct mg_lm_batch {
    int64_t n_tokens, n_with_text;
    bool with_logits;     /* false: the tokens only leave their keys and values (an audio prompt's columns) */
    const int32_t *cells; /* [n_tokens, K]; -1: PAD */
    const int32_t *row;   /* [n_tokens]: sequence */
    const int32_t
        *position;       /* [n_tokens]: prefix + column, 0 = start; each once and ascending in a sequence */
    const int32_t *text; /* [n_with_text]: which text it attends */
} mg_lm_batch;

/* Formats of the blocks' and the heads' matrices, and of the KV caches. Embeddings, positions, norms and the
 * projections of text and melody are fp32. With Q4 the first layer, the first feed-forward matrix of every
 * layer and the heads are Q8. */
typedef struct mg_lm_formats {
    mg_format weights, kv;
} mg_lm_formats;

/* Survey or load, by what w->arena is. With w->is_packed the weights stand in the arena already. *out is made
 * on the first call (set it to NULL before) and kept on the second; a call that fails closes it and sets it
 * to NULL. `comm` is borrowed; its space is that of w->ops. MG_EUSAGE if tp does not divide heads and widths.
 */
mg_status mg_lm_load(mg_lm **out, const mg_lm_config *config, mg_lm_formats formats, mg_comm *comm,
                     mg_weights *w);
void mg_lm_close(mg_lm *lm);

/* Between survey and load: the last n layers do not stay in the backend's memory. What steps need of each
 * comes when a step reaches it, and into one of two buffers; the matrix of a text's keys and values comes
 * when a text is set, into a third. They stand in the arena in the place of the n layers. A backend with a
 * reader reads the layers from the checkpoint, which stays open then; else packed copies of them are kept in
 * host memory, pinned as far as the host allows, and steps are not recorded. The numbers are the same. */
void mg_lm_leave_outside(mg_lm *lm, int64_t n);

/* Of one layer in the arena. */
typedef struct mg_lm_layer_size {
    int64_t all_bytes, text_bytes; /* text_bytes: what texts need of it, and no step */
} mg_lm_layer_size;

/* After a survey. */
mg_lm_layer_size mg_lm_get_layer_size(const mg_lm *lm);

/* By how much the arena is smaller with n layers outside: one does not pay. */
static inline int64_t mg_lm_outside_saves(mg_lm_layer_size layer, int64_t n)
{
    return n > 0 ? (n - MG_LM_BUFFERS) * layer.all_bytes + (MG_LM_BUFFERS - 1) * layer.text_bytes : 0;
}

/* After a survey and leave_outside: bytes of the checkpoint that a load leaves where they are, for a reader.
 */
int64_t mg_lm_unread_bytes(const mg_lm *lm);

/* Layers outside for which the host had no pinned memory. */
int64_t mg_lm_n_unpinned(const mg_lm *lm);

/* How many clips of n_frames have room beside each other in the grid of codes, whose cells are counted in 32
 * bits: 0 for one that is too long. */
int64_t mg_lm_most_slots(const mg_lm_config *config, int64_t n_frames);

mg_status mg_lm_reserve(mg_lm *lm, mg_arena *run, const mg_lm_limits *limits);

/* After load and reserve, before the first step: the backend tries its ways of making the products of steps
 * (mg_tune_products) on the layers that are in its memory. No result depends on it. Not collective. */
mg_status mg_lm_tune(mg_lm *lm);

/* Positions that the table has: of a prefix and its columns together. */
int64_t mg_lm_max_positions(const mg_lm *lm);

/* Positions before column 0 in a sequence with a text of S tokens: 0 but for melody models. n_style: rows of
 * style, where the model is of that kind. */
int64_t mg_lm_prefix_length(const mg_lm_config *config, int64_t n_style, int64_t S);

/* table [n_positions, D] in host memory: row p is cos(p w_i), then sin(p w_i), in fp32 and in transformers'
 * order of operations: what a checkpoint without a position table gets. */
void mg_lm_positions(float *table, int64_t n_positions, int64_t D);

/* Set text `text`: project states_host [S, d_text] (the same on every rank) and keep each layer's
 * cross-attention keys and values. Every rank must call it. Not for melody models. */
mg_status mg_lm_set_text(mg_lm *lm, int64_t text, const float *states_host, int64_t S);

/* Melody models: what stands before the columns of a sequence, in host memory, the same on every rank. */
typedef struct mg_lm_prefix {
    const int32_t *bins; /* [n_bins] melody, repeated or cut to chroma_length; NULL: the null melody, all 0 */
    int64_t n_bins;
    const float *style; /* [n_style, n_chroma] in its place, of a style model; NULL: rows of zeros */
    int64_t n_style;    /* 1 … chroma_length */
    const float *text;  /* states [n_states, d_text]; NULL: none */
    int64_t n_states;   /* at most S */
    int64_t S;          /* rows of text: behind the states' projections rows of zeros; at least 1 */
} mg_lm_prefix;

/* Of sequence `row`. Collective. */
mg_status mg_lm_set_prefix(mg_lm *lm, int64_t row, const mg_lm_prefix *prefix);

/* The grid of codes [n_slots, K, n_frames] is in the backend's memory. Index of a cell in it. */
int32_t mg_lm_cell(const mg_lm *lm, int64_t slot, int64_t k, int64_t frame);

/* Codes of frames [0, T) of a slot into the grid (an audio prompt), or [first, end) out of it. codes_host [K,
 * stride] has the clip's frame t at column t. get_codes is the one call of a clip that waits: until all steps
 * so far are done. */
mg_status mg_lm_put_codes(mg_lm *lm, int64_t slot, const int32_t *codes_host, int64_t stride, int64_t T);
mg_status mg_lm_get_codes(mg_lm *lm, int64_t slot, int32_t *codes_host, int64_t stride, int64_t first,
                          int64_t end);

/* One forward pass, then a code for each of draws [n_draws] (host), n_draws <= n_slots K: every rank draws
 * the same. Without with_logits there are no draws. Waits for nothing. Collective. */
mg_status mg_lm_step(mg_lm *lm, const mg_lm_batch *batch, const mg_draw *draws, int64_t n_draws);

/* logits_host [n_tokens, K, V] of the last step, which had with_logits: the same bits on every rank. Waits.
 * For tests and `verify`. */
mg_status mg_lm_logits(mg_lm *lm, float *logits_host);

#endif
