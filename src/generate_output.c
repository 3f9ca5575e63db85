/* From finished clips to files: WAV, codes, metadata; and the account of what was delivered. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "generate.h"
#include "hash.h"
#include "log.h"
#include "npy.h"

enum { DELIVERED = 1, FAILED = 2, HASHER_NICENESS = 10, NAME_SIZE = 64, PATH_SIZE = 4096 };

static const char *const format_words[] = {"wav", "wav-f32"};
static const char *const strategy_words[] = {"clip", "none"};

/* A cached file is already named by its hash, and reading it all again costs a minute for a large model:
 * `mg-dist verify` compares. */
static mg_status hash_file(mg_file_hash *h)
{
    h->of_blob_name = mg_hub_blob_hash(h->sha256, h->path) && strlen(h->sha256) == 64;
    return h->of_blob_name ? MG_OK : mg_hash_file(h->sha256, h->path);
}

static void *hash_files(void *arg)
{
    mg_generate_output *o = arg;

    setpriority(PRIO_PROCESS, (id_t)gettid(), HASHER_NICENESS); /* Linux: of this thread alone */
    for (int i = 0; i < o->n_hashes && o->hash_st == MG_OK; i++) o->hash_st = hash_file(&o->hashes[i]);
    snprintf(o->hash_error, sizeof o->hash_error, "%s", mg_last_error());
    return NULL;
}

static void add_files(mg_generate_output *o, const mg_checkpoint *c)
{
    for (size_t i = 0; c && i < mg_checkpoint_n_files(c); i++)
        snprintf(o->hashes[o->n_hashes++].path, sizeof o->hashes->path, "%s", mg_checkpoint_file(c, i));
}

static mg_status start_hasher(mg_generate_output *o)
{
    const mg_model_files *files = o->replica->files;
    size_t n = 1;

    for (int i = 0; i < files->n_opened; i++) n += mg_checkpoint_n_files(files->opened[i]);
    o->hashes = calloc(n, sizeof *o->hashes);
    if (!o->hashes) return mg_fail(MG_ENOMEM, "hashes: %zu files", n);
    for (int i = 0; i < files->n_opened; i++) add_files(o, files->opened[i]);
    const int error = pthread_create(&o->hasher, NULL, hash_files, o);
    if (error) return mg_fail(MG_EFAIL, "hashes: no thread: %s", strerror(error));
    o->hasher_runs = true;
    return MG_OK;
}

mg_status mg_generate_output_open(mg_generate_output *o, const mg_generate_settings *settings,
                                  const mg_clip_list *list, const mg_replica *replica, const mg_world *world)
{
    *o = (mg_generate_output){.settings = settings, .list = list, .replica = replica, .world = world};
    o->outcome = calloc((size_t)list->n, sizeof *o->outcome);
    if (!o->outcome) return mg_fail(MG_ENOMEM, "outcomes: %lld clips", (long long)list->n);
    o->applied = calloc(replica->renames.n + 1, sizeof *o->applied);
    if (!o->applied) return mg_fail(MG_ENOMEM, "proposals: %zu", replica->renames.n);
    for (size_t i = 0; i < replica->renames.n; i++)
        o->applied[i] = (mg_renamed){replica->renames.list[i].target, replica->renames.list[i].source};
    return replica->is_leader ? start_hasher(o) : MG_OK;
}

static void join_hasher(mg_generate_output *o)
{
    if (o->hasher_runs) pthread_join(o->hasher, NULL);
    o->hasher_runs = false;
}

void mg_generate_output_close(mg_generate_output *o)
{
    if (o->hasher_runs) pthread_cancel(o->hasher); /* it waits in read(2) most of its time */
    join_hasher(o);
    free(o->hashes);
    free(o->applied);
    free(o->outcome);
    *o = (mg_generate_output){0};
}

/* The metadata needs the hashes: the first clip may wait for them. */
static mg_status wait_for_hashes(mg_generate_output *o)
{
    join_hasher(o);
    return o->hash_st == MG_OK ? MG_OK : mg_fail(o->hash_st, "%s", o->hash_error);
}

static mg_status apply_strategy(float *pcm, int64_t n, int strategy)
{
    const float limit =
        powf(10.0f, -1.0f / 20.0f); /* AudioCraft's audio_write, "clip" with 1 dB of headroom */

    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(pcm[i])) return mg_fail(MG_EFAIL, "sound: sample %lld is not finite", (long long)i);
        if (strategy != MG_STRATEGY_CLIP) continue;
        if (pcm[i] > limit) pcm[i] = limit;
        if (pcm[i] < -limit) pcm[i] = -limit;
    }
    return MG_OK;
}

static void name_of(char *out, size_t out_bytes, const mg_clip *clip, const char *suffix)
{
    snprintf(out, out_bytes, "%06lld%s", (long long)clip->index, suffix);
}

static mg_status path_of(char *out, const mg_generate_output *o, const char *name)
{
    const int n = snprintf(out, PATH_SIZE, "%s/%s", o->settings->out_dir, name);

    return n < PATH_SIZE
               ? MG_OK
               : mg_fail(MG_EFAIL, "option --out: %.60s…: the path is too long", o->settings->out_dir);
}

static int list_parts(mg_part_source parts[3], const mg_model_files *f)
{
    const mg_model_part *const all[3] = {&f->lm, &f->t5, &f->codec};
    static const char *const names[3] = {"language_model", "text_encoder", "codec"};
    int n = 0;

    for (int i = 0; i < 3; i++)
        if (all[i]->checkpoint)
            parts[n++] = (mg_part_source){names[i], all[i]->path, all[i]->form,
                                          mg_checkpoint_container(all[i]->checkpoint)};
    return n;
}

static mg_status write_metadata(mg_generate_output *o, const mg_clip *c, const mg_clip_result *result,
                                const char *audio_name, const char *codes_name)
{
    const mg_generate_settings *s = o->settings;
    const mg_codec_config *codec = &o->replica->config.codec;
    char name[NAME_SIZE], path[PATH_SIZE];

    name_of(name, sizeof name, c, ".json");
    MG_RETURN(path_of(path, o, name));
    MG_RETURN(wait_for_hashes(o));
    mg_part_source parts[3];
    const int n_parts = list_parts(parts, o->replica->files);
    const mg_clip_metadata m = {
        .audio_file = audio_name,
        .codes_file = s->save_codes ? codes_name : NULL,
        .format = format_words[s->format],
        .strategy = strategy_words[s->strategy],
        .sampling_rate = codec->sampling_rate,
        .n_channels = codec->n_channels,
        .n_frames_pcm = result->n_frames,
        .dur_s = (double)result->n_frames / (double)codec->sampling_rate,
        .prompt = c->index < o->list->n_with_prompt ? c->prompt : NULL,
        .index = c->index,
        .seed = c->seed,
        .call_seed = o->list->seed,
        .n_frames = c->T,
        .cfg_coef = c->guidance,
        .top_p = c->sampling.top_p,
        .temperature = c->sampling.temperature,
        .top_k = c->sampling.top_k,
        .greedy = c->sampling.greedy,
        .model = s->model,
        .model_key = s->model_key,
        .lm = s->lm,
        .text_encoder = s->text_encoder,
        .codec = s->codec,
        .tokenizer = s->tokenizer,
        .parts = parts,
        .n_parts = n_parts,
        .weights = o->hashes,
        .n_weights = o->n_hashes,
        .applied = o->applied,
        .n_applied = (int)o->replica->renames.n,
        .version = MG_VERSION,
        .backend = o->replica->ops->name,
        .dtype = mg_dtype_name(o->replica->source.dtype),
        .host = o->world->host,
        .n_ranks = o->world->size,
        .tp = o->world->tp,
        .batch = o->replica->limits.n_slots,
        .n_threads = mg_threads_count(o->replica->threads),
        .text_s = result->text_s,
        .lm_s = result->lm_s,
        .codec_s = result->codec_s,
        .n_steps = result->n_steps,
        .ms_per_step = result->lm_s * 1000 / (double)result->n_steps,
    };
    return mg_clip_metadata_write(path, &m);
}

static mg_status write_clip(mg_generate_output *o, const mg_clip *c, const mg_clip_result *result)
{
    const mg_generate_settings *s = o->settings;
    const mg_codec_config *codec = &o->replica->config.codec;
    char audio_name[NAME_SIZE], codes_name[NAME_SIZE], path[PATH_SIZE];

    if (result->st != MG_OK) return result->st;
    name_of(audio_name, sizeof audio_name, c, ".wav");
    name_of(codes_name, sizeof codes_name, c, ".codes.npy");
    MG_RETURN(apply_strategy(result->pcm, result->n_frames, s->strategy));
    if (s->save_codes) {
        MG_RETURN(path_of(path, o, codes_name));
        MG_RETURN(mg_npy_write_i32(path, result->codes, o->replica->config.lm.K, c->T));
    }
    MG_RETURN(path_of(path, o, audio_name));
    MG_RETURN(mg_audio_file_write(path, (mg_audio_format)s->format, result->pcm, result->n_frames,
                                  (int)codec->n_channels, (int)codec->sampling_rate));
    return write_metadata(o, c, result, audio_name, codes_name);
}

mg_status mg_generate_output_take(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    mg_generate_output *o = arg;
    const mg_status st = write_clip(o, clip, result);

    o->outcome[clip->index] = st == MG_OK ? DELIVERED : FAILED;
    if (st != MG_OK) mg_log_error("clip %06lld: %s", (long long)clip->index, mg_last_error());
    return st == MG_EBUG || st == MG_ENOMEM ? st : MG_OK;
}

/* "000001, 000003 …" of what failed. */
static void list_failed(char *out, size_t out_bytes, const mg_generate_output *o)
{
    size_t n = 0;

    for (int64_t i = 0; i < o->list->n && n + 16 < out_bytes; i++)
        if (o->outcome[i] != DELIVERED)
            n += (size_t)snprintf(out + n, out_bytes - n, "%s%06lld", n ? ", " : "", (long long)i);
    if (n + 16 >= out_bytes) snprintf(out + n, out_bytes - n, " …");
}

static mg_status verdict(const mg_generate_output *o)
{
    int64_t n_delivered = 0;
    char failed[200] = "";

    for (int64_t i = 0; i < o->list->n; i++) n_delivered += o->outcome[i] == DELIVERED;
    if (n_delivered == o->list->n) return MG_OK;
    list_failed(failed, sizeof failed, o);
    return mg_fail(n_delivered > 0 ? MG_EPARTIAL : MG_EFAIL, "generate: %lld of %lld clips failed: %s",
                   (long long)(o->list->n - n_delivered), (long long)o->list->n, failed);
}

mg_status mg_generate_output_conclude(mg_generate_output *o)
{
    const mg_world *w = o->world;
    const int64_t n = o->list->n;
    mg_status st = MG_OK;
    int32_t *all = calloc((size_t)(n * w->size), sizeof *all);

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "outcomes: %lld clips", (long long)n)));
    MG_TRY(mg_comm_all_gather(w->all, all, o->outcome, n, MG_I32));
    for (int64_t i = 0; i < n; i++)
        for (int r = 0; r < w->size; r++)
            if (all[r * n + i]) o->outcome[i] = all[r * n + i];
    for (int64_t i = 0; i < n && w->rank == 0; i++)
        if (o->outcome[i] == DELIVERED) printf("%s/%06lld.wav\n", o->settings->out_dir, (long long)i);
    fflush(stdout);
    st = mg_comm_agree(w->all, verdict(o));
done:
    free(all);
    return st;
}
