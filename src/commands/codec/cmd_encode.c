/* mg-dist encode: sound files in, codes out. */
#include <math.h>
#include <stdlib.h>

#include "audio_file.h"
#include "codec_files.h"
#include "npy.h"
#include "resample.h"
#include "stop.h"

/* clang-format off */
static const mg_option options[] = {
    MG_CODEC_OPTIONS("AUDIO", "a sound file of any rate"),
    {.name = "channels", .type = MG_OPT_INT, .offset = offsetof(mg_codec_settings, n_channels), .arg = "N",
     .low = 1, .high = 2, .group = "Output",
     .help = "1: mixed down; 2: left and right apart (default: what --model makes, else 1)"},
    MG_DEVICE_OPTIONS(mg_codec_settings),
};
/* clang-format on */

static const char *codes_suffix(const mg_codec_settings *settings)
{
    (void)settings;
    return ".codes.npy";
}

static mg_status read_sound(const mg_codec_run *run, mg_encodec_sound *s, const char *from)
{
    const int64_t asked = run->settings->n_channels, models = run->files->config.lm.n_channels;
    const int64_t n_channels = asked > 0 ? asked : models == 2 ? 2 : 1;
    mg_audio_info info;
    mg_sound file = {0};
    mg_status st = MG_OK;

    MG_RETURN(mg_audio_file_probe(&info, from));
    if (info.n_channels > 2 && n_channels == 2)
        return mg_fail(MG_EFAIL,
                       "%s: %lld channels: two cannot be made of them; --channels 1 mixes them down", from,
                       (long long)info.n_channels);
    MG_TRY(mg_audio_file_read(&file, from, (double)NAN));
    MG_TRY(mg_sound_convert_unless(&s->sound, &file, run->config->sampling_rate, n_channels, mg_stop_check));
    s->T = s->row_stride = mg_encodec_frames(run->config, s->sound.n_frames);
    s->codes = calloc((size_t)(run->config->n_codebooks * n_channels * s->T), sizeof *s->codes);
    if (!s->codes) st = mg_fail(MG_ENOMEM, "codes: no memory for %lld frames", (long long)s->T);
done:
    mg_sound_close(&file);
    return st;
}

static mg_status write_codes(const mg_codec_run *run, mg_encodec_sound *s, const char *to)
{
    return mg_npy_write_i32(to, s->codes, run->config->n_codebooks * s->sound.n_channels, s->T);
}

static const mg_codec_work work = {.name = "encode",
                                   .halves = MG_ENCODEC_ENCODER,
                                   .suffix = codes_suffix,
                                   .read = read_sound,
                                   .convert = mg_encodec_encode_sounds,
                                   .write = write_codes};

static mg_status check(const void *settings)
{
    return mg_codec_files_check(&work, settings);
}

static mg_status run(mg_context *context, const void *settings)
{
    return mg_codec_files_run(&work, context, settings);
}

const mg_command mg_cmd_encode = {
    .name = "encode",
    .summary = "turn sound into the codec's codes",
    .usage = "AUDIO... --codec DIR|FILE|ID [options]",
    .details =
        "For each AUDIO the folder --out gets NAME.codes.npy, int32 [codebooks, frames]; of stereo twice as\n"
        "many rows, left and right in turn. They can be decoded again, and given to generate as\n"
        "--audio-prompt. A sound is resampled to the codec's rate first. Files that cannot be used are\n"
        "reported, and the others are still done (exit code 3). Under mpirun the ranks share the files.\n"
        "\n"
        "  mg-dist encode song.flac --model facebook/musicgen-small --out codes",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_codec_settings),
    .check = check,
    .run = run,
};
