/* The state against the lists, and the folder against both. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "choice_words.h"
#include "dataset_verify_impl.h"
#include "stop.h"
#include "text.h"

mg_status mg_verify_open_state(mg_dataset_check *c)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], *layout = NULL, *state = NULL;
    mg_run_counts n;

    MG_RETURN(mg_verify_path(path, c, ".mg-dist/run.db"));
    c->v->with_state = mg_path_exists(path);
    if (!c->v->with_state) return MG_OK;
    MG_TRY(mg_run_db_open_to_read(&c->db, path));
    MG_TRY(mg_run_db_read_note(c->db, "layout", &layout));
    MG_TRY(mg_run_db_read_note(c->db, "state", &state));
    MG_TRY(mg_run_db_count(c->db, &n));
    const int i = mg_choice_find(MG_LAYOUT_CHOICES, layout);
    if (i < 0) MG_TRY(mg_fail(MG_EFAIL, "%s: holds no dataset; was a run ended before it began?", path));
    c->v->layout = (mg_layout)i;
    c->v->n_waiting = n.waiting;
    c->v->n_failed = n.failed;
    if (!state || strcmp(state, "running") == 0)
        st = mg_verify_say(c, "run.db", MG_N_LISTS, MG_REMEDY_NONE,
                           ".mg-dist/run.db: a run was cut off here, and its lists are not written; the same "
                           "mg-dist run goes on");
done:
    free(layout);
    free(state);
    return st;
}

static mg_status compare_row(mg_dataset_check *c, const mg_job_row *row, mg_verify_clip *clip)
{
    const char *shard = clip->i_shard >= 0 ? c->shard[clip->i_shard].name : NULL;
    const char *dash = shard ? strrchr(shard, '-') : NULL;
    const int64_t i_shard = dash ? strtoll(dash + 1, NULL, 10) : -1;
    const char *what = !row->sha256 || strcmp(row->sha256, clip->sha256) != 0 ? "sha256"
                       : !row->file || strcmp(row->file, clip->file) != 0     ? "file"
                       : row->file_bytes != clip->file_bytes                  ? "bytes"
                       : row->shard != i_shard                                ? "shard"
                                                                              : NULL;

    clip->recorded = true;
    if (clip->i_shard >= 0 && c->shard[clip->i_shard].finding) return MG_OK; /* said of the shard */
    if (what)
        return mg_verify_say(c, clip->file, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                             "manifest.jsonl: line %lld: %s of %s: is not that of .mg-dist/run.db",
                             (long long)clip->line, what, clip->file);
    mg_clip_line line, record;
    MG_RETURN(mg_verify_read_line(&line, c, clip));
    mg_status st = mg_clip_line_parse(&record, clip->file, row->record, (int64_t)strlen(row->record));
    if (st == MG_OK) {
        const char *key = mg_clip_line_difference(&record, &line);
        if (key)
            st = mg_verify_say(c, clip->file, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                               "manifest.jsonl: line %lld: %s of %s: is not that of .mg-dist/run.db",
                               (long long)clip->line, key, clip->file);
        mg_clip_line_close(&record);
    }
    mg_clip_line_close(&line);
    return st;
}

static mg_status check_done(void *arg, const mg_job_row *row)
{
    mg_dataset_check *c = arg;
    mg_verify_clip *clip = mg_verify_find_id(c, row->id);

    MG_RETURN(mg_stop_check());
    if (clip) return compare_row(c, row, clip);
    return mg_verify_say(c, row->file ? row->file : row->id, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                         "manifest.jsonl: no line for %s, which .mg-dist/run.db has as done", row->id);
}

static mg_status check_shard(void *arg, const mg_shard_row *row)
{
    mg_dataset_check *c = arg;

    for (size_t i = 0; i < c->n_shards; i++)
        if (strcmp(c->shard[i].name, row->file) == 0) return MG_OK;
    return mg_verify_say(c, row->file, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                         "manifest.jsonl: no clip of %s, which .mg-dist/run.db has", row->file);
}

mg_status mg_verify_state(mg_dataset_check *c)
{
    const int64_t n_listed = c->v->n_failed;
    mg_run_counts n;

    if (!c->db || !c->there[MG_LIST_MANIFEST]) return MG_OK;
    MG_RETURN(mg_run_db_each(c->db, MG_JOB_DONE, check_done, c));
    MG_RETURN(mg_run_db_each_shard(c->db, check_shard, c));
    for (size_t i = 0; i < c->n_clips; i++)
        if (!c->clip[i].recorded)
            MG_RETURN(
                mg_verify_say(c, c->clip[i].file, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                              "manifest.jsonl: line %lld: %s, which .mg-dist/run.db does not have as done",
                              (long long)c->clip[i].line, c->clip[i].id));
    MG_RETURN(mg_run_db_count(c->db, &n));
    const bool listed =
        n.failed <= n_listed && n_listed <= n.failed + n.waiting; /* retry-failed lets them wait */
    if (c->there[MG_LIST_FAILURES] && !c->told_list[MG_LIST_FAILURES] && !listed)
        return mg_verify_say(c, "failures.jsonl", MG_LIST_FAILURES, MG_REMEDY_LISTS,
                             "failures.jsonl: has %lld job%s, and .mg-dist/run.db %lld", (long long)n_listed,
                             mg_plural(n_listed), (long long)n.failed);
    return MG_OK;
}

/* Files of the dataset's own that no list names. */
static bool is_ours(const mg_dataset_check *c, const char *name)
{
    char sound[MG_PATH_SIZE];
    const char *dot = strrchr(name, '.');

    for (mg_verify_list list = 0; list < MG_N_LISTS; list++)
        if (strcmp(name, mg_verify_list_name(c, list)) == 0) return true;
    if (strcmp(name, "report.html") == 0) return true;
    for (size_t i = 0; i < c->n_shards; i++)
        if (strcmp(c->shard[i].name, name) == 0) return true;
    if (mg_verify_find_file(c, name)) return true;
    if (c->v->layout != MG_LAYOUT_AUDIOCRAFT || !dot || strcmp(dot, ".json") != 0) return false;
    for (int i = 0; i < MG_AUDIO_N_FORMATS; i++) {
        if (mg_path_format(sound, "%.*s%s", (int)(dot - name), name,
                           mg_audio_format_suffix((mg_audio_format)i)) == MG_OK &&
            (mg_verify_find_file(c, sound) || mg_verify_was_told(c, sound)))
            return true;
    }
    return false;
}

/* A clip that a lost rank, or one behind it, wrote and nobody reported. */
static mg_status is_unreported(bool *yes, const mg_dataset_check *c, const char *file)
{
    mg_job_row row;

    *yes = false;
    if (!c->db || strncmp(file, "train/", 6) != 0) return MG_OK;
    MG_RETURN(mg_run_db_find_named(c->db, mg_path_name(file), &row, yes));
    *yes = *yes && row.state == MG_JOB_WAITING;
    return MG_OK;
}

static mg_status say_stranger(mg_dataset_check *c, const char *name)
{
    bool unreported;

    MG_RETURN(is_unreported(&unreported, c, name));
    if (unreported)
        return mg_verify_say(c, name, MG_N_LISTS, MG_REMEDY_NONE,
                             "%s: not recorded: its run was cut off; the same mg-dist run makes it again",
                             name);
    return mg_verify_say(
        c, name, MG_N_LISTS, MG_REMEDY_REMOVE, "%s: not of the dataset: no list names it%s", name,
        mg_text_ends_with(name, ".tmp") ? " (the rest of a file that was being written)" : "");
}

static mg_status look_through(mg_dataset_check *c, const char *folder, int depth)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], name[MG_PATH_SIZE];
    DIR *d;

    MG_RETURN(mg_verify_path(path, c, folder));
    if (!(d = opendir(path))) return MG_OK;
    for (struct dirent *e; (e = readdir(d));) {
        const bool at_root = !*folder;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (at_root && e->d_name[0] == '.') continue; /* .git, .gitattributes, .mg-dist */
        MG_TRY(mg_path_format(name, "%s%s%s", folder, at_root ? "" : "/", e->d_name));
        MG_TRY(mg_verify_path(path, c, name));
        if (mg_path_is_folder(path) && depth > 0 &&
            (!at_root || strcmp(name, "train") == 0 || strcmp(name, "egs") == 0))
            MG_TRY(look_through(c, name, depth - 1));
        else if (!is_ours(c, name))
            MG_TRY(say_stranger(c, name));
    }
done:
    closedir(d);
    return st;
}

mg_status mg_verify_strangers(mg_dataset_check *c)
{
    return c->there[MG_LIST_MANIFEST] ? look_through(c, "", 2) : MG_OK;
}
