/* Pieces of text that are worth a look, and the end of a record, whether it is JSON or not. */
#include "job_reader_impl.h"

#include <string.h>

#include "utf8.h"

mg_status mg_job_check_text(const mg_job_reader *r, const mg_job_piece *p)
{
    const char *name = r->bytes.name;

    if (memchr(p->text, '\0', p->bytes))
        return mg_fail(MG_EUSAGE, "%s: line %lld: holds a NUL", name, (long long)p->line);
    const int64_t bad = mg_utf8_bad_offset(p->text, (int64_t)p->bytes);
    if (bad >= 0)
        return mg_fail(MG_EUSAGE, "%s: line %lld: byte %lld is not UTF-8; save the file as UTF-8", name,
                       (long long)p->line, (long long)bad + 1);
    return MG_OK;
}

bool mg_job_is_blank(const mg_job_piece *p)
{
    return strspn(p->text, " \t\r\n") == p->bytes;
}

/* A spreadsheet has rows below its last one, too: ";;;". */
static bool is_empty_row(const mg_job_piece *p, char delimiter)
{
    const char blanks[] = {' ', '\t', '\r', '\n', delimiter, '\0'};

    return strspn(p->text, blanks) == p->bytes;
}

/* A line or CSV record that is not blank. */
mg_status mg_job_next_piece(mg_job_reader *r, mg_job_piece *piece)
{
    const mg_job_cut how = r->form == MG_JOBS_CSV || r->form == MG_JOBS_TSV ? MG_JOB_ROW : MG_JOB_LINE;
    const char delimiter = how == MG_JOB_ROW ? r->bytes.delimiter : ' ';

    do {
        MG_RETURN(mg_job_bytes_cut(&r->bytes, piece, how));
        if (!piece->text) return MG_OK;
        if (piece->bytes > 0 && piece->text[piece->bytes - 1] == '\r') piece->text[--piece->bytes] = '\0';
    } while (is_empty_row(piece, delimiter));
    return mg_job_check_text(r, piece);
}

mg_status mg_job_end_record(mg_job_reader *r, mg_job_record *record, mg_json_text *t, int64_t line)
{
    MG_RETURN(mg_json_text_end(t, &r->line));
    char *to = r->line;
    for (const char *p = r->line; *p; p++) /* strings have their newlines escaped */
        if (*p != '\n') *to++ = *p;
    *to = '\0';
    *record = (mg_job_record){r->line, to - r->line, line};
    return MG_OK;
}
