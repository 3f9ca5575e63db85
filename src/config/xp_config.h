/* What AudioCraft's xp.cfg says of a model: YAML text with ${a.b.c} interpolations, resolved from the
 * document's root only where a key is used. Settings that are not supported are refused by name. Keys:
 * docs/CHECKPOINTS.md. */
#ifndef MG_XP_CONFIG_H
#define MG_XP_CONFIG_H

#include "config.h"

enum { MG_T5_NAME_SIZE = 128 };

typedef struct mg_xp_lm {
    mg_lm_config lm;               /* d_text stays 0: the text encoder's folder says it */
    char t5_name[MG_T5_NAME_SIZE]; /* "t5-base", "t5-large" */
    bool melody;                   /* conditioners.self_wav: chroma_stem, or style (lm.is_style) */
    mg_style_config style;         /* what is said of it: the widths are for the tensors to say */
    double segment_s;              /* dataset.segment_duration: the window */
    int64_t sampling_rate;
    int64_t n_codebooks;             /* compression_model_n_q, 0 if absent */
    double guidance_scale;           /* classifier_free_guidance.inference_coef */
    mg_generation_config generation; /* generate.lm.*, where present */
} mg_xp_lm;

/* MG_ECHECKPOINT names the key, its value and what is supported. `name` is the file, for messages. */
mg_status mg_xp_config_lm(mg_xp_lm *out, const char *name, const char *yaml);
mg_status mg_xp_config_codec(mg_codec_config *out, const char *name, const char *yaml);

#endif
