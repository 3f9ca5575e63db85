/* What a file of jobs is, by its name and its first bytes; and a record of a table cut into fields. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "job_reader_impl.h"
#include "text.h"

enum { LOOK_BYTES = 4096 };

static bool ends_with(const char *name, size_t n, const char *ending)
{
    const size_t n_ending = strlen(ending);

    return n >= n_ending && strncmp(name + n - n_ending, ending, n_ending) == 0;
}

static mg_job_form form_of_name(const char *name)
{
    static const struct {
        const char *ending;
        mg_job_form form;
    } endings[] = {{".jsonl", MG_JOBS_JSON}, {".ndjson", MG_JOBS_JSON}, {".json", MG_JOBS_JSON},
                   {".csv", MG_JOBS_CSV},    {".tsv", MG_JOBS_TSV},     {".txt", MG_JOBS_TEXT}};
    size_t n = strlen(name);

    if (ends_with(name, n, ".gz")) n -= 3;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, n, endings[i].ending)) return endings[i].form;
    return MG_JOBS_AUTO;
}

/* Fields between strokes have blanks around them. */
static char *skip_blanks(char *p, char delimiter)
{
    return delimiter == '|' ? p + strspn(p, " \t") : p;
}

/* Cut a record into fields, in place. Returns how many there are; -1: text beside a quoted field. */
int64_t mg_job_split_fields(char *text, char delimiter, char **field, int64_t most)
{
    int64_t n = 0;
    char *p = text;

    for (;; n++) {
        char *quoted = skip_blanks(p, delimiter);
        if (*quoted == '"') p = quoted;
        char *to = p;
        if (n < most) field[n] = p;
        if (*p == '"') {
            for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
                if (*p == '"') p++;
                *to++ = *p;
            }
            if (*p == '"') p = skip_blanks(p + 1, delimiter);
            if (*p && *p != delimiter) return -1;
        } else {
            while (*p && *p != delimiter) p++;
            to = p;
        }
        const char end = *p;
        *to = '\0';
        if (!end) return n + 1;
        p++;
    }
}

/* `{` before a key or `}`, `[` before an object, a text or `]`: "[Verse 1]" and "{soft} drums" are texts. */
mg_job_look mg_job_look_for_json(const char *p, const char *end)
{
    const char *next = p < end ? mg_job_skip(p + 1, end) : end;
    const char c = next < end ? *next : '\0';

    if (p < end && *p == '{' && (c == '"' || c == '}')) return MG_LOOKS_LIKE_OBJECTS;
    if (p < end && *p == '[' && (c == '{' || c == '"' || (c == ']' && mg_job_skip(next + 1, end) == end)))
        return MG_LOOKS_LIKE_ARRAY;
    return MG_LOOKS_LIKE_TEXT;
}

bool mg_job_is_prompt_name(const char *name, const char *own)
{
    return own ? strcmp(name, own) == 0
               : strcasecmp(name, "prompt") == 0 || strcasecmp(name, "caption") == 0 ||
                     strcasecmp(name, "text") == 0;
}

/* A header: names, one of which is the prompt's. Where that is all that speaks for a table they are without
 * punctuation. `line` is taken apart. */
static bool is_header(char *line, char delimiter, const char *own, bool is_table)
{
    char *field[MG_JOB_COLUMNS];
    const int64_t n = mg_job_split_fields(line, delimiter, field, MG_JOB_COLUMNS);
    bool found = false;

    if (n < 1 || n > MG_JOB_COLUMNS) return false;
    for (int64_t i = 0; i < n; i++) {
        const char *name = mg_job_trim(field[i]);
        for (const char *p = name; *p && !own && !is_table; p++)
            if ((unsigned char)*p < 0x80 && !strchr("_- .", *p) && !isalnum((unsigned char)*p)) return false;
        found = found || mg_job_is_prompt_name(name, own);
    }
    return found;
}

static mg_status look_for_header(mg_job_look *out, const char *p, const char *end, const char *own,
                                 bool is_table)
{
    static const struct {
        char delimiter;
        mg_job_look look;
    } all[] = {{',', MG_LOOKS_LIKE_COMMAS},
               {'\t', MG_LOOKS_LIKE_TABS},
               {';', MG_LOOKS_LIKE_SEMICOLONS},
               {'|', MG_LOOKS_LIKE_PIPES},
               {'\n', MG_LOOKS_LIKE_A_WORD}};
    const size_t n = (size_t)(end - p) - (size_t)(end - p > 0 && end[-1] == '\r');

    *out = MG_LOOKS_LIKE_TEXT;
    for (size_t i = 0; i < sizeof all / sizeof *all && *out == MG_LOOKS_LIKE_TEXT; i++) {
        if (all[i].delimiter != '\n' && !memchr(p, all[i].delimiter, n)) continue;
        char *line = strndup(p, n);
        if (!line) return mg_fail(MG_ENOMEM, "jobs: %zu bytes", n);
        if (is_header(line, all[i].delimiter, own, is_table)) *out = all[i].look;
        free(line);
    }
    return MG_OK;
}

/* Excel's line before the header says what parts the fields: sep=; */
static void take_separator(mg_job_bytes *b)
{
    const char *p = b->data + b->at, *end = b->data + b->n;
    const bool is_quoted = p < end && *p == '"';

    p += is_quoted;
    if (end - p < 6 || strncasecmp(p, "sep=", 4) != 0 || !memchr(",;|\t", p[4], 4)) return;
    const char delimiter = p[4];
    p += 5;
    if (is_quoted && *p++ != '"') return;
    if (p < end && *p == '\r') p++;
    if (p == end || *p != '\n') return;
    b->at = (size_t)(p + 1 - b->data);
    b->line++;
    b->delimiter = delimiter;
}

static mg_status look_at(mg_job_look *out, mg_job_reader *r, bool is_table)
{
    mg_job_bytes *b = &r->bytes;

    MG_RETURN(mg_job_bytes_need(b, LOOK_BYTES));
    if (b->n - b->at >= 3 && memcmp(b->data + b->at, "\xEF\xBB\xBF", 3) == 0)
        b->at += 3; /* byte order mark */
    if (is_table) take_separator(b);
    const char *end = b->data + b->n, *p = mg_job_skip(b->data + b->at, end);
    *out = mg_job_look_for_json(p, end);
    if (*out != MG_LOOKS_LIKE_TEXT || p == end) return MG_OK;
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return look_for_header(out, p, newline ? newline : end, r->prompt_column,
                           r->form == MG_JOBS_CSV || r->form == MG_JOBS_TSV);
}

/* Lines that end in CR alone are one long line to everybody else. */
static bool has_old_lines(const char *p, const char *end)
{
    const char *at = p < end ? memchr(p, '\r', (size_t)(end - p)) : NULL;

    return at && at + 1 < end && !memchr(p, '\n', (size_t)(end - p));
}

static mg_status refuse_form(const mg_job_reader *r, const char *seen)
{
    return mg_fail(MG_EUSAGE, "%s: %s; say what it is: --prompts-format json, csv, tsv or text",
                   r->bytes.name, seen);
}

/* What parts the fields, where the file's own first line does not say it. */
static char delimiter_of(mg_job_form form, mg_job_look seen)
{
    if (form == MG_JOBS_TSV || (seen == MG_LOOKS_LIKE_TABS && form != MG_JOBS_CSV)) return '\t';
    return seen == MG_LOOKS_LIKE_SEMICOLONS ? ';' : seen == MG_LOOKS_LIKE_PIPES ? '|' : ',';
}

/* No name and nobody says it: the first bytes do. */
static mg_status guess_form(mg_job_reader *r, mg_job_look seen, const char *first, const char *end)
{
    const char *markup = mg_job_see_markup(first, end);

    r->is_guess = true;
    r->in_array = seen == MG_LOOKS_LIKE_ARRAY;
    switch (seen) {
    case MG_LOOKS_LIKE_OBJECTS:
    case MG_LOOKS_LIKE_ARRAY: r->form = MG_JOBS_JSON; break;
    case MG_LOOKS_LIKE_COMMAS:
    case MG_LOOKS_LIKE_PIPES:
    case MG_LOOKS_LIKE_SEMICOLONS: r->form = MG_JOBS_CSV; break;
    case MG_LOOKS_LIKE_TABS: r->form = MG_JOBS_TSV; break;
    case MG_LOOKS_LIKE_A_WORD:
        if (!r->prompt_column) return refuse_form(r, "its first line may be a header or a text");
        r->form = MG_JOBS_CSV;
        break;
    case MG_LOOKS_LIKE_TEXT:
        if (markup) return refuse_form(r, markup);
        r->form = MG_JOBS_TEXT;
        break;
    }
    return MG_OK;
}

/* What was said of the form is so. Else the first bytes say it, and a name that says otherwise is refused. */
mg_status mg_job_choose_form(mg_job_reader *r, mg_job_form asked)
{
    const mg_job_form named = form_of_name(r->bytes.name);
    mg_job_look seen;

    r->form = asked ? asked : named;
    MG_RETURN(look_at(&seen, r, r->form != MG_JOBS_JSON && asked != MG_JOBS_TEXT));
    mg_job_bytes *b = &r->bytes;
    const bool says_it = b->delimiter != 0;
    const char *end = b->data + b->n, *first = mg_job_skip(b->data + b->at, end);
    const char *binary = mg_job_see_binary(b->data + b->at, end);
    if (binary) return mg_fail(MG_EUSAGE, "%s: %s", b->name, binary);
    const bool is_json = seen == MG_LOOKS_LIKE_OBJECTS || seen == MG_LOOKS_LIKE_ARRAY;
    if (!is_json && has_old_lines(first, end))
        return mg_fail(MG_EUSAGE, "%s: its lines end in CR alone, as those of old Macs: tr '\\r' '\\n' <%s",
                       b->name, b->name);
    r->in_array = r->form == MG_JOBS_JSON && first < end && *first == '[';
    if (!says_it) b->delimiter = delimiter_of(r->form, seen);
    if (asked || named == MG_JOBS_JSON) return MG_OK;
    const bool is_table = named == MG_JOBS_CSV || named == MG_JOBS_TSV;
    if (is_table && is_json) return refuse_form(r, "its name says a table, and it begins as JSON");
    if (named == MG_JOBS_CSV && seen == MG_LOOKS_LIKE_TABS && !says_it)
        return refuse_form(r, "named as CSV, and tabs part its fields");
    if (seen == MG_LOOKS_LIKE_PIPES && mg_job_see_markup(first, end))
        return refuse_form(r, mg_job_see_markup(first, end));
    if (says_it && !is_table) r->form = MG_JOBS_CSV;
    return is_table || says_it ? MG_OK : guess_form(r, seen, first, end);
}
