/* Long lists for people: lines that differ only in a number become one. */
#ifndef MG_LINES_H
#define MG_LINES_H

#include "text.h"

enum { MG_LINES_MOST = 20 };

/* Add the lines of `text`, each with a newline: as they are if there are at most `most`, else grouped by
 * pattern, the first `most` patterns, and a count of the rest: "  missing  layers.{0..1023}.fc1.weight
 * (1024)". A number is one if nothing but . - _ / { or a space stands beside it, outside of brackets; a line
 * that begins with four spaces belongs to the line before it. Takes n log n. */
mg_status mg_lines_group(mg_text *out, const char *text, size_t most);

#endif
