/* What run_db*.c share. */
#ifndef MG_RUN_DB_IMPL_H
#define MG_RUN_DB_IMPL_H

#include <sqlite3.h>

#include "run_db.h"

enum { MG_RUN_DB_QUERIES = 32 };

struct mg_run_db {
    sqlite3 *sql;
    char *path;
    sqlite3_stmt *query[MG_RUN_DB_QUERIES]; /* of run_db.c, prepared when they are first wanted */
    bool begun;
};

/* The last call's fault, as a message. */
mg_status mg_run_db_fail(const mg_run_db *db);

/* A group of changes begins, if none has. */
mg_status mg_run_db_begin(mg_run_db *db);

#endif
