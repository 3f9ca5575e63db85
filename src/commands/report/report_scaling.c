#include "report_scaling.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "path.h"
#include "report_gnuplot.h"
#include "report_html.h"
#include "sealed_file.h"
#include "version.h"

/* A figure, or a dash where it is not told. */
static void put_figure(mg_text *t, const char *gap, const char *format, double v)
    __attribute__((format(printf, 3, 0)));
static void put_figure(mg_text *t, const char *gap, const char *format, double v)
{
    mg_text_add(t, gap);
    if (isnan(v))
        mg_text_add(t, "–");
    else
        mg_text_format(t, format, v);
}

/* A row of the table, with `gap` between its cells. */
static void put_row(mg_text *t, const mg_sweep_point *p, bool with_energy, const char *begin, const char *gap,
                    const char *end)
{
    mg_text_format(t, "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s", begin, p->at.np,
                   gap, p->at.tp, gap, p->at.np / p->at.tp, gap, p->at.batch, gap, p->n_repeats, gap);
    mg_text_format(t, "%.3f (%.3f – %.3f)%s%.4g", p->step_ms.mid, p->step_ms.low, p->step_ms.high, gap,
                   p->clip_s.mid);
    put_figure(t, gap, "%.4g", p->first_s.mid);
    put_figure(t, gap, "%.4g", p->last_s.mid);
    mg_text_format(t, "%s%.4g%s%.2f", gap, p->rate.mid, gap, p->fraction.mid);
    put_figure(t, gap, "%.0f %%", 100 * mg_sweep_sums_share(p));
    put_figure(t, gap, "%.3f", isnan(p->bare_ms) ? NAN : p->part_ms[MG_SCALING_ALL_REDUCE]);
    put_figure(t, gap, "%.3f", p->bare_ms);
    put_figure(t, gap, "%.3f", p->predicted_ms);
    put_figure(t, gap, "%.0f", p->n_threads);
    if (with_energy) put_figure(t, gap, "%.3g", p->joules_s);
    mg_text_add(t, end);
}

static const char *const column[] = {"ranks",          "T",
                                     "replicas",       "batch",
                                     "repeats",        "ms a step (spread)",
                                     "s a clip",       "first sample, s",
                                     "last sample, s", "x real time",
                                     "of the floor",   "sums and waiting",
                                     "sums, ms",       "bare, ms",
                                     "predicted, ms",  "threads a rank",
                                     "J a second"};

enum { N_COLUMNS = sizeof column / sizeof *column };

/* A line for a point that was not measured: a table alone would hide it. */
static void put_missing(mg_text *t, const mg_sweep *s, const mg_scaling_result *r)
{
    char name[64];

    if (r->status == MG_SCALING_OK || mg_scaling_find(&s->results, &r->point, r->repeat) != r) return;
    mg_text_format(t, "%s %s: %s.\n\n", mg_scaling_point_name(name, &r->point),
                   r->status == MG_SCALING_SKIPPED ? "was skipped" : "has failed", r->reason);
}

static void put_markdown(mg_text *t, const mg_sweep *s)
{
    const bool with_energy = mg_sweep_tells_energy(s);
    const int n = N_COLUMNS - !with_energy;

    for (int i = 0; i < n; i++) mg_text_format(t, "| %s ", column[i]);
    mg_text_add(t, "|\n");
    for (int i = 0; i < n; i++) mg_text_add(t, "|--:");
    mg_text_add(t, "|\n");
    for (size_t i = 0; i < s->n; i++) put_row(t, &s->point[i], with_energy, "| ", " | ", " |\n");
    mg_text_add(t, "\n");
    for (size_t i = 0; i < s->results.n; i++) put_missing(t, s, &s->results.item[i]);
    for (int i = 0; i < MG_SWEEP_PLOTS; i++) {
        mg_sweep_say(t, s, (enum mg_sweep_plot)i);
        mg_text_add(t, "\n\n");
    }
}

static void put_table(mg_text *t, const mg_sweep *s)
{
    const bool with_energy = mg_sweep_tells_energy(s);

    mg_text_add(
        t, "<section class=\"card\"><h2>All points</h2><div class=\"wide\"><table id=\"points\"><thead><tr>");
    for (int i = 0; i < N_COLUMNS - !with_energy; i++) mg_text_format(t, "<th>%s", column[i]);
    mg_text_add(t, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < s->n; i++)
        put_row(t, &s->point[i], with_energy, "<tr><td>", "</td><td>", "</td></tr>\n");
    mg_text_add(
        t,
        "</tbody></table></div><p class=\"note\">Medians over the repeats, with the least and the most "
        "of them. A clip is its steps alone, without text encoder and codec. <i>First and last sample</i>: "
        "from its first step till the first and the last clip of a batch are decoded. <i>Bare</i> are the "
        "same "
        "sums over the same ranks, one after the other with nothing between them.");
    if (with_energy) mg_text_add(t, " <i>J a second</i>: joules for a second of sound.");
    mg_text_add(t, " plots/ has the plots as SVG and PDF.</p></section>\n");
}

static bool is_bound_alike(const mg_sweep_point *a, const mg_sweep_point *b)
{
    return a->binding && b->binding && strcmp(a->binding, b->binding) == 0;
}

/* The names of the i-th point and of all behind it whose ranks were where its ranks were. Nothing if a point
 * before it has named it. */
static bool put_alike(mg_text *t, const mg_sweep *s, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is_bound_alike(&s->point[k], &s->point[i])) return false;
    mg_text_format(t, "<tr><td>%s", s->point[i].name);
    for (size_t k = i + 1; k < s->n; k++)
        if (is_bound_alike(&s->point[k], &s->point[i])) mg_text_format(t, ", %s", s->point[k].name);
    mg_text_add(t, "</td><td>");
    return true;
}

/* The processors, memories and GPUs that each rank had. */
static void put_binding(mg_text *t, const mg_sweep *s)
{
    bool any = false;

    for (size_t i = 0; i < s->n; i++) {
        if (!s->point[i].binding) continue;
        if (!any)
            mg_text_add(t,
                        "<section class=\"card\"><h2>Where the ranks were</h2><table id=\"binding\"><tbody>");
        any = true;
        if (!put_alike(t, s, i)) continue;
        mg_report_escape(t, s->point[i].binding);
        mg_text_add(t, "</td></tr>\n");
    }
    if (any)
        mg_text_add(t,
                    "</tbody></table><p class=\"note\">Host: each of its ranks, with the processors that it "
                    "might run on, the memories (NUMA) beside them, and its GPU.</p></section>\n");
}

static mg_status put_plot(mg_text *t, const mg_sweep *s, const char *dir, int plot, bool drawn)
{
    static const char *const title[MG_SWEEP_PLOTS] = {"Speed-up and efficiency", "Latency against rate",
                                                      "Where a step's time goes",
                                                      "Against the memory's speed", "Predicted and measured"};
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(path, "%s/plots/%s.svg", dir, mg_sweep_plot_name[plot]));
    MG_RETURN(mg_report_picture(t, title[plot],
                                drawn && mg_sweep_has_plot(s, (enum mg_sweep_plot)plot) ? path : NULL));
    mg_text_format(t, "<p class=\"note\" id=\"say-%s\">", mg_sweep_plot_name[plot]);
    mg_sweep_say(t, s, (enum mg_sweep_plot)plot);
    mg_text_add(t, "</p></section>\n");
    return MG_OK;
}

/* How many values it has; `gap` before the first. */
static int put_fact(mg_text *t, const mg_sweep *s, enum mg_sweep_fact fact, const char *gap)
{
    mg_text values = {0};
    const int n = mg_sweep_facts(&values, s, fact);

    if (n > 0) mg_text_add(t, gap);
    if (values.data) mg_report_escape(t, values.data);
    mg_text_reset(&values);
    return n;
}

static void put_head(mg_text *t, const mg_sweep *s)
{
    static const enum mg_sweep_fact facts[] = {MG_SWEEP_DTYPE, MG_SWEEP_BACKEND, MG_SWEEP_DEVICE,
                                               MG_SWEEP_HOST,  MG_SWEEP_VERSION, MG_SWEEP_SETTINGS};
    bool is_mixed = false;

    mg_report_begin(t, "Scaling");
    (void)put_fact(t, s, MG_SWEEP_SHAPE, "Scaling of ");
    mg_text_add(t, "</h1>\n<p class=\"sub\">");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        is_mixed |= put_fact(t, s, facts[i], i > 0 ? " · " : "") > 1 && facts[i] != MG_SWEEP_HOST;
    mg_text_add(t, "</p>\n");
    if (is_mixed)
        mg_text_add(t, "<p class=\"sub\" id=\"mixed\"><b>Not all points were measured alike</b>: what stands "
                       "above with a semicolon differs between them, and so may their times.</p>\n");
    mg_text_format(t, "<p class=\"sub\" id=\"codes\">The codes of the first clip are %s.</p>\n",
                   mg_sweep_codes_agree(s) ? "the same at every point"
                                           : "<b>not the same at every point</b>");
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
                       mg_scaling_status_name[r->status]);
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
    put_table(t, s);
    put_binding(t, s);
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

    MG_TRY(mg_sweep_gather(&s, dir));
    MG_TRY(mg_path_format(markdown, "%s/report.md", dir));
    MG_TRY(mg_sealed_check(markdown, MG_REPORT_AWAY));
    MG_TRY(mg_sweep_check_plots(dir, mg_path_exists(markdown) || mg_path_exists(path)));
    MG_TRY(mg_sweep_draw(&s, dir, &drawn, reason));
    if (!drawn) mg_log_warn("report: the page comes without plots: %s", reason);
    MG_TRY(put_page(&page, &s, dir, drawn, reason));
    put_markdown(&table, &s);
    MG_TRY(mg_text_check(&table, "table"));
    MG_TRY(mg_sealed_put(markdown, table.data, table.n));
    MG_TRY(mg_sealed_put(path, page.data, page.n));
    mg_log_info("report: %s: %zu points; %s%s", path, s.n, markdown, drawn ? ", plots/*.svg and *.pdf" : "");
done:
    mg_text_reset(&page);
    mg_text_reset(&table);
    mg_sweep_close(&s);
    return st;
}
