/* Is every tensor accounted for? What the stages asked for in their surveys (weights.h: requests), against
 * what the checkpoints hold: missing ones, unexpected ones, wrong shapes, and for each missing one the
 * unexpected ones that it may be under another name.
 *
 * Tensors of parts that this rank did not survey are skipped ("text_encoder." on a rank without a text
 * encoder). Every other tensor must be used or be on the ignore list (key_map.h). One missing or one unused
 * tensor fails. */
#ifndef MG_MAPPING_REPORT_H
#define MG_MAPPING_REPORT_H

#include "weights.h"

enum { MG_MAPPING_PROPOSALS = 3, MG_MAPPING_SHAPE_SIZE = MG_DIMS_SIZE + 16 };

typedef enum mg_mapping_fault {
    MG_MAPPING_MISSING,
    MG_MAPPING_WRONG,
    MG_MAPPING_UNEXPECTED
} mg_mapping_fault;

typedef struct mg_mapping_proposal {
    const char *source;  /* its name in the file */
    int i_part, n_parts; /* the share of its rows, where it is fused */
    double confidence;   /* 0 … 1: spelling, last components, shape, place in the file */
} mg_mapping_proposal;

typedef struct mg_mapping_row {
    mg_mapping_fault fault;
    const mg_checkpoint *checkpoint;
    const char *name;                   /* of the target; of an unexpected one, its name in the file */
    const char *file;                   /* of an unexpected or a wrong one, else NULL */
    size_t i_source;                    /* of an unexpected one */
    char wanted[MG_MAPPING_SHAPE_SIZE]; /* "fp32 [256,128]"; "" for an unexpected one */
    char found[MG_MAPPING_SHAPE_SIZE];  /* "" for a missing one */
    int n_proposals;                    /* of a missing one, best first */
    mg_mapping_proposal proposals[MG_MAPPING_PROPOSALS];
    bool sure; /* the first proposal is of high confidence and nobody else's: --apply-proposed takes it */
} mg_mapping_row;

/* A tensor that nobody asked for and that may be left over: a known one, or a codebook beyond the last that
 * the model uses. */
typedef struct mg_mapping_ignored {
    const mg_checkpoint *checkpoint;
    size_t i_source;
} mg_mapping_ignored;

typedef struct mg_mapping_report {
    mg_mapping_row
        *rows; /* [n_rows]: missing, wrong, unexpected; names borrowed from requests, checkpoints */
    size_t n_rows, n_missing, n_wrong, n_unexpected;
    mg_mapping_ignored *ignored; /* [n_ignored] */
    size_t n_ignored, ignored_capacity;
} mg_mapping_report;

/* `requests` and their checkpoints must outlive the report. */
mg_status mg_mapping_report_make(mg_mapping_report *out, const mg_weights_requests *requests);
void mg_mapping_report_close(mg_mapping_report *r);

/* The table as text, malloc'ed: the caller frees it. "" if nothing is wrong. Many lines are grouped by
 * pattern, unless `whole` (lines.h). Fit to be shown (show.h). */
mg_status mg_mapping_report_table(char **text, const mg_mapping_report *r, bool whole);

/* MG_OK, or MG_ECHECKPOINT with the table as its message, and behind it the `problems` that the
 * surveys noted besides (w->problems; may be NULL). */
mg_status mg_mapping_report_check(const mg_mapping_report *r, const char *problems);

typedef struct mg_mapping_rename {
    char *target, *source;
    double confidence;
} mg_mapping_rename;

typedef struct mg_mapping_renames {
    mg_mapping_rename *list;
    size_t n, capacity;
} mg_mapping_renames;

/* Accept every sure proposal: its checkpoint, which must be one of `checkpoints`, gets the alias, and
 * *renames one more row. The report is stale then: survey again. Ranks that hold the same parts accept the
 * same. */
mg_status mg_mapping_report_apply(const mg_mapping_report *r, mg_checkpoint *const *checkpoints,
                                  int n_checkpoints, mg_mapping_renames *renames);
/* Once proposals were accepted: what stood beside them under the same other beginning, and may be left over
 * under its right name, is ignored. */
mg_status mg_mapping_report_forgive(mg_mapping_report *r, const mg_mapping_renames *renames);
void mg_mapping_renames_close(mg_mapping_renames *renames);

#endif
