/* The report as text: a block for each checkpoint, a line for each tensor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "log.h"
#include "mapping_report.h"
#include "path.h"
#include "text.h"

static void write_counts(mg_text *out, const mg_mapping_report *r, const mg_checkpoint *c)
{
    static const char *const what[] = {"missing", "of a wrong shape or type", "unexpected"};
    size_t n[3] = {0};
    const char *comma = "";

    for (size_t i = 0; i < r->n_rows; i++) n[r->rows[i].fault] += r->rows[i].checkpoint == c;
    mg_text_show(out, "checkpoint: %s: ", mg_checkpoint_file(c, 0));
    for (int k = 0; k < 3; k++) {
        if (n[k]) mg_text_show(out, "%s%zu %s", comma, n[k], what[k]);
        if (n[k]) comma = ", ";
    }
    mg_text_show(out, "\n");
}

/* One proposal that is sure needs no others beside it, unless all is asked for. */
static void write_row(mg_text *out, const mg_mapping_row *row, bool whole)
{
    const int n = row->sure && !whole ? 1 : row->n_proposals;
    const bool many_files = mg_checkpoint_n_files(row->checkpoint) > 1;
    const char *in = many_files && row->file ? ", in " : "";
    const char *file = *in ? mg_path_name(row->file) : "";

    if (row->fault == MG_MAPPING_MISSING)
        mg_text_show(out, "  missing     %s  %s\n", row->name, row->wanted);
    else if (row->fault == MG_MAPPING_WRONG)
        mg_text_show(out, "  wrong       %s  shape %s, expected %s%s%s\n", row->name, row->found, row->wanted,
                     in, file);
    else
        mg_text_show(out, "  unexpected  %s  %s%s%s\n", row->name, row->found, in, file);
    for (int i = 0; i < n; i++) {
        const mg_mapping_proposal *p = &row->proposals[i];
        mg_text_show(out, "    %s %.2f  %s", i == 0 && row->sure ? "*" : "?", p->confidence, p->source);
        if (p->n_parts > 1) mg_text_show(out, " (rows, part %d of %d)", p->i_part + 1, p->n_parts);
        mg_text_show(out, "\n");
    }
}

/* What is wrong with one checkpoint, and all that is wrong with it if `whole`. */
static mg_status write_block(mg_text *out, const mg_mapping_report *r, const mg_checkpoint *c, bool whole)
{
    mg_status st = MG_OK;

    write_counts(out, r, c);
    for (int fault = MG_MAPPING_MISSING; st == MG_OK && fault <= MG_MAPPING_UNEXPECTED; fault++) {
        mg_text rows = {0};
        for (size_t j = 0; j < r->n_rows; j++)
            if (r->rows[j].checkpoint == c && (int)r->rows[j].fault == fault)
                write_row(&rows, &r->rows[j], whole);
        st = mg_text_check(&rows, "mapping");
        if (st == MG_OK && rows.n) st = mg_lines_group(out, rows.data, whole ? SIZE_MAX : MG_LINES_MOST);
        mg_text_reset(&rows);
    }
    return st;
}

static mg_status write_blocks(mg_text *out, const mg_mapping_report *r, bool whole)
{
    const mg_checkpoint *done[8];
    size_t n_sure = 0;
    int n_done = 0;

    for (size_t i = 0; i < r->n_rows; i++) {
        int k = 0;
        n_sure += r->rows[i].sure;
        while (k < n_done && done[k] != r->rows[i].checkpoint) k++;
        if (k < n_done || n_done == (int)(sizeof done / sizeof *done)) continue;
        done[n_done++] = r->rows[i].checkpoint;
        MG_RETURN(write_block(out, r, r->rows[i].checkpoint, whole));
    }
    if (n_sure) mg_text_show(out, "  --apply-proposed accepts the %zu marked *\n", n_sure);
    return mg_text_check(out, "mapping");
}

mg_status mg_mapping_report_table(char **text, const mg_mapping_report *r, bool whole)
{
    mg_text out = {0};
    const mg_status st = write_blocks(&out, r, whole);

    *text = NULL;
    if (st != MG_OK) {
        mg_text_reset(&out);
        return st;
    }
    if (out.n && out.data[out.n - 1] == '\n') out.data[--out.n] = '\0';
    return mg_text_end(&out, text, "mapping");
}

mg_status mg_mapping_report_check(const mg_mapping_report *r, const char *problems)
{
    char *table = NULL;
    mg_text t = {0};

    if (!r->n_rows && (!problems || !*problems)) return MG_OK;
    if (r->n_rows > MG_LINES_MOST && mg_log_get_level() >= MG_LOG_VERBOSE) {
        MG_RETURN(mg_mapping_report_table(&table, r, true)); /* an error has not as much room */
        mg_log_detail_text(table);
        free(table);
    }
    MG_RETURN(mg_mapping_report_table(&table, r, false));
    mg_text_add(&t, table);
    if (problems && *problems) mg_text_format(&t, "%s%s", *table ? "\n" : "checkpoint: ", problems);
    free(table);
    const mg_status st = mg_text_fail(&t, MG_ECHECKPOINT);
    mg_text_reset(&t);
    return st;
}
