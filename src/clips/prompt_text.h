/* What a prompt's text may be, and a file that is one prompt. */
#ifndef MG_PROMPT_TEXT_H
#define MG_PROMPT_TEXT_H

#include <stdint.h>

#include "status.h"

enum { MG_MAX_PROMPT_BYTES = 1 << 16 };

/* A whole file as one prompt, and its first line that is not blank, trimmed, as the title; both malloc'ed. A
 * byte order mark and blank lines at the end are dropped. MG_EUSAGE for text that is not
 * UTF-8, holds a NUL, is longer than MG_MAX_PROMPT_BYTES or is none. */
mg_status mg_prompt_file_read(char **prompt, char **title, const char *path);

/* MG_EUSAGE "NAME: …" unless it is UTF-8, and not too long. */
mg_status mg_prompt_check(const char *name, const char *text);

#endif
