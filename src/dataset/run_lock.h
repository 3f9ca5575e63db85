/* One run at a time on a dataset: a file that names host, process and machine (process.h). A thread keeps it
 * fresh for as long as it is held, whatever the run does meanwhile. Who was suspended, or cut off from the
 * disk, for longer than others wait may find it taken. Then the file names somebody else, and is neither
 * touched nor removed. */
#ifndef MG_RUN_LOCK_H
#define MG_RUN_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "path.h"

typedef struct mg_run_lock mg_run_lock;

/* Who holds one: whole int64_t, to be broadcast. */
typedef struct mg_run_holder {
    char host[72];
    int64_t pid;
    uint64_t begun;   /* when the process began, in the kernel's ticks: a number is given again */
    uint64_t machine; /* whose number it is (process.h); 0: not said, as earlier versions */
} mg_run_holder;

#define MG_RUN_LOCK_STALE_S 30.0 /* of a run */

/* Take it. A lock whose process has ended on this machine is taken over. So is the lock of another one, which
 * may have the same name, that has not touched it for `stale_s` seconds. MG_EFAIL names the host and process
 * that hold it. Waits for up to `stale_s` to see whether a lock of another host is touched. */
mg_status mg_run_lock_take(mg_run_lock **out, const char *path, double stale_s);

void mg_run_lock_tell(const mg_run_lock *l, mg_run_holder *out);

/* For a rank that does not hold it, but writes where it is held `of` another one. No file is read yet.
 * It is checked and released as one's own, and neither touched nor removed. */
mg_status mg_run_lock_watch(mg_run_lock **out, const char *path, const mg_run_holder *of, double stale_s);

/* Before anything is written: reads the file again. MG_EFAIL if it names somebody else or cannot be read. One
 * that is gone is waited for, for up to twice `stale_s`: only then it is lost. From any thread. NULL is
 * legal: nothing is locked. */
mg_status mg_run_lock_check(mg_run_lock *l);

/* The same without a message. */
bool mg_run_lock_holds(mg_run_lock *l);

/* Was it found to be another's, by the thread or by a check? Asks no disk. NULL is legal: no. */
bool mg_run_lock_is_lost(const mg_run_lock *l);

void mg_run_lock_release(mg_run_lock *l); /* NULL is legal */

#endif
