/* Names of files: out of a text, and each once. */
#ifndef MG_CLIP_NAME_H
#define MG_CLIP_NAME_H

#include <stdint.h>

#include "status.h"

enum { MG_SLUG_SIZE = 49 };

/* The text's first words as a name: a-z and 0-9 with single '-' between words, at most 48 bytes, cut between
 * words where it can be. Latin letters lose their accents, apostrophes vanish, everything else parts words;
 * "clip" if nothing is left. `text` is UTF-8; the rest of what is not is skipped. */
void mg_slug_make(char out[MG_SLUG_SIZE], const char *text);

/* Names taken so far. */
typedef struct mg_name_set mg_name_set;
mg_status mg_name_set_open(mg_name_set **out, int64_t n_most);
void mg_name_set_close(mg_name_set *s);

/* Take `name` if it is free, else name-2, name-3 …; *out is malloc'ed. */
mg_status mg_name_set_take(mg_name_set *s, char **out, const char *name);

/* Is it taken? */
int mg_name_set_has(const mg_name_set *s, const char *name);

#endif
