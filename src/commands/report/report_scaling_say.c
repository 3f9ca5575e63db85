/* What the plots of a sweep show, in words made of its numbers. */
#include <inttypes.h>
#include <math.h>

#include "report_scaling.h"

enum { MOST = 64 };

static const double NEAR = 0.15;

/* Of a ratio of two points, from all repeats of both. One of each has no spread. */
static void say_range(mg_text *t, const char *format, double low, double high)
    __attribute__((format(printf, 2, 0)));
static void say_range(mg_text *t, const char *format, double low, double high)
{
    if (low < high) mg_text_format(t, format, low, high);
}

/* Karp and Flatt's: the part of the step that would not divide, if all the rest did. */
static void say_serial(mg_text *t, double up, double width)
{
    const double part = (1 / up - 1 / width) / (1 - 1 / width);

    if (width > 1 && part >= 0)
        mg_text_format(t, "That is as if %.0f %% of the step did not divide (Karp and Flatt). ", 100 * part);
    else if (width > 1)
        mg_text_add(t, "That is more than the ranks' number; shares that fit the caches can do that. ");
}

static void say_speedup(mg_text *t, const mg_sweep *s)
{
    const mg_sweep_point *p[MOST];
    size_t n = mg_sweep_strong(s, p, MOST);

    if (n < 2) {
        mg_text_add(t, "One replica was measured on one size of group alone: there is no speed-up to tell. ");
    } else {
        const mg_sweep_point *a = p[0], *b = p[n - 1];
        const double up = a->step_ms.mid / b->step_ms.mid;
        mg_text_format(t, "T = %" PRId64 " makes a clip %.2f times as fast as T = %" PRId64, b->at.tp, up,
                       a->at.tp);
        say_range(t, " (%.2f to %.2f by the spread of the repeats)", a->step_ms.low / b->step_ms.high,
                  a->step_ms.high / b->step_ms.low);
        mg_text_format(t, ", and costs %.2f times its %s time. ", b->width / a->width / up,
                       mg_sweep_threads_agree(s) ? "rank" : "processor");
        say_serial(t, up, b->width / a->width);
    }
    n = mg_sweep_replicas(s, p, MOST);
    if (n < 2) {
        mg_text_add(t, "Replicas were measured in one number alone.");
        return;
    }
    const double gain = p[n - 1]->rate.mid / p[0]->rate.mid, ideal = p[n - 1]->width / p[0]->width;
    mg_text_format(t,
                   "%" PRId64 " ranks as replicas of T = %" PRId64 " make %.2f times the audio of %" PRId64
                   ": an efficiency of %.0f %%",
                   p[n - 1]->at.np, p[0]->at.tp, gain, p[0]->at.np, 100 * gain / ideal);
    say_range(t, " (%.0f to %.0f)", 100 * p[n - 1]->rate.low / p[0]->rate.high / ideal,
              100 * p[n - 1]->rate.high / p[0]->rate.low / ideal);
    mg_text_add(t, ".");
}

/* Ranks that share a host's processors are no larger machine than one rank that has them all. */
static void say_threads(mg_text *t, const mg_sweep *s)
{
    const mg_sweep_point *least = &s->point[0], *most = &s->point[0];

    if (mg_sweep_threads_agree(s)) return;
    for (size_t i = 0; i < s->n; i++) {
        if (s->point[i].n_threads < least->n_threads) least = &s->point[i];
        if (s->point[i].n_threads > most->n_threads) most = &s->point[i];
    }
    mg_text_format(t,
                   " Ranks were not alike: %.0f threads each at %s, %.0f at %s. Efficiency is by processors, "
                   "not by ranks; --bench-args=\"--threads N\" makes them alike.",
                   most->n_threads, most->name, least->n_threads, least->name);
}

static void say_front(mg_text *t, const mg_sweep *s)
{
    const mg_sweep_point *fast = &s->point[0], *much = &s->point[0];
    size_t n_front = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (s->point[i].clip_s.mid < fast->clip_s.mid) fast = &s->point[i];
        if (s->point[i].rate.mid > much->rate.mid) much = &s->point[i];
        n_front += mg_sweep_on_front(s, &s->point[i]);
    }
    mg_text_format(t, "%zu of %zu points are on the front: no other is both faster and of a higher rate. ",
                   n_front, s->n);
    mg_text_format(t, "%s has a clip first, after %.3g s; %s makes the most audio, %.3g times real time",
                   fast->name, fast->clip_s.mid, much->name, much->rate.mid);
    if (fast != much)
        mg_text_format(t, ", and a clip takes %.2f times as long there", much->clip_s.mid / fast->clip_s.mid);
    mg_text_add(t, ".");
    if (isnan(fast->first_s.mid) || isnan(much->first_s.mid) || isnan(much->last_s.mid)) return;
    mg_text_format(t,
                   " With the decoding it can be heard after %.3g s; at %s the first clip after %.3g s and "
                   "the last of its "
                   "batch after %.3g s.",
                   fast->first_s.mid, much->name, much->first_s.mid, much->last_s.mid);
}

static void say_parts(mg_text *t, const mg_sweep *s)
{
    static const char *const name[MG_SCALING_PARTS] = {
        "products with matrices", "attention", "sums over ranks",
        "waiting for ranks",      "sampling",  "the rest"};
    const mg_sweep_point *first = NULL, *most = NULL;
    double most_share = -1;

    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_point *p = &s->point[i];
        if (isnan(p->split_ms)) continue;
        const double share = mg_sweep_sums_share(p);
        if (!first) first = p;
        if (share > most_share) most = p, most_share = share;
    }
    if (!first) {
        mg_text_add(t, "No point has the times of its parts: a device does not tell them.");
        return;
    }
    int i_most = 0;
    for (int i = 1; i < MG_SCALING_PARTS; i++)
        if (first->part_ms[i] > first->part_ms[i_most]) i_most = i;
    mg_text_format(t, "At %s the most of a step is %s, %.0f %%. ", first->name, name[i_most],
                   100 * first->part_ms[i_most] / first->split_ms);
    if (most_share > 0) {
        mg_text_format(t, "Sums over ranks and waiting for them are at most %.0f %% of a step, at %s.",
                       100 * most_share, most->name);
        if (!isnan(most->bare_ms))
            mg_text_format(t, " Its sums take %.3g ms of a step, and %.3g ms with nothing between them.",
                           most->part_ms[MG_SCALING_ALL_REDUCE], most->bare_ms);
    } else
        mg_text_add(t, "No point has sums over ranks: every group is of one.");
}

static void say_floor(mg_text *t, const mg_sweep *s)
{
    const mg_sweep_point *high = &s->point[0], *low = &s->point[0];

    for (size_t i = 1; i < s->n; i++) {
        if (s->point[i].fraction.mid > high->fraction.mid) high = &s->point[i];
        if (s->point[i].fraction.mid < low->fraction.mid) low = &s->point[i];
    }
    mg_text_format(
        t, "The step is nearest to the memory's speed at %s, %.2f of the floor, and furthest at %s, %.2f. ",
        high->name, high->fraction.mid, low->name, low->fraction.mid);
    mg_text_add(t, high->fraction.mid > 1
                       ? "Above 1 the bytes come from the caches, not from memory."
                       : "What is missing to 1 is arithmetic, sums over ranks and waiting.");
}

static void say_predicted(mg_text *t, const mg_sweep *s)
{
    const mg_sweep_point *furthest = NULL;
    size_t n = 0, n_near = 0;
    double most = -1;

    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_point *p = &s->point[i];
        if (isnan(p->predicted_ms)) continue;
        const double off = fabs(log(p->predicted_ms / p->step_ms.mid));
        n++;
        n_near += fabs(p->predicted_ms / p->step_ms.mid - 1) <= NEAR;
        if (off > most) furthest = p, most = off;
    }
    if (!furthest) {
        mg_text_add(
            t, "No point can be predicted from others: the formulas of plan want the split of another point "
               "with as many ranks, and of a group its size.");
        return;
    }
    mg_text_format(
        t,
        "The formulas of plan predict each point from the others with as many ranks: within %.0f %% of the "
        "median for %zu of %zu points. They are furthest off at %s, %.2f times what was measured.",
        100 * NEAR, n_near, n, furthest->name, furthest->predicted_ms / furthest->step_ms.mid);
    if (n < s->n)
        mg_text_format(t, " Of %zu point%s the others tell too little.", s->n - n,
                       mg_plural((int64_t)(s->n - n)));
}

void mg_sweep_say(mg_text *t, const mg_sweep *s, enum mg_sweep_plot plot)
{
    switch (plot) {
    case MG_SWEEP_SPEEDUP: say_speedup(t, s), say_threads(t, s); break;
    case MG_SWEEP_FRONT: say_front(t, s); break;
    case MG_SWEEP_PARTS: say_parts(t, s); break;
    case MG_SWEEP_FLOOR: say_floor(t, s); break;
    default: say_predicted(t, s);
    }
}
