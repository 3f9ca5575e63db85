/* YAML as PyYAML's emitter lays it out in block style (indent 2, lines folded at 80, Unicode as it is, lists
 * at their key's indent), with omegaconf's rule for quotes: a string that Python would read as a number, or
 * YAML as a truth value, is quoted. Reference: PyYAML 6.0 emitter.py, omegaconf 2.3 _utils.py. */
#ifndef MG_YAML_WRITER_H
#define MG_YAML_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { MG_YAML_WRITER_LIMIT = 1 << 20 };

typedef struct mg_yaml_writer {
    const char *name; /* for messages */
    char *data;       /* [n], malloc'ed, NUL-terminated once finished */
    size_t n, capacity;
    int indent;       /* of the container that is open; -1 outside of all */
    int column;       /* in characters */
    bool after_space; /* nothing or a space stands before the next character */
    bool line_begin;  /* the line holds only indent and indicators so far */
} mg_yaml_writer;

typedef enum mg_yaml_place { MG_YAML_AT_ROOT, MG_YAML_IN_LIST, MG_YAML_AFTER_KEY } mg_yaml_place;

/* `name` is borrowed. MG_ECHECKPOINT from the functions below: more than MG_YAML_WRITER_LIMIT bytes. */
void mg_yaml_writer_init(mg_yaml_writer *w, const char *name);
void mg_yaml_writer_reset(mg_yaml_writer *w);

/* Open a container that is not empty, at its place; *outer goes back to close. */
void mg_yaml_writer_open(mg_yaml_writer *w, bool is_list, mg_yaml_place place, int *outer);
void mg_yaml_writer_close(mg_yaml_writer *w, int outer);

/* "- ": what is written next is an item of the list. */
mg_status mg_yaml_writer_item(mg_yaml_writer *w);

/* A key; what is written next is its value. A word is not a string: 3, true. */
mg_status mg_yaml_writer_key(mg_yaml_writer *w, const char *text, size_t n, bool is_word);

/* null, true, 3, 1.0e-08, {}, []: ASCII that needs no quotes. */
mg_status mg_yaml_writer_word(mg_yaml_writer *w, const char *word);

/* Any UTF-8, with quotes where it needs them. */
mg_status mg_yaml_writer_string(mg_yaml_writer *w, const char *text, size_t n);

/* The last line's end. *out is the text, malloc'ed. */
mg_status mg_yaml_writer_finish(mg_yaml_writer *w, char **out);

/* As Python's repr in lower case, with a point: 1.0e-08, 0.1, .inf. */
void mg_yaml_format_double(char out[40], double v);

#endif
