/* Names: from the spelling of whoever wrote a checkpoint to ours, which is Hugging Face's
 * ("decoder.model.decoder.layers.0.fc1.weight"; of a part by itself without the part's prefix:
 * "encoder.block.0…" of T5, "decoder.layers.0.conv…" of EnCodec). Each dialect is a table of rules
 * (docs/CHECKPOINTS.md); wrapper prefixes that trainers leave behind (module., _orig_mod.,
 * _fsdp_wrapped_module., _checkpoint_wrapped_module., a leading model.) are dropped where a rule knows the
 * rest. */
#ifndef MG_KEY_MAP_H
#define MG_KEY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mg_dialect {
    MG_DIALECT_HF,               /* a whole MusicGen, or one of its parts by itself: names as they are */
    MG_DIALECT_AUDIOCRAFT_LM,    /* emb.0.weight, transformer.layers.0.self_attn.in_proj_weight … */
    MG_DIALECT_AUDIOCRAFT_CODEC, /* encoder.model.0.conv.conv.weight_g, quantizer.vq.layers.0._codebook … */
    MG_DIALECT_UNKNOWN,
} mg_dialect;

enum { MG_KEY_MAX = 512, MG_KEY_PARTS = 3, MG_KEY_SPELLINGS = 2 };

/* Where a source tensor goes, or where a target comes from. A fused one (in_proj_weight) goes to three: part
 * i_part of n_parts takes that share of its rows. */
typedef struct mg_key_target {
    char name[MG_KEY_MAX];
    int i_part, n_parts;
} mg_key_target;

/* The dialect that most of the names speak. */
mg_dialect mg_key_map_detect(const char *const *names, size_t n);
const char *mg_dialect_name(mg_dialect d);

/* What trainers put before every name ("student.", "base_model.model."): the longest beginning, whole
 * components, that must be taken off so that a rule knows all names that have it, more than half of all; ""
 * if none is to be. */
void mg_key_map_prefix(char out[MG_KEY_MAX], const char *const *names, size_t n);

/* The targets of `source`; their number, 0 if no rule knows it. */
int mg_key_map(mg_key_target target[MG_KEY_PARTS], mg_dialect d, const char *source);

/* The way back: how `d` spells our name `target`; how many spellings there are, 0 if none. EnCodec's decoder
 * has two for a convolution ("conv.conv", then "convtr.convtr"): the upsampling layers are the second. */
int mg_key_map_back(mg_key_target source[MG_KEY_SPELLINGS], mg_dialect d, const char *target);

/* Is it a tensor of the part whose names stand behind `prefix`? Without one, of all but the text encoder and
 * the codec, which have prefixes of their own where parts share a file. */
bool mg_key_map_is_of_part(const char *target_name, const char *prefix);

/* May this one be left over? EMA, rotary and window buffers may, and num_batches_tracked. So may a full T5's
 * decoder, the second alias of T5's embedding, and the codec's encoder, which decoding does not use. */
bool mg_key_map_is_ignorable(const char *target_name);

#endif
