/* MusicGen's language model, this rank's tensor-parallel part of it. Spec: docs/MODEL.md §LM (transformers'
 * MusicgenForCausalLM and MusicgenMelodyForCausalLM). Written once, in the order of the maths.
 *
 * One forward pass takes a flat list of tokens: one column of K codes each, with its own sequence (a row of
 * the KV cache) and position. So a step over clips of different lengths, and a prompt's many columns at once,
 * are one thing. A text comes in by cross-attention (set_text), or, in a melody model, stands with the melody
 * before the columns of its sequence (set_prefix).
 *
 * Under tensor parallelism rank r of T owns heads and feed-forward rows [r/T, (r+1)/T): Q, K, V, fc1 and the
 * output heads by rows, the out projections and fc2 by columns, completed by the ordered all-reduce: three a
 * layer. */
#ifndef MG_LM_H
#define MG_LM_H

#include "comm.h"
#include "config.h"
#include "weights.h"

typedef struct mg_lm mg_lm;

/* What a run may ask for: sizes of the KV cache and of the activations. */
typedef struct mg_lm_limits {
    int64_t n_rows;   /* sequences at once: two a clip under guidance, three under double guidance */
    int64_t n_texts;  /* texts at once: one a clip, two with a negative one */
    int64_t n_tokens; /* tokens of one forward pass */
    int64_t n_logits; /* tokens of one that asks for logits */
    int64_t T_max;    /* positions of a sequence: its prefix and its columns */
    int64_t S_max;    /* tokens of a text */
} mg_lm_limits;

/* The tokens of one forward pass. Tokens with a text come first: [0, n_with_text). Host arrays. */
typedef struct mg_lm_batch {
    int64_t n_tokens, n_with_text;
    const int32_t *ids; /* [n_tokens, K], PAD = V */
    const int32_t *row; /* [n_tokens]: sequence */
    const int32_t
        *position;       /* [n_tokens]: prefix + column, 0 = start; each once and ascending in a sequence */
    const int32_t *text; /* [n_with_text]: which text it attends */
} mg_lm_batch;

/* Formats of the blocks' and the heads' matrices, and of the KV caches. Embeddings, positions, norms and the
 * projections of text and melody are fp32. */
typedef struct mg_lm_formats {
    mg_format weights, kv;
} mg_lm_formats;

/* Survey or load, by what w->arena is. *out is made on the first call (set it to NULL before) and kept on the
 * second; a call that fails closes it and sets it to NULL. `comm` is borrowed; its space is that of w->ops.
 * MG_EUSAGE if tp does not divide heads and widths. */
mg_status mg_lm_load(mg_lm **out, const mg_lm_config *config, mg_lm_formats formats, mg_comm *comm,
                     mg_weights *w);
void mg_lm_close(mg_lm *lm);

mg_status mg_lm_reserve(mg_lm *lm, mg_arena *run, const mg_lm_limits *limits);

/* Positions that the table has: of a prefix and its columns together. */
int64_t mg_lm_max_positions(const mg_lm *lm);

/* Positions before column 0 in a sequence with a text of S tokens: 0 but for melody models. */
int64_t mg_lm_prefix_length(const mg_lm_config *config, int64_t S);

/* table [n_positions, D] in host memory: row p is cos(p w_i), then sin(p w_i), in fp32 and in transformers'
 * order of operations: what a checkpoint without a position table gets. */
void mg_lm_positions(float *table, int64_t n_positions, int64_t D);

/* The projection of a text alone, [S, D] fp32 in the reserved room, good until the next set_text: tests look
 * at it. Without enc_to_dec_proj it is `states` itself. */
mg_status mg_lm_project(mg_lm *lm, mg_tensor *projected, const mg_tensor *states);

/* Set text `text`: project states [S, d_text] (backend memory, the same on every rank) and keep each layer's
 * cross-attention keys and values. Collective only in that every rank must do it. Not for melody models. */
mg_status mg_lm_set_text(mg_lm *lm, int64_t text, const mg_tensor *states);

/* Melody models: what stands before the columns of sequence `row`. First chroma_length frames of melody: bins
 * [n_bins] (host), repeated or cut to that length; NULL is the null melody, all bin 0. Then S >= 1 rows of
 * text: states [at most S, d_text] (backend memory), projected, and rows of zeros behind it; NULL: all zeros.
 * Collective. */
mg_status mg_lm_set_prefix(mg_lm *lm, int64_t row, const int32_t *bins, int64_t n_bins,
                           const mg_tensor *states, int64_t S);

/* logits_host [n_tokens, K, V] fp32 for every token, the same bits on every rank. NULL: none are wanted, only
 * the keys and values that the tokens leave (an audio prompt's columns). Collective. */
mg_status mg_lm_forward(mg_lm *lm, const mg_lm_batch *batch, float *logits_host);

#endif
