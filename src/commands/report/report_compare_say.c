/* Two sweeps in words made of their numbers. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report_compare.h"

const char *const mg_compare_word[MG_COMPARE_VERDICTS] = {"within the spread", "B is faster", "B is slower",
                                                          "one repeat alone", "in one sweep alone"};

const char *const mg_compare_fact[MG_SWEEP_FACTS] = {"model", "dtype",   "backend", "device",
                                                     "host",  "version", "clip",    "settings"};

bool mg_compare_differs(const mg_compare *c, int fact)
{
    const char *a = c->fact[0][fact], *b = c->fact[1][fact];

    return a[0] && b[0] && strcmp(a, b) != 0;
}

static const char *points(size_t n)
{
    return n == 1 ? "point" : "points";
}

/* The point where B gains or loses most, of those beyond the spread. */
static const mg_compare_point *most(const mg_compare *c, mg_compare_verdict verdict)
{
    const mg_compare_point *found = NULL;

    for (size_t i = 0; i < c->n; i++) {
        const mg_compare_point *p = &c->point[i];
        if (p->verdict != verdict) continue;
        if (!found || fabs(log(p->ratio.mid)) > fabs(log(found->ratio.mid))) found = p;
    }
    return found;
}

static void say_beyond(mg_text *t, const mg_compare *c, mg_compare_verdict verdict)
{
    const mg_compare_point *p = most(c, verdict);
    const bool faster = verdict == MG_COMPARE_FASTER;
    char name[64];

    if (!p) return;
    mg_text_format(t, "B is %s at %zu %s", faster ? "faster" : "slower", c->n_of[verdict],
                   points(c->n_of[verdict]));
    mg_text_format(t, ", the most at %s: %.2f times A's time. ", mg_scaling_point_name(name, &p->at),
                   p->ratio.mid);
}

void mg_compare_say(mg_text *t, const mg_compare *c)
{
    const size_t n_both = c->n - c->n_of[MG_COMPARE_LACKING];
    const size_t n_beyond = c->n_of[MG_COMPARE_FASTER] + c->n_of[MG_COMPARE_SLOWER];
    const size_t n_told = n_beyond + c->n_of[MG_COMPARE_WITHIN];
    double logs = 0, by_chance = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (!isnan(c->point[i].ratio.mid)) logs += log(c->point[i].ratio.mid);
        if (!isnan(c->point[i].chance)) by_chance += c->point[i].chance;
    }
    if (n_both == 0) {
        mg_text_add(t, "No point is in both sweeps.");
        return;
    }
    mg_text_format(t, "%zu %s in both sweeps, and a step of B takes %.3f times A's time (geometric mean). ",
                   n_both, n_both == 1 ? "point is" : "points are", exp(logs / (double)n_both));
    if (n_told > 0)
        mg_text_format(t, "%zu of %zu differ by more than their spread%s. ", n_beyond, n_told,
                       n_beyond ? ": every repeat of the one takes longer than every repeat of the other"
                                : "");
    say_beyond(t, c, MG_COMPARE_FASTER);
    say_beyond(t, c, MG_COMPARE_SLOWER);
    if (n_told > 0)
        mg_text_format(t, "Between equal sweeps chance alone would make %.1f such %s. ", by_chance,
                       fabs(by_chance - 1) < 0.05 ? "point" : "points");
    if (c->n_of[MG_COMPARE_UNTOLD] > 0)
        mg_text_format(t, "%zu %s one repeat alone, and so no spread. ", c->n_of[MG_COMPARE_UNTOLD],
                       c->n_of[MG_COMPARE_UNTOLD] == 1 ? "point has" : "points have");
    if (c->n_of[MG_COMPARE_LACKING] > 0)
        mg_text_format(t, "%zu %s in one sweep alone. ", c->n_of[MG_COMPARE_LACKING],
                       c->n_of[MG_COMPARE_LACKING] == 1 ? "point is" : "points are");
    t->data[--t->n] = '\0'; /* the last blank */
}

void mg_compare_say_facts(mg_text *t, const mg_compare *c)
{
    for (int k = 0; k < MG_SWEEP_FACTS; k++)
        if (mg_compare_differs(c, k))
            mg_text_format(t, "%s%s: A has %s, B has %s",
                           t->n ? "; " : "The sweeps differ in more than time: ", mg_compare_fact[k],
                           c->fact[0][k], c->fact[1][k]);
    if (mg_compare_differs(c, 0)) mg_text_add(t, ". Two models are compared, not one on two machines");
    if (t->n > 0) mg_text_add(t, ".");
}
