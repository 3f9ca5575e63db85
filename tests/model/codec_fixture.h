/* A loaded EnCodec for tests, and what the references make with the tiny ones. Include after cmocka.h. */
#ifndef MG_CODEC_FIXTURE_H
#define MG_CODEC_FIXTURE_H

#include "encodec_impl.h"
#include "golden.h"
#include "test_backend.h"

typedef struct codec_fixture {
    mg_threads *threads;
    mg_ops *ops;
    mg_checkpoint *own_checkpoint;
    const mg_checkpoint *checkpoint;
    mg_arena weights, run;
    mg_encodec *codec;
} codec_fixture;

/* How a codec is opened; zeros are good: the best level, one thread, its own stretch and block. */
typedef struct codec_want {
    const mg_codec_config *config;
    const char *path, *prefix;       /* of the weights; path NULL: `checkpoint` */
    const mg_checkpoint *checkpoint; /* NULL too: random weights */
    int halves;
    mg_cpu_level level;
    int n_threads;
    int64_t stretch, block, n_at_once; /* of the last, 1 */
} codec_want;

static inline mg_arena codec_arena(const codec_fixture *f, const mg_arena *measured)
{
    void *block = NULL;

    GOLDEN_OK(mg_ops_alloc(f->ops, &block, measured->peak_bytes));
    return mg_arena_over(measured->name, block, measured->peak_bytes);
}

static inline mg_status codec_load(codec_fixture *f, mg_arena *arena, const codec_want *want)
{
    mg_weights w;
    mg_status st = MG_OK;

    mg_weights_init(&w, f->ops, f->checkpoint, arena, want->prefix);
    MG_TRY(mg_encodec_load(&f->codec, want->config, want->halves, &w));
    st = mg_weights_check_survey(&w);
done:
    mg_weights_close(&w);
    return st;
}

static inline void codec_backend(codec_fixture *f, const codec_want *want)
{
    *f = (codec_fixture){0};
    GOLDEN_OK(mg_threads_open(&f->threads, want->n_threads ? want->n_threads : 1, 0));
    GOLDEN_OK(test_backend_open(&f->ops, want->level, f->threads));
    if (want->path) GOLDEN_OK(mg_checkpoint_open(&f->own_checkpoint, want->path));
    f->checkpoint = want->path ? f->own_checkpoint : want->checkpoint;
}

static inline void codec_open(codec_fixture *f, const codec_want *want)
{
    mg_arena measured = mg_arena_measure("weights");

    codec_backend(f, want);
    GOLDEN_OK(codec_load(f, &measured, want));
    f->weights = codec_arena(f, &measured);
    GOLDEN_OK(codec_load(f, &f->weights, want));
    assert_int_equal(f->weights.used_bytes, measured.used_bytes);
    if (want->stretch) f->codec->stretch = want->stretch;
    if (want->block) f->codec->block = want->block;
    measured = mg_arena_measure("run");
    GOLDEN_OK(mg_encodec_reserve(f->codec, &measured, want->n_at_once ? want->n_at_once : 1));
    f->run = codec_arena(f, &measured);
    GOLDEN_OK(mg_encodec_reserve(f->codec, &f->run, want->n_at_once ? want->n_at_once : 1));
    assert_int_equal(f->run.used_bytes, measured.used_bytes);
}

static inline void codec_close(codec_fixture *f)
{
    mg_encodec_close(f->codec);
    if (f->weights.base) mg_ops_release(f->ops, f->weights.base, f->weights.size_bytes);
    if (f->run.base) mg_ops_release(f->ops, f->run.base, f->run.size_bytes);
    mg_checkpoint_close(f->own_checkpoint);
    mg_ops_close(f->ops);
    mg_threads_close(f->threads);
}

/* The first T of T_all frames of codes [K,T_all], as sound; the caller frees it. */
static inline float *codec_decode(const codec_fixture *f, int32_t *codes, int64_t T_all, int64_t T)
{
    const mg_encodec_codes from = {codes, T_all, T};
    const int64_t N = T * f->codec->config.hop;
    float *pcm = malloc((size_t)N * sizeof *pcm);

    if (!pcm) fail_msg("no memory");
    for (int64_t n = 0; n < N; n++) pcm[n] = NAN;
    GOLDEN_OK(mg_encodec_decode(f->codec, &(mg_encodec_pcm){pcm, 1, N}, &from, 1));
    return pcm;
}

/* The codes [K,T] of N samples; the caller frees them. */
static inline int32_t *codec_encode(const codec_fixture *f, float *pcm, int64_t N)
{
    const int64_t T = mg_encodec_frames(&f->codec->config, N), K = f->codec->config.n_codebooks;
    int32_t *codes = malloc((size_t)(K * T) * sizeof *codes);

    if (!codes) fail_msg("no memory");
    memset(codes, 0xFF, (size_t)(K * T) * sizeof *codes);
    GOLDEN_OK(mg_encodec_encode(f->codec, &(mg_encodec_codes){codes, T, T}, &(mg_encodec_pcm){pcm, 1, N}, 1));
    return codes;
}

/* Latents [T,hidden_size] of N samples; the caller frees them. */
static inline float *codec_latents(const codec_fixture *f, float *pcm, int64_t N)
{
    const mg_codec_config *c = &f->codec->config;
    float *latents = malloc((size_t)(mg_encodec_frames(c, N) * c->hidden_size) * sizeof *latents);

    if (!latents) fail_msg("no memory");
    GOLDEN_OK(mg_encodec_latents(f->codec, latents, &(mg_encodec_pcm){pcm, 1, N}));
    return latents;
}

static inline void codec_assert_same_bits(const void *a, const void *b, int64_t n, const char *what)
{
    const float *x = a, *y = b;

    for (int64_t i = 0; i < n; i++)
        if (memcmp(x + i, y + i, sizeof *x))
            fail_msg("%s: value %d: %.9g and %.9g", what, (int)i, x[i], y[i]);
}

/* The codecs of odd shape in codec_ops.safetensors: config as its `geometry` says. */
enum { N_ODD_CODECS = 2 };

static inline mg_codec_config codec_odd_config(const mg_checkpoint *file, int i)
{
    char name[64];
    int64_t count;

    snprintf(name, sizeof name, "codec%d.geometry", i);
    int32_t *g = golden_i32(file, name, &count);
    mg_codec_config c = {.n_channels = 1,
                         .codebook_size = 16,
                         .n_filters = g[0],
                         .hidden_size = g[1],
                         .codebook_dim = g[1],
                         .n_residual_layers = g[2],
                         .kernel_size = g[3],
                         .last_kernel_size = g[4],
                         .residual_kernel_size = g[5],
                         .dilation_growth = g[6],
                         .compress = g[7],
                         .n_lstm_layers = g[8],
                         .pad_reflect = g[9],
                         .n_ratios = count - 10,
                         .hop = 1};
    for (int64_t k = 0; k < c.n_ratios; k++) c.hop *= c.ratio[k] = g[10 + k];
    snprintf(name, sizeof name, "codec%d.codes.1", i);
    c.n_codebooks = golden_tensor(file, name)->dim[0];
    free(g);
    return c;
}

#endif
