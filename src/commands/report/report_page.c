/* The page, from its head to its foot. It asks nobody for anything: no script, no font, no picture from
 * elsewhere. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"
#include "report_html.h"
#include "version.h"

/* A text of others, kept to itself: it does not turn the direction of what is beside it. */
static void put_text(mg_text *t, const char *text)
{
    mg_text_add(t, "<bdi>");
    mg_report_escape(t, text);
    mg_text_add(t, "</bdi>");
}

/* 1234567 as 1 234 567, with thin spaces. */
static void put_count(mg_text *t, int64_t n)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRId64, n);

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) mg_text_add(t, "&#8239;");
        mg_text_add_bytes(t, digits + i, 1);
    }
}

static void put_span(mg_text *t, double s)
{
    const int64_t whole = (int64_t)(s + 0.5);

    if (s < 120)
        mg_text_format(t, "%.1f <small>s</small>", s);
    else if (s < 7200)
        mg_text_format(t, "%" PRId64 " <small>min</small> %02" PRId64 " <small>s</small>", whole / 60,
                       whole % 60);
    else
        mg_text_format(t, "%.1f <small>h</small>", s / 3600);
}

static void begin_tile(mg_text *t, const char *id, const char *label, double value, bool bad)
{
    mg_text_format(t, "<div class=\"tile%s\"><dt>%s</dt><dd id=\"%s\" data-value=\"%.17g\">",
                   bad ? " bad" : "", label, id, value);
}

static void end_tile(mg_text *t)
{
    mg_text_add(t, "</dd></div>");
}

static void put_tiles(mg_text *t, const mg_report *r)
{
    const mg_run_counts *c = &r->count;
    const int64_t total = c->done + c->failed + c->waiting;
    double first = INFINITY, last = -INFINITY;

    if (r->n_done) first = r->end[0], last = r->end[r->n_done - 1];
    mg_text_add(t, "<dl class=\"tiles\">");
    begin_tile(t, "done", "clips done", (double)c->done, false);
    put_count(t, c->done);
    mg_text_format(t, " <small>of <span id=\"total\" data-value=\"%" PRId64 "\">", total);
    put_count(t, total);
    mg_text_add(t, "</span></small>");
    end_tile(t);
    begin_tile(t, "failed", "failed", (double)c->failed, c->failed > 0);
    put_count(t, c->failed);
    end_tile(t);
    begin_tile(t, "waiting", "waiting", (double)c->waiting, false);
    put_count(t, c->waiting);
    end_tile(t);
    begin_tile(t, "sound", "sound", c->done_s, false);
    put_span(t, c->done_s);
    end_tile(t);
    begin_tile(t, "bytes", "on disk", (double)r->n_bytes, false);
    mg_text_format(t, r->n_bytes < 1000000000 ? "%.1f <small>MB</small>" : "%.2f <small>GB</small>",
                   (double)r->n_bytes / (r->n_bytes < 1000000000 ? 1e6 : 1e9));
    end_tile(t);
    if (last > first) {
        begin_tile(t, "span", "first to last clip", last - first, false);
        put_span(t, last - first);
        end_tile(t);
    }
    mg_text_add(t, "</dl>");
    if (total > 0)
        mg_text_format(
            t, "<div class=\"bar-all\"><i style=\"width:%.3f%%\"></i><i style=\"width:%.3f%%\"></i></div>",
            100.0 * (double)c->done / (double)total, 100.0 * (double)c->failed / (double)total);
}

static void put_head(mg_text *t, const mg_report *r)
{
    const char *name = r->name ? r->name : "dataset";
    const bool whole = r->count.waiting == 0;

    mg_report_begin(t, name);
    put_text(t, name);
    mg_text_format(t, "<span class=\"badge\" id=\"state\">%s</span></h1>\n<p class=\"sub\">",
                   whole ? "complete" : "not complete");
    mg_report_escape(t, r->layout ? r->layout : "");
    mg_text_add(t, " of ");
    mg_report_escape(t, r->format && *r->format ? r->format + 1 : "sound");
    mg_text_add(t, " files, made by mg-dist ");
    mg_report_escape(t, r->version ? r->version : "");
    if (r->dtype) mg_text_add(t, ", "), mg_report_escape(t, r->dtype);
    if (r->level) mg_text_add(t, " on "), mg_report_escape(t, r->level);
    mg_text_add(t, "</p>\n");
}

/* A card with a figure in it is begun; what follows is the figure. */
static void begin_card(mg_text *t, const char *title)
{
    mg_text_format(t, "<section class=\"card\"><h2>%s</h2>", title);
}

static void end_card(mg_text *t, const char *note)
{
    if (note) mg_text_format(t, "<p class=\"note\">%s</p>", note);
    mg_text_add(t, "</section>\n");
}

static mg_status put_loudness(mg_text *t, const mg_report *r)
{
    size_t n_read = 0, n_quiet = 0;
    double *lufs = NULL, highest = 0;
    size_t capacity = 0;
    char note[200], lost[80] = "";

    MG_RETURN(mg_grow(&lufs, &capacity, r->n_clips + 1, sizeof *lufs, "report"));
    for (size_t i = 0; i < r->n_clips; i++) {
        if (!r->clip[i].read) continue;
        lufs[n_read++] = r->clip[i].lufs;
        n_quiet += isnan(r->clip[i].lufs) ? 1u : 0u;
        highest = fmax(highest, r->clip[i].peak);
    }
    begin_card(t, "Loudness");
    mg_report_histogram(t, lufs, n_read, "LUFS", "clips by loudness");
    if (n_read < r->n_clips)
        snprintf(lost, sizeof lost, "; <b>%zu could not be read</b>: mg-dist verify says why",
                 r->n_clips - n_read);
    snprintf(note, sizeof note,
             "of <span id=\"measured\">%zu</span> clips, evenly spread; %zu too short or too quiet to "
             "measure; highest "
             "peak %.1f dB",
             n_read, n_quiet, highest > 0 ? 20 * log10(highest) : -INFINITY);
    mg_text_format(t, "<p class=\"note\">%s%s</p>", n_read ? note : "no clip was measured", lost);
    end_card(t, NULL);
    free(lufs);
    return MG_OK;
}

static void put_reasons(mg_text *t, const char *id, const char *title, const mg_report_reasons *list)
{
    static const size_t MOST = 40;
    int64_t n_more = list->n_others;

    if (list->n == 0) return;
    begin_card(t, title);
    mg_text_format(t,
                   "<table id=\"%s\"><thead><tr><th class=\"n\">clips</th><th>reason</th><th>for "
                   "example</th></tr></thead><tbody>",
                   id);
    for (size_t i = 0; i < list->n && i < MOST; i++) {
        const mg_report_reason *x = &list->item[i];
        mg_text_format(t, "<tr data-count=\"%" PRId64 "\"><td class=\"n\">", x->n);
        put_count(t, x->n);
        mg_text_add(t, "</td><td>");
        put_text(t, x->pattern);
        mg_text_add(t, "</td><td><span class=\"id\">");
        put_text(t, x->id ? x->id : "");
        mg_text_add(t, "</span>");
        if (x->example && strcmp(x->example, x->pattern) != 0) {
            mg_text_add(t, "<br><span class=\"sub\">");
            put_text(t, x->example);
            mg_text_add(t, "</span>");
        }
        mg_text_add(t, "</td></tr>");
    }
    mg_text_add(t, "</tbody></table>");
    for (size_t i = MOST; i < list->n; i++) n_more += list->item[i].n;
    if (n_more > 0) {
        mg_text_format(t, "<p class=\"note\" data-count=\"%" PRId64 "\">and ", n_more);
        put_count(t, n_more);
        mg_text_add(t, " more, for other reasons</p>");
    }
    end_card(t, NULL);
}

/* What it kept, and how many it let through only later. What it refused for good is among the failures. */
static void put_gate(mg_text *t, const mg_report *r)
{
    if (!r->with_gate) return;
    begin_card(t, "Quality gate");
    mg_text_add(t, "<p>");
    mg_text_format(t, "<span id=\"made-again\" data-value=\"%" PRId64 "\">", r->n_made_again);
    put_count(t, r->n_made_again);
    mg_text_add(t, "</span> clips were made again before they passed");
    mg_text_add(t, r->remarks.n ? "; these are kept although it found something.</p>" : ".</p>");
    end_card(t, NULL);
    put_reasons(t, "remarks", "Found, and kept", &r->remarks);
}

static const char *mime_of(const char *file)
{
    static const char *const types[][2] = {{".flac", "audio/flac"},
                                           {".wav", "audio/wav"},
                                           {".mp3", "audio/mpeg"},
                                           {".ogg", "audio/ogg"},
                                           {".opus", "audio/ogg"}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (mg_text_ends_with(file, types[i][0])) return types[i][1];
    return "application/octet-stream";
}

static void put_clip(mg_text *t, const mg_report_clip *c)
{
    mg_text_add(t, "<article class=\"clip\"><p class=\"text\">");
    if (c->prompt && *c->prompt)
        put_text(t, c->prompt);
    else
        mg_text_add(t, "<span class=\"none\">without a text</span>");
    mg_text_add(t, "</p>");
    mg_report_waveform(t, c);
    mg_text_format(t, "<audio controls preload=\"metadata\" src=\"data:%s;base64,", mime_of(c->file));
    mg_report_base64(t, c->bytes, c->n_bytes);
    mg_text_format(t, "\"></audio><p class=\"facts\">%.1f s", c->dur_s);
    if (!isnan(c->lufs)) mg_text_format(t, " · %.1f LUFS", c->lufs);
    mg_text_add(t, "</p><p class=\"id\">");
    put_text(t, c->id ? c->id : "");
    mg_text_format(t, " · seed %" PRId64, c->seed);
    mg_text_add(t, "</p></article>\n");
}

static void put_clips(mg_text *t, const mg_report *r)
{
    bool any = false;

    for (size_t i = 0; i < r->n_clips; i++) {
        if (!r->clip[i].bytes) continue;
        if (!any) mg_text_add(t, "<h2 class=\"head\">To listen to</h2><div class=\"clips\">\n");
        any = true;
        put_clip(t, &r->clip[i]);
    }
    if (any) mg_text_add(t, "</div>\n");
}

static void put_row(mg_text *t, const char *name, const char *value)
{
    if (!value || !*value) return;
    mg_text_format(t, "<tr><td>%s</td><td><code>", name);
    mg_report_escape(t, value);
    mg_text_add(t, "</code></td></tr>");
}

static void put_kind(mg_text *t, const mg_report *r)
{
    begin_card(t, "How it was made");
    mg_text_add(t, "<table><tbody>");
    put_row(t, "seed", r->seed);
    put_row(t, "settings", r->settings);
    put_row(t, "gate", r->gate);
    put_row(t, "model, its fingerprint", r->model);
    put_row(t, "number format", r->dtype);
    put_row(t, "instructions", r->level);
    put_row(t, "version", r->version);
    mg_text_add(t, "</tbody></table>");
    end_card(
        t,
        "manifest.jsonl has all that makes each clip again; mg-dist verify --replay does so and compares.");
}

mg_status mg_report_page(mg_text *t, const mg_report *r)
{
    char now[40];
    const time_t when = time(NULL);
    struct tm tm;

    strftime(now, sizeof now, "%Y-%m-%d %H:%M UTC", gmtime_r(&when, &tm));
    put_head(t, r);
    put_tiles(t, r);
    begin_card(t, "Clips over time");
    mg_report_progress(t, r->end, r->n_done, r->failed_at, r->n_failed);
    end_card(t, r->n_failed ? "times are UTC; in red, those that failed" : "times are UTC");
    mg_text_add(t, "<div class=\"grid2\">");
    begin_card(t, "Length");
    mg_report_histogram(t, r->length, r->n_done, "s", "clips by length");
    end_card(t, "all clips that are done");
    MG_RETURN(put_loudness(t, r));
    mg_text_add(t, "</div>\n");
    put_reasons(t, "failures", "Failures by reason", &r->failures);
    put_gate(t, r);
    put_clips(t, r);
    put_kind(t, r);
    mg_text_format(t, "<footer>mg-dist report, %s, version %s</footer></main></body></html>\n", now,
                   MG_VERSION);
    return mg_text_check(t, "report");
}
