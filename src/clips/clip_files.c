/* One clip to its files: the sound (the audio prompt cut off if that was asked for, then the level, then
 * another rate, as AudioCraft normalises at the model's own), the codes, and the metadata of both. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clip_output.h"
#include "hash.h"
#include "log.h"
#include "npy.h"
#include "resample.h"
#include "version.h"

enum { NAME_SIZE = 512, N_PARTS = 4 };

/* What a clip's metadata points to while it is written. */
typedef struct clip_facts {
    mg_clip_metadata m;
    char audio_file[NAME_SIZE], codes_file[NAME_SIZE];
    char audio_sha256[65], sound_sha256[65], codes_sha256[65];
    mg_part_source parts[N_PARTS];
    char written[2][MG_PATH_SIZE]; /* what is there already, should the rest fail */
    int n_written;
} clip_facts;

mg_status mg_clip_files_path(char path[MG_PATH_SIZE], const mg_clip_output *o, int64_t index)
{
    const mg_audio_format format = (mg_audio_format)mg_clip_list_recipe(o->list, index)->format;

    if (mg_call_is_to_stdout(o->call)) return mg_path_format(path, "standard output");
    return mg_path_format(path, "%s/%s%s", o->call->out_dir, o->list->job[index].name,
                          o->call->codes_only ? ".codes.npy" : mg_audio_format_suffix(format));
}

static mg_status name_files(clip_facts *f, const mg_call *call, const char *name)
{
    const char *suffix = mg_audio_format_suffix((mg_audio_format)f->m.recipe.format);

    if (strlen(name) + sizeof ".codes.npy" > NAME_SIZE)
        return mg_fail(MG_EFAIL, "%.60s…: a name for files has at most %zu bytes", name,
                       NAME_SIZE - sizeof ".codes.npy");
    snprintf(f->audio_file, NAME_SIZE, "%s%s", name, suffix);
    snprintf(f->codes_file, NAME_SIZE, "%s.codes.npy", name);
    MG_SAY(&f->m.recipe, id, name);
    if (!call->codes_only) f->m.audio_file = f->audio_file;
    if (call->codes_only || call->save_codes) f->m.codes_file = f->codes_file;
    return MG_OK;
}

static void describe_request(clip_facts *f, const mg_clip_output *o, const mg_clip *c,
                             const mg_clip_result *result)
{
    const mg_codec_config *codec = &o->replica->config.codec;
    mg_clip_metadata *m = &f->m;

    m->recipe = *mg_clip_list_recipe(o->list, c->index);
    MG_SAY(&m->recipe, seed, (int64_t)c->terms.seed);
    MG_SAY(&m->recipe, n_prompt_frames, result->T_prompt);
    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const char *path = *(const char *const *)mg_recipe_get(&m->recipe, mg_recipe_input(i));
        if (path) m->input_sha256[i] = mg_input_hashes_find(&o->hashes, path);
    }
    m->index = c->index;
    m->call_seed = o->list->seed;
    m->n_codebooks = o->replica->config.lm.K;
    m->sampling_rate = codec->sampling_rate;
    m->n_channels = o->replica->config.lm.n_channels;
    m->dur_s = codec->frame_rate > 0 ? (double)c->terms.T / (double)codec->frame_rate : NAN;
}

static void describe_model(clip_facts *f, const mg_clip_output *o)
{
    const mg_call *call = o->call;
    const mg_model_files *files = o->replica->files;
    const mg_model_part *const all[N_PARTS] = {&files->lm, &files->t5, &files->codec, &files->mert};
    static const char *const names[N_PARTS] = {"language_model", "text_encoder", "codec", "style_encoder"};
    mg_clip_metadata *m = &f->m;

    m->asked = call->model;
    m->model_key = call->model_key;
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

static void describe_run(clip_facts *f, const mg_clip_output *o, const mg_clip_result *result)
{
    const mg_replica *r = o->replica;
    mg_clip_metadata *m = &f->m;

    m->version = mg_version();
    m->backend = r->backend.ops->name;
    m->text_backend = mg_clip_text_backend(&m->recipe, r);
    m->codec_backend = mg_replica_codec_backend(r);
    m->dtype = mg_format_name(r->backend.formats.weights);
    m->kv = r->backend.formats.kv == MG_FORMAT_Q8 ? mg_format_name(MG_FORMAT_Q8) : NULL;
    if (r->backend.group->space == MG_DEVICE && r->backend.group->size > 1)
        m->reduce = r->backend.group->name;
    m->audio_library = mg_audio_library();
    m->host = o->world->host;
    m->n_ranks = o->world->size;
    m->tp = o->world->tp;
    m->batch = r->limits.n_slots;
    m->n_threads = mg_threads_count(r->backend.threads);
    m->text_s = result->text_s;
    m->lm_s = result->lm_s;
    m->codec_s = result->codec_s;
    m->n_steps = result->n_steps;
    m->n_windows = result->n_windows;
    m->ms_per_step = result->n_steps > 0 ? result->lm_s * 1000 / (double)result->n_steps : NAN;
}

/* All but what the codes and the sound's own file tell. */
static mg_status describe(clip_facts *f, mg_clip_output *o, const mg_clip *c, const mg_clip_result *result)
{
    MG_RETURN(mg_input_hashes_wait(&o->hashes)); /* the first clip may wait for them; no step does */
    describe_request(f, o, c, result);
    MG_RETURN(name_files(f, o->call, o->list->job[c->index].name));
    describe_model(f, o);
    describe_run(f, o, result);
    return MG_OK;
}

static mg_status hash_codes(clip_facts *f, const mg_clip_output *o, const mg_clip *c,
                            const mg_clip_result *result)
{
    const int64_t n = o->replica->config.lm.K * c->terms.T;

    f->m.codes_sha256 = f->codes_sha256;
    return mg_hash_bytes(f->codes_sha256, result->codes, (size_t)n * sizeof *result->codes);
}

static void say_clipped(const clip_facts *f, const mg_sound *s)
{
    const mg_recipe *r = &f->m.recipe;
    const double part = (double)f->m.n_clipped / (double)(s->n_frames * s->n_channels);

    if (part <= MG_CLIPPED_HEARD) return;
    mg_log_warn(
        "clip %s: %lld samples (%.2g %%) are clipped; %s", r->id, (long long)f->m.n_clipped, 100 * part,
        r->strategy == MG_STRATEGY_RMS        ? "give a larger --rms-headroom"
        : r->strategy == MG_STRATEGY_LOUDNESS ? "give a larger --loudness-headroom, or --loudness-compressor"
                                              : "--strategy peak clips none");
}

static mg_status measure_sound(clip_facts *f, const mg_sound *sound)
{
    const size_t n = (size_t)(sound->n_frames * sound->n_channels);

    MG_RETURN(mg_sound_measure(&f->m.levels, sound));
    MG_RETURN(mg_hash_bytes(f->sound_sha256, sound->pcm, n * sizeof *sound->pcm));
    f->m.n_clipped += f->m.levels.n_over;
    say_clipped(f, sound);
    f->m.sound_sha256 = f->sound_sha256;
    return MG_OK;
}

static void describe_sound(clip_facts *f, const mg_sound *sound)
{
    f->m.sampling_rate = sound->rate_hz;
    f->m.n_channels = sound->n_channels;
    f->m.n_frames_pcm = sound->n_frames;
    f->m.dur_s = (double)sound->n_frames / (double)sound->rate_hz;
}

/* What the file says of a sound that is described. *comment is the caller's. */
static mg_status make_tags(mg_audio_tags *tags, char **comment, const clip_facts *f)
{
    MG_RETURN(mg_clip_metadata_tag(comment, &f->m));
    *tags = (mg_audio_tags){f->m.recipe.title, *comment, MG_VERSION_NAME};
    return MG_OK;
}

static mg_status write_sound_file(clip_facts *f, const char *path, const mg_sound *sound)
{
    const mg_audio_coding coding = mg_recipe_coding(&f->m.recipe);
    mg_audio_tags tags;
    char *comment;

    MG_RETURN(measure_sound(f, sound));
    describe_sound(f, sound);
    MG_RETURN(make_tags(&tags, &comment, f));
    const mg_status st = mg_audio_file_write_coded(f->audio_sha256, path, &coding, sound, &tags);
    free(comment);
    return st;
}

/* Frames of the prompt that the file leaves out. */
static mg_status count_dropped(int64_t *n, const mg_recipe *r, const mg_clip_output *o,
                               const mg_clip_result *result)
{
    *n = r->drop_prompt ? result->T_prompt * o->replica->config.codec.hop : 0;
    if (*n < result->sound.n_frames) return MG_OK;
    return mg_fail(MG_EFAIL, "option --drop-prompt: no sound is left behind it");
}

static mg_sound frames_of(const mg_sound *s, int64_t first, int64_t end)
{
    return (mg_sound){s->pcm + first * s->n_channels, end - first, s->n_channels, s->rate_hz};
}

static mg_status set_level(int64_t *n_clipped, const mg_recipe *s, mg_sound *sound)
{
    const mg_normalization how = {(mg_strategy)s->strategy, s->peak_headroom_db, s->rms_headroom_db,
                                  s->loudness_headroom_db, s->loudness_compressor};

    return mg_normalize(n_clipped, sound, &how);
}

bool mg_clip_output_is_heard(const mg_clip_output *o, int64_t index)
{
    const mg_recipe *s = mg_clip_list_recipe(o->list, index);

    return mg_call_is_to_stdout(o->call) && s->strategy >= MG_STRATEGY_CLIP &&
           s->format <= MG_AUDIO_WAV_F32 &&
           (s->rate_hz <= 0 || s->rate_hz == o->replica->config.codec.sampling_rate);
}

static mg_status write_sound(clip_facts *f, const mg_clip_output *o, const char *path,
                             const mg_clip_result *result)
{
    const mg_recipe *s = &f->m.recipe;
    mg_sound resampled = {0};
    mg_status st = MG_OK;
    int64_t n_dropped;

    MG_RETURN(count_dropped(&n_dropped, s, o, result));
    mg_sound kept = frames_of(&result->sound, n_dropped, result->sound.n_frames);
    if (o->n_heard > 0) {
        f->m.n_clipped = o->n_heard_clipped;
        describe_sound(f, &kept);
        return measure_sound(f, &kept);
    }
    MG_RETURN(set_level(&f->m.n_clipped, s, &kept));
    if (s->rate_hz <= 0 || s->rate_hz == kept.rate_hz) return write_sound_file(f, path, &kept);
    MG_TRY(mg_sound_convert(&resampled, &kept, s->rate_hz, kept.n_channels));
    st = write_sound_file(f, path, &resampled);
done:
    mg_sound_close(&resampled);
    return st;
}

/* What an older clip of this name left and this one does not write. */
static void remove_others(const clip_facts *f, const mg_call *call)
{
    char path[MG_PATH_SIZE];

    for (int i = 0; i < MG_AUDIO_N_FORMATS; i++) {
        const char *suffix = mg_audio_format_suffix((mg_audio_format)i);
        if (mg_path_format(path, "%s/%s%s", call->out_dir, f->m.recipe.id, suffix) != MG_OK) continue;
        if (!f->m.audio_file || strcmp(mg_path_name(path), f->m.audio_file) != 0) unlink(path);
    }
    if (!f->m.codes_file && mg_path_format(path, "%s/%s.codes.npy", call->out_dir, f->m.recipe.id) == MG_OK)
        unlink(path);
}

static void note_written(clip_facts *f, const char *path)
{
    snprintf(f->written[f->n_written++], MG_PATH_SIZE, "%s", path);
}

static mg_status write_files(clip_facts *f, const mg_clip_output *o, const mg_clip *c,
                             const mg_clip_result *result)
{
    const char *dir = o->call->out_dir;
    char path[MG_PATH_SIZE];

    if (o->call->overwrite) { /* no moment has a sound beside the metadata of another */
        MG_RETURN(mg_path_format(path, "%s/%s.json", dir, f->m.recipe.id));
        unlink(path);
        remove_others(f, o->call);
    }
    if (f->m.codes_file) {
        MG_RETURN(mg_path_format(path, "%s/%s", dir, f->codes_file));
        MG_RETURN(mg_npy_write_i32(path, result->codes, f->m.n_codebooks, c->terms.T));
        note_written(f, path);
    }
    if (f->m.audio_file) {
        MG_RETURN(mg_path_format(path, "%s/%s", dir, f->audio_file));
        MG_RETURN(write_sound(f, o, path, result));
        note_written(f, path);
        f->m.audio_sha256 = f->audio_sha256;
    }
    MG_RETURN(mg_path_format(path, "%s/%s.json", dir, f->m.recipe.id));
    return mg_clip_metadata_write(path, &f->m);
}

/* Share of samples that were cut off: floats keep what is beyond full scale. */
static double share_cut(const mg_clip_metadata *m)
{
    const int64_t n_kept = m->recipe.format == MG_AUDIO_WAV_F32 ? m->levels.n_over : 0;

    return (double)(m->n_clipped - n_kept) / (double)(m->n_frames_pcm * m->n_channels);
}

mg_status mg_clip_files_write(mg_clip_output *o, const mg_clip *clip, const mg_clip_result *result)
{
    mg_status st = MG_OK;
    clip_facts *f = calloc(1, sizeof *f);

    if (!f) return mg_fail(MG_EFAIL, "metadata: no memory"); /* of this clip: the next may have it again */
    MG_TRY(describe(f, o, clip, result));
    MG_TRY(hash_codes(f, o, clip, result));
    st = mg_call_is_to_stdout(o->call) ? write_sound(f, o, "-", result) : write_files(f, o, clip, result);
    if (f->m.n_frames_pcm > 0) o->clipping = share_cut(&f->m);
done:
    for (int i = 0; st != MG_OK && i < f->n_written; i++) unlink(f->written[i]);
    free(f);
    return st;
}

/* The header of a sound that is heard: it comes with the first part. */
static mg_status make_heard_tags(mg_audio_tags *tags, char **comment, mg_clip_output *o, const mg_clip *clip,
                                 const mg_clip_result *so_far, const mg_sound *whole)
{
    mg_status st = MG_OK;
    clip_facts *f = calloc(1, sizeof *f);

    if (!f) return mg_fail(MG_EFAIL, "metadata: no memory");
    MG_TRY(describe(f, o, clip, so_far));
    describe_sound(f, whole);
    st = make_tags(tags, comment, f);
done:
    free(f);
    return st;
}

mg_status mg_clip_output_hear(void *arg, const mg_clip *clip, const mg_clip_result *so_far, int64_t first,
                              int64_t end)
{
    mg_clip_output *o = arg;
    const mg_recipe *r = mg_clip_list_recipe(o->list, clip->index);
    const mg_audio_coding coding = mg_recipe_coding(r);
    mg_audio_tags tags = {0};
    char *comment = NULL;
    int64_t n_dropped, n_clipped;

    MG_RETURN(count_dropped(&n_dropped, r, o, so_far));
    if (first < n_dropped) first = n_dropped;
    if (end <= first) return MG_OK;
    const mg_sound whole = frames_of(&so_far->sound, n_dropped, so_far->sound.n_frames);
    mg_sound part = frames_of(&so_far->sound, first, end);
    MG_RETURN(set_level(&n_clipped, r, &part));
    if (first == n_dropped) MG_RETURN(make_heard_tags(&tags, &comment, o, clip, so_far, &whole));
    const mg_status st = mg_audio_file_write_part(&coding, &part, first - n_dropped, whole.n_frames, &tags);
    free(comment);
    o->n_heard += part.n_frames;
    o->n_heard_clipped += n_clipped;
    return st;
}
