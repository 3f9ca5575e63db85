/* The codec alone, and files through it. */
#include "codec_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agreement.h"
#include "dataset.h"
#include "file_lock.h"
#include "log.h"
#include "mapping_report.h"
#include "memory_block.h"
#include "out_file.h"
#include "outcome_list.h"
#include "path.h"
#include "show.h"
#include "stop.h"
#include "write_out.h"

enum { MOST_AT_HAND_BYTES = 128 << 20 }; /* of sound: no more files are read then */

typedef struct codec_call {
    const mg_codec_work *work;
    const mg_world *world;
    mg_backend backend;
    mg_out_made made;
    mg_model_files *files;
    mg_codec_run run;
    mg_memory_block weights, room;
    uint8_t *outcome; /* [n] of the files */
} codec_call;

/* Files at hand. */
typedef struct batch {
    mg_encodec_sound sound[MG_ENCODEC_MOST_AT_ONCE];
    int64_t i_file[MG_ENCODEC_MOST_AT_ONCE];
    int64_t n, sound_bytes;
} batch;

/* "a/b.codes.npy" -> "b" */
static mg_status name_stem(char out[MG_PATH_SIZE], const char *from)
{
    const char *name = mg_path_name(from), *dot = strrchr(name, '.');
    size_t n = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    static const char codes[] = ".codes";
    const size_t n_codes = sizeof codes - 1;

    if (n > n_codes && memcmp(name + n - n_codes, codes, n_codes) == 0) n -= n_codes;
    return mg_path_format(out, "%.*s", (int)n, name);
}

/* With the suffix of what it becomes. */
static mg_status name_output(char out[MG_PATH_SIZE], const mg_codec_work *work,
                             const mg_codec_settings *settings, const char *from)
{
    char stem[MG_PATH_SIZE];

    MG_RETURN(name_stem(stem, from));
    return mg_path_format(out, "%s/%s%s", settings->out_dir, stem, work->suffix(settings));
}

typedef struct target {
    const char *from;
    char *to;
} target;

static int compare_targets(const void *a, const void *b)
{
    return strcmp(((const target *)a)->to, ((const target *)b)->to);
}

mg_status mg_codec_files_check(const mg_codec_work *work, const mg_codec_settings *settings)
{
    const mg_strings *files = &settings->files;
    target *list = calloc((size_t)files->n, sizeof *list);
    char path[MG_PATH_SIZE];
    mg_status st = MG_OK;

    if (!list) return mg_fail(MG_ENOMEM, "files: %lld names", (long long)files->n);
    MG_TRY(mg_dataset_check_outside(settings->out_dir, false));
    if (!settings->model && !settings->codec)
        MG_TRY(mg_fail(MG_EUSAGE, "option --codec: missing; give it, or a --model that has one"));
    for (int64_t i = 0; i < files->n; i++) {
        MG_TRY(name_output(path, work, settings, files->item[i]));
        list[i] = (target){files->item[i], strdup(path)};
        if (!list[i].to) MG_TRY(mg_fail(MG_ENOMEM, "files: %lld names", (long long)files->n));
    }
    qsort(list, (size_t)files->n, sizeof *list, compare_targets);
    for (int64_t i = 1; i < files->n; i++)
        if (strcmp(list[i - 1].to, list[i].to) == 0)
            MG_TRY(mg_fail(MG_EUSAGE, "%s and %s: both would become %s; rename one", list[i - 1].from,
                           list[i].from, list[i].to));
done:
    for (int64_t i = 0; i < files->n; i++) free(list[i].to);
    free(list);
    return st;
}

/* Every tensor of the codec must be there, and nothing else. */
static mg_status load_codec(codec_call *c)
{
    const mg_model_part *part = &c->files->codec;
    const mg_ops *ops = c->backend.ops;
    const int64_t n_at_once = ops->hints.n_sequences;
    mg_arena measure = mg_arena_measure("weights"), arena;
    mg_weights_requests requests = {0};
    mg_mapping_report report = {0};
    mg_status st = MG_OK;
    mg_weights w;

    mg_weights_init(&w, ops, part->checkpoint, &measure, part->prefix);
    w.requests = &requests;
    MG_TRY(mg_encodec_load(&c->run.codec, c->run.config, c->work->halves, &w));
    MG_TRY(mg_mapping_report_make(&report, &requests));
    MG_TRY(mg_mapping_report_check(&report, w.problems.data));
    w.requests = NULL;
    MG_TRY(mg_memory_block_open(&c->weights, &arena, ops, &measure));
    w.arena = &arena;
    MG_TRY(mg_encodec_load(&c->run.codec, c->run.config, c->work->halves, &w));
    MG_TRY(mg_model_files_check(c->files));
    measure = mg_arena_measure("run");
    MG_TRY(mg_encodec_reserve(c->run.codec, &measure, n_at_once));
    MG_TRY(mg_memory_block_open(&c->room, &arena, ops, &measure));
    MG_TRY(mg_encodec_reserve(c->run.codec, &arena, n_at_once));
    mg_encodec_heed_stop(c->run.codec);
done:
    mg_mapping_report_close(&report);
    mg_weights_requests_close(&requests);
    mg_weights_close(&w);
    return st;
}

/* Of a language model only the channels are wanted, by who encodes; where there is none, it is not missed. */
static mg_status open_files(codec_call *c)
{
    const mg_codec_settings *s = c->run.settings;
    const mg_model_request request = {.model = s->model, .codec = s->codec};
    const bool asks = s->model && s->n_channels < 0 && c->work->halves & MG_ENCODEC_ENCODER;

    if (asks && mg_model_files_open(&c->files, &request, MG_NEED_CODEC | MG_NEED_LM) == MG_OK) return MG_OK;
    mg_clear_error();
    return mg_model_files_open(&c->files, &request, MG_NEED_CODEC);
}

/* Nothing that is there is replaced unless asked: found out before anything is loaded. */
static mg_status check_targets(const codec_call *c)
{
    const mg_codec_settings *s = c->run.settings;
    char path[MG_PATH_SIZE];

    for (int64_t i = 0; i < s->files.n; i++) {
        MG_RETURN(name_output(path, c->work, s, s->files.item[i]));
        MG_RETURN(mg_out_check_free(path, s->overwrite, "give --overwrite or another --out"));
    }
    return MG_OK;
}

static mg_status open_work(codec_call *c)
{
    const mg_codec_settings *s = c->run.settings;

    MG_RETURN(mg_machine_open_beside(&c->backend, &s->machine, c->world, false));
    c->outcome = calloc((size_t)s->files.n, sizeof *c->outcome);
    if (!c->outcome) return mg_fail(MG_ENOMEM, "outcomes: %lld files", (long long)s->files.n);
    if (c->world->rank == 0) MG_RETURN(check_targets(c));
    MG_RETURN(open_files(c));
    c->run.files = c->files;
    c->run.config = &c->files->config.codec;
    if (c->work->check) MG_RETURN(c->work->check(s, c->run.config));
    return MG_OK;
}

static void close_work(codec_call *c)
{
    mg_encodec_close(c->run.codec);
    mg_memory_block_close(&c->weights);
    mg_memory_block_close(&c->room);
    mg_model_files_close(c->files);
    mg_machine_close(&c->backend);
    free(c->outcome);
}

/* Does the last error begin with this file's name? */
static bool is_of(const char *name)
{
    const size_t n = strlen(name);

    return strncmp(mg_last_error(), name, n) == 0 && mg_last_error()[n] == ':';
}

/* The last error, with the file's name before it unless it has one. */
static void name_fault(const char *from, const char *to)
{
    char text[2048];

    if (is_of(from) || is_of(to)) return;
    snprintf(text, sizeof text, "%s", mg_last_error());
    (void)mg_fail(MG_EFAIL, "%s: %s", from, text);
}

/* What became of file i. What is wrong with one of several is said here; with the only one, it is what the
 * run says. */
static mg_status note_outcome(codec_call *c, int64_t i, const char *to, mg_status st)
{
    const mg_strings *files = &c->run.settings->files;

    c->outcome[i] = st == MG_OK ? MG_OUTCOME_DELIVERED : MG_OUTCOME_FAILED;
    if (st == MG_OK) return st;
    /* One file may be too large for the memory, and the next not. */
    if (mg_status_is_common(st) && st != MG_ENOMEM) return st;
    name_fault(files->item[i], to);
    if (files->n == 1) return MG_EFAIL;
    mg_log_last_error();
    mg_clear_error();
    return MG_OK;
}

static void free_sound(mg_encodec_sound *s)
{
    mg_sound_close(&s->sound);
    free(s->codes);
    *s = (mg_encodec_sound){0};
}

/* File i, into the batch if it can be read. */
static mg_status read_file(codec_call *c, batch *b, int64_t i)
{
    mg_encodec_sound *s = &b->sound[b->n];
    char to[MG_PATH_SIZE];

    MG_RETURN(mg_stop_check());
    MG_RETURN(name_output(to, c->work, c->run.settings, c->run.settings->files.item[i]));
    const mg_status st = c->work->read(&c->run, s, c->run.settings->files.item[i]);
    if (st != MG_OK) {
        free_sound(s);
        return note_outcome(c, i, to, st);
    }
    b->sound_bytes += s->sound.n_frames * s->sound.n_channels * (int64_t)sizeof(float);
    b->i_file[b->n++] = i;
    return MG_OK;
}

/* Under the lock of its name: another call may have made it since it was looked for. */
static mg_status write_file(codec_call *c, mg_encodec_sound *sound, const char *from, const char *to)
{
    const mg_codec_settings *s = c->run.settings;
    char stem[MG_PATH_SIZE];
    mg_file_lock lock;

    MG_RETURN(name_stem(stem, from));
    MG_RETURN(mg_file_lock_take_name(&lock, s->out_dir, stem));
    mg_status st = mg_out_check_free(
        to, s->overwrite, "another call has made it by now, and it is not replaced; give another --out");
    if (st == MG_OK) st = c->work->write(&c->run, sound, to);
    mg_file_lock_release(&lock);
    return st;
}

static mg_status convert_batch(codec_call *c, batch *b)
{
    const mg_fault fault = mg_fault_take(c->work->convert(c->run.codec, b->sound, b->n));
    char to[MG_PATH_SIZE];

    for (int64_t i = 0; i < b->n; i++) {
        const char *from = c->run.settings->files.item[b->i_file[i]];
        MG_RETURN(name_output(to, c->work, c->run.settings, from));
        mg_status st = mg_fault_raise(&fault);
        if (st == MG_OK) st = write_file(c, &b->sound[i], from, to);
        MG_RETURN(note_outcome(c, b->i_file[i], to, st));
    }
    return MG_OK;
}

/* This rank's share of the files. */
static mg_status convert_files(codec_call *c)
{
    const int64_t n = c->run.settings->files.n;
    mg_status st = MG_OK;
    batch b = {0};

    for (int64_t i = c->world->rank; i < n; i += c->world->size) {
        MG_TRY(read_file(c, &b, i));
        const bool is_last = i + c->world->size >= n;
        if (b.n < mg_encodec_at_once(c->run.codec) && b.sound_bytes < MOST_AT_HAND_BYTES && !is_last)
            continue;
        MG_TRY(convert_batch(c, &b));
        while (b.n > 0) free_sound(&b.sound[--b.n]);
        b.sound_bytes = 0;
    }
done:
    while (b.n > 0) free_sound(&b.sound[--b.n]);
    return st;
}

static mg_status print_paths(const codec_call *c)
{
    const mg_codec_settings *s = c->run.settings;
    char path[MG_PATH_SIZE];

    for (int64_t i = 0; i < s->files.n; i++) {
        if (c->outcome[i] != MG_OUTCOME_DELIVERED) continue;
        MG_RETURN(name_output(path, c->work, s, s->files.item[i]));
        mg_print(stdout, "%s\n", path);
    }
    return mg_write_out_end();
}

/* Every rank learns every outcome. */
static mg_status conclude(codec_call *c)
{
    const mg_world *w = c->world;
    const int64_t n = c->run.settings->files.n;
    mg_status st = MG_OK;

    MG_RETURN(mg_outcomes_share(c->outcome, n, w->all));
    const int64_t n_delivered = mg_outcomes_count(c->outcome, n, MG_OUTCOME_DELIVERED);
    if (w->rank == 0) st = print_paths(c);
    if (st == MG_OK && n_delivered < n)
        st = mg_fail(n_delivered ? MG_EPARTIAL : MG_EFAIL, "%s: %lld of %lld files failed", c->work->name,
                     (long long)(n - n_delivered), (long long)n);
    return mg_comm_agree(w->all, st);
}

mg_status mg_codec_files_run(const mg_codec_work *work, mg_context *context,
                             const mg_codec_settings *settings)
{
    codec_call c = {.work = work, .world = context->world, .run.settings = settings};
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(c.world->all, open_work(&c)));
    MG_TRY(mg_agree_model(c.world, c.files, "fp32", MG_NEED_CODEC));
    MG_TRY(mg_agree_output(&c.made, c.world, settings->out_dir, true));
    MG_TRY(mg_comm_agree(c.world->all, load_codec(&c)));
    mg_log_info("%s: %lld file%s, %s on %s", work->name, (long long)settings->files.n,
                settings->files.n == 1 ? "" : "s", c.files->codec.path, c.backend.ops->name);
    MG_TRY(mg_comm_agree(c.world->all, convert_files(&c)));
    MG_TRY(conclude(&c));
done:
    close_work(&c);
    mg_out_made_undo(&c.made); /* it may be empty */
    return st;
}
