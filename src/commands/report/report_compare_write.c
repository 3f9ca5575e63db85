/* Two sweeps as a page, as Markdown, as CSV and as JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "json_text.h"
#include "report_compare.h"
#include "report_html.h"
#include "version.h"

/* Of A or B: time of a step, fraction of the floor, sums and waiting. */
static void put_side(mg_text *t, const mg_sweep_point *p, const char *gap)
{
    if (!p) {
        mg_text_format(t, "–%s–%s–", gap, gap);
        return;
    }
    mg_text_format(t, "%.3f (%.3f – %.3f)%s%.2f%s", p->step_ms.mid, p->step_ms.low, p->step_ms.high, gap,
                   p->fraction.mid, gap);
    if (isnan(p->split_ms))
        mg_text_add(t, "–");
    else
        mg_text_format(t, "%.0f %%", 100 * mg_sweep_sums_share(p));
}

static void put_row(mg_text *t, const mg_compare_point *p, const char *begin, const char *gap,
                    const char *end, void (*put_note)(mg_text *, const char *))
{
    mg_text_format(t, "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s%" PRId64 "%s", begin, p->at.np, gap,
                   p->at.tp, gap, p->at.np / p->at.tp, gap, p->at.batch, gap);
    if (p->verdict == MG_COMPARE_LACKING)
        mg_text_format(t, "–%s", gap);
    else
        mg_text_format(t, "%.3f (%.3f – %.3f)%s%s", p->ratio.mid, p->ratio.low, p->ratio.high, gap,
                       mg_compare_word[p->verdict]);
    put_note(t, p->note);
    for (int side = 0; side < 2; side++) {
        mg_text_add(t, gap);
        put_side(t, p->of[side], gap);
    }
    mg_text_add(t, end);
}

/* A reason may hold what ends a cell. */
static void put_plain(mg_text *t, const char *text)
{
    for (; *text; text++)
        if (*text != '\n') mg_text_format(t, *text == '|' ? "\\%c" : "%c", *text);
}

void mg_compare_markdown(mg_text *t, const mg_compare *c)
{
    mg_text_format(t, "A is %s, B is %s.\n\n", c->dir[0], c->dir[1]);
    mg_compare_say(t, c);
    mg_text_add(t, "\n\n");
    const size_t n = t->n;
    mg_text facts = {0};
    mg_compare_say_facts(&facts, c);
    if (facts.data) mg_text_add(t, facts.data);
    if (t->n > n) mg_text_add(t, "\n\n");
    mg_text_reset(&facts);
    mg_text_add(
        t, "| ranks | T | replicas | batch | B / A (spread) | | A: ms a step (spread) | of the floor | sums "
           "and waiting | B: ms a step (spread) | of the floor | sums and waiting |\n"
           "|--:|--:|--:|--:|--:|:--|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < c->n; i++) put_row(t, &c->point[i], "| ", " | ", " |\n", put_plain);
}

void mg_compare_csv(mg_text *t, const mg_compare *c)
{
    mg_text_add(t, "np,tp,replicas,batch");
    for (int side = 0; side < 2; side++)
        mg_text_format(
            t, ",%c_repeats,%c_step_ms,%c_step_ms_low,%c_step_ms_high,%c_fraction_of_floor,%c_sums_share",
            'a' + side, 'a' + side, 'a' + side, 'a' + side, 'a' + side, 'a' + side);
    mg_text_add(t, ",ratio,ratio_low,ratio_high,verdict,note\n");
    for (size_t i = 0; i < c->n; i++) {
        const mg_compare_point *p = &c->point[i];
        mg_text_format(t, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, p->at.np, p->at.tp,
                       p->at.np / p->at.tp, p->at.batch);
        for (int side = 0; side < 2; side++) {
            const mg_sweep_point *s = p->of[side];
            mg_text_format(t, ",%" PRId64, s ? s->n_repeats : 0);
            mg_scaling_csv_number(t, s ? s->step_ms.mid : NAN);
            mg_scaling_csv_number(t, s ? s->step_ms.low : NAN);
            mg_scaling_csv_number(t, s ? s->step_ms.high : NAN);
            mg_scaling_csv_number(t, s ? s->fraction.mid : NAN);
            mg_scaling_csv_number(t, s ? mg_sweep_sums_share(s) : NAN);
        }
        mg_scaling_csv_number(t, p->ratio.mid);
        mg_scaling_csv_number(t, p->ratio.low);
        mg_scaling_csv_number(t, p->ratio.high);
        mg_text_format(t, ",%s", mg_compare_word[p->verdict]);
        mg_scaling_csv_field(t, p->note);
        mg_text_add(t, "\n");
    }
}

static void put_json_side(mg_json_text *t, const char *key, const mg_sweep_point *p)
{
    if (!p) {
        mg_json_text_string(t, key, NULL);
        return;
    }
    mg_json_text_object(t, key);
    mg_json_text_int(t, "repeats", p->n_repeats);
    mg_json_text_number(t, "step_ms", p->step_ms.mid);
    mg_json_text_number(t, "step_ms_low", p->step_ms.low);
    mg_json_text_number(t, "step_ms_high", p->step_ms.high);
    mg_json_text_number(t, "fraction_of_floor", p->fraction.mid);
    mg_json_text_number(t, "sums_share", mg_sweep_sums_share(p));
    mg_json_text_close(t);
}

static void put_json_sweep(mg_json_text *t, const mg_compare *c, int side)
{
    mg_json_text_object(t, side ? "b" : "a");
    mg_json_text_string(t, "folder", c->dir[side]);
    for (int k = 0; k < MG_SWEEP_FACTS; k++) mg_json_text_string(t, mg_compare_fact[k], c->fact[side][k]);
    mg_json_text_close(t);
}

mg_status mg_compare_json(mg_text *out, const mg_compare *c)
{
    mg_json_text t = {.layout = MG_JSON_PYTHON};
    char *text = NULL;

    mg_json_text_object(&t, NULL);
    for (int side = 0; side < 2; side++) put_json_sweep(&t, c, side);
    mg_json_text_array(&t, "differ_in");
    for (int k = 0; k < MG_SWEEP_FACTS; k++)
        if (mg_compare_differs(c, k)) mg_json_text_string(&t, NULL, mg_compare_fact[k]);
    mg_json_text_close(&t);
    mg_json_text_array(&t, "points");
    for (size_t i = 0; i < c->n; i++) {
        const mg_compare_point *p = &c->point[i];
        mg_json_text_object(&t, NULL);
        mg_json_text_int(&t, "np", p->at.np);
        mg_json_text_int(&t, "tp", p->at.tp);
        mg_json_text_int(&t, "batch", p->at.batch);
        put_json_side(&t, "a", p->of[0]);
        put_json_side(&t, "b", p->of[1]);
        mg_json_text_number(&t, "ratio", p->ratio.mid);
        mg_json_text_number(&t, "ratio_low", p->ratio.low);
        mg_json_text_number(&t, "ratio_high", p->ratio.high);
        mg_json_text_string(&t, "verdict", mg_compare_word[p->verdict]);
        mg_json_text_string(&t, "note", p->note[0] ? p->note : NULL);
        mg_json_text_close(&t);
    }
    mg_json_text_close(&t);
    mg_json_text_close(&t);
    MG_RETURN(mg_json_text_end(&t, &text));
    mg_text_add(out, text);
    free(text);
    return MG_OK;
}

/* What was measured, and where the two are not alike. */
static void put_facts(mg_text *t, const mg_compare *c)
{
    mg_text_add(t,
                "<section class=\"card\"><h2>What was measured</h2><table id=\"facts\"><thead><tr><th><th>A"
                "<th>B</tr></thead><tbody>\n<tr><td>folder</td><td>");
    mg_report_escape(t, c->dir[0]);
    mg_text_add(t, "</td><td>");
    mg_report_escape(t, c->dir[1]);
    mg_text_add(t, "</td></tr>\n");
    for (int k = 0; k < MG_SWEEP_FACTS; k++) {
        const bool differs = mg_compare_differs(c, k);
        mg_text_format(t, "<tr><td>%s</td><td%s>", mg_compare_fact[k], differs ? "" : " colspan=\"2\"");
        for (int side = 0; side < (differs ? 2 : 1); side++) {
            if (side) mg_text_add(t, "</td><td>");
            if (differs) mg_text_add(t, "<b>");
            mg_report_escape(t, c->fact[side][k]);
            if (differs) mg_text_add(t, "</b>");
        }
        mg_text_add(t, "</td></tr>\n");
    }
    mg_text_add(t, "</tbody></table>");
    if (mg_compare_differs(c, 0))
        mg_text_add(t,
                    "<p class=\"note\" id=\"models\">Two models are compared, not one on two machines.</p>");
    mg_text_add(t, "</section>\n");
}

mg_status mg_compare_page(mg_text *t, const mg_compare *c, const char *svg, const char *reason)
{
    mg_report_begin(t, "Two sweeps");
    mg_text_add(t, "Two sweeps compared</h1>\n<p class=\"sub\" id=\"say\">");
    mg_compare_say(t, c);
    mg_text_add(t, "</p>\n");
    if (!svg) {
        mg_text_add(t, "<p class=\"sub\" id=\"missing\">The plot is missing: ");
        mg_report_escape(t, reason);
        mg_text_add(t, ".</p>\n");
    }
    put_facts(t, c);
    if (svg) {
        MG_RETURN(mg_report_picture(t, "Time of a step, B over A", svg));
        mg_text_add(t,
                    "<p class=\"note\">Below 1 B is faster. Error bars go from B&#39;s fastest repeat over "
                    "A&#39;s slowest to B&#39;s slowest over A&#39;s fastest.</p></section>\n");
    }
    mg_text_add(
        t, "<section class=\"card\"><h2>All points</h2><div class=\"wide\"><table id=\"points\"><thead><tr>"
           "<th>ranks<th>T<th>replicas<th>batch<th>B / A (spread)<th><th>A: ms a step (spread)<th>of the "
           "floor<th>sums and waiting<th>B: ms a step (spread)<th>of the floor<th>sums and waiting</tr>"
           "</thead><tbody>\n");
    for (size_t i = 0; i < c->n; i++)
        put_row(t, &c->point[i], "<tr><td>", "</td><td>", "</td></tr>\n", mg_report_escape);
    mg_text_format(
        t,
        "</tbody></table></div><p class=\"note\">Medians over the repeats, with the least and the most "
        "of them. compare.csv and compare.json have the same numbers.</p></section>\n"
        "<footer>mg-dist report, version %s</footer></main></body></html>\n",
        MG_VERSION);
    return MG_OK;
}
