/* Inside of the EnCodec decoder: its layers, and which rows of each a stretch of sound needs. */
#ifndef MG_ENCODEC_PARTS_H
#define MG_ENCODEC_PARTS_H

#include "encodec.h"

/* Rows [first, end) of a layer, counted from the beginning of the clip. */
typedef struct mg_span {
    int64_t first, end;
} mg_span;

typedef struct mg_encodec_conv {
    mg_conv conv;
    mg_tensor bias; /* [c_out] */
} mg_encodec_conv;

/* Rows of LSTM gates at once: enough for a good product, little enough to stay in the cache. */
enum { MG_LSTM_ROWS = 256 };

/* What follows the LSTM: for each ratio an upsampling and its residual units, then the last convolution. */
typedef enum mg_encodec_kind {
    MG_LAYER_UP,       /* y = cut(convT(ELU(x))) */
    MG_LAYER_RESIDUAL, /* y = x + b(ELU(a(pad(ELU(x))))) */
    MG_LAYER_LAST,     /* y = a(pad(ELU(x))) */
} mg_encodec_kind;

typedef struct mg_encodec_layer {
    mg_encodec_kind kind;
    mg_encodec_conv a, b; /* b: MG_LAYER_RESIDUAL alone */
    int64_t rate_in;      /* rows of x per codec frame */
    int64_t rate_out;     /* rows of y per codec frame */
    mg_span in, out;      /* of x and y, for the stretch at hand */
} mg_encodec_layer;

typedef struct mg_encodec_lstm {
    mg_matrix w_ih, w_hh; /* [4C,C] */
    mg_tensor bias;       /* [4C] */
} mg_encodec_lstm;

struct mg_encodec {
    mg_codec_config config;
    const mg_ops *ops;        /* borrowed */
    int64_t C;                /* width of the LSTM */
    mg_tensor tables;         /* [K,V,hidden_size] */
    mg_encodec_conv first;    /* hidden_size -> C */
    mg_encodec_lstm *lstm;    /* [n_lstm_layers] */
    mg_encodec_layer *layers; /* [n_layers] */
    int64_t n_layers;
    int64_t stretch;   /* codec frames that are decoded at once; set before reserve */
    int64_t T_max;     /* codec frames that there is room for */
    mg_tensor ids;     /* [T_max,K] int32 */
    mg_tensor x, y;    /* [T_max,C] into the LSTM, and out of it */
    mg_tensor gates;   /* [MG_LSTM_ROWS at most,4C] */
    mg_tensor state;   /* [2,C] */
    mg_tensor sound;   /* flat: the rows of the layer at hand */
    mg_tensor padded;  /* flat: what its convolution reads */
    mg_tensor hidden;  /* flat: between a residual unit's two convolutions */
    int32_t *ids_host; /* [T_max,K] */
    float *zero_host;  /* [2,C] */
};

/* Rows of zeros or reflection on each side: PyTorch-style "same", the odd one on the left. */
int64_t mg_encodec_pad_left(const mg_conv *c);
int64_t mg_encodec_pad_right(const mg_conv *c);

/* Rows that the transposed convolution makes before the first one that is kept. */
int64_t mg_encodec_cut_left(const mg_conv *c);

/* Set every layer's `in` and `out` so that rows [want.first, want.end) of the sound can be made, in a clip of
 * T codec frames. */
void mg_encodec_plan(mg_encodec *c, int64_t T, mg_span want);

#endif
