/* One clip to its files: the sound (the audio prompt cut off if that was asked for, then the level, then
 * another rate, as AudioCraft normalises at the model's own), the codes, and the metadata of both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "choice_words.h"
#include "hash.h"
#include "npy.h"
#include "outcomes.h"
#include "resample.h"

enum { NAME_SIZE = 512, N_PARTS = 3 };

/* What a clip's metadata points to while it is written. */
typedef struct clip_facts {
    mg_clip_metadata m;
    char audio_file[NAME_SIZE], codes_file[NAME_SIZE];
    char audio_sha256[65], codes_sha256[65];
    char format[MG_CHOICE_WORD_SIZE], strategy[MG_CHOICE_WORD_SIZE], sampler[MG_CHOICE_WORD_SIZE];
    mg_part_source parts[N_PARTS];
    char written[2][MG_PATH_SIZE]; /* what is there already, should the rest fail */
    int n_written;
} clip_facts;

bool mg_clip_files_to_stdout(const mg_generate_settings *settings)
{
    return strcmp(settings->out_dir, "-") == 0;
}

static const char *suffix_of(const mg_generate_settings *s)
{
    return s->codes_only ? ".codes.npy" : mg_audio_format_suffix((mg_audio_format)s->format);
}

mg_status mg_clip_files_path(char path[MG_PATH_SIZE], const mg_generate_output *o, int64_t index)
{
    const mg_generate_settings *s = o->settings;

    if (mg_clip_files_to_stdout(s)) return mg_path_format(path, "standard output");
    return mg_path_format(path, "%s/%s%s", s->out_dir, o->list->name[index], suffix_of(s));
}

static mg_status name_files(clip_facts *f, const mg_generate_settings *s, const char *name)
{
    const char *suffix = mg_audio_format_suffix((mg_audio_format)s->format);

    if (strlen(name) + sizeof ".codes.npy" > NAME_SIZE)
        return mg_fail(MG_EFAIL, "%.60s…: a name for files has at most %zu bytes", name,
                       NAME_SIZE - sizeof ".codes.npy");
    snprintf(f->audio_file, NAME_SIZE, "%s%s", name, suffix);
    snprintf(f->codes_file, NAME_SIZE, "%s.codes.npy", name);
    f->m.id = name;
    if (!s->codes_only) f->m.audio_file = f->audio_file;
    if (s->codes_only || s->save_codes) f->m.codes_file = f->codes_file;
    return MG_OK;
}

static void describe_output(clip_facts *f, const mg_generate_settings *s, const mg_config *config,
                            const mg_clip *c)
{
    const mg_codec_config *codec = &config->codec;
    mg_clip_metadata *m = &f->m;

    mg_choice_word(f->format, MG_AUDIO_FORMAT_CHOICES, s->format);
    mg_choice_word(f->strategy, MG_STRATEGY_CHOICES, s->strategy);
    m->format = f->format;
    m->strategy = f->strategy;
    m->peak_headroom_db = s->peak_headroom_db;
    m->rms_headroom_db = s->rms_headroom_db;
    m->loudness_headroom_db = s->loudness_headroom_db;
    m->loudness_compressor = s->loudness_compressor;
    m->rate_asked_hz = s->rate_hz;
    m->sampling_rate = codec->sampling_rate;
    m->n_channels = config->lm.n_channels;
    m->dur_s = codec->frame_rate > 0 ? (double)c->T / (double)codec->frame_rate : NAN;
}

static double first_given(double a, double b)
{
    return isnan(a) ? b : a;
}

static mg_clip_input input_of(const mg_generate_output *o, const char *path)
{
    return (mg_clip_input){path, mg_generate_hashes_find(&o->hashes, path)};
}

static void describe_request(clip_facts *f, const mg_generate_output *o, const mg_clip *c)
{
    const mg_generate_settings *s = o->settings;
    const mg_request *asked = o->list->asked[c->index];
    mg_clip_metadata *m = &f->m;

    mg_choice_word(f->sampler, MG_SAMPLER_CHOICES, (int)c->sampling.rules);
    m->title = asked->title;
    m->prompt = c->text.text && *c->text.text ? c->text.text : asked->prompt;
    m->negative_prompt = c->negative.text && *c->negative.text ? c->negative.text : NULL;
    m->text_states = input_of(o, c->text.states);
    m->audio_prompt = input_of(o, c->audio_prompt);
    m->melody = input_of(o, c->melody);
    m->prompt_dur_s = c->audio_prompt_dur_s;
    m->drop_prompt = s->drop_prompt;
    m->index = c->index;
    m->seed = c->seed;
    m->call_seed = o->list->seed;
    m->n_frames = c->T;
    m->n_window_frames = c->T_window;
    m->n_stride_frames = c->T_stride;
    m->window_s = first_given(asked->window_s, s->window_s);
    m->stride_s = first_given(asked->extend_stride_s, s->extend_stride_s);
    m->cfg_coef = c->guidance;
    m->cfg_coef_beta = c->guidance_beta;
    m->top_p = c->sampling.top_p;
    m->temperature = c->sampling.temperature;
    m->top_k = c->sampling.top_k;
    m->greedy = c->sampling.greedy;
    m->sampler = f->sampler;
}

static void describe_model(clip_facts *f, const mg_generate_output *o)
{
    const mg_generate_settings *s = o->settings;
    const mg_model_files *files = o->replica->files;
    const mg_model_part *const all[N_PARTS] = {&files->lm, &files->t5, &files->codec};
    static const char *const names[N_PARTS] = {"language_model", "text_encoder", "codec"};
    mg_clip_metadata *m = &f->m;

    m->model = s->model;
    m->model_key = s->model_key;
    m->lm = s->lm;
    m->text_encoder = s->text_encoder;
    m->codec = s->codec;
    m->tokenizer = s->tokenizer;
    m->tokenizer_sha256 = o->hashes.tokenizer_sha256[0] ? o->hashes.tokenizer_sha256 : NULL;
    m->parts = f->parts;
    for (int i = 0; i < N_PARTS; i++)
        if (all[i]->checkpoint)
            f->parts[m->n_parts++] = (mg_part_source){names[i], all[i]->path, all[i]->form,
                                                      mg_checkpoint_container(all[i]->checkpoint)};
    m->weights = o->hashes.weights;
    m->n_weights = o->hashes.n_weights;
    m->applied = o->applied;
    m->n_applied = (int)o->replica->renames.n;
}

static void describe_run(clip_facts *f, const mg_generate_output *o, const mg_clip_result *result)
{
    const mg_replica *r = o->replica;
    mg_clip_metadata *m = &f->m;

    m->version = MG_VERSION;
    m->backend = r->ops->name;
    m->dtype = mg_format_name(r->source.formats.weights);
    m->audio_library = mg_audio_library();
    m->host = o->world->host;
    m->n_ranks = o->world->size;
    m->tp = o->world->tp;
    m->batch = r->limits.n_slots;
    m->n_threads = mg_threads_count(r->threads);
    m->text_s = result->text_s;
    m->lm_s = result->lm_s;
    m->codec_s = result->codec_s;
    m->n_steps = result->n_steps;
    m->n_windows = result->n_windows;
    m->ms_per_step = result->n_steps > 0 ? result->lm_s * 1000 / (double)result->n_steps : NAN;
}

/* All but what the sound's own file tells. */
static mg_status describe(clip_facts *f, mg_generate_output *o, const mg_clip *c,
                          const mg_clip_result *result)
{
    const int64_t K = o->replica->config.lm.K;

    MG_RETURN(name_files(f, o->settings, o->list->name[c->index]));
    MG_RETURN(mg_generate_hashes_wait(&o->hashes)); /* the first clip may wait for them */
    MG_RETURN(mg_hash_bytes(f->codes_sha256, result->codes, (size_t)(K * c->T) * sizeof *result->codes));
    f->m.codes_sha256 = f->codes_sha256;
    f->m.n_codebooks = K;
    f->m.n_prompt_frames = result->T_prompt;
    describe_output(f, o->settings, &o->replica->config, c);
    describe_request(f, o, c);
    describe_model(f, o);
    describe_run(f, o, result);
    return MG_OK;
}

static mg_status write_sound_file(clip_facts *f, const mg_generate_settings *s, const char *path,
                                  const mg_sound *sound)
{
    mg_audio_tags tags = {.title = f->m.title, .software = "mg-dist " MG_VERSION};
    char *comment = NULL;

    f->m.sampling_rate = sound->rate_hz;
    f->m.n_channels = sound->n_channels;
    f->m.n_frames_pcm = sound->n_frames;
    f->m.dur_s = (double)sound->n_frames / (double)sound->rate_hz;
    MG_RETURN(mg_clip_metadata_tag(&comment, &f->m));
    tags.comment = comment;
    const mg_status st = mg_audio_file_write(path, (mg_audio_format)s->format, sound, &tags);
    free(comment);
    return st;
}

static mg_status write_sound(clip_facts *f, const mg_generate_output *o, const char *path,
                             const mg_clip_result *result)
{
    const mg_generate_settings *s = o->settings;
    const mg_normalization how = {(mg_strategy)s->strategy, s->peak_headroom_db, s->rms_headroom_db,
                                  s->loudness_headroom_db, s->loudness_compressor};
    const int64_t n_cut = s->drop_prompt ? result->T_prompt * o->replica->config.codec.hop : 0;
    mg_sound kept = result->sound, resampled = {0};
    mg_status st = MG_OK;

    if (n_cut >= kept.n_frames) return mg_fail(MG_EFAIL, "option --drop-prompt: no sound is left behind it");
    kept.pcm += n_cut * kept.n_channels;
    kept.n_frames -= n_cut;
    MG_RETURN(mg_normalize(&kept, &how));
    if (s->rate_hz <= 0 || s->rate_hz == kept.rate_hz) return write_sound_file(f, s, path, &kept);
    MG_TRY(mg_sound_convert(&resampled, &kept, s->rate_hz, kept.n_channels));
    st = write_sound_file(f, s, path, &resampled);
done:
    mg_sound_close(&resampled);
    return st;
}

static void note_written(clip_facts *f, const char *path)
{
    snprintf(f->written[f->n_written++], MG_PATH_SIZE, "%s", path);
}

static mg_status write_files(clip_facts *f, const mg_generate_output *o, const mg_clip *c,
                             const mg_clip_result *result)
{
    const char *dir = o->settings->out_dir;
    char path[MG_PATH_SIZE];

    if (f->m.codes_file) {
        MG_RETURN(mg_path_format(path, "%s/%s", dir, f->codes_file));
        MG_RETURN(mg_npy_write_i32(path, result->codes, f->m.n_codebooks, c->T));
        note_written(f, path);
    }
    if (f->m.audio_file) {
        MG_RETURN(mg_path_format(path, "%s/%s", dir, f->audio_file));
        MG_RETURN(write_sound(f, o, path, result));
        note_written(f, path);
        MG_RETURN(mg_hash_file(f->audio_sha256, path));
        f->m.audio_sha256 = f->audio_sha256;
    }
    MG_RETURN(mg_path_format(path, "%s/%s.json", dir, f->m.id));
    return mg_clip_metadata_write(path, &f->m);
}

mg_status mg_clip_files_write(mg_generate_output *o, const mg_clip *clip, const mg_clip_result *result)
{
    mg_status st = MG_OK;
    clip_facts *f = calloc(1, sizeof *f);

    if (!f) return mg_fail(MG_EFAIL, "metadata: no memory"); /* of this clip: the next may have it again */
    MG_TRY(describe(f, o, clip, result));
    st = mg_clip_files_to_stdout(o->settings) ? write_sound(f, o, "-", result)
                                              : write_files(f, o, clip, result);
done:
    for (int i = 0; st != MG_OK && i < f->n_written; i++) unlink(f->written[i]);
    free(f);
    return st;
}
