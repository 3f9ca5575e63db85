#include "report_scaling.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "log.h"
#include "out_file.h"
#include "path.h"
#include "report.h"
#include "report_style.h"
#include "version.h"

enum { FRAME_RATE = 50, DELAY_COLUMNS = 4, MAX_SVG_BYTES = 16 << 20, MOST_REPEATS = 1000 };

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static mg_sweep_spread spread_of(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (mg_sweep_spread){values[0], values[n / 2], values[n - 1]};
}

static int by_place(const void *a, const void *b)
{
    const mg_scaling_point *p = &((const mg_sweep_point *)a)->at, *q = &((const mg_sweep_point *)b)->at;

    if (p->np != q->np) return p->np < q->np ? -1 : 1;
    if (p->tp != q->tp) return p->tp < q->tp ? -1 : 1;
    return (p->batch > q->batch) - (p->batch < q->batch);
}

static bool is_same(const mg_scaling_point *a, const mg_scaling_point *b)
{
    return a->np == b->np && a->tp == b->tp && a->batch == b->batch;
}

/* Does this line count: measured, and not superseded? */
static bool counts(const mg_sweep *s, const mg_scaling_result *r)
{
    return r->status == MG_SCALING_OK && mg_scaling_find(&s->results, &r->point, r->repeat) == r;
}

/* All repeats of p->at. */
static void sum_up(const mg_sweep *s, mg_sweep_point *p)
{
    double step[MOST_REPEATS], rate[MOST_REPEATS], clip[MOST_REPEATS], fraction[MOST_REPEATS];
    int64_t n = 0;

    (void)mg_scaling_point_name(p->name, &p->at);
    for (size_t i = 0; i < s->results.n && n < MOST_REPEATS; i++) {
        const mg_scaling_result *r = &s->results.item[i];
        if (!is_same(&r->point, &p->at) || !counts(s, r)) continue;
        step[n] = r->step_ms, fraction[n] = r->fraction;
        rate[n] = (double)(p->at.np / p->at.tp * p->at.batch) * 1e3 / (FRAME_RATE * r->step_ms);
        clip[n++] = r->step_ms * (r->dur_s * FRAME_RATE + DELAY_COLUMNS) / 1e3;
        for (int k = 0; k < MG_SCALING_PARTS; k++) p->part_ms[k] += r->part_ms[k];
        p->split_ms += r->split_step_ms;
        p->codes = r->codes;
    }
    for (int k = 0; k < MG_SCALING_PARTS; k++) p->part_ms[k] /= (double)n;
    p->split_ms /= (double)n;
    p->n_repeats = n;
    p->step_ms = spread_of(step, n), p->rate = spread_of(rate, n);
    p->clip_s = spread_of(clip, n), p->fraction = spread_of(fraction, n);
}

static mg_status gather(mg_sweep *s, const char *dir)
{
    size_t capacity = 0;

    MG_RETURN(mg_scaling_read(&s->results, dir));
    if (s->results.was_cut) mg_log_warn("%s/results.jsonl: the last line is cut off, and left out", dir);
    s->least_batch = INT64_MAX;
    for (size_t i = 0; i < s->results.n; i++) {
        const mg_scaling_result *r = &s->results.item[i];
        bool is_new = counts(s, r);
        for (size_t k = 0; is_new && k < s->n; k++) is_new = !is_same(&s->point[k].at, &r->point);
        if (!is_new) continue;
        MG_RETURN(mg_grow(&s->point, &capacity, s->n + 1, sizeof *s->point, "points"));
        s->point[s->n] = (mg_sweep_point){.at = r->point};
        sum_up(s, &s->point[s->n++]);
        if (r->point.batch < s->least_batch) s->least_batch = r->point.batch;
    }
    if (s->n == 0) return mg_fail(MG_EFAIL, "%s: no point of the sweep was measured", dir);
    qsort(s->point, s->n, sizeof *s->point, by_place);
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

static bool are_codes_same(const mg_sweep *s)
{
    bool same = true;

    for (size_t i = 0; i < s->results.n; i++)
        if (counts(s, &s->results.item[i]))
            same = same && strcmp(s->results.item[i].codes, s->point[0].codes) == 0;
    return same;
}

/* A row of the table, with `gap` between its cells. */
static void put_row(mg_text *t, const mg_sweep_point *p, const char *begin, const char *gap, const char *end)
{
    const double sums = p->part_ms[MG_SCALING_ALL_REDUCE] + p->part_ms[MG_SCALING_WAITING];

    mg_text_format(t, "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s", begin, p->at.np,
                   gap, p->at.tp, gap, p->at.np / p->at.tp, gap, p->at.batch, gap, p->n_repeats, gap);
    mg_text_format(t, "%.3f (%.3f – %.3f)%s%.4g%s%.4g%s%.2f%s", p->step_ms.mid, p->step_ms.low,
                   p->step_ms.high, gap, p->clip_s.mid, gap, p->rate.mid, gap, p->fraction.mid, gap);
    if (isnan(p->split_ms))
        mg_text_add(t, "–");
    else
        mg_text_format(t, "%.0f %%", 100 * sums / p->split_ms);
    mg_text_add(t, end);
}

static void put_markdown(mg_text *t, const mg_sweep *s)
{
    mg_text_add(t, "| ranks | T | replicas | batch | repeats | ms a step (spread) | s a clip | x real time | "
                   "of the floor "
                   "| sums and waiting |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < s->n; i++) put_row(t, &s->point[i], "| ", " | ", " |\n");
    mg_text_add(t, "\n");
    for (int i = 0; i < MG_SWEEP_PLOTS; i++) {
        mg_sweep_say(t, s, (enum mg_sweep_plot)i);
        mg_text_add(t, "\n\n");
    }
}

static mg_status put_plot(mg_text *t, const mg_sweep *s, const char *dir, int plot, bool drawn)
{
    static const char *const title[MG_SWEEP_PLOTS] = {"Speed-up and efficiency", "Latency against rate",
                                                      "Where a step's time goes",
                                                      "Against the memory's speed"};
    char path[MG_PATH_SIZE], *svg = NULL;
    int64_t bytes;

    mg_text_format(t, "<section class=\"card\"><h2>%s</h2>", title[plot]);
    if (drawn) {
        MG_RETURN(mg_path_format(path, "%s/plots/%s.svg", dir, mg_sweep_plot_name[plot]));
        MG_RETURN(mg_in_file_read(&svg, &bytes, path, MAX_SVG_BYTES));
        mg_text_format(t, "<img alt=\"%s\" style=\"width:100%%\" src=\"data:image/svg+xml;base64,",
                       title[plot]);
        mg_report_base64(t, svg, bytes);
        mg_text_add(t, "\">");
        free(svg);
    }
    mg_text_format(t, "<p class=\"note\" id=\"say-%s\">", mg_sweep_plot_name[plot]);
    mg_sweep_say(t, s, (enum mg_sweep_plot)plot);
    mg_text_add(t, "</p></section>\n");
    return MG_OK;
}

static void put_head(mg_text *t, const mg_sweep *s)
{
    const mg_scaling_result *r = &s->results.item[0];

    for (size_t i = 0; i < s->results.n && !counts(s, r); i++) r = &s->results.item[i];
    mg_text_add(
        t, "<!doctype html>\n<!-- mg-dist report -->\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
           "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
           "img-src data:\"><meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" "
           "href=\"data:,\"><title>Scaling · mg-dist</title><style>");
    mg_text_add(t, mg_report_style);
    mg_text_add(t, "</style></head>\n<body><main><h1>Scaling of ");
    mg_report_escape(t, r->shape);
    mg_text_add(t, "</h1>\n<p class=\"sub\">");
    const char *const facts[] = {r->dtype, r->backend, r->host, r->version, r->settings};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (i) mg_text_add(t, " · ");
        mg_report_escape(t, facts[i]);
    }
    mg_text_format(t, "</p><p class=\"sub\" id=\"codes\">The codes of the first clip are %s.</p>\n",
                   are_codes_same(s) ? "the same at every point" : "<b>not the same at every point</b>");
}

static void put_others(mg_text *t, const mg_sweep *s)
{
    bool any = false;
    char name[64];

    for (size_t i = 0; i < s->results.n; i++) {
        const mg_scaling_result *r = &s->results.item[i];
        if (r->status == MG_SCALING_OK || mg_scaling_find(&s->results, &r->point, r->repeat) != r) continue;
        if (!any)
            mg_text_add(t, "<section class=\"card\"><h2>Skipped and failed</h2><table id=\"others\"><tbody>");
        any = true;
        mg_text_format(t, "<tr><td>%s</td><td>%s</td><td>", mg_scaling_point_name(name, &r->point),
                       r->status == MG_SCALING_SKIPPED ? "skipped" : "failed");
        mg_report_escape(t, r->reason);
        mg_text_add(t, "</td></tr>");
    }
    if (any) mg_text_add(t, "</tbody></table></section>\n");
}

static mg_status put_page(mg_text *t, const mg_sweep *s, const char *dir, bool drawn, const char *reason)
{
    put_head(t, s);
    if (!drawn) {
        mg_text_add(t, "<p class=\"sub\" id=\"missing\">The plots are missing: ");
        mg_report_escape(t, reason);
        mg_text_add(t, ".</p>\n");
    }
    for (int i = 0; i < MG_SWEEP_PLOTS; i++) MG_RETURN(put_plot(t, s, dir, i, drawn));
    mg_text_add(t,
                "<section class=\"card\"><h2>All points</h2><table id=\"points\"><thead><tr><th>ranks<th>T"
                "<th>replicas<th>batch<th>repeats<th>ms a step (spread)<th>s a clip<th>x real time<th>of the "
                "floor<th>sums and waiting</tr></thead><tbody>\n");
    for (size_t i = 0; i < s->n; i++) put_row(t, &s->point[i], "<tr><td>", "</td><td>", "</td></tr>\n");
    mg_text_add(
        t, "</tbody></table><p class=\"note\">Medians over the repeats, and error bars from the least to the "
           "most of them. A clip is its steps alone, without text encoder and codec. plots/ has the plots "
           "as SVG and PDF.</p></section>\n");
    put_others(t, s);
    mg_text_format(t, "<footer>mg-dist report, version %s</footer></main></body></html>\n", MG_VERSION);
    return mg_text_check(t, "report");
}

mg_status mg_report_scaling(const char *dir, const char *path)
{
    mg_sweep s = {0};
    mg_text page = {0}, table = {0};
    char markdown[MG_PATH_SIZE], reason[160] = "";
    bool drawn = false;
    mg_status st = MG_OK;

    MG_TRY(gather(&s, dir));
    MG_TRY(mg_sweep_draw(&s, dir, &drawn, reason));
    if (!drawn) mg_log_warn("report: the page comes without plots: %s", reason);
    MG_TRY(put_page(&page, &s, dir, drawn, reason));
    put_markdown(&table, &s);
    MG_TRY(mg_text_check(&table, "table"));
    MG_TRY(mg_path_format(markdown, "%s/report.md", dir));
    MG_TRY(mg_out_file_put(markdown, table.data, table.n));
    MG_TRY(mg_out_file_put(path, page.data, page.n));
    mg_log_info("report: %s: %zu points; %s%s", path, s.n, markdown, drawn ? ", plots/*.svg and *.pdf" : "");
done:
    mg_text_reset(&page);
    mg_text_reset(&table);
    free(s.point);
    mg_scaling_close(&s.results);
    return st;
}
