/* The files beside the weights, written from a mg_config: what config.c reads, and what transformers'
 * MusicgenForConditionalGeneration, its processor and AudioCraft's loaders need. Keys that are left out have
 * their class's default. The texts are malloc'ed; the caller frees them. */
#ifndef MG_CONFIG_TEXT_H
#define MG_CONFIG_TEXT_H

#include "config.h"
#include "tensor.h"

/* config.json. `dtype` is the language model's. */
mg_status mg_config_text(char **out, const mg_config *config, mg_dtype dtype);

/* generation_config.json: what the source says, else AudioCraft's defaults. window_s, 0 if the source knows
 * none, is its max_length where it has no other. */
mg_status mg_config_text_generation(char **out, const mg_config *config, double window_s);

/* preprocessor_config.json. */
mg_status mg_config_text_preprocessor(char **out, const mg_config *config);

/* xp.cfg of AudioCraft's two files, in YAML. `t5_name` is "t5-base" or a folder; window_s 0: as
 * generation_config.json's max_length says, else 30 s. */
mg_status mg_config_text_xp_lm(char **out, const mg_config *config, const char *t5_name, double window_s);
mg_status mg_config_text_xp_codec(char **out, const mg_config *config);

/* target_bandwidths, in kbit/s: the one number from which transformers derives the codebooks' count. */
double mg_config_text_bandwidth(const mg_codec_config *codec);

#endif
