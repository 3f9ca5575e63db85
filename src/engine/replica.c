#include "replica.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "delay.h"
#include "log.h"
#include "model_survey.h"
#include "style_excerpt.h"
#include "style_memo.h"
#include "text.h"

enum { USUAL_FRAME_RATE = 50, MOST_SOUND_BYTES = 128 << 20 };

static void read_from(mg_weights *w, const mg_model_part *part)
{
    w->checkpoint = part->checkpoint;
    w->prefix = part->prefix;
}

static int codec_halves(const mg_replica *r)
{
    return (r->source.with_decoder ? MG_ENCODEC_DECODER : 0) |
           (r->source.with_encoder ? MG_ENCODEC_ENCODER : 0);
}

static bool has_style(const mg_replica *r)
{
    return r->is_leader && r->config.lm.is_style && r->files->mert.checkpoint;
}

/* T5 -> LM -> EnCodec from their checkpoints: surveyed or loaded, by what the arenas are. */
static mg_status load_stages(mg_replica *r, mg_progress *progress)
{
    const mg_config *c = &r->config;
    const mg_model_files *files = r->files;
    mg_replica_bytes *b = &r->bytes;
    mg_replica_times *t = &r->times;
    mg_status st = MG_OK;
    mg_weights w;
    const double begin_s = mg_clock_s();

    mg_weights_init(&w, mg_backend_text_ops(&r->beside), NULL, &r->text_memory.weights, "");
    w.progress = progress;
    if (r->is_leader && r->source.with_text) {
        read_from(&w, &files->t5);
        MG_TRY(mg_t5_load(&r->t5, &c->t5, &w));
    }
    if (has_style(r)) {
        read_from(&w, &files->lm);
        w.prefix = MG_STYLE_PREFIX;
        MG_TRY(mg_style_load(&r->style, &c->style, &w, files->mert.checkpoint, files->mert.prefix));
    }
    b->t5_weights = r->text_memory.weights.used_bytes;
    t->t5 = mg_clock_s() - begin_s;

    w.ops = r->backend.ops, w.arena = &r->lm_memory.weights;
    read_from(&w, &files->lm);
    w.is_packed = mg_pack_cache_read(&r->pack, &r->backend, r->lm_memory.weights_block,
                                     r->lm_memory.weights.size_bytes);
    MG_TRY(mg_lm_load(&r->lm, &c->lm, r->backend.formats, r->backend.group, &w));
    b->lm_weights = r->lm_memory.weights.used_bytes;
    b->lm_layer = mg_lm_get_layer_size(r->lm);
    w.is_packed = false;
    t->lm = mg_clock_s() - begin_s - t->t5;

    w.ops = r->beside.ops, w.arena = &r->codec_memory.weights;
    if (r->is_leader && codec_halves(r)) {
        read_from(&w, &files->codec);
        MG_TRY(mg_encodec_load(&r->codec, &c->codec, codec_halves(r), &w));
    }
    b->codec_weights = r->codec_memory.weights.used_bytes;
    t->codec = mg_clock_s() - begin_s - t->t5 - t->lm;
    r->read_bytes = w.n_read_bytes;
    mg_weights_say_zeros(&w);
    MG_TRY(mg_weights_check_survey(&w));
done:
    mg_weights_close(&w);
    return st;
}

static size_t sound_bytes(const mg_replica *r, const mg_replica_limits *limits)
{
    return (size_t)(limits->T_max * r->config.codec.hop * r->config.lm.n_channels) * sizeof(float);
}

/* Clips that are decoded at once: as many as suit the codec's backend, if there are slots for them; of long
 * ones only so many that their sounds stay small beside the model. */
static int64_t count_sounds(const mg_replica *r, const mg_replica_limits *limits)
{
    const int64_t suit = r->beside.ops->hints.n_sequences / r->config.lm.n_channels;
    const int64_t fit = MOST_SOUND_BYTES / ((int64_t)sound_bytes(r, limits) + 1);
    const int64_t most = suit < fit ? suit : fit, n = limits->n_slots < most ? limits->n_slots : most;

    return n > 1 ? n : 1;
}

static mg_status reserve_codec(mg_replica *r, const mg_replica_limits *limits)
{
    r->n_sounds = 1;
    if (!r->codec) return MG_OK;
    r->n_sounds = count_sounds(r, limits);
    const int64_t suit = r->beside.ops->hints.n_sequences, n = r->n_sounds * r->config.lm.n_channels;
    return mg_encodec_reserve(r->codec, &r->codec_memory.run, n < suit ? n : suit);
}

/* What clips hold on their way (ready_clip.h): on the leader those that are prepared, in slots and waiting to
 * be finished, and the sounds of those that are being finished, and of one the sound at another rate and the
 * file. */
static void measure_host(mg_replica *r, const mg_replica_limits *limits)
{
    const mg_lm_config *lm = &r->config.lm;
    mg_replica_bytes *b = &r->bytes;
    const size_t codes = (size_t)(lm->K * limits->T_max) * sizeof(int32_t);
    const size_t n_slots = (size_t)limits->n_slots, sound = sound_bytes(r, limits);
    const size_t resampled = (size_t)(limits->n_resampled * lm->n_channels) * sizeof(float);
    const size_t file = resampled > sound ? resampled : sound;

    b->host = n_slots * ((size_t)lm->K * sizeof(mg_draw) + limits->n_payload_bytes) +
              (size_t)(limits->n_tokens * lm->K) * sizeof(int32_t);
    b->leader =
        n_slots * (limits->n_payload_bytes + (2 + MG_FINISHING_CLIPS) * codes) + (size_t)r->n_sounds * codes;
    if (r->codec && r->source.with_decoder) b->leader += (size_t)r->n_sounds * sound + resampled + file;
    if (limits->n_excerpt > 0)
        b->leader += MG_STYLE_MEMO_PLACES * (size_t)(lm->chroma_length * lm->n_chroma) * sizeof(float);
    if (!r->is_leader) b->leader = 0;
    b->host += b->leader;
}

static mg_status reserve_stages(mg_replica *r, const mg_replica_limits *limits)
{
    mg_replica_bytes *b = &r->bytes;
    const int64_t S = limits->S_max > 0 ? limits->S_max : 1;
    const mg_lm_limits lm = {
        .n_rows = limits->n_rows,
        .n_texts = limits->n_texts,
        .n_tokens = limits->n_tokens,
        .n_logits = limits->n_rows,
        .T_max = limits->P_max,
        .S_max = S,
        .n_slots = limits->n_slots,
        .n_frames = limits->T_max,
    };

    if (r->t5) MG_RETURN(mg_t5_reserve(r->t5, &r->text_memory.run, S));
    if (r->style && limits->n_excerpt > 0)
        MG_RETURN(mg_style_reserve(r->style, &r->text_memory.run, limits->n_excerpt));
    b->t5_run = r->text_memory.run.used_bytes;
    MG_RETURN(reserve_codec(r, limits));
    b->codec_run = r->codec_memory.run.used_bytes;
    MG_RETURN(mg_lm_reserve(r->lm, &r->lm_memory.run, &lm));
    b->lm_run = r->lm_memory.run.used_bytes;
    measure_host(r, limits);
    return MG_OK;
}

static bool is_training(const mg_model_part *part)
{
    return part->checkpoint && mg_checkpoint_get_kind(part->checkpoint) == MG_CHECKPOINT_TRAINING;
}

/* Every excerpt that may be asked for must make rows, and no more than the prefix has room for. */
static mg_status check_style(const mg_replica *r)
{
    const mg_config *c = &r->config;

    if (c->codec.sampling_rate == 0) return MG_OK; /* there is no sound then to take one of */
    const int64_t least = mg_style_n_rows(&c->style, mg_style_excerpt_heard(c, MG_STYLE_LEAST_S)),
                  most = mg_style_n_rows(&c->style, mg_style_excerpt_heard(c, MG_STYLE_MOST_S));
    if (least >= 1 && most <= c->lm.chroma_length) return MG_OK;
    return mg_fail(MG_ECHECKPOINT,
                   "style encoder: %s: makes %lld rows of %g s and %lld of %g s; 1 to %lld are possible",
                   r->files->mert.path, (long long)least, MG_STYLE_LEAST_S, (long long)most, MG_STYLE_MOST_S,
                   (long long)c->lm.chroma_length);
}

/* Do the parts belong together? */
static mg_status check_parts(const mg_replica *r)
{
    const mg_model_files *f = r->files;
    const mg_config *c = &r->config;

    if (is_training(&f->lm) || is_training(&f->codec))
        return mg_fail(MG_ECHECKPOINT,
                       "model: %s: is a training checkpoint: export it first (mg-dist export)",
                       is_training(&f->lm) ? f->lm.path : f->codec.path);
    if (f->t5.checkpoint && c->t5.d_model != c->lm.d_text)
        return mg_fail(MG_ECHECKPOINT,
                       "text encoder: %s: states of width %lld, the language model reads %lld", f->t5.path,
                       (long long)c->t5.d_model, (long long)c->lm.d_text);
    if (f->mert.checkpoint) MG_RETURN(check_style(r));
    if (!codec_halves(r)) return MG_OK;
    if (c->codec.n_channels != 1)
        return mg_fail(MG_ECHECKPOINT,
                       "codec: %s: has %lld channels, MusicGen's is mono, also in stereo models",
                       f->codec.path, (long long)c->codec.n_channels);
    if (c->lm.K != c->codec.n_codebooks * c->lm.n_channels)
        return mg_fail(
            MG_ECHECKPOINT,
            "codec: %s: has %lld codebook%s, the language model writes %lld for each of %lld channel%s",
            f->codec.path, (long long)c->codec.n_codebooks, mg_plural(c->codec.n_codebooks),
            (long long)(c->lm.K / c->lm.n_channels), (long long)c->lm.n_channels,
            mg_plural(c->lm.n_channels));
    if (c->lm.V != c->codec.codebook_size)
        return mg_fail(MG_ECHECKPOINT, "codec: %s: codebooks of %lld entries, the language model writes %lld",
                       f->codec.path, (long long)c->codec.codebook_size, (long long)c->lm.V);
    return MG_OK;
}

/* The format that most of the language model is stored in. */
static mg_format stored_format(const mg_model_part *lm)
{
    int64_t n[MG_DTYPES], all = 0;

    mg_model_part_count(n, lm);
    for (int i = 0; i < MG_DTYPES; i++) all += n[i];
    if (all >= 2 * (n[MG_F16] + n[MG_BF16])) return MG_FORMAT_F32;
    return n[MG_F16] >= n[MG_BF16] ? MG_FORMAT_F16 : MG_FORMAT_BF16;
}

static mg_replica *new_replica(const mg_replica_source *source, const mg_backend *lm,
                               const mg_backend *beside, mg_comm *group)
{
    mg_replica *r = calloc(1, sizeof *r);

    if (!r) return NULL;
    pthread_mutex_init(&r->beside_lock, NULL);
    r->source = *source;
    r->backend = *lm;
    r->beside = *beside;
    r->group = group;
    r->is_leader = group->rank == 0;
    r->lm_memory.weights = mg_arena_measure("weights");
    r->text_memory.weights = mg_arena_measure("weights of the text encoder");
    r->codec_memory.weights = mg_arena_measure("weights of the codec");
    return r;
}

mg_status mg_replica_open(mg_replica **out, const mg_replica_source *source, const mg_backend *lm,
                          const mg_backend *beside, mg_comm *group)
{
    mg_status st = MG_OK;
    mg_replica *r = new_replica(source, lm, beside, group);

    *out = NULL;
    if (!r) return mg_fail(MG_ENOMEM, "replica: %zu bytes", sizeof *r);
    MG_TRY(mg_model_files_open(
        &r->files, &source->model,
        MG_NEED_LM | (codec_halves(r) ? MG_NEED_CODEC : 0) | (source->with_text ? MG_NEED_T5 : 0) |
            (source->with_melody ? MG_NEED_STYLE : 0) | (source->may_style ? MG_WANT_STYLE : 0) |
            (source->with_tokenizer ? MG_NEED_TOKENIZER : 0)));
    r->config = r->files->config;
    MG_TRY(check_parts(r));
    MG_TRY(mg_model_survey_judge(r->files, lm->ops, source->apply_proposed ? &r->renames : NULL));
    for (size_t i = 0; i < r->renames.n; i++)
        mg_log_info("model: %s is taken for %s, as proposed", r->renames.list[i].source,
                    r->renames.list[i].target);
    mg_lm_formats *formats = &r->backend.formats;
    if (lm->as_stored) formats->weights = stored_format(&r->files->lm);
    if (lm->as_stored && formats->kv != MG_FORMAT_Q8) formats->kv = formats->weights;
    MG_TRY(load_stages(r, NULL));
    *out = r;
done:
    if (st != MG_OK) mg_replica_close(r);
    return st;
}

mg_status mg_replica_open_shape(mg_replica **out, const mg_replica_source *source, const mg_config *config,
                                const mg_backend *lm, const mg_backend *beside, mg_comm *group)
{
    mg_status st = MG_OK;
    mg_replica *r = new_replica(source, lm, beside, group);

    *out = NULL;
    if (!r) return mg_fail(MG_ENOMEM, "replica: %zu bytes", sizeof *r);
    r->config = *config;
    r->files = calloc(1, sizeof *r->files);
    MG_TRY(r->files ? MG_OK : mg_fail(MG_ENOMEM, "replica: %zu bytes", sizeof *r->files));
    MG_TRY(check_parts(r));
    MG_TRY(load_stages(r, NULL));
    *out = r;
done:
    if (st != MG_OK) mg_replica_close(r);
    return st;
}

static void release(mg_replica_memory *m, const mg_ops *ops)
{
    mg_ops_release(ops, m->weights_block, m->weights.size_bytes);
    mg_ops_release(ops, m->run_block, m->run.size_bytes);
}

void mg_replica_close(mg_replica *r)
{
    if (!r) return;
    mg_t5_close(r->t5);
    mg_style_close(r->style);
    mg_lm_close(r->lm);
    mg_encodec_close(r->codec);
    mg_mapping_renames_close(&r->renames);
    mg_model_files_close(r->files);
    release(&r->lm_memory, r->backend.ops);
    release(&r->text_memory, mg_backend_text_ops(&r->beside));
    release(&r->codec_memory, r->beside.ops);
    pthread_mutex_destroy(&r->beside_lock);
    free(r);
}

double mg_replica_frame_rate(const mg_replica *r)
{
    return r->config.codec.frame_rate > 0 ? (double)r->config.codec.frame_rate : USUAL_FRAME_RATE;
}

bool mg_replica_has_beside(const mg_replica *r)
{
    return r->beside.ops != r->backend.ops;
}

void mg_replica_lock_beside(mg_replica *r)
{
    pthread_mutex_lock(&r->beside_lock);
}

void mg_replica_unlock_beside(mg_replica *r)
{
    pthread_mutex_unlock(&r->beside_lock);
}

mg_status mg_replica_measure(mg_replica *r, const mg_replica_limits *limits)
{
    mg_replica_bytes *b = &r->bytes;
    const int64_t n = limits->n_outside, saved = mg_lm_outside_saves(b->lm_layer, n);

    b->lm_weights = (size_t)((int64_t)r->lm_memory.weights.used_bytes - saved);
    b->outside = r->backend.ops->space == MG_DEVICE ? (size_t)(n * b->lm_layer.all_bytes) : 0;
    r->lm_memory.run = mg_arena_measure("run");
    r->text_memory.run = mg_arena_measure("run of the text encoder");
    r->codec_memory.run = mg_arena_measure("run of the codec");
    return reserve_stages(r, limits);
}

/* The memory that a measuring arena counted, from the backend; nothing for nothing. */
static mg_status take_block(const mg_ops *ops, mg_arena *arena, void **block)
{
    const size_t bytes = arena->used_bytes;

    if (bytes > 0) MG_RETURN(mg_ops_alloc(ops, block, bytes));
    *arena = mg_arena_over(arena->name, *block, bytes);
    return MG_OK;
}

static mg_status take_memory(mg_replica_memory *m, const mg_ops *ops)
{
    MG_RETURN(take_block(ops, &m->weights, &m->weights_block));
    return take_block(ops, &m->run, &m->run_block);
}

static mg_status load(mg_replica *r, const mg_replica_limits *limits)
{
    mg_progress progress;

    MG_RETURN(mg_replica_measure(r, limits));
    r->lm_memory.weights.used_bytes = r->bytes.lm_weights;
    mg_lm_leave_outside(r->lm, limits->n_outside);
    const double begin_s = mg_clock_s();
    MG_RETURN(take_memory(&r->lm_memory, r->backend.ops));
    MG_RETURN(take_memory(&r->text_memory, mg_backend_text_ops(&r->beside)));
    MG_RETURN(take_memory(&r->codec_memory, r->beside.ops));
    r->times.memory = mg_clock_s() - begin_s;
    mg_pack_cache_open(&r->pack, r->files, &r->backend, limits->n_outside);
    mg_progress_begin(&progress, "load", "MB", r->read_bytes - mg_lm_unread_bytes(r->lm));
    progress.unit_size = 1000000;
    const mg_status st = load_stages(r, &progress);
    mg_progress_end(&progress);
    if (st != MG_OK) return st;
    MG_RETURN(mg_model_files_check(r->files));
    if (mg_lm_n_unpinned(r->lm))
        mg_log_warn("offload: the host pins no more memory: %lld of %lld layers outside are in plain memory "
                    "and come more slowly",
                    (long long)mg_lm_n_unpinned(r->lm), (long long)limits->n_outside);
    MG_RETURN(reserve_stages(r, limits));
    r->limits = *limits;
    return mg_lm_tune(r->lm);
}

mg_status mg_replica_load(mg_replica *r, const mg_replica_limits *limits)
{
    const mg_status st = load(r, limits);

    if (r->backend.group->space == MG_HOST) return st;
    MG_RETURN(mg_comm_agree(r->group, st));
    return mg_comm_tune(r->backend.group, limits->n_rows * r->config.lm.D);
}

mg_status mg_replica_keep_pack(mg_replica *r, const mg_world *w)
{
    const mg_arena *weights = &r->lm_memory.weights;

    if (!r->backend.pack_cache) return MG_OK;
    mg_status st = MG_OK;
    if (mg_world_is_first_replica(w))
        st = mg_pack_cache_write(&r->pack, &r->backend, weights->base, weights->size_bytes);
    st = mg_world_await_all(w, st);
    if (st == MG_ECOMM || st == MG_ESTOPPED) return st;
    if (st != MG_OK && *mg_last_error())
        mg_log_warn("pack cache: %s; the run goes on without", mg_last_error());
    mg_clear_error();
    w->all->agreed = MG_OK;
    return MG_OK;
}

static const char *if_other(const mg_ops *ops, const mg_replica *r)
{
    return strcmp(ops->name, r->backend.ops->name) == 0 ? NULL : ops->name;
}

const char *mg_replica_text_backend(const mg_replica *r)
{
    return r->source.with_text || r->style ? if_other(mg_backend_text_ops(&r->beside), r) : NULL;
}

const char *mg_replica_codec_backend(const mg_replica *r)
{
    return codec_halves(r) ? if_other(r->beside.ops, r) : NULL;
}

size_t mg_replica_bytes_lm(const mg_replica_bytes *b)
{
    return b->lm_weights + b->lm_run;
}

size_t mg_replica_bytes_text(const mg_replica_bytes *b)
{
    return b->t5_weights + b->t5_run;
}

size_t mg_replica_bytes_codec(const mg_replica_bytes *b)
{
    return b->codec_weights + b->codec_run;
}

size_t mg_replica_bytes_weights(const mg_replica_bytes *b)
{
    return b->lm_weights + b->t5_weights + b->codec_weights;
}

size_t mg_replica_bytes_all(const mg_replica_bytes *b)
{
    return mg_replica_bytes_weights(b) + b->lm_run + b->t5_run + b->codec_run + b->outside + b->host;
}
