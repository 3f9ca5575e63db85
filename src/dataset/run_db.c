#include "run_db_impl.h"

#include <stdio.h>
#include <string.h>

#include "job_id.h"
#include "utf8.h"

/* In the order of mg_job_row from n to shard: read_row and the statements count on it. */
#define COLUMNS                                                                                          \
    "n, id, fold, at, bytes, line, copy, size, state, tries, file, sha256, file_bytes, record, reason, " \
    "dur_s, took_s, ended_at, shard"

/* The statements, prepared when they are first wanted. */
enum {
    Q_ADD,
    Q_FIND,
    Q_FIND_ID,
    Q_NEXT,
    Q_END,
    Q_RETRY,
    Q_MOVE,
    Q_DROP,
    Q_UNMOVE,
    Q_SHARD,
    Q_IN_SHARD,
    Q_COUNT,
    Q_N_JOBS,
    Q_OPEN,
    Q_EACH,
    Q_IN_NO_SHARD,
    Q_EACH_SHARD,
    N_QUERIES,
};
_Static_assert((int)N_QUERIES <= (int)MG_RUN_DB_QUERIES, "room for all statements");

/* clang-format off */
static const char *const queries[MG_RUN_DB_QUERIES] = {
    [Q_ADD] = "INSERT INTO job(n, id, fold, at, bytes, line, copy, size, state) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,'waiting')",
    [Q_FIND] = "SELECT " COLUMNS " FROM job WHERE n = ?1",
    [Q_FIND_ID] = "SELECT " COLUMNS " FROM job WHERE fold = ?1 AND id = ?2",
    [Q_NEXT] = "SELECT " COLUMNS " FROM job WHERE n >= ?1 AND state = ?2 ORDER BY n LIMIT 1",
    [Q_END] = "UPDATE job SET state=?2, tries=?3, file=?4, sha256=?5, file_bytes=?6, record=?7, reason=?8, dur_s=?9,"
              " took_s=?10, ended_at=?11 WHERE n = ?1",
    [Q_RETRY] = "UPDATE job SET state='waiting', tries=0, reason=NULL WHERE state='failed'",
    [Q_MOVE] = "UPDATE job SET at=?2, bytes=?3, line=?4, size=?5, state=CASE state WHEN 'gone' THEN 'waiting' ELSE state END"
               " WHERE n = ?1",
    [Q_DROP] = "UPDATE job SET state='gone' WHERE at < 0 AND state <> 'done' AND state <> 'gone'",
    [Q_UNMOVE] = "UPDATE job SET at = CASE WHEN at >= 0 THEN -2 - at ELSE -1 END",
    [Q_SHARD] = "INSERT INTO shard VALUES(?1, ?2, ?3, ?4, ?5)",
    [Q_IN_SHARD] = "UPDATE job SET shard = ?1 WHERE n BETWEEN ?2 AND ?3 AND state = 'done' AND shard IS NULL",
    [Q_COUNT] = "SELECT state, count(*), total(dur_s), total(size) FROM job GROUP BY state",
    [Q_N_JOBS] = "SELECT coalesce(max(n) + 1, 0) FROM job",
    [Q_OPEN] = "SELECT min(n) FROM (SELECT min(n) AS n FROM job WHERE state = 'waiting'"
               " UNION ALL SELECT min(n) FROM job WHERE state = 'done' AND shard IS NULL)",
    [Q_EACH] = "SELECT " COLUMNS " FROM job WHERE state = ?1 ORDER BY n",
    [Q_IN_NO_SHARD] = "SELECT " COLUMNS " FROM job WHERE state = 'done' AND shard IS NULL ORDER BY n",
    [Q_EACH_SHARD] = "SELECT n, file, sha256, n_clips, bytes FROM shard ORDER BY n",
};
/* clang-format on */

static const char *const state_words[] = {"waiting", "done", "failed", "gone"};

mg_status mg_run_db_fail(const mg_run_db *db)
{
    const int code = sqlite3_errcode(db->sql);

    if ((code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_LOCKED)
        return mg_fail(MG_EFAIL,
                       "%s: another process has it open: a run is at work here (mg-dist status tells how far "
                       "it is), or someone reads it; wait for its end, or stop it",
                       db->path);
    if (code == SQLITE_READONLY_ROLLBACK)
        return mg_fail(MG_EFAIL, "%s: a run was cut off here; the same mg-dist run mends it and goes on",
                       db->path);
    if ((code & 0xFF) == SQLITE_NOTADB || (code & 0xFF) == SQLITE_CORRUPT)
        return mg_fail(MG_EFAIL, "%s: damaged, or not the state of a dataset: %s", db->path,
                       sqlite3_errmsg(db->sql));
    if ((code & 0xFF) == SQLITE_FULL)
        return mg_fail(MG_EFAIL, "%s: %s; what is recorded stays: make room, and the same command goes on",
                       db->path, sqlite3_errmsg(db->sql));
    if ((code & 0xFF) == SQLITE_IOERR)
        return mg_fail(MG_EFAIL,
                       "%s: %s; what is recorded stays: when the disk works, the same command goes on",
                       db->path, sqlite3_errmsg(db->sql));
    return mg_fail(MG_EFAIL, "%s: %s", db->path, sqlite3_errmsg(db->sql));
}

mg_status mg_run_db_do(mg_run_db *db, const char *text)
{
    return sqlite3_exec(db->sql, text, NULL, NULL, NULL) == SQLITE_OK ? MG_OK : mg_run_db_fail(db);
}

mg_status mg_run_db_shrink(mg_run_db *db)
{
    MG_RETURN(mg_run_db_do(db, "PRAGMA cache_size=-1000"));
    sqlite3_db_release_memory(db->sql);
    return MG_OK;
}

mg_status mg_run_db_begin(mg_run_db *db)
{
    if (db->begun) return mg_run_lock_is_lost(db->lock) ? mg_run_lock_check(db->lock) : MG_OK;
    MG_RETURN(mg_run_lock_check(db->lock));
    MG_RETURN(mg_run_db_do(db, "BEGIN"));
    db->begun = true;
    return MG_OK;
}

mg_status mg_run_db_commit(mg_run_db *db)
{
    if (!db->begun) return MG_OK;
    MG_RETURN(mg_run_lock_check(db->lock));
    MG_RETURN(mg_run_db_do(db, "COMMIT"));
    db->begun = false;
    return MG_OK;
}

mg_status mg_run_db_roll_back(mg_run_db *db)
{
    MG_RETURN(mg_run_lock_check(db->lock));
    for (int i = 0; i < N_QUERIES; i++) sqlite3_reset(db->query[i]); /* an open one keeps what failed alive */
    db->begun = false;
    return sqlite3_get_autocommit(db->sql) ? MG_OK : mg_run_db_do(db, "ROLLBACK");
}

/* A statement, ready for its values. */
static mg_status prepare(mg_run_db *db, sqlite3_stmt **out, int which)
{
    *out = db->query[which];
    if (*out) return MG_OK;
    if (sqlite3_prepare_v2(db->sql, queries[which], -1, &db->query[which], NULL) != SQLITE_OK)
        return mg_run_db_fail(db);
    *out = db->query[which];
    return MG_OK;
}

static void bind_text(sqlite3_stmt *q, int i, const char *text)
{
    if (text)
        sqlite3_bind_text(q, i, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(q, i);
}

/* Run a statement that changes something. */
static mg_status change(mg_run_db *db, sqlite3_stmt *q)
{
    mg_status st = mg_run_db_begin(db);

    if (st == MG_OK && sqlite3_step(q) != SQLITE_DONE) st = mg_run_db_fail(db);
    sqlite3_reset(q);
    return st;
}

mg_status mg_run_db_add(mg_run_db *db, const mg_job_row *row)
{
    const int64_t rest[] = {row->fold, row->at, row->bytes, row->line, row->copy, row->size};
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_ADD));
    sqlite3_bind_int64(q, 1, row->n);
    sqlite3_bind_text(q, 2, row->id, -1, SQLITE_STATIC);
    for (int i = 0; i < 6; i++) sqlite3_bind_int64(q, 3 + i, rest[i]);
    return change(db, q);
}

mg_status mg_run_db_index(mg_run_db *db)
{
    MG_RETURN(mg_run_db_begin(db));
    return mg_run_db_do(db, "CREATE INDEX IF NOT EXISTS job_fold ON job(fold)");
}

/* What a start asks for is in the indexes: a row with its record is 30 times as long. */
mg_status mg_run_db_index_states(mg_run_db *db)
{
    MG_RETURN(mg_run_db_begin(db));
    return mg_run_db_do(db, "CREATE INDEX IF NOT EXISTS job_state ON job(state, n, shard, size, dur_s);"
                            "CREATE INDEX IF NOT EXISTS job_left ON job(n) WHERE at < 0");
}

static mg_job_state state_of(const char *word)
{
    for (int i = 0; word && i < 4; i++)
        if (strcmp(word, state_words[i]) == 0) return (mg_job_state)i;
    return MG_JOB_GONE;
}

static mg_status read_row(const mg_run_db *db, mg_job_row *row, sqlite3_stmt *q)
{
    int i = 0;

    row->n = sqlite3_column_int64(q, i++);
    row->id = (const char *)sqlite3_column_text(q, i++);
    row->fold = sqlite3_column_int64(q, i++);
    row->at = sqlite3_column_int64(q, i++);
    row->bytes = sqlite3_column_int64(q, i++);
    row->line = sqlite3_column_int64(q, i++);
    row->copy = sqlite3_column_int64(q, i++);
    row->size = sqlite3_column_int64(q, i++);
    row->state = state_of((const char *)sqlite3_column_text(q, i++));
    row->tries = sqlite3_column_int64(q, i++);
    row->file = (const char *)sqlite3_column_text(q, i++);
    row->sha256 = (const char *)sqlite3_column_text(q, i++);
    row->file_bytes = sqlite3_column_int64(q, i++);
    row->record = (const char *)sqlite3_column_text(q, i++);
    row->reason = (const char *)sqlite3_column_text(q, i++);
    row->dur_s = sqlite3_column_double(q, i++);
    row->took_s = sqlite3_column_double(q, i++);
    row->ended_at = sqlite3_column_int64(q, i++);
    row->shard = sqlite3_column_type(q, i) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, i);
    return mg_run_db_check_job(db, row);
}

/* The one row of a statement. It stays where it is until the statement is used again. */
static mg_status one_row(mg_run_db *db, sqlite3_stmt *q, mg_job_row *row, bool *found)
{
    const int code = sqlite3_step(q);

    *found = code == SQLITE_ROW;
    if (*found) return read_row(db, row, q);
    return code == SQLITE_DONE ? MG_OK : mg_run_db_fail(db);
}

mg_status mg_run_db_find(mg_run_db *db, int64_t n, mg_job_row *row, bool *found)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_FIND));
    sqlite3_reset(q);
    sqlite3_bind_int64(q, 1, n);
    return one_row(db, q, row, found);
}

mg_status mg_run_db_find_id(mg_run_db *db, const char *id, int64_t fold, mg_job_row *row, bool *found)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_FIND_ID));
    sqlite3_reset(q);
    sqlite3_bind_int64(q, 1, fold);
    bind_text(q, 2, id);
    return one_row(db, q, row, found);
}

mg_status mg_run_db_find_named(mg_run_db *db, const char *name, mg_job_row *row, bool *found)
{
    const char *dot = strrchr(name, '.');
    const size_t n = dot ? (size_t)(dot - name) : 0;
    char id[MG_JOB_ID_SIZE];
    int64_t fold;

    *found = false;
    if (n == 0 || n >= sizeof id || mg_utf8_bad_offset(name, (int64_t)strlen(name)) >= 0) return MG_OK;
    snprintf(id, sizeof id, "%.*s", (int)n, name);
    MG_RETURN(mg_job_id_fold_hash(&fold, id));
    return mg_run_db_find_id(db, id, fold, row, found);
}

mg_status mg_run_db_next(mg_run_db *db, mg_job_state state, int64_t from, mg_job_row *row, bool *found)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_NEXT));
    sqlite3_reset(q);
    sqlite3_bind_int64(q, 1, from);
    bind_text(q, 2, state_words[state]);
    return one_row(db, q, row, found);
}

mg_status mg_run_db_end_job(mg_run_db *db, const mg_job_row *row)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_END));
    sqlite3_bind_int64(q, 1, row->n);
    bind_text(q, 2, state_words[row->state]);
    sqlite3_bind_int64(q, 3, row->tries);
    bind_text(q, 4, row->file);
    bind_text(q, 5, row->sha256);
    sqlite3_bind_int64(q, 6, row->file_bytes);
    bind_text(q, 7, row->record);
    bind_text(q, 8, row->reason);
    sqlite3_bind_double(q, 9, row->dur_s);
    sqlite3_bind_double(q, 10, row->took_s);
    sqlite3_bind_int64(q, 11, row->ended_at);
    return change(db, q);
}

static mg_status change_all(mg_run_db *db, int which, int64_t *n)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, which));
    MG_RETURN(change(db, q));
    if (n) *n = sqlite3_changes(db->sql);
    return MG_OK;
}

mg_status mg_run_db_retry(mg_run_db *db, int64_t *n)
{
    return change_all(db, Q_RETRY, n);
}

mg_status mg_run_db_unmove(mg_run_db *db)
{
    MG_RETURN(mg_run_db_begin(db));
    MG_RETURN(mg_run_db_do(db, "DROP INDEX IF EXISTS job_left")); /* for a moment all are in it */
    return change_all(db, Q_UNMOVE, NULL);
}

mg_status mg_run_db_drop_unmoved(mg_run_db *db, int64_t *n)
{
    return change_all(db, Q_DROP, n);
}

mg_status mg_run_db_move(mg_run_db *db, const mg_job_row *row)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_MOVE));
    sqlite3_bind_int64(q, 1, row->n);
    sqlite3_bind_int64(q, 2, row->at);
    sqlite3_bind_int64(q, 3, row->bytes);
    sqlite3_bind_int64(q, 4, row->line);
    sqlite3_bind_int64(q, 5, row->size);
    return change(db, q);
}

mg_status mg_run_db_add_shard(mg_run_db *db, const mg_shard_row *shard, int64_t first, int64_t last)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_SHARD));
    sqlite3_bind_int64(q, 1, shard->n);
    bind_text(q, 2, shard->file);
    bind_text(q, 3, shard->sha256);
    sqlite3_bind_int64(q, 4, shard->n_clips);
    sqlite3_bind_int64(q, 5, shard->bytes);
    MG_RETURN(change(db, q));
    MG_RETURN(prepare(db, &q, Q_IN_SHARD));
    sqlite3_bind_int64(q, 1, shard->n);
    sqlite3_bind_int64(q, 2, first);
    sqlite3_bind_int64(q, 3, last);
    return change(db, q);
}

mg_status mg_run_db_count(mg_run_db *db, mg_run_counts *c)
{
    int64_t *const counts[] = {&c->waiting, &c->done, &c->failed, &c->gone};
    sqlite3_stmt *q;
    int code;

    *c = (mg_run_counts){0};
    MG_RETURN(prepare(db, &q, Q_COUNT));
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
        const mg_job_state state = state_of((const char *)sqlite3_column_text(q, 0));
        *counts[state] = sqlite3_column_int64(q, 1);
        if (state == MG_JOB_DONE) c->done_s = sqlite3_column_double(q, 2);
        if (state == MG_JOB_WAITING) c->waiting_ms = (int64_t)sqlite3_column_double(q, 3);
    }
    const mg_status st = code == SQLITE_DONE ? MG_OK : mg_run_db_fail(db);
    sqlite3_reset(q);
    return st;
}

mg_status mg_run_db_is_untouched(mg_run_db *db, bool *is_untouched)
{
    mg_run_counts c;

    MG_RETURN(mg_run_db_count(db, &c));
    *is_untouched = c.done + c.failed == 0;
    return MG_OK;
}

mg_status mg_run_db_n_jobs(mg_run_db *db, int64_t *n)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_N_JOBS));
    const mg_status st = sqlite3_step(q) == SQLITE_ROW ? MG_OK : mg_run_db_fail(db);
    *n = st == MG_OK ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_reset(q);
    return st;
}

mg_status mg_run_db_first_open(mg_run_db *db, int64_t *n)
{
    sqlite3_stmt *q;

    MG_RETURN(mg_run_db_n_jobs(db, n));
    MG_RETURN(prepare(db, &q, Q_OPEN));
    const mg_status st = sqlite3_step(q) == SQLITE_ROW ? MG_OK : mg_run_db_fail(db);
    if (st == MG_OK && sqlite3_column_type(q, 0) != SQLITE_NULL) *n = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return st;
}

static mg_status each_row(mg_run_db *db, sqlite3_stmt *q, mg_job_visit *visit, void *arg)
{
    mg_status st = MG_OK;
    mg_job_row row;
    int code = SQLITE_DONE;

    while (st == MG_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        st = read_row(db, &row, q);
        if (st == MG_OK) st = visit(arg, &row);
    }
    if (st == MG_OK && code != SQLITE_DONE) st = mg_run_db_fail(db);
    sqlite3_reset(q);
    return st;
}

mg_status mg_run_db_each(mg_run_db *db, mg_job_state state, mg_job_visit *visit, void *arg)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_EACH));
    bind_text(q, 1, state_words[state]);
    return each_row(db, q, visit, arg);
}

mg_status mg_run_db_each_in_no_shard(mg_run_db *db, mg_job_visit *visit, void *arg)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, Q_IN_NO_SHARD));
    return each_row(db, q, visit, arg);
}

mg_status mg_run_db_each_shard(mg_run_db *db, mg_shard_visit *visit, void *arg)
{
    mg_status st = MG_OK;
    sqlite3_stmt *q;
    int code = SQLITE_DONE;

    MG_RETURN(prepare(db, &q, Q_EACH_SHARD));
    while (st == MG_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        const mg_shard_row row = {sqlite3_column_int64(q, 0), (const char *)sqlite3_column_text(q, 1),
                                  (const char *)sqlite3_column_text(q, 2), sqlite3_column_int64(q, 3),
                                  sqlite3_column_int64(q, 4)};
        st = mg_run_db_check_shard(db, &row);
        if (st == MG_OK) st = visit(arg, &row);
    }
    if (st == MG_OK && code != SQLITE_DONE) st = mg_run_db_fail(db);
    sqlite3_reset(q);
    return st;
}
