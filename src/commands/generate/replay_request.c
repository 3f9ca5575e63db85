/* From a clip's metadata to the call that makes it again. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "choice_words.h"
#include "cpu.h"
#include "hash.h"
#include "log.h"
#include "replay.h"

/* A recorded path: as it stands, else beside the metadata, else as it stands (an id, or a sentence about what
 * is missing). */
static mg_status find_path(char out[MG_PATH_SIZE], const mg_replay *r, const char *path)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(out, "%s", path));
    if (path[0] == '/' || mg_path_exists(path)) return MG_OK;
    MG_RETURN(mg_path_folder(folder, r->asked->file));
    MG_RETURN(mg_path_format(out, "%s/%s", folder, path));
    return mg_path_exists(out) ? MG_OK : mg_path_format(out, "%s", path);
}

static mg_status find_part(char room[MG_PATH_SIZE], const char **out, const mg_replay *r, const char *now,
                           const char *recorded)
{
    *out = now;
    if (now || !recorded) return MG_OK;
    *out = room;
    return find_path(room, r, recorded);
}

static mg_status find_parts(mg_replay *r)
{
    const mg_replay_settings *now = r->asked;
    mg_generate_settings *s = &r->call;

    MG_RETURN(find_part(r->part[0], &s->model, r, now->model, r->m.model));
    MG_RETURN(find_part(r->part[1], &s->lm, r, now->lm, r->m.lm));
    MG_RETURN(find_part(r->part[2], &s->text_encoder, r, now->text_encoder, r->m.text_encoder));
    MG_RETURN(find_part(r->part[3], &s->codec, r, now->codec, r->m.codec));
    MG_RETURN(find_part(r->part[4], &s->tokenizer, r, now->tokenizer, r->m.tokenizer));
    s->model_key = now->model ? NULL : r->m.model_key;
    s->apply_proposed = r->m.n_applied > 0;
    return MG_OK;
}

static mg_status find_word(int *out, const mg_replay *r, const char *key, const char *choices,
                           const char *word)
{
    const int i = mg_choice_find(choices, word);

    if (i >= 0) *out = i;
    if (i >= 0 || !word) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: %s: \"%.80s\": must be one of %s", r->asked->file, key, word, choices);
}

/* What was recorded, where the command line does not insist on something else. */
static mg_status choose_machine(mg_replay *r)
{
    const char *level = r->m.backend ? strchr(r->m.backend, '/') : NULL;
    mg_machine *machine = &r->call.machine;

    *machine = r->asked->machine;
    if (machine->dtype == MG_MACHINE_DTYPE_AUTO)
        MG_RETURN(find_word(&machine->dtype, r, "run.dtype", "auto|fp32|bf16|fp16", r->m.dtype));
    if (machine->cpu_level != MG_CPU_AUTO || !level) return MG_OK;
    const int recorded = mg_choice_find("auto|scalar|avx2|avx512", level + 1);
    if (recorded > (int)mg_cpu_best_level())
        mg_log_info("replay: the clip was made on %s, which this machine has not", r->m.backend);
    else if (recorded >= 0)
        machine->cpu_level = recorded;
    return MG_OK;
}

static void keep_number(double *to, double recorded)
{
    if (!isnan(recorded)) *to = recorded;
}

/* The call's side: everything but the request. The same on every rank. */
static mg_status describe_call(mg_replay *r)
{
    const mg_clip_metadata *m = &r->m;
    mg_generate_settings *s = &r->call;

    if (!m->id || (!m->audio_sha256 && !m->codes_sha256))
        return mg_fail(MG_EFAIL, "%s: audio_sha256: missing; there is nothing to compare with",
                       r->asked->file);
    mg_generate_settings_init(s);
    MG_RETURN(find_parts(r));
    MG_RETURN(choose_machine(r));
    MG_RETURN(find_word(&s->sampler, r, "parameters.sampler", MG_SAMPLER_CHOICES, m->sampler));
    MG_RETURN(find_word(&s->format, r, "parameters.format", MG_AUDIO_FORMAT_CHOICES, m->format));
    MG_RETURN(find_word(&s->strategy, r, "parameters.strategy", MG_STRATEGY_CHOICES, m->strategy));
    keep_number(&s->peak_headroom_db, m->peak_headroom_db);
    keep_number(&s->rms_headroom_db, m->rms_headroom_db);
    keep_number(&s->loudness_headroom_db, m->loudness_headroom_db);
    s->loudness_compressor = m->loudness_compressor;
    s->rate_hz = m->rate_asked_hz;
    s->drop_prompt = m->drop_prompt;
    s->codes_only = !m->audio_file;
    s->save_codes = m->codes_file != NULL;
    s->seed = (int64_t)m->seed;
    s->n_slots = 1;
    s->no_paths = true;
    s->out_dir = r->out_dir;
    return MG_OK;
}

/* A file that the clip was made from is where it was, and the same. */
static mg_status check_input(char out[MG_PATH_SIZE], const mg_replay *r, const char *key,
                             const mg_clip_input *input)
{
    char found[MG_PATH_SIZE], folder[MG_PATH_SIZE], sha256[65];

    MG_RETURN(find_path(found, r, input->path));
    MG_RETURN(mg_hash_file(sha256, found));
    if (input->sha256 && strcmp(sha256, input->sha256) != 0)
        return mg_fail(MG_EFAIL,
                       "replay: %s: %s: not the file that the clip was made from: its sha256 is %s, "
                       "recorded is %s",
                       key, found, sha256, input->sha256);
    if (found[0] == '/') return mg_path_format(out, "%s", found);
    if (!getcwd(folder, sizeof folder)) return mg_fail(MG_EFAIL, "current folder: %s", strerror(errno));
    return mg_path_format(out, "%s/%s", folder, found); /* its own name stays: it is part of the tag */
}

static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text; /* a request's strings are its own; this one is only copied from */
}

static mg_status describe_request(mg_replay *r)
{
    const mg_clip_metadata *m = &r->m;
    const mg_clip_input *const inputs[MG_REPLAY_INPUTS] = {&m->text_states, &m->audio_prompt, &m->melody};
    static const char *const keys[MG_REPLAY_INPUTS] = {"text_states", "audio_prompt", "melody"};
    mg_request q;

    mg_request_init(&q);
    char **const fields[MG_REPLAY_INPUTS] = {&q.text_states, &q.audio_prompt, &q.melody};
    for (int i = 0; i < MG_REPLAY_INPUTS; i++) {
        if (!inputs[i]->path) continue;
        MG_RETURN(check_input(r->input[i], r, keys[i], inputs[i]));
        *fields[i] = r->input[i];
    }
    q.id = borrow(m->id);
    q.title = borrow(m->title);
    q.prompt = borrow(m->prompt);
    q.negative_prompt = borrow(m->negative_prompt);
    q.prompt_duration_s = m->prompt_dur_s;
    q.window_s = m->window_s;
    q.extend_stride_s = m->stride_s;
    q.cfg_coef = m->cfg_coef;
    q.cfg_coef_beta = m->cfg_coef_beta;
    q.top_p = m->top_p;
    q.temperature = m->temperature;
    q.n_frames = m->n_frames;
    q.top_k = m->top_k;
    q.seed = (int64_t)m->seed;
    q.greedy = m->greedy;
    q.where = borrow(r->asked->file);
    return mg_request_list_append(&r->requests, &q);
}

/* The values may have been edited: they pass the same checks as anybody's JSON lines. */
static mg_status check_request(mg_replay *r)
{
    char *text = NULL;
    int64_t bytes = 0;

    MG_RETURN(mg_request_list_print(&text, &bytes, &r->requests));
    mg_request_list_close(&r->requests);
    const mg_status st = mg_request_list_parse(&r->requests, r->asked->file, text, bytes);
    free(text);
    if (st == MG_OK) r->call.request = r->requests.request;
    return st;
}

/* Where the clip goes. Nothing there is written over: it may be the clip that is compared with. */
static mg_status choose_folder(mg_replay *r)
{
    char folder[MG_PATH_SIZE], path[MG_PATH_SIZE];
    const char *file = r->m.audio_file ? r->m.audio_file : r->m.codes_file;

    if (r->asked->out_dir) {
        MG_RETURN(mg_path_format(r->out_dir, "%s", r->asked->out_dir));
        MG_RETURN(mg_path_format(path, "%s/%s", r->out_dir, file ? file : r->m.id));
        return mg_path_exists(path) ? mg_fail(MG_EFAIL, "%s: is there already; give another --out", path)
                                    : MG_OK;
    }
    MG_RETURN(mg_path_folder(folder, r->asked->file));
    MG_RETURN(mg_path_format(path, "%s/%s.replay", folder, r->m.id));
    MG_RETURN(mg_out_folder_begin(&r->temp, path));
    return mg_path_format(r->out_dir, "%s", r->temp.temp);
}

mg_status mg_replay_prepare(mg_replay *r, const mg_world *world)
{
    MG_RETURN(describe_call(r));
    if (world->rank > 0) return MG_OK;
    MG_RETURN(describe_request(r));
    MG_RETURN(check_request(r));
    return choose_folder(r);
}
