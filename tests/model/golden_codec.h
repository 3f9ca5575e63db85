/* The tiny checkpoints' codecs beside what transformers decodes with them. Include after cmocka.h. */
#ifndef MG_GOLDEN_CODEC_H
#define MG_GOLDEN_CODEC_H

#include "codec_fixture.h"

/* One of the tiny checkpoints with what transformers decodes from it. */
typedef struct golden_codec {
    mg_codec_config config;
    mg_checkpoint *file;
    char dir[1024];
    int64_t K, T, N;
    int32_t *codes;
    float *audio, *one_frame;
    codec_want want; /* the decoder, at the best level */
} golden_codec;

static inline void golden_codec_open(golden_codec *g, const char *model)
{
    mg_config config;
    char path[128];

    snprintf(g->dir, sizeof g->dir, "%s/checkpoints/%s", MG_GOLDEN_DIR, model);
    GOLDEN_OK(mg_config_load(&config, g->dir));
    g->config = config.codec;
    snprintf(path, sizeof path, "hf/%s.codec.safetensors", model);
    g->file = golden_open(path);
    g->codes = golden_i32(g->file, "decode_codes", NULL);
    g->K = golden_tensor(g->file, "decode_codes")->dim[0];
    g->T = golden_tensor(g->file, "decode_codes")->dim[1];
    g->audio = golden_f32(g->file, "decode_audio", &g->N);
    g->one_frame = golden_f32(g->file, "decode_one_frame_audio", NULL);
    assert_int_equal(g->K, g->config.n_codebooks);
    assert_int_equal(g->N, g->T * g->config.hop);
    g->want = (codec_want){
        .config = &g->config, .path = g->dir, .prefix = "audio_encoder.", .halves = MG_ENCODEC_DECODER};
}

static inline void golden_codec_close(golden_codec *g)
{
    free(g->codes);
    free(g->audio);
    free(g->one_frame);
    mg_checkpoint_close(g->file);
}

#endif
