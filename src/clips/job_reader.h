/* Jobs as records, one at a time and in constant memory, however many a file holds: JSON lines, one JSON
 * array, CSV or TSV with a header (RFC 4180), or plain text, one prompt a line; packed by gzip or not; from a
 * file or standard input. Whatever it was, a record comes out as one JSON object on one line. */
#ifndef MG_JOB_READER_H
#define MG_JOB_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef enum mg_job_form { MG_JOBS_AUTO, MG_JOBS_JSON, MG_JOBS_CSV, MG_JOBS_TSV, MG_JOBS_TEXT } mg_job_form;
#define MG_JOB_FORM_CHOICES "auto|json|csv|tsv|text" /* in its order */

/* How to read. Zeroed: by the first bytes, which the name's ending must not contradict: objects, an array of
 * objects or texts, a header with a column prompt, caption or text, else texts. What may be two things is
 * refused: the message says what was seen, and `form` what it is.
 *
 * A column or key that is named stands for "prompt" or "id", and then all others are passed over but one of
 * the name "id". MusicCaps' own header (ytid, caption, …) is known without being told. Otherwise a column is
 * a key of a JSON line, and an empty field says nothing. */
typedef struct mg_job_format {
    mg_job_form form;
    const char *prompt_column, *id_column; /* NULL: not named */
} mg_job_format;

typedef struct mg_job_record {
    const char *text; /* a JSON object without a newline, NUL-terminated; borrowed until the next call */
    int64_t bytes;
    int64_t line; /* of its beginning, counted from 1 */
} mg_job_record;

enum { MG_JOB_RECORD_BYTES = 1 << 22 }; /* the longest record */

typedef struct mg_job_reader mg_job_reader;

/* `path`: "-" is standard input. MG_EFAIL if it cannot be read, MG_EUSAGE for a header that cannot be used.
 */
mg_status mg_job_reader_open(mg_job_reader **out, const char *path, const mg_job_format *how);

/* The same over text that stays where it is; `name` is for messages and for what its ending tells. */
mg_status mg_job_reader_open_text(mg_job_reader **out, const char *name, const char *text, int64_t text_bytes,
                                  const mg_job_format *how);
void mg_job_reader_close(mg_job_reader *r);

/* The next record; *over true and no record behind the last one. MG_EUSAGE "NAME: line N: reason": this
 * record cannot be used, and the next call goes on behind it. That its text is a JSON object with keys that
 * mean something is for who parses it to say: a JSON line is handed on as it is. */
mg_status mg_job_reader_next(mg_job_reader *r, mg_job_record *record, bool *over);

/* What messages call the file: its path, or "standard input". */
const char *mg_job_reader_name(const mg_job_reader *r);

/* What they call a record, "NAME: line N"; a name that is too long is cut between two characters. */
enum { MG_JOB_WHERE_SIZE = 4096 };
void mg_job_where(char out[MG_JOB_WHERE_SIZE], const char *name, int64_t line);

#endif
