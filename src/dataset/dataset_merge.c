/* The course of a merge: a dataset whose jobs and outcomes are those of the shards. */
#include "dataset_merge.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audio_file.h"
#include "choice_words.h"
#include "dataset_merge_impl.h"
#include "in_file.h"
#include "json_text.h"
#include "out_file.h"
#include "stop.h"

#define STALE_S    30.0
#define MOST_BYTES ((int64_t)1 << 36)

static const char note_name[] = "merged"; /* in the dataset's state: of how many shards */

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    bool empty = true;

    if (!d) return true;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(d);
    return empty;
}

/* Nothing is there, or what an earlier merge of such shards left. */
static mg_status check_out(const mg_merge *m)
{
    const char *out = m->call->out;
    char a[MG_PATH_SIZE], b[MG_PATH_SIZE];

    for (int64_t i = 0; i < m->call->n_sources; i++)
        if (realpath(out, a) && realpath(m->call->source[i], b) && strcmp(a, b) == 0)
            return mg_fail(MG_EUSAGE, "%s: is one of the shards; name a new folder for the dataset", out);
    if (mg_path_has(out, MG_DATASET_OWN "/run.db") || is_empty(out)) return MG_OK;
    if (mg_path_has(out, MG_DATASET_OWN)) return MG_OK; /* cut off before its state was there */
    return mg_fail(MG_EUSAGE, "%s: holds other things, and nothing of a merge; name a new folder", out);
}

static bool is_suffix(const char *text)
{
    bool is_one = false;

    for (int i = 0; i < MG_AUDIO_N_FORMATS; i++)
        is_one = is_one || strcmp(text, mg_audio_format_suffix((mg_audio_format)i)) == 0;
    return is_one;
}

static mg_status describe(mg_dataset *d, const mg_merge *m)
{
    const mg_merge_source *s = &m->source[0];
    const char *layout = mg_merge_note_of(s, "layout"), *seed = mg_merge_note_of(s, "seed");
    const char *suffix = mg_merge_note_of(s, "format"), *name = mg_merge_note_of(s, "name");
    const int i = mg_choice_find(MG_LAYOUT_CHOICES, layout);

    if (i < 0 || !suffix || !name)
        return mg_fail(MG_EFAIL, "%s: run.db: says no layout; was a run ended before it began?", s->dir);
    if (!is_suffix(suffix) || !mg_dataset_name_fits(name))
        return mg_fail(MG_EFAIL, "%s: run.db: %s \"%.64s\": is not as mg-dist writes it", s->dir,
                       is_suffix(suffix) ? "name" : "format", is_suffix(suffix) ? name : suffix);
    d->call = (mg_dataset_call){.out = m->call->out,
                                .layout = (mg_layout)i,
                                .suffix = suffix,
                                .name = name,
                                .shard_clips = m->call->shard_clips,
                                .shard_bytes = m->call->shard_bytes};
    d->seed = m->done->seeds_differ || !seed ? -1 : strtoll(seed, NULL, 10);
    return MG_OK;
}

/* The jobs, in their order, and what the shards noted. Durable all at once. */
static mg_status enter_jobs(mg_merge *m)
{
    mg_dataset *d = m->d;
    const mg_merge_source *first = &m->source[0];
    char path[MG_PATH_SIZE], text[32], *jobs;
    int64_t bytes;
    mg_job_row row;
    bool found;

    for (size_t i = 0; i < m->n_items; i++) {
        MG_RETURN(mg_stop_check());
        MG_RETURN(mg_run_db_find(m->source[m->item[i].i_source].db, m->item[i].n, &row, &found));
        if (!found) return mg_fail(MG_EFAIL, "merge: a shard was changed meanwhile; is a run at work there?");
        row.n = (int64_t)i;
        MG_RETURN(mg_run_db_add(d->db, &row));
    }
    MG_RETURN(mg_run_db_index(d->db));
    for (size_t i = 0; i < first->n_notes; i++) {
        const char *name = first->note[i].name;
        if (strcmp(name, "state") == 0 || (strcmp(name, "seed") == 0 && m->done->seeds_differ)) continue;
        MG_RETURN(mg_run_db_note(d->db, name, strcmp(name, "shard") == 0 ? "" : first->note[i].value));
    }
    snprintf(text, sizeof text, "%" PRId64, m->call->n_sources);
    MG_RETURN(mg_run_db_note(d->db, note_name, text));
    MG_RETURN(mg_dataset_own_path(path, first->dir, "jobs.jsonl"));
    MG_RETURN(mg_in_file_read(&jobs, &bytes, path, MOST_BYTES));
    mg_status st = mg_dataset_own_path(path, d->out, "jobs.jsonl");
    if (st == MG_OK) st = mg_out_file_put(path, jobs, (size_t)bytes);
    free(jobs);
    return st;
}

/* It was begun by a merge of the same. */
static mg_status compare_state(const mg_merge *m)
{
    mg_status st = MG_OK;
    const mg_merge_source *first = &m->source[0];
    char *value = NULL;
    int64_t n;

    MG_RETURN(mg_run_db_read_note(m->d->db, note_name, &value));
    if (!value || strtoll(value, NULL, 10) != m->call->n_sources)
        st = mg_fail(MG_EUSAGE,
                     "%s: holds a dataset that is no merge of %" PRId64 " shards; name a new folder",
                     m->call->out, m->call->n_sources);
    free(value);
    for (size_t i = 0; i < first->n_notes && st == MG_OK; i++) {
        const char *name = first->note[i].name;
        if (strcmp(name, "state") == 0 || strcmp(name, "shard") == 0 || strcmp(name, "seed") == 0) continue;
        st = mg_run_db_read_note(m->d->db, name, &value);
        if (st == MG_OK && value && strcmp(value, first->note[i].value) != 0)
            st = mg_fail(MG_EUSAGE, "%s: was merged from shards with %s %.200s, and these have %.200s",
                         m->call->out, name, value, first->note[i].value);
        free(value);
    }
    MG_RETURN(st);
    MG_RETURN(mg_run_db_n_jobs(m->d->db, &n));
    return n == (int64_t)m->n_items
               ? MG_OK
               : mg_fail(MG_EUSAGE, "%s: was merged from shards with other jobs; name a new folder",
                         m->call->out);
}

static mg_status open_out(mg_merge *m)
{
    mg_dataset *d = m->d;
    char path[MG_PATH_SIZE];
    mg_run_counts c;
    int64_t n;

    d->jobs_fd = -1;
    MG_RETURN(describe(d, m));
    MG_RETURN(mg_dataset_take_folder(d, STALE_S));
    MG_RETURN(mg_dataset_own_path(path, d->out, "run.db"));
    MG_RETURN(mg_run_db_open(&d->db, path, d->lock));
    MG_RETURN(mg_run_db_n_jobs(d->db, &n));
    d->is_new = d->is_new && n == 0; /* a network's file system may not have shown it */
    MG_RETURN(n == 0 ? enter_jobs(m) : compare_state(m));
    MG_RETURN(mg_dataset_find_shards(d));
    MG_RETURN(mg_dataset_recover(d));
    MG_RETURN(mg_run_db_note(d->db, "state", "running"));
    MG_RETURN(mg_run_db_commit(d->db));
    MG_RETURN(mg_run_db_count(d->db, &c));
    d->counts = (mg_dataset_counts){
        .total = c.waiting + c.done + c.failed, .done = c.done, .failed = c.failed, .done_s = c.done_s};
    return MG_OK;
}

/* For mg-dist status, as a run writes it. */
static mg_status put_status(const mg_dataset *d, const mg_run_counts *c)
{
    mg_json_text t = {0};
    char path[MG_PATH_SIZE], host[65] = "?", *text;

    (void)gethostname(host, sizeof host - 1);
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "state", c->waiting > 0 ? "stopped" : "finished");
    mg_json_text_string(&t, "host", host);
    mg_json_text_int(&t, "pid", (int64_t)getpid());
    mg_json_text_int(&t, "time", (int64_t)time(NULL));
    mg_json_text_int(&t, "total", c->done + c->failed + c->waiting);
    mg_json_text_int(&t, "done", c->done);
    mg_json_text_int(&t, "failed", c->failed);
    mg_json_text_int(&t, "left", c->waiting);
    mg_json_text_int(&t, "clips_per_s", 0);
    mg_json_text_int(&t, "sound_s_per_s", 0);
    mg_json_text_array(&t, "replicas");
    MG_RETURN(mg_json_text_end(&t, &text));
    mg_status st = mg_dataset_own_path(path, d->out, "status.json");
    if (st == MG_OK) st = mg_run_lock_check(d->lock);
    if (st == MG_OK) st = mg_out_file_put(path, text, strlen(text));
    free(text);
    return st;
}

mg_status mg_dataset_merge(mg_dataset_merged *out, const mg_dataset_merge_call *call)
{
    mg_status st = MG_OK;
    mg_merge m = {.call = call, .done = out, .d = calloc(1, sizeof *m.d)};
    mg_run_counts c;

    *out = (mg_dataset_merged){0};
    if (!m.d) MG_TRY(mg_fail(MG_ENOMEM, "merge: no memory"));
    m.d->jobs_fd = -1;
    MG_TRY(mg_merge_open_sources(&m));
    MG_TRY(mg_dataset_check_outside(call->out, true));
    MG_TRY(check_out(&m));
    st = open_out(&m);
    if (st != MG_OK) {
        mg_dataset_abandon(m.d, false);
        m.d = NULL;
        goto done;
    }
    MG_TRY(mg_merge_take_clips(&m));
    MG_TRY(mg_dataset_finish(m.d));
    MG_TRY(mg_run_db_count(m.d->db, &c));
    MG_TRY(put_status(m.d, &c));
    out->done = c.done;
    out->failed = c.failed;
    out->waiting = c.waiting;
done:
    if (m.d) mg_dataset_close(m.d);
    mg_merge_close_sources(&m);
    return st;
}
