/* On the finisher's thread: a clip's sound to its final name, and its line of metadata. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "in_file.h"
#include "json_text.h"
#include "out_file.h"
#include "run_leader_impl.h"

static mg_run_clip *find(mg_run_leader *l, const mg_clip *clip)
{
    mg_run_clip *found = NULL;

    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n_clips && !found; i++)
        if (l->clip[i]->list.job && &l->clip[i]->list.job[0].clip == clip) found = l->clip[i];
    pthread_mutex_unlock(&l->lock);
    return found;
}

static void push(mg_run_leader *l, mg_run_result *result)
{
    pthread_mutex_lock(&l->lock);
    *l->last = result;
    l->last = &result->next;
    pthread_mutex_unlock(&l->lock);
}

static const char *input_of(const mg_recipe *r, int k)
{
    const char *path = *(const char *const *)mg_recipe_get(r, mg_recipe_input(k));

    return path && *path ? path : NULL;
}

int64_t mg_run_leader_count_files(const mg_recipe *r)
{
    int64_t n = 0;

    for (int k = 0; k < MG_RECIPE_INPUTS; k++) n += input_of(r, k) != NULL;
    return n;
}

bool mg_run_leader_files_are_away(const mg_recipe *r, const char *reason)
{
    bool away = false;

    for (int k = 0; k < MG_RECIPE_INPUTS && !away; k++) {
        const char *path = input_of(r, k);
        away = path && (mg_in_file_was_away(path, reason) || mg_in_file_is_away(path));
    }
    return away;
}

/* Of the files that this clip names: a clip whose record lacks one has other bytes. The weights' hashes are
 * awaited first: then their thread is done with the list. */
static mg_status hash_inputs(mg_clip_output *o, mg_input_hash inputs[MG_RECIPE_INPUTS], const mg_recipe *r)
{
    int64_t n = 0;

    MG_RETURN(mg_input_hashes_wait(&o->hashes));
    for (int k = 0; k < MG_RECIPE_INPUTS; k++) {
        const char *path = input_of(r, k);
        bool known = !path;
        for (int64_t i = 0; path && i < n; i++) known = known || strcmp(inputs[i].path, path) == 0;
        if (known) continue;
        int64_t at = n++;
        for (; at > 0 && strcmp(inputs[at - 1].path, path) > 0; at--) inputs[at] = inputs[at - 1];
        inputs[at].path = path;
        MG_RETURN(mg_hash_file_unless(inputs[at].sha256, path, NULL));
    }
    o->hashes.n_inputs = n;
    return MG_OK;
}

/* The sound and the whole metadata, into our own folder. */
static mg_status write_files(mg_run_leader *l, mg_run_clip *c, const mg_clip *clip,
                             const mg_clip_result *result)
{
    mg_clip_output *o = l->output;
    mg_input_hash inputs[MG_RECIPE_INPUTS] = {{0}}, *const before = o->hashes.inputs;

    MG_RETURN(hash_inputs(o, inputs, &c->list.requests.recipe[0]));
    o->hashes.inputs = inputs;
    o->list = &c->list;
    const mg_status st = mg_clip_files_write(o, clip, result);
    o->list = &l->none;
    o->hashes.inputs = before;
    o->hashes.n_inputs = 0;
    return st;
}

/* Every line has the same keys, and each key one type: what reads many of them makes a table (Arrow). */
static mg_status make_record(char **record, const mg_run_leader *l, const mg_run_clip *c, const mg_quality *q,
                             const mg_clip_metadata *m)
{
    mg_json_text t = {.layout = MG_JSON_LINE};
    char *tag;

    MG_RETURN(mg_clip_metadata_tag(&tag, m));
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "id", c->id);
    mg_json_text_string(&t, "prompt", m->recipe.prompt ? m->recipe.prompt : "");
    mg_json_text_string(&t, "negative_prompt", m->recipe.negative_prompt ? m->recipe.negative_prompt : "");
    mg_json_text_string(&t, "title", m->recipe.title ? m->recipe.title : ""); /* it is in the file's tags */
    mg_json_text_int(&t, "seed", m->recipe.seed);
    mg_json_text_real(&t, "duration", m->dur_s);
    mg_json_text_int(&t, "sampling_rate", m->sampling_rate);
    mg_json_text_int(&t, "channels", m->n_channels);
    mg_run_gate_put(&t, q, l, c);
    mg_json_text_string(&t, "recipe", tag);
    free(tag);
    return mg_json_text_end(&t, record);
}

/* What AudioCraft's MusicDataset reads beside the sound (audiocraft.data.music_dataset.MusicInfo). */
static mg_status put_music_info(const char *sound_path, const mg_run_clip *c, const mg_clip_metadata *m)
{
    static const char *const empty[] = {"artist", "key", "bpm", "genre", "moods", "keywords", "instrument"};
    mg_json_text t = {0};
    char path[MG_PATH_SIZE], *text;
    const char *dot = strrchr(sound_path, '.');

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "name", c->id);
    mg_json_text_string(&t, "title", m->recipe.title ? m->recipe.title : "");
    mg_json_text_string(&t, "description", m->recipe.prompt ? m->recipe.prompt : "");
    mg_json_text_number(&t, "duration", m->dur_s);
    mg_json_text_int(&t, "sample_rate", m->sampling_rate);
    mg_json_text_string(&t, "file_extension", dot + 1);
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) mg_json_text_string(&t, empty[i], "");
    MG_RETURN(mg_json_text_end(&t, &text));
    mg_status st = mg_path_format(path, "%.*s.json", (int)(dot - sound_path), sound_path);
    if (st == MG_OK) st = mg_out_file_put(path, text, strlen(text));
    free(text);
    return st;
}

/* Under its final name, and durable there. The file itself is synced already. */
static mg_status move(const char *from, const char *to)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_folder(folder, to));
    if (rename(from, to) != 0) return mg_fail(MG_EFAIL, "%s: cannot rename: %s", to, strerror(errno));
    return mg_out_sync_folder(folder);
}

/* From our folder to the dataset, unless the run has lost it: a replica that was suspended may wake here, and
 * by now another run may have recorded a clip of this name with another sound. */
static mg_status deliver(mg_run_leader *l, const mg_run_clip *c, const mg_quality *q, mg_run_result *out)
{
    mg_status st = MG_OK;
    mg_clip_metadata m = {0};
    const mg_layout layout = (mg_layout)l->s->layout;
    const char *suffix = mg_audio_format_suffix((mg_audio_format)l->call.all.format);
    char json[MG_PATH_SIZE], from[MG_PATH_SIZE], name[MG_PATH_SIZE], to[MG_PATH_SIZE], folder[MG_PATH_SIZE];

    MG_TRY(mg_path_format(json, "%s/%s.json", l->work, c->list.job[0].name));
    MG_TRY(mg_clip_metadata_load(&m, json));
    MG_TRY(mg_path_format(from, "%s/%s", l->work, m.audio_file));
    MG_TRY(mg_dataset_maker_name(name, layout, suffix, c->n, c->id));
    MG_TRY(mg_path_format(to, "%s/%s", l->s->out, name));
    MG_TRY(make_record(&out->record, l, c, q, &m));
    snprintf(out->sha256, sizeof out->sha256, "%s", m.audio_sha256);
    out->dur_s = m.dur_s;
    out->file_bytes = mg_path_bytes(from);
    MG_TRY(mg_path_folder(folder, to));
    MG_TRY(mg_run_lock_check(l->of_run));
    if (!mg_path_is_folder(folder)) MG_TRY(mg_out_dir_open(folder));
    if (layout == MG_LAYOUT_AUDIOCRAFT) MG_TRY(put_music_info(to, c, &m));
    MG_TRY(move(from, to));
    unlink(json);
done:
    mg_clip_metadata_close(&m);
    return st;
}

/* A fault of the clip is its outcome; one of the disk may pass; any other, and a lost dataset, ends the run.
 */
static mg_status judge(const mg_run_leader *l, mg_run_result *out, mg_status st)
{
    if (mg_status_is_common(st) || (out->kind == MG_MADE_PASSING && mg_run_lock_is_lost(l->of_run)))
        return st;
    out->reason = strdup(mg_last_error());
    if (!out->reason) return mg_fail(MG_ENOMEM, "clip: no memory");
    mg_clear_error();
    return MG_OK;
}

/* The files of a clip that is not kept. */
static void drop_files(const mg_run_leader *l, const mg_run_clip *c)
{
    const char *const suffixes[] = {".json", mg_audio_format_suffix((mg_audio_format)l->call.all.format)};
    char path[MG_PATH_SIZE];

    for (int i = 0; i < 2; i++)
        if (mg_path_format(path, "%s/%s%s", l->work, c->list.job[0].name, suffixes[i]) == MG_OK) unlink(path);
}

/* Look at a clip, write it, and hand it out unless the gate refuses it. */
static mg_status finish(mg_run_leader *l, mg_run_clip *c, const mg_clip *clip, const mg_clip_result *result,
                        mg_run_result *out)
{
    mg_quality q;
    char words[MG_QUALITY_WORDS_SIZE];

    mg_run_gate_measure(&q, l, result);
    if (mg_run_gate_refuses(&q, l)) return mg_run_gate_refuse(out, &q, l, c);
    out->kind = MG_MADE_PASSING;             /* unless all goes well */
    MG_RETURN(mg_run_lock_check(l->of_run)); /* another run's replica of our number has the same folder */
    mg_status st = write_files(l, c, clip, result);
    q.clipping = l->output->clipping;
    const bool refused = st == MG_OK && mg_run_gate_refuses(&q, l);
    if (st == MG_OK && !refused) st = deliver(l, c, &q, out);
    if ((st != MG_OK || refused) && !mg_run_lock_is_lost(l->of_run))
        drop_files(l, c); /* another replica may be the next to make it */
    MG_RETURN(st);
    if (refused) return mg_run_gate_refuse(out, &q, l, c);
    out->kind = MG_MADE_DONE;
    mg_quality_words(words, &q, &l->s->limits);
    if (l->s->gate == MG_GATE_OFF || !*words) return MG_OK;
    out->reason = strdup(words);
    return out->reason ? MG_OK : mg_fail(MG_ENOMEM, "clip: no memory");
}

mg_status mg_run_leader_finish(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    mg_run_leader *l = arg;
    mg_run_clip *c = find(l, clip);
    mg_run_result *out = calloc(1, sizeof *out);
    mg_status st = MG_OK;

    if (!out) return mg_fail(MG_ENOMEM, "clip: no memory");
    if (!c) MG_TRY(mg_fail(MG_EBUG, "clip: is not ours"));
    out->clip = c;
    out->kind = MG_MADE_FAILED;
    st = mg_fault_raise(&result->fault);
    if (st != MG_OK && !c->is_last_try &&
        mg_run_leader_files_are_away(&c->list.requests.recipe[0], mg_last_error()))
        out->kind = MG_MADE_UNREAD;
    if (st == MG_OK) st = finish(l, c, clip, result, out);
    if (st != MG_OK) MG_TRY(judge(l, out, st));
    push(l, out);
    return MG_OK;
done:
    free(out->reason);
    free(out->record);
    free(out);
    return st;
}
