/* Notes, and what is seldom asked for: statements that are prepared for one use. */
#include <stdlib.h>
#include <string.h>

#include "run_db_impl.h"

static mg_status prepare(const mg_run_db *db, sqlite3_stmt **q, const char *text)
{
    return sqlite3_prepare_v2(db->sql, text, -1, q, NULL) == SQLITE_OK ? MG_OK : mg_run_db_fail(db);
}

/* Run a statement that changes something, and end it. */
static mg_status change(mg_run_db *db, sqlite3_stmt *q)
{
    mg_status st = mg_run_db_begin(db);

    if (st == MG_OK && sqlite3_step(q) != SQLITE_DONE) st = mg_run_db_fail(db);
    sqlite3_finalize(q);
    return st;
}

mg_status mg_run_db_note(mg_run_db *db, const char *name, const char *value)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, "INSERT OR REPLACE INTO note VALUES(?1, ?2)"));
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC); /* NULL binds as that */
    return change(db, q);
}

mg_status mg_run_db_read_note(mg_run_db *db, const char *name, char **value)
{
    mg_status st = MG_OK;
    sqlite3_stmt *q;

    *value = NULL;
    MG_RETURN(prepare(db, &q, "SELECT value FROM note WHERE name = ?1"));
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    const int code = sqlite3_step(q);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (code != SQLITE_ROW && code != SQLITE_DONE) st = mg_run_db_fail(db);
    if (text && !(*value = strdup(text))) st = mg_fail(MG_ENOMEM, "run.db: no memory");
    sqlite3_finalize(q);
    return st;
}

mg_status mg_run_db_each_note(mg_run_db *db, mg_note_visit *visit, void *arg)
{
    mg_status st = MG_OK;
    sqlite3_stmt *q;
    int code = SQLITE_DONE;

    MG_RETURN(prepare(db, &q, "SELECT name, value FROM note ORDER BY name"));
    while (st == MG_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
        st = visit(arg, (const char *)sqlite3_column_text(q, 0), (const char *)sqlite3_column_text(q, 1));
    if (st == MG_OK && code != SQLITE_DONE) st = mg_run_db_fail(db);
    sqlite3_finalize(q);
    return st;
}

static mg_status change_one(mg_run_db *db, const char *text, int64_t n)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, text));
    sqlite3_bind_int64(q, 1, n);
    return change(db, q);
}

/* A job that is in no job file any more cannot be made again. */
#define WAITS_AGAIN                                                                                \
    "UPDATE job SET state=CASE WHEN at < 0 THEN 'gone' ELSE 'waiting' END, tries=0, reason=NULL, " \
    "shard=NULL WHERE "

mg_status mg_run_db_forget(mg_run_db *db, int64_t n)
{
    return change_one(db, WAITS_AGAIN "n = ?1", n);
}

mg_status mg_run_db_forget_shards(mg_run_db *db, int64_t first)
{
    MG_RETURN(change_one(db, WAITS_AGAIN "shard >= ?1", first));
    return change_one(db, "DELETE FROM shard WHERE n >= ?1", first);
}

static mg_status each_pair(mg_run_db *db, const char *text, mg_clash_visit *visit, void *arg)
{
    sqlite3_stmt *q = NULL;
    mg_status st = MG_OK;
    int code = SQLITE_DONE;

    MG_RETURN(prepare(db, &q, text));
    while (st == MG_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
        st = visit(arg, sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1));
    if (st == MG_OK && code != SQLITE_DONE) st = mg_run_db_fail(db);
    sqlite3_finalize(q);
    return st;
}

mg_status mg_run_db_each_clash(mg_run_db *db, mg_clash_visit *visit, void *arg)
{
    static const char text[] =
        "WITH shared AS (SELECT fold, min(n) AS first FROM job WHERE state <> 'gone' GROUP BY fold"
        " HAVING count(*) > 1) SELECT shared.first, job.n FROM shared JOIN job USING(fold)"
        " WHERE job.n > shared.first AND job.state <> 'gone' ORDER BY job.n";

    return each_pair(db, text, visit, arg);
}

static mg_status find_any(mg_run_db *db, bool *found, const char *text)
{
    sqlite3_stmt *q;

    MG_RETURN(prepare(db, &q, text));
    const int code = sqlite3_step(q);
    *found = code == SQLITE_ROW;
    const mg_status st = *found || code == SQLITE_DONE ? MG_OK : mg_run_db_fail(db);
    sqlite3_finalize(q);
    return st;
}

/* The key as mg_dataset_member_name makes it. Mostly all ids are keys already, and nothing need be sorted. */
mg_status mg_run_db_each_key_clash(mg_run_db *db, mg_clash_visit *visit, void *arg)
{
    static const char any[] = "SELECT 1 FROM job WHERE instr(id, '.') > 0 OR substr(id, 1, 2) = '__' LIMIT 1";
    static const char text[] =
        "WITH plain AS (SELECT n, replace(id, '.', '_') AS name FROM job WHERE state <> 'gone'),"
        " keyed AS (SELECT n, CASE WHEN substr(name, 1, 2) = '__' THEN '-' || substr(name, 2)"
        " ELSE name END AS key FROM plain),"
        " shared AS (SELECT key, min(n) AS first FROM keyed GROUP BY key HAVING count(*) > 1)"
        " SELECT shared.first, keyed.n FROM shared JOIN keyed USING(key)"
        " WHERE keyed.n > shared.first ORDER BY keyed.n";
    bool found;

    MG_RETURN(find_any(db, &found, any));
    return found ? each_pair(db, text, visit, arg) : MG_OK;
}
