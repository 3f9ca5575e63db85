/* Texts that people read and may edit: pages, tables, cards. The last line is a comment with the hash of all
 * above it. So a later run tells its own text, which it may write anew, from one that somebody edited or
 * brought along, which it may not. */
#ifndef MG_SEALED_FILE_H
#define MG_SEALED_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/* True for a text that stands as mg_sealed_put wrote it, and where there is nothing under this name. */
bool mg_sealed_is_ours(const char *path);

/* MG_EUSAGE "PATH: is there already, and is not as mg-dist wrote it; REMEDY" where that is false. */
mg_status mg_sealed_check(const char *path, const char *remedy);

/* The text and its seal, whole or not at all. For Markdown and HTML. */
mg_status mg_sealed_put(const char *path, const void *text, size_t bytes);

#endif
