#include "agreement.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "checkpoint_read.h"
#include "choice_words.h"
#include "hash.h"
#include "key_map.h"
#include "log.h"
#include "model_notes.h"
#include "stop.h"
#include "text.h"

enum { SAMPLE_BYTES = 256, SHORT_HASH = 12, VALUE_SIZE = 200 };

/* Rank 0 puts a file with a name that nobody else has into its folder. */
static mg_status put_token(char token[MG_PATH_SIZE], const char *folder)
{
    uint64_t bits = 0;

    if (getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = (uint64_t)getpid();
    MG_RETURN(mg_path_format(token, "%s/.ranks-%016" PRIx64 ".%ld.tmp", folder, bits, (long)getpid()));
    const int fd = open(token, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0) return mg_fail(MG_EFAIL, "%s: cannot make the file: %s", token, strerror(errno));
    close(fd);
    return MG_OK;
}

static mg_status find_token(const mg_world *w, const char *token, const char *folder)
{
    if (access(token, F_OK) == 0) return MG_OK;
    return mg_fail(
        MG_EUSAGE,
        "host %s (rank %d): output folder %s is not the folder that rank 0 has under this name: give a "
        "--out that all hosts share",
        w->host, w->rank, folder);
}

mg_status mg_agree_output(mg_out_made *made, const mg_world *w, const char *folder, bool writes)
{
    mg_status st = MG_OK;
    char token[MG_PATH_SIZE] = "";

    if (w->rank == 0) st = mg_out_made_open(made, folder);
    if (w->size == 1) return st;
    if (w->rank == 0 && st == MG_OK) st = put_token(token, folder);
    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(mg_comm_bcast(w->all, token, MG_PATH_SIZE, MG_U8, 0));
    if (writes && w->rank > 0) st = find_token(w, token, folder);
    st = mg_comm_agree(w->all, st);
done:
    if (w->rank == 0 && *token) unlink(token);
    return st;
}

static const char level_words[] = MG_CPU_LEVEL_WORDS;

/* What this rank's processor can do, or less if the environment says so. */
static mg_cpu_level best_level(void)
{
    const int most = mg_choice_find(level_words, getenv("MGDIST_CPU_BEST")), best = (int)mg_cpu_best_level();

    return (mg_cpu_level)(most > 0 && most < best && mg_cpu_has_level((mg_cpu_level)most) ? most : best);
}

mg_status mg_agree_level(mg_cpu_level *level, const mg_world *w, bool says)
{
    const int32_t mine = (int32_t)best_level();
    mg_status st = MG_OK;
    char low[MG_CHOICE_WORD_SIZE], high[MG_CHOICE_WORD_SIZE];
    int lowest = 0;

    if (*level != MG_CPU_AUTO) return MG_OK;
    int32_t *all = calloc((size_t)w->size, sizeof *all);
    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "levels of %d ranks", w->size)));
    MG_TRY(mg_comm_all_gather(w->all, all, &mine, 1, MG_I32));
    for (int r = 1; r < w->size; r++)
        if (all[r] < all[lowest]) lowest = r;
    for (int r = 0; says && r < w->size; r++) {
        if (all[r] == all[lowest]) continue;
        mg_choice_word(low, level_words, all[lowest]);
        mg_choice_word(high, level_words, all[r]);
        mg_log_info("--cpu-level auto: %s, the best of rank %d and the lowest of all ranks (rank %d has %s)",
                    low, lowest, r, high);
        break;
    }
    *level = (mg_cpu_level)all[lowest];
done:
    free(all);
    return st;
}

static void describe_t5(mg_text *t, const mg_t5_config *c)
{
    const int64_t sizes[] = {c->d_model,    c->d_kv,      c->d_ff,         c->n_layers, c->n_heads,
                             c->vocab_size, c->n_buckets, c->max_distance, c->gated,    c->gelu};

    mg_text_add_bytes(t, sizes, sizeof sizes);
    mg_text_add_bytes(t, &c->eps, sizeof c->eps);
}

static void describe_style(mg_text *t, const mg_style_config *c)
{
    const mg_mert_config *m = &c->mert;
    const int64_t sizes[] = {c->D,
                             c->n_layers,
                             c->n_heads,
                             c->F,
                             c->n_codebooks,
                             c->codebook_size,
                             c->eval_codebooks,
                             c->ds_factor,
                             c->batch_norm,
                             m->sampling_rate,
                             m->n_convs,
                             m->D,
                             m->n_layers,
                             m->n_heads,
                             m->F,
                             m->n_pos_taps,
                             m->n_pos_groups};

    mg_text_add_bytes(t, sizes, sizeof sizes);
    mg_text_add_bytes(t, m->conv_dim, (size_t)m->n_convs * sizeof *m->conv_dim);
    mg_text_add_bytes(t, m->conv_kernel, (size_t)m->n_convs * sizeof *m->conv_kernel);
    mg_text_add_bytes(t, m->conv_stride, (size_t)m->n_convs * sizeof *m->conv_stride);
    mg_text_add_bytes(t, &m->eps, sizeof m->eps);
    mg_text_add_bytes(t, &c->excerpt_s, sizeof c->excerpt_s);
}

static void describe_lm(mg_text *t, const mg_lm_config *c, double window_s, const mg_generation_config *g)
{
    const int64_t sizes[] = {c->D,
                             c->L,
                             c->H,
                             c->F,
                             c->V,
                             c->K,
                             c->d_text,
                             c->n_channels,
                             c->n_chroma,
                             c->max_positions,
                             c->chroma_length,
                             c->project_text,
                             c->is_style};
    const bool has[] = {g->has_guidance_scale, g->has_top_k,      g->has_top_p, g->has_temperature,
                        g->has_do_sample,      g->has_max_length, g->do_sample, g->has_min_p};
    const double values[] = {window_s,         g->guidance_scale,    g->top_p, g->min_p, g->temperature,
                             (double)g->top_k, (double)g->max_length};

    mg_text_add_bytes(t, sizes, sizeof sizes);
    mg_text_add_bytes(t, has, sizeof has);
    mg_text_add_bytes(t, values, sizeof values);
}

static void describe_codec(mg_text *t, const mg_codec_config *c)
{
    const int64_t sizes[] = {
        c->sampling_rate, c->n_channels,       c->n_filters,       c->hidden_size,
        c->codebook_size, c->codebook_dim,     c->n_ratios,        c->n_residual_layers,
        c->kernel_size,   c->last_kernel_size, c->dilation_growth, c->residual_kernel_size,
        c->compress,      c->n_lstm_layers,    c->n_codebooks,     c->pad_reflect,
        c->hop,           c->conv_shortcut};

    mg_text_add_bytes(t, sizes, sizeof sizes);
    mg_text_add_bytes(t, c->ratio, (size_t)c->n_ratios * sizeof *c->ratio);
}

/* Other weights of the same shape differ there. */
static mg_status read_sample(mg_text *t, const mg_checkpoint_entry *e)
{
    char piece[MG_SAMPLE_BYTES];
    size_t n;

    MG_RETURN(mg_checkpoint_sample(piece, &n, e, SAMPLE_BYTES));
    mg_text_add_bytes(t, piece, n);
    return MG_OK;
}

static mg_status short_hash(char out[SHORT_HASH + 1], mg_text *t)
{
    char sha256[65];

    MG_RETURN(mg_text_check(t, "model"));
    MG_RETURN(mg_hash_bytes(sha256, t->data ? t->data : "", t->n));
    snprintf(out, SHORT_HASH + 1, "%.*s", SHORT_HASH, sha256);
    return MG_OK;
}

/* "291 tensors of 1677.0 MB, config 0a1b…, names and shapes 2c3d…, contents 4e5f…"; `config` is emptied. */
static mg_status describe_part(char out[VALUE_SIZE], const mg_model_part *part, mg_text *config)
{
    const mg_checkpoint *c = part->checkpoint;
    char hash[3][SHORT_HASH + 1];
    mg_text shapes = {0}, contents = {0};
    mg_status st = MG_OK;
    size_t n = 0, bytes = 0;

    for (size_t i = 0; i < mg_checkpoint_count(c); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(c, i);
        char dims[MG_DIMS_SIZE];
        if (!mg_key_map_is_of_part(e->name, part->prefix)) continue;
        mg_text_format(&shapes, "%s %s %s\n", e->name, mg_dtype_name(e->tensor.dtype),
                       mg_dims_format(dims, e->tensor.n_dims, e->tensor.dim));
        MG_TRY(read_sample(&contents, e));
        bytes += mg_tensor_bytes(&e->tensor);
        n++;
    }
    MG_TRY(short_hash(hash[0], config));
    MG_TRY(short_hash(hash[1], &shapes));
    MG_TRY(short_hash(hash[2], &contents));
    snprintf(out, VALUE_SIZE, "%zu tensors of %.1f MB (config %s, names and shapes %s, contents %s)", n,
             (double)bytes / 1e6, hash[0], hash[1], hash[2]);
done:
    mg_text_reset(config);
    mg_text_reset(&shapes);
    mg_text_reset(&contents);
    return st;
}

/* The hashes that a cache's files have for names; "" if one has none. */
static mg_status describe_blobs(char out[VALUE_SIZE], const mg_model_part *part)
{
    mg_text all = {0};
    char blob[65], hash[SHORT_HASH + 1];
    mg_status st = MG_OK;

    *out = '\0';
    for (size_t i = 0; i < mg_checkpoint_n_files(part->checkpoint); i++) {
        if (!mg_hub_blob_hash(blob, mg_checkpoint_file(part->checkpoint, i))) goto done;
        mg_text_format(&all, "%s\n", blob);
    }
    if (all.n) MG_TRY(short_hash(hash, &all));
    if (all.n) snprintf(out, VALUE_SIZE, "%s", mg_checkpoint_n_files(part->checkpoint) == 1 ? blob : hash);
done:
    mg_text_reset(&all);
    return st;
}

static mg_status describe_tokenizer(char out[VALUE_SIZE], const char *path)
{
    static const char *const names[] = {"/spiece.model", "/tokenizer.json", ""};
    char file[MG_PATH_SIZE], sha256[65];

    for (int i = 0; i < 3; i++) {
        MG_RETURN(mg_path_format(file, "%s%s", path, names[i]));
        if (!mg_path_exists(file) || mg_path_is_folder(file)) continue;
        MG_RETURN(mg_hash_file(sha256, file));
        snprintf(out, VALUE_SIZE, "sha256 %s", sha256);
        break;
    }
    return MG_OK;
}

/* All that is compared of a model, for this rank. */
typedef struct model_values {
    char number[VALUE_SIZE], lm[VALUE_SIZE], t5[VALUE_SIZE], codec[VALUE_SIZE], tokenizer[VALUE_SIZE];
    char lm_blobs[VALUE_SIZE], t5_blobs[VALUE_SIZE], codec_blobs[VALUE_SIZE];
    char style[VALUE_SIZE], style_blobs[VALUE_SIZE];
} model_values;

static mg_status describe_model(model_values *v, const mg_model_files *f, int needs)
{
    mg_text config = {0};

    if (needs & MG_NEED_LM && f->lm.checkpoint) {
        describe_lm(&config, &f->config.lm, f->window_s, &f->config.generation);
        MG_RETURN(describe_part(v->lm, &f->lm, &config));
        MG_RETURN(describe_blobs(v->lm_blobs, &f->lm));
    }
    if (needs & MG_NEED_T5 && f->t5.checkpoint) {
        describe_t5(&config, &f->config.t5);
        MG_RETURN(describe_part(v->t5, &f->t5, &config));
        MG_RETURN(describe_blobs(v->t5_blobs, &f->t5));
    }
    if (needs & MG_NEED_CODEC && f->codec.checkpoint) {
        describe_codec(&config, &f->config.codec);
        MG_RETURN(describe_part(v->codec, &f->codec, &config));
        MG_RETURN(describe_blobs(v->codec_blobs, &f->codec));
    }
    if (needs & MG_NEED_STYLE && f->mert.checkpoint) {
        describe_style(&config, &f->config.style);
        MG_RETURN(describe_part(v->style, &f->mert, &config));
        MG_RETURN(describe_blobs(v->style_blobs, &f->mert));
    }
    return needs & MG_NEED_TOKENIZER && *f->tokenizer ? describe_tokenizer(v->tokenizer, f->tokenizer)
                                                      : MG_OK;
}

mg_status mg_agree_model(const mg_world *w, const mg_model_files *files, const char *number_format, int needs)
{
    model_values v = {0};

    if (w->size == 1) return MG_OK;
    MG_RETURN(mg_comm_agree(w->all, describe_model(&v, files, needs)));
    snprintf(v.number, sizeof v.number, "%s", number_format);
    mg_same list[] = {
        {"number format", v.number},
        {"language model", v.lm},
        {"content of the language model", v.lm_blobs},
        {"text encoder", v.t5},
        {"content of the text encoder", v.t5_blobs},
        {"style encoder", v.style},
        {"content of the style encoder", v.style_blobs},
        {"codec", v.codec},
        {"content of the codec", v.codec_blobs},
        {"tokenizer", v.tokenizer},
    };
    const int n = sizeof list / sizeof *list;

    for (int i = 0; i < n; i++)
        if (!*list[i].value) list[i].value = NULL;
    MG_RETURN(mg_world_same(w, MG_EUSAGE, list, 1, "all ranks must compute in one format; give --dtype"));
    return mg_world_same(w, MG_ECHECKPOINT, list + 1, n - 1, "the hosts have other weights under this name");
}

/* The parts that this rank computes with. */
static int model_needs(const mg_replica *r)
{
    const mg_replica_source *s = &r->source;

    return MG_NEED_LM | (s->with_tokenizer ? MG_NEED_TOKENIZER : 0) |
           (r->is_leader && s->with_text ? MG_NEED_T5 : 0) | (r->is_leader && r->style ? MG_NEED_STYLE : 0) |
           (r->is_leader && (s->with_decoder || s->with_encoder) ? MG_NEED_CODEC : 0);
}

mg_status mg_agree_replica(const mg_world *w, const mg_replica *r)
{
    if (w->rank == 0) mg_model_notes_say(r->files);
    return mg_agree_model(w, r->files, mg_format_name(r->backend.formats.weights), model_needs(r));
}
