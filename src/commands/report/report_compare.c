#include "report_compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "out_file.h"
#include "path.h"
#include "report_gnuplot.h"
#include "sealed_file.h"

static int by_place(const void *a, const void *b)
{
    const mg_scaling_point *p = &((const mg_compare_point *)a)->at, *q = &((const mg_compare_point *)b)->at;

    return mg_sweep_order(p, q);
}

/* Of n and m repeats of the same thing, in how many orders do all of the one come first, or all of the other?
 * Two of (n + m) over n. */
static double chance_of(int64_t n, int64_t m)
{
    double chance = 2;

    for (int64_t i = 1; i <= n; i++) chance *= (double)i / (double)(m + i);
    return chance;
}

static void judge(mg_compare_point *p)
{
    const mg_sweep_spread *a = &p->of[0]->step_ms, *b = &p->of[1]->step_ms;

    p->ratio = (mg_sweep_spread){b->low / a->high, b->mid / a->mid, b->high / a->low};
    p->verdict = MG_COMPARE_UNTOLD;
    if (p->of[0]->n_repeats < 2 || p->of[1]->n_repeats < 2) return;
    p->chance = chance_of(p->of[0]->n_repeats, p->of[1]->n_repeats);
    p->verdict = b->high < a->low   ? MG_COMPARE_FASTER
                 : b->low > a->high ? MG_COMPARE_SLOWER
                                    : MG_COMPARE_WITHIN;
}

/* What the sweep says of a point that it has not measured. */
static void note(mg_compare_point *p, const mg_sweep *lacking, char name)
{
    const char *what = "not measured", *reason = "";

    for (size_t i = 0; i < lacking->results.n; i++) {
        const mg_scaling_result *r = &lacking->results.item[i];
        if (mg_sweep_order(&r->point, &p->at) != 0 || r->status == MG_SCALING_OK) continue;
        what = r->status == MG_SCALING_SKIPPED ? "skipped: " : "failed: ", reason = r->reason;
    }
    p->verdict = MG_COMPARE_LACKING;
    (void)snprintf(p->note, sizeof p->note, "%c: %s%s", name, what, reason);
}

static const mg_sweep_point *find(const mg_sweep *s, const mg_scaling_point *at)
{
    for (size_t i = 0; i < s->n; i++)
        if (mg_sweep_order(&s->point[i].at, at) == 0) return &s->point[i];
    return NULL;
}

static mg_status match(mg_compare *c)
{
    size_t capacity = 0;

    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < c->sweep[side].n; i++) {
            const mg_scaling_point *at = &c->sweep[side].point[i].at;
            mg_compare_point p = {.at = *at, .ratio = {NAN, NAN, NAN}, .chance = NAN};
            for (int k = 0; k < 2; k++) p.of[k] = find(&c->sweep[k], at);
            if (side == 1 && p.of[0]) continue; /* it came with A's */
            if (p.of[0] && p.of[1])
                judge(&p);
            else
                note(&p, &c->sweep[p.of[0] ? 1 : 0], p.of[0] ? 'B' : 'A');
            MG_RETURN(mg_grow(&c->point, &capacity, c->n + 1, sizeof *c->point, "points"));
            c->n_of[p.verdict]++;
            c->point[c->n++] = p;
        }
    qsort(c->point, c->n, sizeof *c->point, by_place);
    return MG_OK;
}

/* ---- what was measured ---- */

/* All values that the lines of a sweep have. */
static mg_status gather_fact(char **out, const mg_sweep *s, enum mg_sweep_fact fact)
{
    mg_text t = {0};

    (void)mg_sweep_facts(&t, s, fact);
    return mg_text_end(&t, out, "facts");
}

/* ---- the plot ---- */

static void put_plot(mg_text *t, const void *arg)
{
    static const char *const name[] = {"within", "faster", "slower", "untold"};
    static const char *const title[] = {"within the spread", "B is faster", "B is slower",
                                        "one repeat alone"};
    static const char *const color[] = {"98a2b3", "0ca678", "c2410c", "3b5bdb"};
    const mg_compare *c = arg;
    double low = 1, high = 1;
    char label[64];
    size_t n = 0;

    for (int v = 0; v < MG_COMPARE_LACKING; v++) {
        mg_text_format(t, "$%s << EOD\n", name[v]);
        n = 0;
        for (size_t i = 0; i < c->n; i++) {
            const mg_compare_point *p = &c->point[i];
            if (p->verdict == MG_COMPARE_LACKING) continue;
            n++;
            low = fmin(low, p->ratio.low), high = fmax(high, p->ratio.high);
            if ((int)p->verdict == v)
                mg_text_format(t, "%zu %.6g %.6g %.6g \"%s\"\n", n, p->ratio.mid, p->ratio.low, p->ratio.high,
                               mg_scaling_point_name(label, &p->at));
        }
        mg_text_add(t, "EOD\n");
    }
    mg_plot_names(t, n);
    mg_text_format(t,
                   "set xrange [0.3:%g]\nset yrange [%.4g:%.4g]\nset ylabel \"B's time "
                   "of a step over A's\"\n%sunset grid\nset grid y\n"
                   "plot 1 lc rgb '#667085' dt 2 title 'the same'",
                   (double)n + 0.7, low / 1.1, high * 1.1, high > 5 * low ? "set logscale y 2\n" : "");
    for (int v = 0; v < MG_COMPARE_LACKING; v++)
        if (c->n_of[v] > 0)
            mg_text_format(t, ", $%s using 1:2:3:4:xtic(5) with yerrorbars pt 7 lw 2 lc rgb '#%s' title '%s'",
                           name[v], color[v], title[v]);
    mg_text_add(t, "\n");
}

/* ---- all of it ---- */

/* What is there is replaced if the table or the page is ours: they were written together. */
static mg_status check_others(const char *dir, const char *page)
{
    static const char *const name[] = {"compare.csv", "compare.json"};
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(path, "%s/compare.md", dir));
    MG_RETURN(mg_sealed_check(path, MG_REPORT_AWAY));
    const bool ours = mg_path_exists(path) || mg_path_exists(page);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        MG_RETURN(mg_path_format(path, "%s/%s", dir, name[i]));
        MG_RETURN(mg_out_check_free(path, ours, MG_REPORT_AWAY));
    }
    MG_RETURN(mg_path_format(path, "%s/plots", dir));
    return mg_report_plot_check(path, "compare", ours);
}

static mg_status put_file(const char *dir, const char *name, const mg_text *t)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_text_check(t, name));
    MG_RETURN(mg_path_format(path, "%s/%s", dir, name));
    return strcmp(name, "compare.md") == 0 ? mg_sealed_put(path, t->data, t->n)
                                           : mg_out_file_put(path, t->data, t->n);
}

static mg_status write_all(const mg_compare *c, const char *path)
{
    const char *dir = c->dir[1];
    char svg[MG_PATH_SIZE], folder[MG_PATH_SIZE], reason[160] = "no point is in both sweeps";
    mg_text page = {0}, table = {0}, csv = {0}, json = {0};
    bool drawn = false;
    mg_status st = MG_OK;

    MG_TRY(check_others(dir, path));
    MG_TRY(mg_path_format(folder, "%s/plots", dir));
    MG_TRY(mg_path_format(svg, "%s/compare.svg", folder));
    if (c->n > c->n_of[MG_COMPARE_LACKING])
        MG_TRY(mg_report_plot(folder, "compare", put_plot, c, c->n - c->n_of[MG_COMPARE_LACKING], &drawn,
                              reason));
    if (!drawn) mg_log_warn("report: the page comes without its plot: %s", reason);
    MG_TRY(mg_compare_page(&page, c, drawn ? svg : NULL, reason));
    mg_compare_markdown(&table, c);
    mg_compare_csv(&csv, c);
    MG_TRY(mg_compare_json(&json, c));
    MG_TRY(put_file(dir, "compare.md", &table));
    MG_TRY(put_file(dir, "compare.csv", &csv));
    MG_TRY(put_file(dir, "compare.json", &json));
    MG_TRY(mg_text_check(&page, "report"));
    MG_TRY(mg_sealed_put(path, page.data, page.n));
done:
    mg_text_reset(&page);
    mg_text_reset(&table);
    mg_text_reset(&csv);
    mg_text_reset(&json);
    return st;
}

mg_status mg_report_compare(const char *a, const char *b, const char *path)
{
    mg_compare c = {.dir = {a, b}};
    mg_text words = {0};
    mg_status st = MG_OK;

    for (int side = 0; side < 2; side++) {
        MG_TRY(mg_sweep_gather(&c.sweep[side], c.dir[side]));
        for (int k = 0; k < MG_SWEEP_FACTS; k++)
            MG_TRY(gather_fact(&c.fact[side][k], &c.sweep[side], (enum mg_sweep_fact)k));
    }
    MG_TRY(match(&c));
    mg_compare_say_facts(&words, &c);
    if (words.n > 0) mg_log_warn("report: %s", words.data);
    mg_text_reset(&words);
    MG_TRY(write_all(&c, path));
    mg_compare_say(&words, &c);
    MG_TRY(mg_text_check(&words, "report"));
    mg_log_info("report: %s: %s", path, words.data);
done:
    mg_text_reset(&words);
    for (int side = 0; side < 2; side++) {
        mg_sweep_close(&c.sweep[side]);
        for (int k = 0; k < MG_SWEEP_FACTS; k++) free(c.fact[side][k]);
    }
    free(c.point);
    return st;
}
