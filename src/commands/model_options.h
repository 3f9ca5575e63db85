/* Options that name a model, in one wording for all commands. */
#ifndef MG_MODEL_OPTIONS_H
#define MG_MODEL_OPTIONS_H

#include "cli.h"
#include "model_files.h"

/* MG_PART_OPTIONS: what stands beside a model that an operand names. MG_MODEL_OPTIONS: the model and each of
 * its parts. `field` of the settings is a mg_model_request. */
/* clang-format off */
#define MG_PART_OPTIONS(settings, field)                                                                    \
    {.name = "lm", .type = MG_OPT_STRING, .offset = offsetof(settings, field.lm), .arg = "DIR|FILE|ID",     \
     .group = "Model", .rivals = "shape", .help = "take the language model from here instead; the model says what it is"},     \
    {.name = "lora", .type = MG_OPT_STRING, .is_once = true, .offset = offsetof(settings, field.lora), .arg = "DIR|FILE|ID",         \
     .group = "Model", .help = "merge this LoRA adapter (a folder that PEFT saved) into the language model"}, \
    {.name = "text-encoder", .type = MG_OPT_STRING, .offset = offsetof(settings, field.text_encoder),       \
     .arg = "DIR|FILE|ID", .group = "Model", .help = "take the T5 text encoder from here instead"},         \
    {.name = "style-encoder", .type = MG_OPT_STRING, .offset = offsetof(settings, field.style_encoder),     \
     .arg = "DIR|FILE|ID", .group = "Model",                                                                \
     .help = "MusicGen-Style: take MERT from here (default: m-a-p/MERT-v1-95M, cached)"},                   \
    {.name = "codec", .type = MG_OPT_STRING, .offset = offsetof(settings, field.codec),                     \
     .arg = "DIR|FILE|ID", .group = "Model", .help = "take the EnCodec from here instead"},                 \
    {.name = "tokenizer", .type = MG_OPT_STRING, .offset = offsetof(settings, field.tokenizer),             \
     .arg = "DIR|FILE|ID", .group = "Model", .help = "take spiece.model or tokenizer.json from here instead"}
#define MG_MODEL_OPTIONS(settings, field)                                                                   \
    {.name = "model", .letter = 'm', .type = MG_OPT_STRING, .offset = offsetof(settings, field.model),      \
     .arg = "DIR|ID", .group = "Model", .rivals = "model-key|shape",                                        \
     .help = "folder in Hugging Face's or AudioCraft's layout, or the id of a cached model"},               \
    MG_PART_OPTIONS(settings, field)
#define MG_MODEL_OPTION_NAMES "model|lm|lora|text-encoder|style-encoder|codec|tokenizer"
/* clang-format on */

/* The model that an operand names, with the parts that stand beside it. */
static inline mg_model_request mg_model_with_parts(const char *model, const mg_model_request *parts)
{
    mg_model_request request = *parts;

    request.model = model;
    return request;
}

#endif
