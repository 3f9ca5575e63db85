/* What run_db*.c share. */
#ifndef MG_RUN_DB_IMPL_H
#define MG_RUN_DB_IMPL_H

#include <sqlite3.h>

#include "run_db.h"

enum { MG_RUN_DB_QUERIES = 32 };

struct mg_run_db {
    sqlite3 *sql;
    char *path;
    mg_run_lock *lock;                      /* borrowed; NULL: none */
    sqlite3_stmt *query[MG_RUN_DB_QUERIES]; /* of run_db.c, prepared when they are first wanted */
    bool begun;
    mg_run_db *left; /* another one that was left open */
};

/* The last call's fault, as a message. */
mg_status mg_run_db_fail(const mg_run_db *db);

/* Statements that give nothing back. */
mg_status mg_run_db_do(mg_run_db *db, const char *text);

/* A row that was read: its names stay in the folder, and what others rely on is there. MG_EFAIL if not. */
mg_status mg_run_db_check_job(const mg_run_db *db, const mg_job_row *row);
mg_status mg_run_db_check_shard(const mg_run_db *db, const mg_shard_row *row);

/* A group of changes begins, if none has. */
mg_status mg_run_db_begin(mg_run_db *db);

#endif
