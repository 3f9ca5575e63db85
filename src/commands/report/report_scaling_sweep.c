#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "numbers.h"
#include "report_scaling.h"

enum { MOST_REPEATS = 1000 };

/* Lines of an older version do not tell everything: of those that do. They come to the front. */
static int64_t take_told(double *values, int64_t n)
{
    int64_t n_told = 0;

    for (int64_t i = 0; i < n; i++)
        if (!isnan(values[i])) values[n_told++] = values[i];
    return n_told;
}

/* NaN if no line tells it. */
static mg_sweep_spread spread_of(double *values, int64_t n_lines)
{
    const int64_t n = take_told(values, n_lines);
    if (n == 0) return (mg_sweep_spread){NAN, NAN, NAN};
    const double median = mg_numbers_median(values, n);

    return (mg_sweep_spread){values[0], median, values[n - 1]};
}

int mg_sweep_order(const mg_scaling_point *p, const mg_scaling_point *q)
{
    if (p->np != q->np) return p->np < q->np ? -1 : 1;
    if (p->tp != q->tp) return p->tp < q->tp ? -1 : 1;
    return (p->batch > q->batch) - (p->batch < q->batch);
}

static int by_place(const void *a, const void *b)
{
    return mg_sweep_order(&((const mg_sweep_point *)a)->at, &((const mg_sweep_point *)b)->at);
}

static bool is_same(const mg_scaling_point *a, const mg_scaling_point *b)
{
    return mg_sweep_order(a, b) == 0;
}

bool mg_sweep_counts(const mg_sweep *s, const mg_scaling_result *r)
{
    return r->status == MG_SCALING_OK && mg_scaling_find(&s->results, &r->point, r->repeat) == r;
}

static const char *fact_of(const mg_scaling_result *r, enum mg_sweep_fact fact, char room[32])
{
    (void)snprintf(room, 32, "%g s", r->dur_s);
    const char *const all[MG_SWEEP_FACTS] = {r->shape, r->dtype,   r->backend, r->device,
                                             r->host,  r->version, room,       r->settings};
    return all[fact];
}

int mg_sweep_facts(mg_text *t, const mg_sweep *s, enum mg_sweep_fact fact)
{
    char room[2][32];
    int n = 0;

    for (size_t i = 0; i < s->results.n; i++) {
        const mg_scaling_result *r = &s->results.item[i], *q = s->results.item;
        const char *is = fact_of(r, fact, room[0]);
        bool is_new = mg_sweep_counts(s, r) && is[0];
        for (; is_new && q < r; q++)
            is_new = !mg_sweep_counts(s, q) || strcmp(is, fact_of(q, fact, room[1])) != 0;
        if (is_new) mg_text_format(t, "%s%s", n++ > 0 ? "; " : "", is);
    }
    return n;
}

/* Of what not every line tells; NaN if none does. */
static double middle_of(double *values, int64_t n)
{
    const int64_t n_told = take_told(values, n);

    return n_told > 0 ? mg_numbers_median(values, n_told) : NAN;
}

/* The parts are those of one repeat, whose split steps took the median time: they add up to it, as a median
 * of each would not, and a repeat that was disturbed has no share in them, as it has in a mean. */
static void take_parts(mg_sweep_point *p, const mg_scaling_result **line, int64_t n)
{
    double split[MOST_REPEATS];
    int64_t n_told = 0;

    for (int64_t i = 0; i < n; i++)
        if (!isnan(line[i]->split_step_ms)) split[n_told++] = line[i]->split_step_ms;
    mg_numbers_sort(split, n_told);
    const mg_scaling_result *r = line[0];
    for (int64_t i = 0; i < n && n_told > 0; i++)
        if (line[i]->split_step_ms == split[(n_told - 1) / 2]) r = line[i];
    for (int k = 0; k < MG_SCALING_PARTS; k++) p->part_ms[k] = r->part_ms[k];
    p->split_ms = r->split_step_ms;
}

/* All repeats of p->at. */
static void sum_up(const mg_sweep *s, mg_sweep_point *p)
{
    double step[MOST_REPEATS], rate[MOST_REPEATS], clip[MOST_REPEATS], fraction[MOST_REPEATS];
    double first[MOST_REPEATS], last[MOST_REPEATS], bare[MOST_REPEATS], joules[MOST_REPEATS];
    const mg_scaling_result *line[MOST_REPEATS];
    int64_t n = 0;

    (void)mg_scaling_point_name(p->name, &p->at);
    for (size_t i = 0; i < s->results.n && n < MOST_REPEATS; i++) {
        const mg_scaling_result *r = &s->results.item[i];
        if (!is_same(&r->point, &p->at) || !mg_sweep_counts(s, r)) continue;
        step[n] = r->step_ms, fraction[n] = r->fraction;
        rate[n] = r->x_real_time;
        first[n] = mg_scaling_first_s(r), last[n] = mg_scaling_last_s(r);
        clip[n] = mg_scaling_steps_s(r);
        bare[n] = r->bare_ms;
        joules[n] = r->joules * MG_SCALING_FRAME_RATE / (double)(p->at.np / p->at.tp * p->at.batch);
        line[n++] = r;
        if (r->binding) p->binding = r->binding;
        p->width = mg_scaling_width(r), p->n_threads = r->n_threads;
        p->codes = r->codes, p->sizes = &r->sizes, p->dtype = r->dtype;
    }
    take_parts(p, line, n);
    p->bare_ms = middle_of(bare, n), p->joules_s = middle_of(joules, n);
    p->n_repeats = n;
    p->step_ms = spread_of(step, n), p->rate = spread_of(rate, n);
    p->clip_s = spread_of(clip, n), p->fraction = spread_of(fraction, n);
    p->first_s = spread_of(first, n), p->last_s = spread_of(last, n);
}

mg_status mg_sweep_gather(mg_sweep *s, const char *dir)
{
    size_t capacity = 0;

    MG_RETURN(mg_scaling_read(&s->results, dir));
    if (s->results.was_cut) mg_log_warn("%s/results.jsonl: the last line is cut off, and left out", dir);
    s->least_batch = INT64_MAX;
    for (size_t i = 0; i < s->results.n; i++) {
        const mg_scaling_result *r = &s->results.item[i];
        bool is_new = mg_sweep_counts(s, r);
        for (size_t k = 0; is_new && k < s->n; k++) is_new = !is_same(&s->point[k].at, &r->point);
        if (!is_new) continue;
        MG_RETURN(mg_grow(&s->point, &capacity, s->n + 1, sizeof *s->point, "points"));
        s->point[s->n] = (mg_sweep_point){.at = r->point};
        sum_up(s, &s->point[s->n++]);
        if (r->point.batch < s->least_batch) s->least_batch = r->point.batch;
    }
    if (s->n == 0) return mg_fail(MG_EFAIL, "%s: no point of the sweep was measured", dir);
    qsort(s->point, s->n, sizeof *s->point, by_place);
    mg_sweep_predict(s);
    return MG_OK;
}

size_t mg_sweep_strong(const mg_sweep *s, const mg_sweep_point **out, size_t most)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n && n < most; i++) {
        const mg_sweep_point *p = &s->point[i];
        if (p->at.np == p->at.tp && p->at.batch == s->least_batch) out[n++] = p;
    }
    return n;
}

size_t mg_sweep_replicas(const mg_sweep *s, const mg_sweep_point **out, size_t most)
{
    int64_t tp = INT64_MAX;
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->point[i].at.tp < tp) tp = s->point[i].at.tp;
    for (size_t i = 0; i < s->n && n < most; i++) {
        const mg_sweep_point *p = &s->point[i];
        if (p->at.tp == tp && p->at.batch == s->least_batch) out[n++] = p;
    }
    return n;
}

bool mg_sweep_on_front(const mg_sweep *s, const mg_sweep_point *p)
{
    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_point *q = &s->point[i];
        if (q->clip_s.mid <= p->clip_s.mid && q->rate.mid >= p->rate.mid &&
            (q->clip_s.mid < p->clip_s.mid || q->rate.mid > p->rate.mid))
            return false;
    }
    return true;
}

double mg_sweep_sums_share(const mg_sweep_point *p)
{
    return (p->part_ms[MG_SCALING_ALL_REDUCE] + p->part_ms[MG_SCALING_WAITING]) / p->split_ms;
}

bool mg_sweep_has_plot(const mg_sweep *s, enum mg_sweep_plot plot)
{
    bool any = plot != MG_SWEEP_PREDICTED;

    for (size_t i = 0; i < s->n; i++) any = any || !isnan(s->point[i].predicted_ms);
    return any;
}

bool mg_sweep_tells_energy(const mg_sweep *s)
{
    bool any = false;

    for (size_t i = 0; i < s->n; i++) any = any || !isnan(s->point[i].joules_s);
    return any;
}

bool mg_sweep_threads_agree(const mg_sweep *s)
{
    bool same = true;

    for (size_t i = 1; i < s->n; i++)
        same = same &&
               s->point[i].width * (double)s->point[0].at.np == s->point[0].width * (double)s->point[i].at.np;
    return same;
}

bool mg_sweep_codes_agree(const mg_sweep *s)
{
    bool same = true;

    for (size_t i = 0; i < s->results.n; i++)
        if (mg_sweep_counts(s, &s->results.item[i]))
            same = same && strcmp(s->results.item[i].codes, s->point[0].codes) == 0;
    return same;
}

void mg_sweep_close(mg_sweep *s)
{
    free(s->point);
    mg_scaling_close(&s->results);
}
