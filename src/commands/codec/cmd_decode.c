/* mg-dist decode: codes in, sound files out. */
#include <math.h>
#include <stdlib.h>

#include "audio_file.h"
#include "codec_files.h"
#include "log.h"
#include "normalize.h"
#include "npy.h"
#include "resample.h"
#include "text.h"
#include "version.h"

/* clang-format off */
static const mg_option options[] = {
    MG_CODEC_OPTIONS("CODES", "codes of sound, int32 [codebooks, frames] (.npy)"),
    {.name = "format", .type = MG_OPT_CHOICE, .offset = offsetof(mg_codec_settings, format), .preset = "wav",
     .choices = MG_AUDIO_FORMAT_CHOICES, .group = "Output",
     .help = "of the sound files; wav is 16 bits, wav-f32 floats"},
    {.name = "sample-rate", .type = MG_OPT_INT, .offset = offsetof(mg_codec_settings, rate_hz), .arg = "HZ",
     .low = 1000, .high = 384000, .group = "Output", .help = "resample the sound (default: the codec's rate)"},
    {.name = "strategy", .type = MG_OPT_CHOICE, .offset = offsetof(mg_codec_settings, strategy), .preset = "peak",
     .choices = MG_STRATEGY_CHOICES, .group = "Output",
     .help = "the level: by its peak, loudness or rms; clip cuts peaks only; none leaves the codec's output untouched"},
    MG_DEVICE_OPTIONS(mg_codec_settings),
};
/* clang-format on */

static const char *sound_suffix(const mg_codec_settings *settings)
{
    return mg_audio_format_suffix((mg_audio_format)settings->format);
}

static mg_status check_format(const mg_codec_settings *settings, const mg_codec_config *config)
{
    const int64_t rate_hz = settings->rate_hz > 0 ? settings->rate_hz : config->sampling_rate;

    return mg_audio_format_check((mg_audio_format)settings->format, rate_hz, 1);
}

static mg_status check_length(const mg_codec_settings *settings, const mg_sound *s)
{
    const int64_t rate_hz = settings->rate_hz > 0 ? settings->rate_hz : s->rate_hz;

    return mg_audio_length_check((mg_audio_format)settings->format,
                                 mg_resample_count(s->n_frames, s->rate_hz, rate_hz), rate_hz, s->n_channels);
}

static mg_status read_codes(const mg_codec_run *run, mg_encodec_sound *s, const char *from)
{
    const int64_t K = run->config->n_codebooks;
    mg_sound *sound = &s->sound;
    int64_t n_rows;

    MG_RETURN(mg_npy_read_i32(from, &s->codes, &n_rows, &s->T));
    s->row_stride = s->T;
    if (n_rows != K && n_rows != 2 * K)
        return mg_fail(MG_EFAIL, "%s: %lld codebook%s: this codec has %lld, or %lld for stereo", from,
                       (long long)n_rows, mg_plural(n_rows), (long long)K, (long long)(2 * K));
    if (s->T < 1) return mg_fail(MG_EFAIL, "%s: holds no frame", from);
    sound->n_frames = s->T * run->config->hop;
    sound->n_channels = n_rows / K;
    sound->rate_hz = run->config->sampling_rate;
    MG_RETURN(check_length(run->settings, sound));
    MG_RETURN(mg_encodec_check_codes(run->codec, s));
    sound->pcm = calloc((size_t)(sound->n_frames * sound->n_channels), sizeof *sound->pcm);
    if (!sound->pcm)
        return mg_fail(MG_ENOMEM, "sound: no memory for %lld frames", (long long)sound->n_frames);
    return MG_OK;
}

/* `n_cut`: samples that the strategy cut. */
static mg_status write_file(const mg_codec_settings *settings, const char *to, const mg_sound *s,
                            int64_t n_cut)
{
    const mg_audio_format format = (mg_audio_format)settings->format;
    const mg_audio_tags tags = {.software = MG_VERSION_NAME};
    const int64_t n = s->n_frames * s->n_channels;

    for (int64_t i = 0; i < n && format != MG_AUDIO_WAV_F32; i++) n_cut += fabsf(s->pcm[i]) > 1;
    if ((double)n_cut > MG_CLIPPED_HEARD * (double)n)
        mg_log_warn("%s: %lld samples (%.3g %%) are clipped; --strategy peak clips none", to,
                    (long long)n_cut, 100 * (double)n_cut / (double)n);
    return mg_audio_file_write(to, format, s, &tags);
}

/* The level, the rate, the file. */
static mg_status write_sound(const mg_codec_run *run, mg_encodec_sound *made, const char *to)
{
    const mg_codec_settings *s = run->settings;
    const mg_normalization how = {.strategy = (mg_strategy)s->strategy,
                                  .peak_headroom_db = 1,
                                  .rms_headroom_db = 18,
                                  .loudness_headroom_db = 14};
    mg_sound *sound = &made->sound, resampled = {0};
    mg_status st = MG_OK;
    int64_t n_cut;

    MG_RETURN(mg_normalize(&n_cut, sound, &how));
    if (s->rate_hz <= 0 || s->rate_hz == sound->rate_hz) return write_file(s, to, sound, n_cut);
    MG_TRY(mg_sound_convert(&resampled, sound, s->rate_hz, sound->n_channels));
    MG_TRY(write_file(s, to, &resampled, n_cut));
done:
    mg_sound_close(&resampled);
    return st;
}

static const mg_codec_work work = {.name = "decode",
                                   .halves = MG_ENCODEC_DECODER,
                                   .suffix = sound_suffix,
                                   .check = check_format,
                                   .read = read_codes,
                                   .convert = mg_encodec_decode_sounds,
                                   .write = write_sound};

static mg_status check(const void *settings)
{
    return mg_codec_files_check(&work, settings);
}

static mg_status run(mg_context *context, const void *settings)
{
    return mg_codec_files_run(&work, context, settings);
}

const mg_command mg_cmd_decode = {
    .name = "decode",
    .summary = "turn codes back into sound",
    .usage = "CODES... --codec DIR|FILE|ID [options]",
    .details =
        "CODES are .npy files as encode, generate --save-codes and NumPy write them: integers, a row for "
        "each\n"
        "codebook; twice as many rows, left and right in turn, are stereo. For each the folder --out gets\n"
        "NAME.wav, or what --format says. Files that cannot be used are reported, and the others are still\n"
        "done (exit code 3). Under mpirun the ranks share the files.\n"
        "\n"
        "  mg-dist decode codes/song.codes.npy --model facebook/musicgen-small --out sound --strategy none",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_codec_settings),
    .check = check,
    .run = run,
};
