#include "report_scaling.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "out_file.h"
#include "path.h"
#include "report_html.h"
#include "version.h"

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
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(path, "%s/plots/%s.svg", dir, mg_sweep_plot_name[plot]));
    MG_RETURN(mg_report_picture(t, title[plot], drawn ? path : NULL));
    mg_text_format(t, "<p class=\"note\" id=\"say-%s\">", mg_sweep_plot_name[plot]);
    mg_sweep_say(t, s, (enum mg_sweep_plot)plot);
    mg_text_add(t, "</p></section>\n");
    return MG_OK;
}

static void put_head(mg_text *t, const mg_sweep *s)
{
    const mg_scaling_result *r = &s->results.item[0];

    for (size_t i = 0; i < s->results.n && !mg_sweep_counts(s, r); i++) r = &s->results.item[i];
    mg_report_begin(t, "Scaling");
    mg_text_add(t, "Scaling of ");
    mg_report_escape(t, r->shape);
    mg_text_add(t, "</h1>\n<p class=\"sub\">");
    const char *const facts[] = {r->dtype, r->backend, r->host, r->version, r->settings};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (i) mg_text_add(t, " · ");
        mg_report_escape(t, facts[i]);
    }
    mg_text_format(t, "</p><p class=\"sub\" id=\"codes\">The codes of the first clip are %s.</p>\n",
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
                "<section class=\"card\"><h2>All points</h2><div class=\"wide\"><table "
                "id=\"points\"><thead><tr><th>ranks<th>T"
                "<th>replicas<th>batch<th>repeats<th>ms a step (spread)<th>s a clip<th>x real time<th>of the "
                "floor<th>sums and waiting</tr></thead><tbody>\n");
    for (size_t i = 0; i < s->n; i++) put_row(t, &s->point[i], "<tr><td>", "</td><td>", "</td></tr>\n");
    mg_text_add(
        t, "</tbody></table></div><p class=\"note\">Medians over the repeats, and error bars from the least "
           "to the "
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

    MG_TRY(mg_sweep_gather(&s, dir));
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
    mg_sweep_close(&s);
    return st;
}
