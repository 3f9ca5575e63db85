/* What `mg-dist encode` and `mg-dist decode` share: the codec alone, and a list of files that pass through it
 * a few at a time, dealt over the ranks. A file that cannot be used is reported and no reason to stop. */
#ifndef MG_CODEC_FILES_H
#define MG_CODEC_FILES_H

#include "encodec.h"
#include "machine.h"
#include "machine_options.h"
#include "model_files.h"

typedef struct mg_codec_settings {
    mg_strings files;
    const char *model, *codec, *out_dir;
    int64_t n_channels;   /* encode: -1: the model's */
    int format, strategy; /* decode: mg_audio_format, mg_strategy */
    int64_t rate_hz;      /* decode: -1: the codec's */
    bool overwrite;
    mg_machine machine;
} mg_codec_settings;

/* The option table's part that both have; WHAT is the operand's name. */
/* clang-format off */
#define MG_CODEC_OPTIONS(what, what_help)                                                                   \
    {.name = what, .type = MG_OPT_STRINGS, .is_operand = true, .offset = offsetof(mg_codec_settings, files), \
     .group = "Operand", .help = what_help},                                                                \
    {.name = "model", .letter = 'm', .type = MG_OPT_STRING, .offset = offsetof(mg_codec_settings, model),   \
     .arg = "DIR|FILE|ID", .group = "Model", .help = "the model whose codec it is"},                        \
    {.name = "codec", .type = MG_OPT_STRING, .offset = offsetof(mg_codec_settings, codec),                  \
     .arg = "DIR|FILE|ID", .group = "Model", .help = "the codec by itself, or in place of the model's"},    \
    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = offsetof(mg_codec_settings, out_dir),   \
     .arg = "DIR", .preset = "out", .group = "Output", .help = "folder for the files, made if need be"},     \
    {.name = "overwrite", .type = MG_OPT_FLAG, .offset = offsetof(mg_codec_settings, overwrite),            \
     .group = "Output", .help = "replace files that are there"}
/* clang-format on */

/* A codec, loaded. */
typedef struct mg_codec_run {
    const mg_codec_settings *settings;
    const mg_model_files *files;
    const mg_codec_config *config;
    mg_encodec *codec;
} mg_codec_run;

/* One of the two commands. */
typedef struct mg_codec_work {
    const char *name; /* "encode" */
    int halves;       /* of the codec that it needs */
    /* What the files made are called: the stem of the source and this. */
    const char *(*suffix)(const mg_codec_settings *settings);
    /* What cannot be asked of this codec: MG_EUSAGE before anything is loaded. May be NULL. */
    mg_status (*check)(const mg_codec_settings *settings, const mg_codec_config *config);
    /* Read `from` and take room for what it becomes; both at once, of several files, through the codec; write
     * what became of one. `sound` is freed by the caller, also where reading fails. */
    mg_status (*read)(const mg_codec_run *run, mg_encodec_sound *sound, const char *from);
    mg_status (*convert)(mg_encodec *codec, const mg_encodec_sound *sounds, int64_t n);
    mg_status (*write)(const mg_codec_run *run, mg_encodec_sound *sound, const char *to);
} mg_codec_work;

/* The rules between options: a codec is named, and no two files become one. */
mg_status mg_codec_files_check(const mg_codec_work *work, const mg_codec_settings *settings);

/* Convert all files, on every rank; rank 0 prints the files made, in order. MG_EPARTIAL if some files failed,
 * MG_EFAIL if all did. */
mg_status mg_codec_files_run(const mg_codec_work *work, mg_context *context,
                             const mg_codec_settings *settings);

#endif
