/* After a run that was cut off: files that nobody recorded go, for their clips will be made again. Only names
 * that could be ours are touched. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset_impl.h"
#include "stop.h"
#include "text.h"

/* ".NAME.MACHINE.PID.tmp", as out_file.h makes them. */
static bool is_temporary(const char *name)
{
    return name[0] == '.' && mg_text_ends_with(name, ".tmp");
}

/* The folder itself knows it of most entries: a look at each of a million files is minutes on a network's
 * disk. */
static bool is_folder(const struct dirent *e, const char *path)
{
    return e->d_type == DT_UNKNOWN || e->d_type == DT_LNK ? mg_path_is_folder(path) : e->d_type == DT_DIR;
}

typedef bool is_orphan(mg_dataset *d, const char *folder, const char *name, mg_status *st);

/* test NULL: all files are. */
static mg_status sweep(mg_dataset *d, const char *folder, bool deep, is_orphan *test)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], below[MG_PATH_SIZE];
    DIR *dir;

    MG_RETURN(mg_dataset_path(path, d, folder));
    dir = opendir(path);
    if (!dir) return MG_OK;
    for (struct dirent *e; st == MG_OK && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        st = mg_stop_check();
        if (st == MG_OK) st = mg_path_format(below, "%s/%s", folder, e->d_name);
        if (st == MG_OK) st = mg_dataset_path(path, d, below);
        if (st != MG_OK) break;
        if (is_folder(e, path)) {
            if (deep) st = sweep(d, below, false, test);
        } else if (!test || is_temporary(e->d_name) || test(d, folder, e->d_name, &st)) {
            st = mg_run_lock_check(d->lock);
            if (st == MG_OK) unlink(path);
        }
    }
    closedir(dir);
    return st;
}

/* The sound of a job that is not done, or that is done under another name. */
static bool is_unrecorded(mg_dataset *d, const char *folder, const char *name, mg_status *st)
{
    char path[MG_PATH_SIZE];
    const char *dot = strrchr(name, '.');
    mg_job_row row;
    bool found = false;

    if (!dot || (strcmp(dot, d->call.suffix) != 0 && strcmp(dot, ".json") != 0)) return false;
    *st = mg_run_db_find_named(d->db, name, &row, &found);
    if (*st == MG_OK)
        *st = mg_path_format(path, "%s/%.*s%s", folder, (int)(dot - name), name, d->call.suffix);
    return *st == MG_OK && found && (row.state != MG_JOB_DONE || !row.file || strcmp(row.file, path) != 0);
}

/* A clip that is in a shard, or not recorded. */
static bool is_idle_part(mg_dataset *d, const char *folder, const char *name, mg_status *st)
{
    mg_job_row row;
    bool found = false;
    (void)folder;

    *st = mg_run_db_find(d->db, strtoll(name, NULL, 10), &row, &found);
    return *st == MG_OK && (!found || row.state != MG_JOB_DONE || row.shard >= 0);
}

/* NAME-000012.tar that no row tells of. In the other layouts it is somebody else's. */
static bool is_unrecorded_shard(mg_dataset *d, const char *folder, const char *name, mg_status *st)
{
    const size_t n = strlen(d->call.name);
    char *end;
    (void)folder, (void)st;

    if (d->call.layout != MG_LAYOUT_WEBDATASET) return false;
    if (strncmp(name, d->call.name, n) != 0 || name[n] != '-') return false;
    const long long shard = strtoll(name + n + 1, &end, 10);
    return end == name + n + 7 && strcmp(end, ".tar") == 0 && shard >= d->n_shards;
}

mg_status mg_dataset_recover(mg_dataset *d)
{
    mg_status st = MG_OK;
    char *state = NULL;

    if (d->call.layout == MG_LAYOUT_WEBDATASET) MG_RETURN(mg_dataset_find_lost_parts(d));
    MG_RETURN(mg_run_db_read_note(d->db, "state", &state));
    const bool cut_off = state && (strcmp(state, "running") == 0 || strcmp(state, "left") == 0);
    free(state);
    if (!cut_off) return MG_OK;
    MG_TRY(sweep(d, MG_DATASET_OWN "/making", true, NULL)); /* what makers had at hand */
    if (d->call.layout == MG_LAYOUT_WEBDATASET)
        MG_TRY(sweep(d, MG_DATASET_OWN "/parts", false, is_idle_part));
    else
        MG_TRY(sweep(d, "train", true, is_unrecorded));
    st = sweep(d, ".", false, is_unrecorded_shard);
done:
    return st;
}
