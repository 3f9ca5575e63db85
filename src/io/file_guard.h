/* A mapped file that is cut short under us, or whose disk fails: the system answers a read beyond its new
 * end, or of a page that does not come, with SIGBUS, in whichever thread it happens. The guard puts zeros
 * there instead and remembers it, so that the reader goes on and asks afterwards (mg_in_file_check). Private
 * to in_file.c. */
#ifndef MG_FILE_GUARD_H
#define MG_FILE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum { MG_FILE_GUARD_SLOTS = 8192 };

/* Guard this mapping. A slot for the calls below, or -1 if all are taken. */
int mg_file_guard_add(const void *base, size_t bytes);

/* Before the mapping goes. */
void mg_file_guard_remove(int slot);

bool mg_file_guard_is_faulted(int slot);

#endif
