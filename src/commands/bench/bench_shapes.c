/* Sizes of musicgen-{small,medium,large}, t5-base and encodec_32khz; and one that is quick. */
#include "bench_shapes.h"

#include "model_files.h"

static const struct {
    const char *name;
    int64_t D, L, H, F;
} shapes[MG_BENCH_N_SHAPES] = {
    {"tiny", 128, 2, 4, 512},
    {"small", 1024, 24, 16, 4096},
    {"medium", 1536, 48, 24, 6144},
    {"large", 2048, 48, 32, 8192},
};

const char *mg_bench_shape_name(int shape)
{
    return shapes[shape].name;
}

mg_lm_config mg_bench_lm_config(int shape)
{
    return (mg_lm_config){
        .D = shapes[shape].D,
        .L = shapes[shape].L,
        .H = shapes[shape].H,
        .F = shapes[shape].F,
        .V = 2048,
        .K = 4,
        .n_channels = 1,
        .max_positions = 2048,
        .d_text = 768,
        .project_text = true,
    };
}

mg_status mg_bench_model_config(mg_lm_config *out, const char *model)
{
    const mg_model_request request = {.model = model};
    mg_model_files *files = NULL;

    MG_RETURN(mg_model_files_open(&files, &request, MG_NEED_LM));
    *out = files->config.lm;
    mg_model_files_close(files);
    if (out->n_chroma > 0)
        return mg_fail(MG_EUSAGE, "bench step: %s: a melody model: its steps have a prefix; give --shape",
                       model);
    return MG_OK;
}

mg_codec_config mg_bench_model_codec(const char *model)
{
    const mg_model_request request = {.model = model};
    mg_codec_config config = mg_bench_codec_config();
    mg_model_files *files = NULL;

    if (mg_model_files_open(&files, &request, MG_NEED_LM | MG_NEED_CODEC) == MG_OK)
        config = files->config.codec;
    else
        mg_clear_error();
    mg_model_files_close(files);
    return config;
}

mg_t5_config mg_bench_t5_config(void)
{
    return (mg_t5_config){
        .d_model = 768,
        .d_kv = 64,
        .d_ff = 3072,
        .n_layers = 12,
        .n_heads = 12,
        .vocab_size = 32128,
        .n_buckets = 32,
        .max_distance = 128,
        .gated = false,
        .gelu = false,
        .eps = 1e-6,
    };
}

mg_codec_config mg_bench_codec_config(void)
{
    return (mg_codec_config){
        .sampling_rate = 32000,
        .n_channels = 1,
        .n_filters = 64,
        .hidden_size = 128,
        .codebook_size = 2048,
        .codebook_dim = 128,
        .n_ratios = 4,
        .ratio = {8, 5, 4, 4},
        .n_residual_layers = 1,
        .kernel_size = 7,
        .last_kernel_size = 7,
        .residual_kernel_size = 3,
        .dilation_growth = 2,
        .compress = 2,
        .n_lstm_layers = 2,
        .n_codebooks = 4,
        .pad_reflect = true,
        .conv_shortcut = false,
        .hop = 640,
        .frame_rate = 50,
    };
}
