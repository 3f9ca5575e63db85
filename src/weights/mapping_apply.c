/* Accepting proposals: aliases in the checkpoints, and the list of them for the log and the metadata. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapping_report.h"
#include "text.h"

static mg_status add_rename(mg_mapping_renames *renames, const mg_mapping_row *row)
{
    MG_RETURN(mg_grow(&renames->list, &renames->capacity, renames->n + 1, sizeof *renames->list, "mapping"));
    mg_mapping_rename *grown = renames->list + renames->n;
    *grown = (mg_mapping_rename){strdup(row->name), strdup(row->proposals[0].source),
                                 row->proposals[0].confidence};
    renames->n++;
    return grown->target && grown->source ? MG_OK : mg_fail(MG_ENOMEM, "mapping: %s", row->name);
}

mg_status mg_mapping_report_apply(const mg_mapping_report *r, mg_checkpoint *const *checkpoints,
                                  int n_checkpoints, mg_mapping_renames *renames)
{
    for (size_t i = 0; i < r->n_missing; i++) {
        const mg_mapping_row *row = &r->rows[i];
        mg_key_target target = {.i_part = row->proposals[0].i_part, .n_parts = row->proposals[0].n_parts};
        mg_checkpoint *c = NULL;

        if (!row->sure) continue;
        for (int k = 0; k < n_checkpoints; k++)
            if (checkpoints[k] == row->checkpoint) c = checkpoints[k];
        MG_REQUIRE(c);
        snprintf(target.name, sizeof target.name, "%s", row->name);
        MG_RETURN(mg_checkpoint_alias(c, &target, row->proposals[0].source));
        MG_RETURN(add_rename(renames, row));
    }
    return MG_OK;
}

void mg_mapping_renames_close(mg_mapping_renames *renames)
{
    for (size_t i = 0; i < renames->n; i++) {
        free(renames->list[i].target);
        free(renames->list[i].source);
    }
    free(renames->list);
    *renames = (mg_mapping_renames){0};
}
