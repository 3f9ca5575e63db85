/* What job_reader.c (records), job_reader_json.c (those that are JSON), job_reader_form.c (what the file is),
 * job_reader_piece.c and job_reader_bytes.c (pieces of text) share. */
#ifndef MG_JOB_READER_IMPL_H
#define MG_JOB_READER_IMPL_H

#include <stddef.h>

#include "job_reader.h"
#include "json_text.h"
#include "recipe.h"

/* Bytes on their way in: a window over the text, unpacked. */
typedef struct mg_job_bytes {
    const char *name;
    struct gzFile_s *file; /* NULL: `memory` is the source */
    const char *memory;    /* what is left of it */
    int64_t memory_bytes;
    char *data;             /* [capacity + 1] */
    size_t at, n, capacity; /* data[at … n) is not taken yet */
    bool ended;             /* nothing follows data[n) */
    int64_t line;           /* of data[at], counted from 1 */
    char delimiter;         /* of a table's fields */
} mg_job_bytes;

mg_status mg_job_bytes_open(mg_job_bytes *b, const char *path);
mg_status mg_job_bytes_open_text(mg_job_bytes *b, const char *name, const char *text, int64_t text_bytes);
void mg_job_bytes_close(mg_job_bytes *b);

/* At least `n` bytes from `at` on, or all there are. */
mg_status mg_job_bytes_need(mg_job_bytes *b, size_t n);

/* A piece of the text: a line; a CSV record, which ends at the first newline outside quotes; a JSON value in
 * an array. Writable, with a NUL in place of its end; borrowed until the next call. NULL text: there is none.
 */
typedef struct mg_job_piece {
    char *text;
    size_t bytes;
    int64_t line;
} mg_job_piece;
typedef enum mg_job_cut { MG_JOB_LINE, MG_JOB_ROW, MG_JOB_VALUE } mg_job_cut;

/* MG_EUSAGE for a piece that is too long or is not closed; the next call goes on behind it. */
mg_status mg_job_bytes_cut(mg_job_bytes *b, mg_job_piece *piece, mg_job_cut how);

enum { MG_JOB_COLUMNS = 1024 };

/* What a column of a table stands for. */
typedef struct mg_job_column {
    char *name;               /* owned; NULL: it is passed over */
    const mg_recipe_key *key; /* NULL: no key is called so */
} mg_job_column;

struct mg_job_reader {
    mg_job_bytes bytes;
    mg_job_form form;
    char *prompt_column, *id_column; /* owned; NULL: not named */
    bool is_guess;                   /* the form follows from the first bytes alone */
    bool in_array, array_over, has_element;
    mg_job_column *column; /* [n_columns] */
    int64_t n_columns;
    char **field; /* [n_columns] into a piece */
    char *line;   /* the record of the last call; owned */
};

/* A line or CSV record that is not blank. */
mg_status mg_job_next_piece(mg_job_reader *r, mg_job_piece *piece);
mg_status mg_job_check_text(const mg_job_reader *r, const mg_job_piece *p); /* UTF-8, without a NUL */
bool mg_job_is_blank(const mg_job_piece *p);

/* Ends `t`: the record of this call. */
mg_status mg_job_end_record(mg_job_reader *r, mg_job_record *record, mg_json_text *t, int64_t line);

/* The '[' of an array is taken; the next object of an array, or of JSON lines. */
mg_status mg_job_begin_array(mg_job_reader *r);
mg_status mg_job_next_object(mg_job_reader *r, mg_job_record *record, bool *over);

/* What the first bytes look like. */
typedef enum mg_job_look {
    MG_LOOKS_LIKE_TEXT,
    MG_LOOKS_LIKE_OBJECTS,
    MG_LOOKS_LIKE_ARRAY,
    MG_LOOKS_LIKE_COMMAS,
    MG_LOOKS_LIKE_TABS,
    MG_LOOKS_LIKE_SEMICOLONS,
    MG_LOOKS_LIKE_PIPES,
    MG_LOOKS_LIKE_A_WORD,
} mg_job_look;

/* Sets form, is_guess and in_array: what was said of the form is so; else the first bytes say it, and a name
 * that says otherwise is refused. */
mg_status mg_job_choose_form(mg_job_reader *r, mg_job_form asked);
mg_job_look mg_job_look_for_json(const char *p, const char *end);

/* What the first bytes are of, that is no list of texts; NULL: nothing known. The second is asked of what
 * looks like plain text. */
const char *mg_job_see_binary(const char *p, const char *end);
const char *mg_job_see_markup(const char *p, const char *end);

/* "prompt", "caption" or "text" in any case; or `own`, if somebody named it. */
bool mg_job_is_prompt_name(const char *name, const char *own);

/* Cut a record into fields, in place. Returns how many there are; -1: text beside a quoted field. */
int64_t mg_job_split_fields(char *text, char delimiter, char **field, int64_t most);

const char *mg_job_skip(const char *p, const char *end); /* blanks */
char *mg_job_trim(char *text);                           /* blanks and tabs at both ends, in place */

#endif
