/* Inside of the language model: its weights, caches and buffers. For lm_load.c, lm_reserve.c, lm_forward.c,
 * lm_prefix.c. */
#ifndef MG_LM_IMPL_H
#define MG_LM_IMPL_H

#include "lm.h"

/* H, F and KV below are this rank's part of the whole model's; E = D / heads. */
typedef struct mg_lm_layer {
    mg_tensor self_gamma, self_beta, cross_gamma, cross_beta, ff_gamma, ff_beta; /* [D] */
    mg_matrix qkv;                                                               /* [3HE,D] */
    mg_matrix out;                                                               /* [D,HE], columns */
    mg_matrix cross_q;                                                           /* [HE,D] */
    mg_matrix cross_kv;                                                          /* [2HE,D] */
    mg_matrix cross_out;                                                         /* [D,HE], columns */
    mg_matrix fc1;                                                               /* [F,D] */
    mg_matrix fc2;                                                               /* [D,F], columns */
    mg_kv self, cross;                                                           /* rows: sequences; texts */
} mg_lm_layer;

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
    mg_lm_layer *layers;                             /* [L] */

    mg_lm_limits limits;
    int32_t *n_text_tokens;                           /* [n_texts] host; 0: not set */
    int32_t *counts_host;                             /* [max(n_tokens, S_max)] host staging */
    mg_tensor ids;                                    /* [n_tokens,K] int32 */
    mg_tensor row, column, n_keys, text, n_text_keys; /* [n_tokens] int32 */
    mg_tensor text_row, text_column;                  /* [S_max] int32 */
    mg_tensor x, a, partial; /* [n_tokens,D]: the residual stream; its norm; a product before its sum */
    mg_tensor qkv;           /* [n_tokens,3HE] */
    mg_tensor mixed;         /* [n_tokens,HE] */
    mg_tensor ff;            /* [n_tokens,F] */
    mg_tensor logits;        /* [n_logits,KV] */
    mg_tensor gathered;      /* [tp,n_logits,KV], if tp > 1 */
    mg_tensor projected;     /* [S_max,D] */
    mg_tensor text_kv;       /* [S_max,2HE] */
    mg_tensor onehot;        /* [chroma_length,n_chroma], melody models */
    mg_tensor prefix;        /* [chroma_length + S_max,D], melody models */
    float *prefix_host;      /* host staging: [chroma_length,n_chroma], melody models */
    int32_t *places_host;    /* host staging: [2,n_tokens] rows and positions of a prefix */
};

/* The tokens of a forward pass that stand in x: through all layers, and the caches. `n_with_text` come first.
 * row, column, n_keys, text and n_text_keys are uploaded. Without `to_the_end` the last layer only leaves its
 * keys and values: enough where no logits are wanted, and x is then not the last layer's. */
mg_status mg_lm_run_layers(mg_lm *lm, mg_tensor *x, int64_t n_with_text, bool to_the_end);

/* Upload which sequences and positions N tokens have. */
mg_status mg_lm_place_tokens(mg_lm *lm, const int32_t *row, const int32_t *position, int64_t N);

#endif
