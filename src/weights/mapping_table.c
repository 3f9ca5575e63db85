/* The accounts as text: a block for each checkpoint, a line for each tensor. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapping_report.h"

enum { LONGEST_MESSAGE = 120 * 1024 }; /* what mg_fail keeps, and some room */

/* A text that grows; what fails is told at the end. */
typedef struct growing {
    char *text; /* [n] and a NUL */
    size_t n, capacity;
    bool failed;
} growing;

__attribute__((format(printf, 2, 3))) static void add(growing *g, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    if (g->n + (size_t)n + 1 > g->capacity) {
        const size_t capacity = 2 * (g->n + (size_t)n + 1);
        char *grown = realloc(g->text, capacity);
        g->failed |= !grown;
        if (grown) g->text = grown, g->capacity = capacity;
    }
    if (!g->failed) g->n += (size_t)vsnprintf(g->text + g->n, g->capacity - g->n, format, again);
    va_end(again);
    va_end(args);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void write_counts(growing *out, const mg_mapping_report *r, const mg_checkpoint *c)
{
    static const char *const what[] = {"missing", "of a wrong shape or type", "unexpected"};
    size_t n[3] = {0};
    const char *comma = "";

    for (size_t i = 0; i < r->n_rows; i++) n[r->rows[i].fault] += r->rows[i].checkpoint == c;
    add(out, "checkpoint: %s: ", mg_checkpoint_file(c, 0));
    for (int k = 0; k < 3; k++) {
        if (n[k]) add(out, "%s%zu %s", comma, n[k], what[k]);
        if (n[k]) comma = ", ";
    }
    add(out, "\n");
}

static void write_row(growing *out, const mg_mapping_row *row)
{
    const bool many_files = mg_checkpoint_n_files(row->checkpoint) > 1;
    const char *in = many_files && row->file ? ", in " : "";
    const char *file = *in ? base_name(row->file) : "";

    if (row->fault == MG_MAPPING_MISSING)
        add(out, "  missing     %s  %s\n", row->name, row->wanted);
    else if (row->fault == MG_MAPPING_WRONG)
        add(out, "  wrong       %s  shape %s, expected %s%s%s\n", row->name, row->found, row->wanted, in,
            file);
    else
        add(out, "  unexpected  %s  %s%s%s\n", row->name, row->found, in, file);
    for (int i = 0; i < row->n_proposals; i++) {
        const mg_mapping_proposal *p = &row->proposals[i];
        add(out, "    %s %.2f  %s", i == 0 && row->sure ? "*" : "?", p->confidence, p->source);
        if (p->n_parts > 1) add(out, " (rows, part %d of %d)", p->i_part + 1, p->n_parts);
        add(out, "\n");
    }
}

static bool seen_before(const mg_mapping_report *r, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (r->rows[j].checkpoint == r->rows[i].checkpoint) return true;
    return false;
}

mg_status mg_mapping_report_table(char **text, const mg_mapping_report *r)
{
    growing table = {0}, *out = &table;
    size_t n_sure = 0;

    add(out, "%s", "");
    for (size_t i = 0; i < r->n_rows; i++) {
        n_sure += r->rows[i].sure;
        if (seen_before(r, i)) continue;
        write_counts(out, r, r->rows[i].checkpoint);
        for (size_t j = i; j < r->n_rows; j++)
            if (r->rows[j].checkpoint == r->rows[i].checkpoint) write_row(out, &r->rows[j]);
    }
    if (n_sure) add(out, "  --apply-proposed accepts the %zu marked *\n", n_sure);
    *text = out->text;
    if (out->failed) {
        free(out->text);
        *text = NULL;
        return mg_fail(MG_ENOMEM, "mapping: no memory for a table of %zu rows", r->n_rows);
    }
    if (out->n && out->text[out->n - 1] == '\n') out->text[out->n - 1] = '\0';
    return MG_OK;
}

/* A message has only so much room: end on a whole line and count the rest. */
static void cut(char *text)
{
    size_t at = LONGEST_MESSAGE, n_more = 0;

    if (strlen(text) <= LONGEST_MESSAGE + 64) return;
    while (at && text[at] != '\n') at--;
    for (const char *c = text + at; *c; c++) n_more += *c == '\n';
    snprintf(text + at, 64, "\n  ... and %zu more lines", n_more);
}

mg_status mg_mapping_report_check(const mg_mapping_report *r, const char *problems)
{
    char *table = NULL;

    if (!r->n_rows && (!problems || !*problems)) return MG_OK;
    MG_RETURN(mg_mapping_report_table(&table, r));
    cut(table);
    const bool both = *table && problems && *problems;
    const mg_status st = mg_fail(MG_ECHECKPOINT, "%s%s%s%s", table, both ? "\n" : "",
                                 *table ? "" : "checkpoint: ", problems ? problems : "");
    free(table);
    return st;
}
