/* YAML in block style, by libyaml's emitter, with omegaconf's rule for quotes: a string that Python would
 * read as a number, or YAML as a truth value, is quoted. PyYAML's own emitter makes the same text: indent 2,
 * lines folded at 80, lists at their key's indent. Two things differ. Characters above U+FFFF are escaped
 * here, and a line between double quotes may be folded elsewhere. Reference: omegaconf 2.3 _utils.py. */
#ifndef MG_YAML_WRITER_H
#define MG_YAML_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

enum { MG_YAML_WRITER_LIMIT = 1 << 20 };

typedef struct mg_yaml_writer mg_yaml_writer;

/* `name` is for messages, and is borrowed. MG_ECHECKPOINT from the functions below: more than
 * MG_YAML_WRITER_LIMIT bytes, or text that is not UTF-8. */
mg_status mg_yaml_writer_open(mg_yaml_writer **out, const char *name);
void mg_yaml_writer_close(mg_yaml_writer *w);

/* A list, or a mapping, whose keys and values follow in turn; _end closes the innermost. */
mg_status mg_yaml_writer_begin(mg_yaml_writer *w, bool is_list);
mg_status mg_yaml_writer_end(mg_yaml_writer *w, bool is_list);

/* null, true, 3, 1.0e-08: ASCII that needs no quotes. */
mg_status mg_yaml_writer_word(mg_yaml_writer *w, const char *word);

/* Any UTF-8, with quotes where it needs them. */
mg_status mg_yaml_writer_string(mg_yaml_writer *w, const char *text, size_t n);

/* *out is the text, malloc'ed. Nothing may be open. */
mg_status mg_yaml_writer_finish(mg_yaml_writer *w, char **out);

/* As Python's repr in lower case, with a point: 1.0e-08, 0.1, .inf. */
void mg_yaml_format_double(char out[40], double v);

/* Does omegaconf, or YAML itself, want quotes around this text so that it stays a text? */
bool mg_yaml_needs_quotes(const char *text);

#endif
