/* Inside of EnCodec: the layers of a half (the decoder or the encoder), which rows of each a stretch needs,
 * and the flow of a clip through them. Both halves are layers, an LSTM over codec frames, and layers. */
#ifndef MG_ENCODEC_IMPL_H
#define MG_ENCODEC_IMPL_H

#include "encodec.h"

/* Rows [first, end) of a layer, counted from the beginning of the clip. */
typedef struct mg_span {
    int64_t first, end;
} mg_span;

typedef struct mg_encodec_conv {
    mg_conv conv;
    mg_tensor bias; /* [c_out] */
} mg_encodec_conv;

typedef enum mg_encodec_kind {
    MG_LAYER_CONV,     /* y = a(pad(act(x))), strided where the encoder goes down */
    MG_LAYER_UP,       /* y = cut(convT(ELU(x))) */
    MG_LAYER_RESIDUAL, /* y = x + b(ELU(a(pad(ELU(x))))) */
} mg_encodec_kind;

typedef struct mg_encodec_layer {
    mg_encodec_kind kind;
    mg_act act;           /* of MG_LAYER_CONV: none before the first one, else ELU */
    mg_encodec_conv a, b; /* b: MG_LAYER_RESIDUAL alone */
    int64_t N_in, N_out;  /* rows of x and y in the whole clip at hand */
    mg_span in, out;      /* of x and y, for the stretch at hand */
} mg_encodec_layer;

typedef struct mg_encodec_lstm {
    mg_matrix w_ih, w_hh; /* [4C,C] */
    mg_tensor bias;       /* [4C] */
} mg_encodec_lstm;

typedef struct mg_encodec_half {
    bool is_there;
    mg_encodec_layer *layers;   /* [n_layers]; those from n_before on come after the LSTM */
    int64_t n_layers, n_before; /* n_before > 0, n_layers > n_before */
    mg_encodec_lstm *lstm;      /* [n_lstm_layers] */
} mg_encodec_half;

/* Rows [first, …) of a layer, in one of the buffers. */
typedef struct mg_encodec_rows {
    mg_tensor t; /* [N,C] */
    int64_t first;
} mg_encodec_rows;

/* How far a clip is on its way through a half. */
typedef struct mg_encodec_clip {
    int64_t N_out, n;     /* rows of the last layer's output: of the whole clip; that are written */
    mg_encodec_rows rows; /* of the LSTM, those that layers still need: in window[i_window] */
    int i_window;
} mg_encodec_clip;

struct mg_encodec {
    mg_codec_config config;
    const mg_ops *ops; /* borrowed */
    int64_t C;         /* width of the LSTM */
    mg_encodec_half decoder, encoder;
    mg_tensor tables;    /* [K,V,hidden_size] */
    mg_matrix *codebook; /* [K], each [V,hidden_size]: the tables again, for products; encoder */
    mg_tensor norms;     /* [K,V]: |code vector|²; encoder */

    int64_t stretch;       /* codec frames that the layers take at once; set before reserve */
    int64_t block;         /* rows that the LSTM takes at once, of each clip; likewise */
    int64_t n_at_once;     /* clips that go through the LSTM together */
    int64_t n_window;      /* rows of a clip in a window */
    mg_encodec_clip *clip; /* [n_at_once] */
    mg_tensor x;           /* flat [rows,C]: into the LSTM, one clip behind the other */
    mg_tensor window[2];   /* [n_at_once*n_window,C]: out of it, of each clip those that layers still need; in
                              turns */
    mg_tensor gates;       /* flat [rows,4C] */
    mg_tensor state;       /* [n_lstm_layers*n_at_once,2,C] */
    mg_tensor sound;       /* flat: the rows of the layer at hand, the LSTM's too */
    mg_tensor padded;      /* flat: what its convolution reads */
    mg_tensor hidden;      /* flat: between a residual unit's two convolutions; distances to code vectors */
    mg_tensor ids;         /* flat int32: codes of a stretch, of all codebooks */
    void *stretch_host;    /* samples or codes of a stretch; of stretch_bytes */
    size_t stretch_bytes;
    bool heeds_stop;
};

/* mg_encodec_decode of n channels of one sound, as mg_encodec_decode_live does it. */
mg_status mg_encodec_decode_pieces(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes,
                                   int64_t n, const mg_encodec_listener *l);

/* MG_EFAIL names the first code that the codec has not. */
mg_status mg_encodec_check(const mg_encodec *c, const mg_encodec_codes *codes);

/* Load or survey the layers of a half, its LSTM and, for the encoder, the codebooks' other form. */
mg_status mg_encodec_load_decoder(mg_encodec *c, mg_weights *w);
mg_status mg_encodec_load_encoder(mg_encodec *c, mg_weights *w);

/* Rows of zeros or reflection on the left side, and on the right of an input of N rows: PyTorch-style "same",
 * the odd one on the left, and on the right what a stride needs to reach the last row. */
int64_t mg_encodec_pad_left(const mg_conv *c);
int64_t mg_encodec_pad_right(const mg_conv *c, int64_t N);

/* Rows of input under output rows `out`, counted in the unpadded input: they may begin below 0 and end past
 * N. */
mg_span mg_encodec_under(const mg_conv *c, mg_span out);

/* Rows that the transposed convolution makes before the first one that is kept. */
int64_t mg_encodec_cut_left(const mg_conv *c);

/* Set every layer's N_in and N_out, for a clip whose first layer reads N rows. */
void mg_encodec_measure(mg_encodec_half *half, int64_t N);

/* Set `in` and `out` of layers [first, end) so that rows `want` of the last of them can be made. */
void mg_encodec_plan(mg_encodec_half *half, int64_t first, int64_t end, mg_span want);

/* The first N * C values of a flat buffer, as [N,C]; MG_EBUG if it has not that many. */
mg_status mg_encodec_view(mg_tensor *out, const mg_tensor *flat, int64_t N, int64_t C);

/* The way of clips through a half. `read` fills x, rows [rows.first, rows.end) of the first layer's input of
 * clip i. `write` takes such rows of the last one's output, in order, each once. */
typedef struct mg_encodec_flow {
    mg_encodec_half *half;
    int64_t step;                                  /* rows of the last one's output at once */
    int64_t block;                                 /* rows that the LSTM takes at once, at least */
    int64_t (*length)(const void *arg, int64_t i); /* rows of the first layer's input */
    mg_status (*read)(mg_encodec *c, void *arg, int64_t i, mg_tensor *x, mg_span rows);
    mg_status (*write)(mg_encodec *c, void *arg, int64_t i, const mg_tensor *y, mg_span rows);
    void *arg;
} mg_encodec_flow;

/* Of n clips, n_at_once at a time. */
mg_status mg_encodec_run(mg_encodec *c, const mg_encodec_flow *flow, int64_t n);

/* The encoder without the codebooks, for tests: latents_host [frames,hidden_size]. */
mg_status mg_encodec_latents(mg_encodec *c, float *latents_host, const mg_encodec_pcm *pcm);

#endif
