/* The state is opened and closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "run_db_impl.h"
#include "stop.h"

enum { PATIENCE_S = 120, LOCK_TRIES = 5 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS note(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS job(n INTEGER PRIMARY KEY, id TEXT NOT NULL, fold INTEGER NOT NULL,"
    " at INTEGER NOT NULL, bytes INTEGER NOT NULL, line INTEGER NOT NULL, copy INTEGER NOT NULL,"
    " size INTEGER NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, file TEXT, sha256 TEXT,"
    " file_bytes INTEGER, record TEXT, reason TEXT, dur_s REAL, took_s REAL, ended_at INTEGER, shard "
    "INTEGER);"
    "CREATE TABLE IF NOT EXISTS shard(n INTEGER PRIMARY KEY, file TEXT NOT NULL, sha256 TEXT NOT NULL,"
    " n_clips INTEGER NOT NULL, bytes INTEGER NOT NULL);";

/* Who opens it to write has the run's lock. What has it open still is a reader, or nobody: a file server
 * keeps the locks of a host that died for a while, NFS's for 90 s. */
static int wait_for_others(void *arg, int n_waits)
{
    const mg_run_db *db = arg;

    if (n_waits >= PATIENCE_S * 10 || mg_stop_requested()) return 0;
    if (n_waits == 0) mg_log_info("%s: is locked still; waits for up to %d s", db->path, PATIENCE_S);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    return 1;
}

/* `statements` come first. */
static mg_status open_file(mg_run_db **out, const char *path, int flags, const char *statements)
{
    mg_status st = MG_OK;
    mg_run_db *db = calloc(1, sizeof *db);

    *out = NULL;
    if (!db) return mg_fail(MG_ENOMEM, "run.db: %zu bytes", sizeof *db);
    db->path = strdup(path);
    if (!db->path) MG_TRY(mg_fail(MG_ENOMEM, "run.db: no memory"));
    if (sqlite3_open_v2(path, &db->sql, flags, NULL) != SQLITE_OK) MG_TRY(mg_run_db_fail(db));
    sqlite3_extended_result_codes(db->sql, 1);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
                      NULL);                                          /* a state has none: of a file that */
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL); /* has, nothing is run */
    if (flags & SQLITE_OPEN_READWRITE) sqlite3_busy_handler(db->sql, wait_for_others, db);
    MG_TRY(mg_run_db_do(db, statements));
    *out = db;
done:
    if (st != MG_OK) mg_run_db_close(db);
    return st;
}

/* Asked before SQLite is: of a file system without locks it says that somebody else has the file open.
 * Whoever has it open already in this process would lose his locks. ENOLCK may pass. */
static mg_status check_locks(const char *path)
{
    struct flock first = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    const int fd = *path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
    int code = ENOLCK;

    if (fd < 0) return MG_OK; /* SQLite says what is wrong */
    for (int i = 0; i < LOCK_TRIES && code == ENOLCK; i++) {
        if (i > 0) nanosleep(&(struct timespec){0, 200000000}, NULL);
        code = fcntl(fd, F_SETLK, &first) == 0 ? 0 : errno;
    }
    close(fd);
    if (code != ENOLCK && code != ENOSYS && code != EOPNOTSUPP && code != EINVAL) return MG_OK;
    return mg_fail(
        MG_EFAIL,
        "%s: this file system gives no file locks (%s), and the state of a dataset needs them: mount "
        "Lustre with -o flock, NFS with its lock service, or give an --out elsewhere",
        path, strerror(code));
}

mg_status mg_run_db_open_to_read(mg_run_db **out, const char *path)
{
    return open_file(out, path, SQLITE_OPEN_READONLY, "PRAGMA temp_store=FILE; SELECT count(*) FROM note;");
}

mg_status mg_run_db_open(mg_run_db **out, const char *path, mg_run_lock *lock)
{
    mg_status st = MG_OK;
    mg_run_db *db;

    *out = NULL;
    MG_RETURN(check_locks(path));
    MG_RETURN(
        open_file(&db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                  "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;"
                  "PRAGMA cache_size=-24000; PRAGMA temp_store=FILE; BEGIN EXCLUSIVE;"));
    db->lock = lock;
    MG_TRY(mg_run_lock_check(lock)); /* we may have waited long */
    MG_TRY(mg_run_db_do(db, schema));
    MG_TRY(mg_run_db_do(db, "COMMIT"));
    *out = db;
done:
    if (st != MG_OK) mg_run_db_close(db);
    return st;
}

/* Closing would undo what was not committed, and so write into what is another's by now. */
static bool must_be_left(const mg_run_db *db)
{
    return mg_run_lock_is_lost(db->lock) || (db->begun && !mg_run_lock_holds(db->lock));
}

void mg_run_db_close(mg_run_db *db)
{
    static mg_run_db *left; /* to the end of the process */

    if (!db) return;
    if (must_be_left(db)) {
        db->left = left;
        left = db;
        return;
    }
    for (int i = 0; i < MG_RUN_DB_QUERIES; i++) sqlite3_finalize(db->query[i]);
    sqlite3_close(db->sql);
    free(db->path);
    free(db);
}
