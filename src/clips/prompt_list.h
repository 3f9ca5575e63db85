/* A list of prompts, one a line of a text file; and a file that is one prompt. */
#ifndef MG_PROMPT_LIST_H
#define MG_PROMPT_LIST_H

#include <stdint.h>

#include "status.h"

typedef struct mg_prompt_list {
    char **text;   /* [n] owned, NUL-terminated UTF-8 */
    int64_t *line; /* [n] of the file, counted from 1 */
    int64_t n;
    int64_t room; /* in prompts */
} mg_prompt_list;

enum { MG_MAX_PROMPT_BYTES = 1 << 16 };

/* Add the prompts of a file to the list (start from a zeroed one): one a line, LF or CRLF, a byte order mark
 * at the start is dropped; "-" is standard input. Blank lines (nothing but spaces and tabs) are skipped: an
 * empty prompt can be given by --prompt "". MG_EUSAGE "FILE: line N: …" for text that is not UTF-8, holds a
 * NUL or is longer than MG_MAX_PROMPT_BYTES. */
mg_status mg_prompt_list_load(mg_prompt_list *list, const char *path);

/* The same from text; `name` is for messages. */
mg_status mg_prompt_list_parse(mg_prompt_list *list, const char *name, const char *text, int64_t text_bytes);

void mg_prompt_list_close(mg_prompt_list *list);

/* A whole file as one prompt, and its first line that is not blank, trimmed, as the title; both malloc'ed. A
 * byte order mark and blank lines at the end are dropped. MG_EUSAGE as above, and for a file without text. */
mg_status mg_prompt_file_read(char **prompt, char **title, const char *path);

/* MG_EUSAGE "NAME: …" unless it is UTF-8, and not too long. */
mg_status mg_prompt_check(const char *name, const char *text);

#endif
