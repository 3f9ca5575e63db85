/* Writing to a descriptor that somebody else has made: standard output, standard error. */
#ifndef MG_WRITE_OUT_H
#define MG_WRITE_OUT_H

#include <stddef.h>

#include "status.h"

/* All of it; 0 or errno. A pipe that nobody reads any more is EPIPE, and not the end of the process by
 * SIGPIPE. One that does not block, because whoever shares it has made it so, is waited for. */
int mg_write_out(int fd, const void *data, size_t bytes);

/* What was printed on stdout and did not arrive is no success: a full disk behind `>`, a descriptor that is
 * closed. MG_EFAIL, with the reason where it is known. */
mg_status mg_write_out_end(void);

#endif
