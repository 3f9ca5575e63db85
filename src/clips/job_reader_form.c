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

/* Cut a record into fields, in place. Returns how many there are; -1: text beside a quoted field. */
int64_t mg_job_split_fields(char *text, char delimiter, char **field, int64_t most)
{
    int64_t n = 0;
    char *p = text;

    for (;; n++) {
        char *to = p;
        if (n < most) field[n] = p;
        if (*p == '"') {
            for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
                if (*p == '"') p++;
                *to++ = *p;
            }
            if (*p == '"') p++;
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

char *mg_job_trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t n = strlen(text); n > 0 && strchr(" \t", text[n - 1]); n--) text[n - 1] = '\0';
    return text;
}

const char *mg_job_skip(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p) && *p) p++;
    return p;
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

/* A header: names without punctuation, one of which is the prompt's. `line` is taken apart. */
static bool is_header(char *line, char delimiter, const char *own)
{
    char *field[MG_JOB_COLUMNS];
    const int64_t n = mg_job_split_fields(line, delimiter, field, MG_JOB_COLUMNS);
    bool found = false;

    if (n < 1 || n > MG_JOB_COLUMNS) return false;
    for (int64_t i = 0; i < n; i++) {
        const char *name = mg_job_trim(field[i]);
        for (const char *p = name; *p; p++)
            if ((unsigned char)*p < 0x80 && !strchr("_- .", *p) && !isalnum((unsigned char)*p)) return false;
        found = found || mg_job_is_prompt_name(name, own);
    }
    return found;
}

static mg_status look_for_header(mg_job_look *out, const char *p, const char *end, const char *own)
{
    static const struct {
        char delimiter;
        mg_job_look look;
    } all[] = {{',', MG_LOOKS_LIKE_COMMAS},
               {'\t', MG_LOOKS_LIKE_TABS},
               {';', MG_LOOKS_LIKE_SEMICOLONS},
               {'\n', MG_LOOKS_LIKE_A_WORD}};
    const size_t n = (size_t)(end - p) - (size_t)(end - p > 0 && end[-1] == '\r');

    *out = MG_LOOKS_LIKE_TEXT;
    for (size_t i = 0; i < sizeof all / sizeof *all && *out == MG_LOOKS_LIKE_TEXT; i++) {
        if (all[i].delimiter != '\n' && !memchr(p, all[i].delimiter, n)) continue;
        char *line = strndup(p, n);
        if (!line) return mg_fail(MG_ENOMEM, "jobs: %zu bytes", n);
        if (is_header(line, all[i].delimiter, own)) *out = all[i].look;
        free(line);
    }
    return MG_OK;
}

static mg_status look_at(mg_job_look *out, mg_job_reader *r)
{
    mg_job_bytes *b = &r->bytes;

    MG_RETURN(mg_job_bytes_need(b, LOOK_BYTES));
    if (b->n - b->at >= 3 && memcmp(b->data + b->at, "\xEF\xBB\xBF", 3) == 0)
        b->at += 3; /* byte order mark */
    const char *end = b->data + b->n, *p = mg_job_skip(b->data + b->at, end);
    *out = mg_job_look_for_json(p, end);
    if (*out != MG_LOOKS_LIKE_TEXT || p == end) return MG_OK;
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return look_for_header(out, p, newline ? newline : end, r->prompt_column);
}

static bool begins(const char *p, const char *end, const char *with)
{
    const size_t n = strlen(with);

    return (size_t)(end - p) >= n && strncasecmp(p, with, n) == 0;
}

/* What the first bytes are of, that is no list of texts though each of its lines could be one; NULL: nothing
 * known. */
static const char *see_foreign(const char *p, const char *end)
{
    static const struct {
        const char *with, *seen;
    } all[] = {
        {"PK\x03\x04", "it is a ZIP archive, as .xlsx and .ods are: save the table as CSV"},
        {"PAR1", "it is a Parquet file: write it as CSV or JSON lines"},
        {"%PDF", "it is a PDF"},
        {"{\\rtf", "it is RTF: save it as plain text"},
        {"<!doctype", "it begins as a page of HTML, not as a list"},
        {"<html", "it begins as a page of HTML, not as a list"},
        {"<?xml", "it begins as XML, not as a list"},
        {"---\n", "it begins as YAML or Markdown"},
        {"---\r\n", "it begins as YAML or Markdown"},
    };
    const char *yaml = "it begins as a list in YAML or Markdown, whose marks would be in the texts";

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (begins(p, end, all[i].with)) return all[i].seen;
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    const char *second = newline ? mg_job_skip(newline, end) : end;
    if (begins(p, end, "- ") && begins(second, end, "- ")) return yaml;
    if (begins(p, end, "* ") && begins(second, end, "* ")) return yaml;
    const size_t n_name =
        (size_t)(end - p) > 0 ? strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") : 0;
    if (n_name > 0 && begins(p + n_name, end, ":\n") && begins(second, end, "- ")) return yaml;
    return NULL;
}

static mg_status refuse_form(const mg_job_reader *r, const char *seen)
{
    return mg_fail(MG_EUSAGE, "%s: %s; say what it is: --prompts-format json, csv, tsv or text",
                   r->bytes.name, seen);
}

/* What was said of the form is so. Else the first bytes say it, and a name that says otherwise is refused. */
mg_status mg_job_choose_form(mg_job_reader *r, mg_job_form asked)
{
    const mg_job_form named = form_of_name(r->bytes.name);
    mg_job_look seen;

    MG_RETURN(look_at(&seen, r));
    const mg_job_bytes *b = &r->bytes;
    const char *first = mg_job_skip(b->data + b->at, b->data + b->n);
    const bool is_bracket = first < b->data + b->n && *first == '[';
    r->form = asked ? asked : named;
    r->in_array = r->form == MG_JOBS_JSON && is_bracket;
    if (asked || named == MG_JOBS_JSON) return MG_OK;
    const bool is_table = named == MG_JOBS_CSV || named == MG_JOBS_TSV;
    if (is_table && (seen == MG_LOOKS_LIKE_OBJECTS || seen == MG_LOOKS_LIKE_ARRAY))
        return refuse_form(r, "its name says a table, and it begins as JSON");
    if (named == MG_JOBS_CSV && (seen == MG_LOOKS_LIKE_TABS || seen == MG_LOOKS_LIKE_SEMICOLONS))
        return refuse_form(r, seen == MG_LOOKS_LIKE_TABS
                                  ? "named as CSV, and tabs part its fields"
                                  : "semicolons part its fields, where CSV has commas");
    if (is_table) return MG_OK;
    r->is_guess = true;
    switch (seen) {
    case MG_LOOKS_LIKE_OBJECTS:
    case MG_LOOKS_LIKE_ARRAY: r->form = MG_JOBS_JSON; break;
    case MG_LOOKS_LIKE_COMMAS: r->form = MG_JOBS_CSV; break;
    case MG_LOOKS_LIKE_TABS: r->form = MG_JOBS_TSV; break;
    case MG_LOOKS_LIKE_SEMICOLONS: return refuse_form(r, "semicolons part its fields, where CSV has commas");
    case MG_LOOKS_LIKE_A_WORD:
        if (!r->prompt_column) return refuse_form(r, "its first line may be a header or a text");
        r->form = MG_JOBS_CSV;
        break;
    case MG_LOOKS_LIKE_TEXT:
        if (see_foreign(first, b->data + b->n)) return refuse_form(r, see_foreign(first, b->data + b->n));
        r->form = MG_JOBS_TEXT;
        break;
    }
    r->in_array = seen == MG_LOOKS_LIKE_ARRAY;
    return MG_OK;
}
