/* What each point of a sweep should take, by the formulas of `plan` (predict.h). A point is predicted from
 * the others alone that had as many ranks at work: how fast matrices passed with how many rows, keys and
 * values, how long a sum took. Its own figures have no part in it. */
#include <math.h>
#include <string.h>

#include "predict.h"
#include "report_scaling.h"

/* Times of a point's parts in its median step. That step draws no codes; the split's steps do. */
typedef struct parts {
    double products_s, attention_s, sums_s, rest_s;
} parts;

static bool find_format(mg_format *out, const char *name)
{
    for (int f = 0; f < MG_N_FORMATS; f++)
        if (strcmp(mg_format_name((mg_format)f), name) == 0) {
            *out = (mg_format)f;
            return true;
        }
    return false;
}

static mg_predict_step step_of(const mg_sweep_point *p, mg_format format)
{
    const mg_scaling_sizes *z = p->sizes;

    return (mg_predict_step){
        .config = {.D = z->width,
                   .L = z->n_layers,
                   .F = z->feed_forward,
                   .K = z->n_books,
                   .V = z->n_entries,
                   .n_channels = 1},
        .weights = format,
        .kv = mg_format_of_kv(format),
        .tp = p->at.tp,
        .n_clips = p->at.batch,
        .n_rows = z->n_rows,
        .n_keys = (double)z->n_keys,
        .n_tokens = z->n_tokens,
    };
}

static parts parts_of(const mg_sweep_point *p)
{
    const double whole_ms = p->split_ms - p->part_ms[MG_SCALING_SAMPLING];
    const double in_s = p->step_ms.mid / whole_ms / 1e3;

    return (parts){
        .products_s = in_s * p->part_ms[MG_SCALING_PRODUCTS],
        .attention_s = in_s * p->part_ms[MG_SCALING_ATTENTION],
        .sums_s = in_s * (p->part_ms[MG_SCALING_ALL_REDUCE] + p->part_ms[MG_SCALING_WAITING]),
        .rest_s = in_s * p->part_ms[MG_SCALING_REST],
    };
}

/* Add what q tells of products with its rows; the rates stand by ascending rows. Of several points with as
 * many rows the time counts that all of their bytes took; `spent` has the bytes and times so far. */
static void add_rate(mg_predict_machine *m, double spent[MG_PREDICT_MAX_RATES][2], int64_t n_rows,
                     double bytes, double s)
{
    int i = 0;

    while (i < m->n_rates && m->rate[i].n_rows < n_rows) i++;
    if (i == m->n_rates || m->rate[i].n_rows != n_rows) {
        if (m->n_rates == MG_PREDICT_MAX_RATES) return;
        for (int k = m->n_rates++; k > i; k--) {
            m->rate[k] = m->rate[k - 1];
            memcpy(spent[k], spent[k - 1], sizeof spent[k]);
        }
        spent[i][0] = spent[i][1] = 0;
    }
    spent[i][0] += bytes, spent[i][1] += s;
    m->rate[i] = (mg_predict_rate){n_rows, spent[i][0] / spent[i][1]};
}

/* Sums of groups of one size: a time for each, and one for their bytes, which least squares find; of one
 * point alone the time of a sum. */
typedef struct line {
    double n, x, y, xx, xy;
} line;

static void fit_sums(mg_predict_machine *m, const line *l, double n_sums)
{
    const double spread = l->n * l->xx - l->x * l->x;
    const double per_byte = spread > 0 ? (l->n * l->xy - l->x * l->y) / spread : 0;

    if (l->n < 1) return;
    m->reduce_s = l->y / l->n / n_sums;
    if (!(per_byte > 0)) return;
    m->reduce_s = fmax((l->y - per_byte * l->x) / l->n / n_sums, 0);
    m->reduce_bytes_s = 1 / per_byte;
}

/* False if the others do not tell enough. */
static bool learn(mg_predict_machine *m, const mg_sweep *s, const mg_sweep_point *of, mg_format format)
{
    double spent[MG_PREDICT_MAX_RATES][2], keys_bytes = 0, keys_s = 0, n_ops = 0, rest_s = 0, n_sums = 0;
    mg_predict_times unit;
    line sums = {0};

    *m = (mg_predict_machine){0};
    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_point *q = &s->point[i];
        if (q == of || q->at.np != of->at.np || isnan(q->split_ms)) continue;
        const mg_predict_step step = step_of(q, format);
        const parts p = parts_of(q);
        if (!(p.products_s > 0)) continue;
        add_rate(m, spent, step.n_rows,
                 (double)mg_predict_weight_bytes(&step.config, format) / (double)step.tp, p.products_s);
        keys_bytes += mg_predict_kv_bytes(&step.config, step.kv, step.n_rows, step.n_keys, step.n_clips,
                                          step.n_tokens) /
                      (double)step.tp;
        keys_s += p.attention_s;
        /* How many operations and sums there are is the formulas' own affair: each takes a second. */
        mg_predict_step_time(&unit, &step, &(mg_predict_machine){.launch_s = 1, .reduce_s = 1});
        n_ops += unit.part_s[MG_PREDICT_LAUNCHES], rest_s += p.rest_s;
        if (step.tp != of->at.tp || step.tp == 1) continue;
        n_sums = unit.part_s[MG_PREDICT_REDUCE];
        mg_predict_step_time(&unit, &step, &(mg_predict_machine){.reduce_bytes_s = 1});
        const double bytes = unit.part_s[MG_PREDICT_REDUCE];
        sums = (line){sums.n + 1, sums.x + bytes, sums.y + p.sums_s, sums.xx + bytes * bytes,
                      sums.xy + bytes * p.sums_s};
    }
    if (m->n_rates == 0 || (of->at.tp > 1 && sums.n < 1)) return false;
    m->attend_bytes_s = keys_s > 0 ? keys_bytes / keys_s : 0;
    m->launch_s = rest_s / n_ops;
    fit_sums(m, &sums, n_sums);
    return true;
}

void mg_sweep_predict(mg_sweep *s)
{
    mg_predict_machine m;
    mg_predict_times t;
    mg_format format;

    for (size_t i = 0; i < s->n; i++) {
        mg_sweep_point *p = &s->point[i];
        p->predicted_ms = NAN;
        if (p->sizes->n_layers == 0 || !find_format(&format, p->dtype) || !learn(&m, s, p, format)) continue;
        const mg_predict_step step = step_of(p, format);
        mg_predict_step_time(&t, &step, &m);
        p->predicted_ms = t.step_s * 1e3;
    }
}
