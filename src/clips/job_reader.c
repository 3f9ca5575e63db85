/* From pieces of text to records: what form it is, what the columns stand for, and a record as a JSON object.
 * Objects that are JSON already: job_reader_json.c. */
#include "job_reader_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "prompt_text.h"
#include "text.h"

const char *mg_job_reader_name(const mg_job_reader *r)
{
    return r->bytes.name;
}

static int64_t find_column(char *const *names, int64_t n, const char *name)
{
    for (int64_t i = 0; name && i < n; i++)
        if (names[i] && strcmp(names[i], name) == 0) return i;
    return -1;
}

/* MusicCaps' own header. */
static bool is_music_caps(char *const *names, int64_t n)
{
    return find_column(names, n, "ytid") >= 0 && find_column(names, n, "caption") >= 0 &&
           find_column(names, n, "prompt") < 0;
}

/* The header lacks a column: `what` and the names that it has. */
static mg_status refuse_names(const mg_job_reader *r, char *const *names, int64_t n, int64_t line,
                              const char *what, const char *remedy)
{
    enum { SHOWN = 12 };
    mg_text t = {0};

    for (int64_t i = 0; i < n && i < SHOWN; i++) mg_text_show(&t, "%s\"%.64s\"", i ? ", " : "", names[i]);
    if (n > SHOWN) mg_text_add(&t, ", …");
    const mg_status st = mg_fail(MG_EUSAGE, "%s: line %lld: %s: %s%s", r->bytes.name, (long long)line, what,
                                 t.data ? t.data : "", remedy);
    mg_text_reset(&t);
    return st;
}

/* The prompt's column where nobody names it: "prompt", else the one that is called so in other words. A table
 * without one has something else to follow. */
static mg_status find_prompt(const mg_job_reader *r, const char **out, char *const *names, int64_t n,
                             int64_t line)
{
    const int64_t i_prompt = find_column(names, n, "prompt");
    int64_t n_found = 0;

    *out = i_prompt >= 0 ? names[i_prompt] : "prompt";
    for (int64_t i = 0; i_prompt < 0 && i < n; i++)
        if (mg_job_is_prompt_name(names[i], NULL)) *out = names[i], n_found++;
    if (n_found > 1)
        return mg_fail(MG_EUSAGE,
                       "%s: line %lld: more than one column may hold the prompt; --prompt-column says which",
                       r->bytes.name, (long long)line);
    for (int64_t i = 0; i_prompt < 0 && n_found == 0 && i < n; i++) {
        const mg_recipe_key *key = mg_recipe_find(names[i]);
        if (key && mg_recipe_is_string(key) && key->type != MG_KEY_ID) n_found++;
    }
    if (i_prompt >= 0 || n_found > 0) return MG_OK;
    return refuse_names(r, names, n, line, "no column is called prompt, caption or text",
                        "; --prompt-column says which it is");
}

static mg_status name_columns(mg_job_reader *r, char **names, int64_t n, int64_t line)
{
    const bool chosen = r->prompt_column || r->id_column, known = !chosen && is_music_caps(names, n);
    const char *prompt = known ? "caption" : r->prompt_column;
    const char *id = known ? "ytid" : r->id_column ? r->id_column : "id";
    const char *const wanted[] = {r->prompt_column, r->id_column};
    char what[128];

    for (int i = 0; i < 2; i++)
        if (wanted[i] && find_column(names, n, wanted[i]) < 0) {
            snprintf(what, sizeof what, "there is no column \"%.64s\" in the header", wanted[i]);
            return refuse_names(r, names, n, line, what, "");
        }
    if (!prompt) MG_RETURN(find_prompt(r, &prompt, names, n, line));
    for (int64_t i = 0; i < n; i++) {
        const char *stands_for = names[i];
        if (find_column(names, i, names[i]) >= 0)
            return mg_fail(MG_EUSAGE, "%s: line %lld: the header names the column \"%.64s\" twice",
                           r->bytes.name, (long long)line, names[i]);
        if (i == 0 && !*names[i] && !chosen && !known) /* a last one is an empty column of a spreadsheet */
            return mg_fail(MG_EUSAGE,
                           "%s: line %lld: the first column of the header has no name (pandas' index? "
                           "to_csv(index=False)); --prompt-column NAME passes over all others",
                           r->bytes.name, (long long)line);
        if (strcmp(names[i], prompt) == 0)
            stands_for = "prompt";
        else if (strcmp(names[i], id) == 0)
            stands_for = "id";
        else if (chosen || known)
            continue;
        r->column[i] = (mg_job_column){strdup(stands_for), mg_recipe_find(stands_for)};
        if (!r->column[i].name) return mg_fail(MG_ENOMEM, "%s: no memory for the header", r->bytes.name);
    }
    return MG_OK;
}

static mg_status read_header(mg_job_reader *r)
{
    mg_status st = MG_OK;
    mg_job_piece piece;
    char **names = calloc(MG_JOB_COLUMNS, sizeof *names);

    if (!names) return mg_fail(MG_ENOMEM, "%s: no memory for the header", r->bytes.name);
    MG_TRY(mg_job_next_piece(r, &piece));
    if (!piece.text) goto done;
    const int64_t n = mg_job_split_fields(piece.text, r->bytes.delimiter, names, MG_JOB_COLUMNS);
    if (n < 0 || n > MG_JOB_COLUMNS)
        MG_TRY(mg_fail(MG_EUSAGE, "%s: line %lld: the header %s", r->bytes.name, (long long)piece.line,
                       n < 0 ? "has text beside a quoted name" : "has more than 1024 columns"));
    for (int64_t i = 0; i < n; i++) names[i] = mg_job_trim(names[i]);
    r->column = calloc((size_t)n, sizeof *r->column);
    r->field = calloc((size_t)n, sizeof *r->field);
    if (!r->column || !r->field) MG_TRY(mg_fail(MG_ENOMEM, "%s: no memory for the header", r->bytes.name));
    r->n_columns = n;
    st = name_columns(r, names, n, piece.line);
done:
    free(names);
    return st;
}

static mg_status begin(mg_job_reader *r, const mg_job_format *how)
{
    if (how->prompt_column) r->prompt_column = strdup(how->prompt_column);
    if (how->id_column) r->id_column = strdup(how->id_column);
    if ((how->prompt_column && !r->prompt_column) || (how->id_column && !r->id_column))
        return mg_fail(MG_ENOMEM, "jobs: no memory");
    MG_RETURN(mg_job_choose_form(r, how->form));
    if (r->form == MG_JOBS_TEXT && (r->prompt_column || r->id_column))
        return mg_fail(MG_EUSAGE, "%s: plain text has no columns; name its form if it is something else",
                       r->bytes.name);
    if (r->in_array) return mg_job_begin_array(r);
    return r->form == MG_JOBS_CSV || r->form == MG_JOBS_TSV ? read_header(r) : MG_OK;
}

static mg_status open_over(mg_job_reader **out, const char *name, const char *text, int64_t text_bytes,
                           const mg_job_format *how)
{
    mg_status st = MG_OK;
    mg_job_reader *r = calloc(1, sizeof *r);

    *out = NULL;
    if (!r) return mg_fail(MG_ENOMEM, "jobs: %zu bytes", sizeof *r);
    MG_TRY(text ? mg_job_bytes_open_text(&r->bytes, name, text, text_bytes)
                : mg_job_bytes_open(&r->bytes, name));
    MG_TRY(begin(r, how));
    *out = r;
done:
    if (st != MG_OK) mg_job_reader_close(r);
    return st;
}

mg_status mg_job_reader_open(mg_job_reader **out, const char *path, const mg_job_format *how)
{
    return open_over(out, path, NULL, 0, how);
}

mg_status mg_job_reader_open_text(mg_job_reader **out, const char *name, const char *text, int64_t text_bytes,
                                  const mg_job_format *how)
{
    return open_over(out, name, text, text_bytes, how);
}

void mg_job_reader_close(mg_job_reader *r)
{
    if (!r) return;
    mg_job_bytes_close(&r->bytes);
    for (int64_t i = 0; i < r->n_columns; i++) free(r->column[i].name);
    free(r->column);
    free(r->field);
    free(r->prompt_column);
    free(r->id_column);
    free(r->line);
    free(r);
}

/* A field's value. What is text is for the key to say; a number or a truth value stands without quotes. */
static void add_field(mg_json_text *t, const char *key, const mg_recipe_key *known, const char *value)
{
    char *end;

    if (known && mg_recipe_is_string(known)) {
        mg_json_text_string(t, key, value);
        return;
    }
    errno = 0;
    const long long whole = strtoll(value, &end, 10);
    if (!*end && errno == 0) {
        mg_json_text_int(t, key, whole);
        return;
    }
    const double number = strtod(value, &end);
    if (!*end && strspn(value, "0123456789+-.eE") == strlen(value))
        mg_json_text_number(t, key, number);
    else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ||
             (known && known->type == MG_KEY_BOOL && /* a spreadsheet has TRUE */
              (strcasecmp(value, "true") == 0 || strcasecmp(value, "false") == 0)))
        mg_json_text_bool(t, key, *value == 't' || *value == 'T');
    else
        mg_json_text_string(t, key, value);
}

/* Strokes stand among blanks. Where the comma parts no fields it may be in numbers: 2,5. */
static char *mend_field(char delimiter, const mg_recipe_key *known, char *value)
{
    if (delimiter == '|') value = mg_job_trim(value);
    const size_t n = strspn(value, "+-0123456789");
    if (delimiter != ',' && known && known->type == MG_KEY_NUMBER && value[n] == ',' && value[n + 1] &&
        strspn(value + n + 1, "0123456789") == strlen(value + n + 1))
        value[n] = '.';
    return value;
}

static mg_status next_text(mg_job_reader *r, mg_job_record *record, bool *over)
{
    mg_job_piece piece;
    mg_json_text t = {0};

    MG_RETURN(mg_job_next_piece(r, &piece));
    *over = !piece.text;
    if (*over) return MG_OK;
    if (piece.bytes > MG_MAX_PROMPT_BYTES)
        return mg_fail(MG_EUSAGE, "%s: line %lld: longer than %d bytes, the limit for a prompt",
                       r->bytes.name, (long long)piece.line, MG_MAX_PROMPT_BYTES);
    if (r->is_guess && mg_job_look_for_json(piece.text, piece.text + piece.bytes) != MG_LOOKS_LIKE_TEXT)
        return mg_fail(MG_EUSAGE,
                       "%s: line %lld: JSON in a list that begins as text; --prompts-format text takes it as "
                       "a text",
                       r->bytes.name, (long long)piece.line);
    if (memchr(piece.text, '\r', piece.bytes))
        return mg_fail(MG_EUSAGE, "%s: line %lld: a carriage return within the line: is it two?",
                       r->bytes.name, (long long)piece.line);
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "prompt", piece.text);
    return mg_job_end_record(r, record, &t, piece.line);
}

static mg_status next_row(mg_job_reader *r, mg_job_record *record, bool *over)
{
    mg_job_piece piece;
    mg_json_text t = {0};

    MG_RETURN(mg_job_next_piece(r, &piece));
    *over = !piece.text;
    if (*over) return MG_OK;
    const int64_t n = mg_job_split_fields(piece.text, r->bytes.delimiter, r->field, r->n_columns);
    if (n < 0)
        return mg_fail(MG_EUSAGE, "%s: line %lld: text beside a quoted field", r->bytes.name,
                       (long long)piece.line);
    if (n != r->n_columns)
        return mg_fail(MG_EUSAGE, "%s: line %lld: %lld field%s, the header has %lld%s", r->bytes.name,
                       (long long)piece.line, (long long)n, mg_plural(n), (long long)r->n_columns,
                       r->is_guess ? "; if it is no table, --prompts-format text takes its lines as texts"
                                   : "");
    mg_json_text_object(&t, NULL);
    for (int64_t i = 0; i < n; i++) {
        const mg_job_column *c = &r->column[i];
        if (!c->name) continue;
        const char *value = mend_field(r->bytes.delimiter, c->key, r->field[i]);
        if (*value) add_field(&t, c->name, c->key, value);
    }
    return mg_job_end_record(r, record, &t, piece.line);
}

mg_status mg_job_reader_next(mg_job_reader *r, mg_job_record *record, bool *over)
{
    *record = (mg_job_record){0};
    *over = false;
    free(r->line);
    r->line = NULL;
    switch (r->form) {
    case MG_JOBS_JSON: return mg_job_next_object(r, record, over);
    case MG_JOBS_CSV:
    case MG_JOBS_TSV: *over = !r->column; return r->column ? next_row(r, record, over) : MG_OK;
    default: return next_text(r, record, over);
    }
}
