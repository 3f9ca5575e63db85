/* The language model's weights: which rows and columns of which tensors this rank keeps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lm_impl.h"

enum { NAME_SIZE = 128 };

void mg_lm_close(mg_lm *lm)
{
    if (!lm) return;
    if (lm->inputs_host) mg_step_forget(lm->ops);
    mg_lm_stream_close(lm->stream);
    free(lm->layers);
    free(lm->source_bytes);
    free(lm->caches);
    free(lm->n_text_tokens);
    free(lm->inputs_host);
    free(lm->onehot_host);
    free(lm);
}

mg_lm_layer_size mg_lm_get_layer_size(const mg_lm *lm)
{
    return lm->layer;
}

int64_t mg_lm_unread_bytes(const mg_lm *lm)
{
    int64_t bytes = 0;

    if (!mg_ops_has_reader(lm->ops)) return 0;
    for (int64_t l = lm->config.L - lm->n_outside; l < lm->config.L; l++) bytes += lm->source_bytes[l];
    return bytes;
}

void mg_lm_leave_outside(mg_lm *lm, int64_t n)
{
    lm->n_outside = n;
}

int64_t mg_lm_n_unpinned(const mg_lm *lm)
{
    return lm->n_unpinned;
}

int64_t mg_lm_max_positions(const mg_lm *lm)
{
    return lm->config.max_positions;
}

/* MusicgenSinusoidalPositionalEmbedding.get_embedding: cos first, then sin; half - 1, not half. */
void mg_lm_positions(float *table, int64_t n_positions, int64_t D)
{
    const int64_t half = D / 2;
    const float minus_step = -(float)(log(10000.0) / (double)(half - 1));

    for (int64_t i = 0; i < half; i++) {
        const float frequency = expf((float)i * minus_step);
        for (int64_t p = 0; p < n_positions; p++) {
            const float phase = (float)p * frequency;
            table[p * D + i] = cosf(phase);
            table[p * D + half + i] = sinf(phase);
        }
    }
}

/* The stored table is part of the model (half-precision uploads have a coarser one): compute it only if there
 * is none. */
static mg_status load_positions(mg_lm *lm, mg_weights *w)
{
    static const char name[] = "decoder.model.decoder.embed_positions.weights";
    const int64_t dim[2] = {lm->config.max_positions, lm->config.D};
    mg_status st = MG_OK;
    float *table;

    if (mg_weights_has(w, name)) return mg_weights_tensor(w, &lm->positions, name, 0, 2, dim);
    lm->positions = mg_tensor_2d(NULL, MG_F32, dim[0], dim[1]);
    MG_RETURN(mg_arena_take(w->arena, &lm->positions.data, mg_tensor_bytes(&lm->positions)));
    if (w->is_packed || mg_arena_is_measuring(w->arena)) return MG_OK;
    table = malloc(mg_tensor_bytes(&lm->positions));
    if (!table) return mg_fail(MG_ENOMEM, "lm: no memory for %lld positions", (long long)dim[0]);
    mg_lm_positions(table, dim[0], dim[1]);
    MG_TRY(mg_upload(w->ops, lm->positions.data, table, mg_tensor_bytes(&lm->positions)));
done:
    free(table);
    return st;
}

/* This rank's rows, all columns; or this rank's columns, all rows. */
static mg_weights_part rows_of(const mg_lm *lm, const char *name, int64_t n_rows, int64_t n_cols)
{
    const int64_t mine = n_rows / lm->comm->size;

    return (mg_weights_part){name, n_rows, n_cols, lm->comm->rank * mine, mine, 0, n_cols};
}

static mg_weights_part columns_of(const mg_lm *lm, const char *name, int64_t n_rows, int64_t n_cols)
{
    const int64_t mine = n_cols / lm->comm->size;

    return (mg_weights_part){name, n_rows, n_cols, 0, n_rows, lm->comm->rank * mine, mine};
}

/* A layer's norm, or with l < 0 the decoder's own. */
static mg_status load_norm(mg_lm *lm, mg_weights *w, mg_tensor *gamma, mg_tensor *beta, int64_t l,
                           const char *name)
{
    static const char stem[] = "decoder.model.decoder";
    mg_tensor *const out[2] = {gamma, beta};
    const char *const kind[2] = {"weight", "bias"};
    char full[NAME_SIZE];

    for (int i = 0; i < 2; i++) {
        if (l < 0)
            snprintf(full, sizeof full, "%s.%s.%s", stem, name, kind[i]);
        else
            snprintf(full, sizeof full, "%s.layers.%lld.%s.%s", stem, (long long)l, name, kind[i]);
        MG_RETURN(mg_weights_tensor(w, out[i], full, 0, 1, &lm->config.D));
    }
    return MG_OK;
}

/* What 4 bits hurt most stays at 8: the first layer, every first feed-forward matrix, the heads. */
static mg_format format_of(const mg_lm *lm, bool is_delicate)
{
    return is_delicate && lm->formats.weights == MG_FORMAT_Q4 ? MG_FORMAT_Q8 : lm->formats.weights;
}

static mg_status load_layer(mg_lm *lm, mg_weights *w, int64_t l, int which, mg_lm_layer *layer)
{
    enum { Q, K, V, OUT, CROSS_Q, CROSS_K, CROSS_V, CROSS_OUT, FC1, FC2, N_NAMES };
    static const char *const suffix[N_NAMES] = {
        [Q] = "self_attn.q_proj",
        [K] = "self_attn.k_proj",
        [V] = "self_attn.v_proj",
        [OUT] = "self_attn.out_proj",
        [CROSS_Q] = "encoder_attn.q_proj",
        [CROSS_K] = "encoder_attn.k_proj",
        [CROSS_V] = "encoder_attn.v_proj",
        [CROSS_OUT] = "encoder_attn.out_proj",
        [FC1] = "fc1",
        [FC2] = "fc2",
    };
    const int64_t D = lm->config.D, F = lm->config.F;
    const int n_slices = MG_TP_SLICES / lm->comm->size;
    const mg_format format = format_of(lm, l == 0), format_1 = format_of(lm, true);
    char name[N_NAMES][NAME_SIZE];
    mg_weights_part part[N_NAMES];

    for (int i = 0; i < N_NAMES; i++) {
        snprintf(name[i], sizeof name[i], "decoder.model.decoder.layers.%lld.%s.weight", (long long)l,
                 suffix[i]);
        part[i] = i == OUT || i == CROSS_OUT ? columns_of(lm, name[i], D, D) : rows_of(lm, name[i], D, D);
    }
    part[FC1] = rows_of(lm, name[FC1], F, D);
    part[FC2] = columns_of(lm, name[FC2], D, F);

    if (which == MG_LM_OF_TEXTS) return mg_weights_matrix(w, &layer->cross_kv, format, 1, &part[CROSS_K], 2);
    MG_RETURN(load_norm(lm, w, &layer->self_gamma, &layer->self_beta, l, "self_attn_layer_norm"));
    MG_RETURN(mg_weights_matrix(w, &layer->qkv, format, 1, &part[Q], 3));
    MG_RETURN(mg_weights_matrix(w, &layer->out, format, n_slices, &part[OUT], 1));
    if (!lm->config.n_chroma) {
        MG_RETURN(load_norm(lm, w, &layer->cross_gamma, &layer->cross_beta, l, "encoder_attn_layer_norm"));
        MG_RETURN(mg_weights_matrix(w, &layer->cross_q, format, 1, &part[CROSS_Q], 1));
        if (which & MG_LM_OF_TEXTS)
            MG_RETURN(mg_weights_matrix(w, &layer->cross_kv, format, 1, &part[CROSS_K], 2));
        MG_RETURN(mg_weights_matrix(w, &layer->cross_out, format, n_slices, &part[CROSS_OUT], 1));
    }
    MG_RETURN(load_norm(lm, w, &layer->ff_gamma, &layer->ff_beta, l, "final_layer_norm"));
    MG_RETURN(mg_weights_matrix(w, &layer->fc1, format_1, 1, &part[FC1], 1));
    return mg_weights_matrix(w, &layer->fc2, format, n_slices, &part[FC2], 1);
}

/* The K heads are one matrix [KV,D]; this rank's rows may begin and end inside a head. */
static mg_status load_heads(mg_lm *lm, mg_weights *w)
{
    const int64_t V = lm->config.V, D = lm->config.D;
    const int64_t begin = lm->comm->rank * lm->KV, end = begin + lm->KV;
    mg_weights_part part[MG_MAX_CODEBOOKS];
    char name[MG_MAX_CODEBOOKS][NAME_SIZE];
    int n = 0;

    for (int64_t k = 0; k < lm->config.K; k++) {
        const int64_t first = begin > k * V ? begin : k * V;
        const int64_t last = end < (k + 1) * V ? end : (k + 1) * V;
        if (first >= last) continue;
        snprintf(name[n], sizeof name[n], "decoder.lm_heads.%lld.weight", (long long)k);
        part[n] = (mg_weights_part){name[n], V, D, first - k * V, last - first, 0, D};
        n++;
    }
    return mg_weights_matrix(w, &lm->heads, format_of(lm, true), 1, part, n);
}

/* All of them, and what one takes: the last one, for the first may be larger. */
static mg_status survey_layers(mg_lm *lm, mg_weights *w)
{
    mg_arena texts = mg_arena_measure("texts");
    void *piece;

    for (int64_t l = 0; l < lm->config.L; l++) {
        const size_t used_bytes = w->arena->used_bytes;
        const int64_t n_read_bytes = w->n_read_bytes;
        MG_RETURN(load_layer(lm, w, l, MG_LM_OF_STEPS | MG_LM_OF_TEXTS, &lm->layers[l]));
        lm->layer.all_bytes = (int64_t)(w->arena->used_bytes - used_bytes);
        lm->source_bytes[l] = w->n_read_bytes - n_read_bytes;
    }
    if (lm->config.n_chroma) return MG_OK;
    MG_RETURN(
        mg_arena_take(&texts, &piece, mg_matrix_bytes(lm->ops, &lm->layers[lm->config.L - 1].cross_kv)));
    lm->layer.text_bytes = (int64_t)texts.used_bytes;
    return MG_OK;
}

static mg_status load_layers(mg_lm *lm, mg_weights *w)
{
    if (mg_arena_is_measuring(w->arena)) return survey_layers(lm, w);
    for (int64_t l = 0; l < lm->config.L - lm->n_outside; l++)
        MG_RETURN(load_layer(lm, w, l, MG_LM_OF_STEPS | MG_LM_OF_TEXTS, &lm->layers[l]));
    return lm->n_outside ? mg_lm_stream_open(lm, w, load_layer) : MG_OK;
}

static mg_status load_all(mg_lm *lm, mg_weights *w)
{
    const mg_lm_config *c = &lm->config;
    const int64_t embedding_dim[2] = {c->V + 1, c->D};
    const mg_weights_part project = {"enc_to_dec_proj.weight", c->D, c->d_text, 0, c->D, 0, c->d_text};
    const mg_weights_part chroma = {
        "audio_enc_to_dec_proj.weight", c->D, c->n_chroma, 0, c->D, 0, c->n_chroma};

    if (c->n_chroma) {
        MG_RETURN(mg_weights_matrix(w, &lm->chroma, MG_FORMAT_F32, 1, &chroma, 1));
        MG_RETURN(mg_weights_tensor(w, &lm->chroma_bias, "audio_enc_to_dec_proj.bias", 0, 1, &c->D));
    }
    if (c->project_text) {
        MG_RETURN(mg_weights_matrix(w, &lm->project, MG_FORMAT_F32, 1, &project, 1));
        MG_RETURN(mg_weights_tensor(w, &lm->project_bias, "enc_to_dec_proj.bias", 0, 1, &c->D));
    }
    MG_RETURN(mg_weights_tensor(w, &lm->embeddings, "decoder.model.decoder.embed_tokens.%d.weight", (int)c->K,
                                2, embedding_dim));
    MG_RETURN(load_positions(lm, w));
    MG_RETURN(load_layers(lm, w));
    MG_RETURN(load_norm(lm, w, &lm->final_gamma, &lm->final_beta, -1, "layer_norm"));
    return load_heads(lm, w);
}

/* Every rank must get whole heads and whole slices. */
static mg_status check_split(const mg_lm_config *c, int tp)
{
    if (tp < 1 || MG_TP_SLICES % tp || c->H % tp)
        return mg_fail(MG_EUSAGE,
                       "--tp: %d: the model's %lld heads split over 1, 2, 4 or 8 ranks that divide them", tp,
                       (long long)c->H);
    if (c->D % MG_TP_SLICES || c->F % MG_TP_SLICES || c->K * c->V % tp)
        return mg_fail(
            MG_EUSAGE,
            "--tp: %d: width %lld and feed-forward width %lld must be multiples of %d, and the %lld "
            "output rows of the number of ranks",
            tp, (long long)c->D, (long long)c->F, MG_TP_SLICES, (long long)(c->K * c->V));
    return MG_OK;
}

/* 4 bits: whole groups in every slice, whatever the number of ranks. */
static mg_status check_groups(const mg_lm_config *c)
{
    enum { UNIT = MG_TP_SLICES * MG_Q4_GROUP };

    if (c->D % UNIT || c->F % UNIT)
        return mg_fail(
            MG_EUSAGE,
            "option --dtype: int4: the model's width is %lld, that of its feed-forward %lld: not both are "
            "multiples of %d (%d slices of groups of %d inputs): use int8",
            (long long)c->D, (long long)c->F, UNIT, MG_TP_SLICES, MG_Q4_GROUP);
    return MG_OK;
}

static mg_status open_lm(mg_lm **out, const mg_lm_config *c, mg_lm_formats formats, mg_comm *comm,
                         const mg_ops *ops)
{
    mg_lm *lm;

    MG_REQUIRE(comm->space == ops->space);
    MG_REQUIRE(c->K >= 1 && c->K <= MG_MAX_CODEBOOKS && c->D % c->H == 0 && c->D >= 4);
    MG_RETURN(check_split(c, comm->size));
    if (formats.weights == MG_FORMAT_Q4) MG_RETURN(check_groups(c));
    lm = *out = calloc(1, sizeof *lm);
    if (!lm) return mg_fail(MG_ENOMEM, "lm: %zu bytes", sizeof *lm);
    *lm = (mg_lm){.config = *c, .formats = formats, .ops = ops, .comm = comm};
    lm->H = c->H / comm->size;
    lm->E = c->D / c->H;
    lm->F = c->F / comm->size;
    lm->KV = c->K * c->V / comm->size;
    lm->layers = calloc((size_t)c->L, sizeof *lm->layers);
    lm->source_bytes = calloc((size_t)c->L, sizeof *lm->source_bytes);
    lm->caches = calloc((size_t)c->L, sizeof *lm->caches);
    if (!lm->layers || !lm->source_bytes || !lm->caches)
        return mg_fail(MG_ENOMEM, "lm: no memory for %lld layers", (long long)c->L);
    return MG_OK;
}

mg_status mg_lm_load(mg_lm **out, const mg_lm_config *config, mg_lm_formats formats, mg_comm *comm,
                     mg_weights *w)
{
    mg_status st = MG_OK;

    if (!*out) MG_TRY(open_lm(out, config, formats, comm, w->ops));
    MG_TRY(load_all(*out, w));
done:
    if (st != MG_OK) {
        mg_lm_close(*out);
        *out = NULL;
    }
    return st;
}
