/* How much memory this host still gives us. */
#ifndef MG_HOST_MEMORY_H
#define MG_HOST_MEMORY_H

#include <stdint.h>

/* Bytes: the kernel's MemAvailable, or what the tightest control group above us leaves, if that is less.
 * INT64_MAX if the system does not say. */
int64_t mg_host_memory_available(void);

/* The same of a system whose files are below `root`. */
int64_t mg_host_memory_below(const char *root);

#endif
