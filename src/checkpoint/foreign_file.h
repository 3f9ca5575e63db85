/* Files that are no weights this program reads, told by how they begin. */
#ifndef MG_FOREIGN_FILE_H
#define MG_FOREIGN_FILE_H

#include <stddef.h>

#include "status.h"

/* MG_ECHECKPOINT with what the file is and what to do, where that can be told; else MG_OK. `path` is for
 * messages; of the name only its ending is looked at. */
mg_status mg_foreign_file_refuse(const char *path, const char *data, size_t bytes);

#endif
