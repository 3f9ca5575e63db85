/* The accounts as text: a block for each checkpoint, a line for each tensor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapping_report.h"
#include "path.h"
#include "text.h"

enum { LONGEST_MESSAGE = 120 * 1024 }; /* what mg_fail keeps, and some room */

static void write_counts(mg_text *out, const mg_mapping_report *r, const mg_checkpoint *c)
{
    static const char *const what[] = {"missing", "of a wrong shape or type", "unexpected"};
    size_t n[3] = {0};
    const char *comma = "";

    for (size_t i = 0; i < r->n_rows; i++) n[r->rows[i].fault] += r->rows[i].checkpoint == c;
    mg_text_format(out, "checkpoint: %s: ", mg_checkpoint_file(c, 0));
    for (int k = 0; k < 3; k++) {
        if (n[k]) mg_text_format(out, "%s%zu %s", comma, n[k], what[k]);
        if (n[k]) comma = ", ";
    }
    mg_text_format(out, "\n");
}

static void write_row(mg_text *out, const mg_mapping_row *row)
{
    const bool many_files = mg_checkpoint_n_files(row->checkpoint) > 1;
    const char *in = many_files && row->file ? ", in " : "";
    const char *file = *in ? mg_path_name(row->file) : "";

    if (row->fault == MG_MAPPING_MISSING)
        mg_text_format(out, "  missing     %s  %s\n", row->name, row->wanted);
    else if (row->fault == MG_MAPPING_WRONG)
        mg_text_format(out, "  wrong       %s  shape %s, expected %s%s%s\n", row->name, row->found,
                       row->wanted, in, file);
    else
        mg_text_format(out, "  unexpected  %s  %s%s%s\n", row->name, row->found, in, file);
    for (int i = 0; i < row->n_proposals; i++) {
        const mg_mapping_proposal *p = &row->proposals[i];
        mg_text_format(out, "    %s %.2f  %s", i == 0 && row->sure ? "*" : "?", p->confidence, p->source);
        if (p->n_parts > 1) mg_text_format(out, " (rows, part %d of %d)", p->i_part + 1, p->n_parts);
        mg_text_format(out, "\n");
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
    mg_text table = {0}, *out = &table;
    size_t n_sure = 0;

    for (size_t i = 0; i < r->n_rows; i++) {
        n_sure += r->rows[i].sure;
        if (seen_before(r, i)) continue;
        write_counts(out, r, r->rows[i].checkpoint);
        for (size_t j = i; j < r->n_rows; j++)
            if (r->rows[j].checkpoint == r->rows[i].checkpoint) write_row(out, &r->rows[j]);
    }
    if (n_sure) mg_text_format(out, "  --apply-proposed accepts the %zu marked *\n", n_sure);
    if (out->n && out->data[out->n - 1] == '\n') out->data[--out->n] = '\0';
    return mg_text_end(out, text, "mapping");
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
