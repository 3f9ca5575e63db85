/* Inside of the language model: its weights, its caches and the buffers of a run, apart from each other. */
#ifndef MG_LM_IMPL_H
#define MG_LM_IMPL_H

#include "lm.h"

/* H, F and KV below are this rank's part of the whole model's; E = D / heads. */

/* A layer's weights, and nothing else: they lie one behind the other in the arena. */
typedef struct mg_lm_layer {
    mg_tensor self_gamma, self_beta, cross_gamma, cross_beta, ff_gamma, ff_beta; /* [D] */
    mg_matrix qkv;                                                               /* [3HE,D] */
    mg_matrix out;                                                               /* [D,HE], columns */
    mg_matrix cross_q;                                                           /* [HE,D] */
    mg_matrix cross_kv;  /* [2HE,D]; only a text needs it, no step does */
    mg_matrix cross_out; /* [D,HE], columns */
    mg_matrix fc1;       /* [F,D] */
    mg_matrix fc2;       /* [D,F], columns */
} mg_lm_layer;

typedef struct mg_lm_stream mg_lm_stream; /* lm_stream.c */

/* A layer's keys and values. */
typedef struct mg_lm_cache {
    mg_kv self;  /* rows: sequences */
    mg_kv cross; /* rows: texts */
} mg_lm_cache;

/* What goes to the backend in one upload before a step. N = max(n_tokens, S_max). */
typedef struct mg_lm_inputs {
    mg_draw *draws;                                        /* [n_slots K] */
    int32_t *cells;                                        /* [N,K] */
    int32_t *row, *position, *n_keys, *text, *n_text_keys; /* [N] */
} mg_lm_inputs;

struct mg_lm {
    mg_lm_config config; /* the whole model */
    mg_lm_formats formats;
    const mg_ops *ops;    /* borrowed */
    mg_comm *comm;        /* borrowed */
    int64_t H, E, F, KV;  /* this rank's heads, their width, feed-forward rows, rows of the output heads */
    mg_tensor embeddings; /* [K,V+1,D] */
    mg_tensor positions;  /* [P,D] */
    mg_matrix project;    /* [D,d_text] fp32, if config.project_text */
    mg_tensor project_bias, final_gamma, final_beta; /* [D] */
    mg_matrix chroma;                                /* [D,n_chroma] fp32, if config.n_chroma */
    mg_tensor chroma_bias;                           /* [D] */
    mg_matrix heads;                                 /* [KV,D] */
    mg_lm_layer *layers;                             /* [L - n_outside] */
    mg_lm_layer_size layer;
    int64_t *source_bytes;         /* [L] of this rank's part of each in the checkpoint */
    int64_t n_outside, n_unpinned; /* last layers that are not in `layers` … */
    mg_lm_stream *stream;          /* … but come by this; NULL: there are none */

    mg_lm_limits limits;
    mg_lm_cache *caches;    /* [L] */
    int32_t *n_text_tokens; /* [n_texts] host; 0: not set */
    int64_t n_logits;       /* tokens whose logits the last step left */

    void *inputs, *inputs_host; /* one block each, of inputs_bytes */
    size_t inputs_bytes;
    mg_lm_inputs in, in_host; /* pieces of the two blocks; those of `in` are in the backend's memory */

    mg_tensor codes;         /* [n_slots,K,n_frames] int32 */
    mg_tensor ids;           /* [n_tokens,K] int32 */
    mg_tensor x, a, partial; /* [n_tokens,D]: the residual stream; its norm; a product before its sum */
    mg_tensor qkv;           /* [n_tokens,3HE] */
    mg_tensor mixed;         /* [n_tokens,HE] */
    mg_tensor ff;            /* [n_tokens,F] */
    mg_tensor logits;        /* [n_logits,KV] */
    mg_tensor gathered;      /* [tp,n_logits,KV], if tp > 1 */
    mg_tensor states;        /* [S_max,d_text] */
    mg_tensor projected;     /* [S_max,D] */
    mg_tensor text_kv;       /* [S_max,2HE] */
    mg_tensor onehot;        /* [chroma_length,n_chroma], melody models: rows of sound */
    mg_tensor prefix;        /* [chroma_length + S_max,D], melody models */
    float *onehot_host;      /* [chroma_length,n_chroma], melody models */
};

/* Which of a layer's weights: those of steps, and cross_kv. */
enum { MG_LM_OF_STEPS = 1, MG_LM_OF_TEXTS = 2 };

/* Those of layer l's weights, into w->arena. */
typedef mg_status mg_lm_load_fn(mg_lm *lm, mg_weights *w, int64_t l, int which, mg_lm_layer *layer);

/* The layers outside, in their order and from the first one again: each pass begins, behind its inputs; enter
 * waits for what steps need of the next one, which stays until leave. `get_text` has layer l's cross_kv,
 * until its next call. */
mg_status mg_lm_stream_open(mg_lm *lm, mg_weights *w, mg_lm_load_fn *load);
void mg_lm_stream_close(mg_lm_stream *s);
mg_status mg_lm_stream_begin(mg_lm_stream *s);
mg_status mg_lm_stream_enter(mg_lm_stream *s, const mg_lm_layer **out);
mg_status mg_lm_stream_leave(mg_lm_stream *s);
mg_status mg_lm_stream_get_text(mg_lm_stream *s, int64_t l, const mg_lm_layer **out);

/* The tokens of a forward pass that stand in x: through all layers, and the caches. `n_with_text` come first.
 * Rows, positions, texts and numbers of keys are uploaded. Without `to_the_end` the last layer only leaves
 * its keys and values: enough where no logits are wanted, and x is then not the last layer's. */
mg_status mg_lm_run_layers(mg_lm *lm, mg_tensor *x, int64_t n_with_text, bool to_the_end);

/* The logits of the tokens that stand in x, of all ranks: [tp,N,KV]. */
mg_status mg_lm_run_heads(mg_lm *lm, mg_tensor *logits, const mg_tensor *x);

/* The projection of S rows of text states, a view that the next call overwrites. */
mg_status mg_lm_run_projection(mg_lm *lm, mg_tensor *projected, const float *states_host, int64_t S);

/* in_host to in. */
mg_status mg_lm_upload_inputs(mg_lm *lm);

#endif
