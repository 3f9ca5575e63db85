/* Accepting proposals: aliases in the checkpoints, and the list of them for the log and the metadata. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapping_propose.h"
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

size_t mg_mapping_common_tail(const char *a, const char *b)
{
    const size_t n_a = strlen(a), n_b = strlen(b);
    size_t best = 0;

    for (size_t n = 1; n <= n_a && n <= n_b && a[n_a - n] == b[n_b - n]; n++)
        if ((n == n_a || a[n_a - n - 1] == '.') && (n == n_b || b[n_b - n - 1] == '.')) best = n;
    return best;
}

static bool is_forgiven(const char *name, const mg_mapping_renames *renames)
{
    char right[MG_KEY_MAX];

    for (size_t i = 0; i < renames->n; i++) {
        const mg_mapping_rename *r = &renames->list[i];
        const size_t n_tail = mg_mapping_common_tail(r->target, r->source);
        const size_t n_source = strlen(r->source) - n_tail, n_target = strlen(r->target) - n_tail;
        if (n_tail == 0 || n_source == 0 || strncmp(name, r->source, n_source) != 0) continue;
        snprintf(right, sizeof right, "%.*s%s", (int)n_target, r->target, name + n_source);
        if (mg_key_map_is_ignorable(right)) return true;
    }
    return false;
}

mg_status mg_mapping_report_forgive(mg_mapping_report *r, const mg_mapping_renames *renames)
{
    size_t n = r->n_missing + r->n_wrong;

    for (size_t i = n; i < r->n_rows; i++) {
        if (!is_forgiven(r->rows[i].name, renames)) {
            r->rows[n++] = r->rows[i];
            continue;
        }
        MG_RETURN(
            mg_grow(&r->ignored, &r->ignored_capacity, r->n_ignored + 1, sizeof *r->ignored, "mapping"));
        r->ignored[r->n_ignored++] = (mg_mapping_ignored){r->rows[i].checkpoint, r->rows[i].i_source};
    }
    r->n_rows = n;
    r->n_unexpected = n - r->n_missing - r->n_wrong;
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
