/* mg-dist convert: any form of checkpoint.h to a folder that transformers or AudioCraft loads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "convert.h"
#include "dataset.h"
#include "log.h"
#include "machine_options.h"
#include "model_notes.h"
#include "model_options.h"
#include "show.h"

#define AT(field) offsetof(mg_convert_settings, field)

/* What AudioCraft's releases call the codec that is not stored beside the model but named. */
#define PUBLIC_CODEC "facebook/encodec_32khz"

/* clang-format off */
static const mg_option options[] = {
    {.name = "SRC", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(source), .group = "Operands",
     .help = "a model in any form: folder, state_dict.bin, or the id of a cached one"},
    {.name = "OUT", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(out), .group = "Operands",
     .help = "the folder to make; it must not exist, or be empty"},
    {.name = "to", .type = MG_OPT_CHOICE, .offset = AT(to), .preset = "hf", .choices = "hf|audiocraft",
     .group = "Form", .help = "Hugging Face's folder, or AudioCraft's state_dict.bin and compression_state_dict.bin"},
    {.name = "dtype", .type = MG_OPT_CHOICE, .offset = AT(dtype), .preset = "auto", .choices = "auto|keep|fp32|fp16|bf16",
     .same = MG_DTYPE_SAME,
     .group = "Form", .help = "number format of all tensors; keep leaves each as it is stored; auto is keep, but to hf "
                              "what most of the source is in"},
    {.name = "shard-size", .type = MG_OPT_SIZE, .offset = AT(shard_size), .arg = "SIZE", .preset = "5GB",
     .high = 1e6, .in_mb = true, .group = "Form",
     .help = "hf: longest weight file, such as 5GB or 900MB; a number alone is MB, 0 no limit"},

    MG_PART_OPTIONS(mg_convert_settings, parts),
};
/* clang-format on */

static mg_status write_all(mg_convert *c)
{
    mg_status st = MG_OK;
    const bool hf = c->settings->to == MG_CONVERT_HF;

    mg_progress_begin(&c->progress, "convert", "MB",
                      mg_convert_list_bytes(&c->lm) + mg_convert_list_bytes(&c->rest));
    c->progress.unit_size = 1000000;
    MG_TRY(mg_out_folder_begin(&c->folder, c->settings->out));
    MG_TRY(hf ? mg_convert_write_hf(c) : mg_convert_write_audiocraft(c));
    MG_TRY(mg_out_folder_commit(&c->folder));
done:
    mg_progress_end(&c->progress);
    mg_out_folder_abandon(&c->folder);
    return st;
}

static mg_status convert(mg_convert *c)
{
    const mg_convert_settings *s = c->settings;
    const bool hf = s->to == MG_CONVERT_HF;

    MG_RETURN(mg_dataset_check_outside(s->out, false));
    if (!mg_out_folder_is_free(s->out))
        return mg_fail(MG_EUSAGE, "%s: is there already; give another OUT, or remove it first", s->out);
    c->writes_pointer = !hf && s->parts.codec && strcmp(s->parts.codec, PUBLIC_CODEC) == 0;
    mg_model_request request = mg_model_with_parts(s->source, &s->parts);

    if (c->writes_pointer) request.codec = NULL;
    const int need = hf ? MG_NEED_ALL : c->writes_pointer ? MG_NEED_LM : MG_NEED_LM | MG_NEED_CODEC;

    MG_RETURN(mg_model_files_open(&c->files, &request, need));
    c->config = c->files->config;
    if (!hf && !s->parts.codec && strcmp(c->files->pointer, PUBLIC_CODEC) == 0) c->writes_pointer = true;
    mg_model_notes_say(c->files);
    MG_RETURN(mg_convert_plan(c));
    MG_RETURN(mg_threads_open(&c->threads, mg_threads_available(), false));
    MG_RETURN(write_all(c));
    mg_log_info("convert: %s: %lld tensors, %.1f MB, in %s form", c->folder.path,
                (long long)(c->lm.n + c->rest.n), (double)c->n_done_bytes / 1e6,
                hf ? "Hugging Face's" : "AudioCraft's");
    mg_print(stdout, "%s\n", c->folder.path);
    return MG_OK;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_convert *c = NULL;
    mg_status st = MG_OK;

    if (context->world->rank == 0) {
        c = calloc(1, sizeof *c);
        st = c ? MG_OK : mg_fail(MG_ENOMEM, "convert: %zu bytes", sizeof *c);
    }
    if (c) {
        c->settings = settings;
        c->shard_bytes = (size_t)c->settings->shard_size;
        st = convert(c);
        mg_convert_list_close(&c->lm);
        mg_convert_list_close(&c->rest);
        mg_model_files_close(c->files);
        mg_threads_close(c->threads);
        free(c);
    }
    return mg_world_await_first(context->world, st);
}

static const mg_foreign_word foreign[] = {
    {"out|output|output-dir", "OUT is the second word: convert SRC OUT"}, {0}};

const mg_command mg_cmd_convert = {
    .name = "convert",
    .summary = "rewrite a model in Hugging Face's or in AudioCraft's form",
    .usage = "SRC OUT --to hf|audiocraft [options]",
    .details =
        "Tensors pass through one at a time; those that have the number format already keep their bits. "
        "OUT appears\n"
        "when all is written: an interrupted run leaves nothing that looks like a model.\n"
        "To Hugging Face's form all parts get one format, as transformers computes in one.\n"
        "To AudioCraft's form --codec " PUBLIC_CODEC " becomes a pointer.\n"
        "\n"
        "  mg-dist convert audiocraft-musicgen/ hf-musicgen --to hf --text-encoder t5-base\n"
        "  mg-dist convert facebook/musicgen-small pair --to audiocraft --dtype fp16",
    .options = options,
    .foreign = {foreign},
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_convert_settings),
    .is_single = true,
    .run = run,
};
