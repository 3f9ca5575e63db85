/* The published sizes of MusicGen, in one place, with one for trying things. No file is needed: the
 * benchmarks run on random weights of these shapes. Source: the models' config.json (docs/MODEL.md §Sizes).
 * What a step of each must read: predict.h. */
#ifndef MG_BENCH_SHAPES_H
#define MG_BENCH_SHAPES_H

#include "config.h"

enum mg_bench_shape { MG_BENCH_TINY, MG_BENCH_SMALL, MG_BENCH_MEDIUM, MG_BENCH_LARGE, MG_BENCH_N_SHAPES };

#define MG_BENCH_SHAPE_WORDS "tiny|small|medium|large"

const char *mg_bench_shape_name(int shape);
mg_lm_config mg_bench_lm_config(int shape);
mg_status mg_bench_model_config(mg_lm_config *out, const char *model); /* of a model on disk: folder or id */
/* Its codec's sizes; encodec_32khz's, if that is not beside it or cannot be read. */
mg_codec_config mg_bench_model_codec(const char *model);
mg_t5_config mg_bench_t5_config(void);       /* t5-base */
mg_codec_config mg_bench_codec_config(void); /* encodec_32khz */

#endif
