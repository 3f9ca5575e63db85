/* One run at a time on a dataset: a file that names host and process, kept fresh while they live. */
#ifndef MG_RUN_LOCK_H
#define MG_RUN_LOCK_H

#include <stdbool.h>

#include "path.h"

typedef struct mg_run_lock {
    char path[MG_PATH_SIZE]; /* "": not held */
} mg_run_lock;

/* Take it. A lock whose process has ended on this host is taken over. So is the lock of another host that has
 * not touched it for `stale_s` seconds. MG_EFAIL names the host and process that hold it. Waits for up to
 * `stale_s` to see whether a lock of another host is touched. */
mg_status mg_run_lock_take(mg_run_lock *lock, const char *path, double stale_s);

/* Every few seconds while it is held: another host counts on it. */
void mg_run_lock_touch(const mg_run_lock *lock);

void mg_run_lock_release(mg_run_lock *lock); /* legal on a zeroed one */

#endif
