#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "predict.h"
#include "scaling.h"
#include "text.h"

enum { MAX_LIST = 32, MAX_NUMBER = 65536 };

typedef struct list {
    int64_t item[MAX_LIST];
    int n;
} list;

static mg_status read_list(list *out, const char *option, const char *text)
{
    const char *at = text;

    out->n = 0;
    for (;;) {
        char *end;
        errno = 0;
        const long long v = strtoll(at, &end, 10);
        const bool is_over = *end == '\0';
        if (end == at || errno || v < 1 || v > MAX_NUMBER || (!is_over && *end != ',') || out->n == MAX_LIST)
            return mg_fail(MG_EUSAGE,
                           "option --%s: \"%s\": not a list of 1 to %d whole numbers from 1 to %d, as 1,2,4",
                           option, text, MAX_LIST, MAX_NUMBER);
        bool is_new = true;
        for (int i = 0; i < out->n; i++) is_new = is_new && out->item[i] != v;
        if (is_new) out->item[out->n++] = v;
        if (is_over) return MG_OK;
        at = end + 1;
    }
}

static int64_t least(const list *l)
{
    int64_t v = l->item[0];

    for (int i = 1; i < l->n; i++)
        if (l->item[i] < v) v = l->item[i];
    return v;
}

/* Does one of the kinds of sweep that were asked for want this point? */
static bool is_wanted(const mg_scaling_settings *s, const mg_scaling_point *p, const list *batches)
{
    if (!s->strong && !s->weak && !s->batch_sweep) return true;
    return (((s->strong && p->np == p->tp) || s->weak) && p->batch == least(batches)) ||
           (s->batch_sweep && p->np == p->tp);
}

static void judge(mg_scaling_cell *c, const mg_lm_config *config)
{
    const mg_scaling_point *p = &c->point;

    if (mg_predict_is_group(p->tp) && p->np % p->tp)
        (void)snprintf(c->reason, sizeof c->reason, "T = %" PRId64 " does not divide %" PRId64 " rank%s",
                       p->tp, p->np, mg_plural(p->np));
    else
        mg_predict_check_group(c->reason, config, p->tp);
}

mg_status mg_scaling_grid_make(mg_scaling_grid *g, const mg_scaling_settings *s, const mg_lm_config *config)
{
    list np, tp, batch;

    *g = (mg_scaling_grid){0};
    MG_RETURN(read_list(&np, "np", s->np));
    MG_RETURN(read_list(&tp, "tp", s->tp));
    MG_RETURN(read_list(&batch, "batch", s->batch));
    for (int i = 0; i < np.n; i++)
        for (int j = 0; j < tp.n; j++)
            for (int k = 0; k < batch.n; k++) {
                const mg_scaling_point p = {np.item[i], tp.item[j], batch.item[k]};
                if (!is_wanted(s, &p, &batch)) continue;
                MG_RETURN(mg_grow(&g->cell, &g->capacity, g->n + 1, sizeof *g->cell, "grid"));
                g->cell[g->n] = (mg_scaling_cell){.point = p};
                judge(&g->cell[g->n], config);
                g->n_possible += !g->cell[g->n++].reason[0];
            }
    if (g->n == 0)
        return mg_fail(
            MG_EUSAGE,
            "grid: --np %s, --tp %s: --%s measures one replica; give --np and --tp a number that is in "
            "both",
            s->np, s->tp, s->strong ? "strong" : "batch-sweep");
    if (g->n_possible == 0) {
        char name[64];
        return mg_fail(
            MG_EUSAGE,
            "grid: no point is possible; %s: %s; give --tp 1, 2, 4 or 8 that divide --np and the heads",
            mg_scaling_point_name(name, &g->cell[0].point), g->cell[0].reason);
    }
    return MG_OK;
}

void mg_scaling_grid_close(mg_scaling_grid *g)
{
    free(g->cell);
    *g = (mg_scaling_grid){0};
}
