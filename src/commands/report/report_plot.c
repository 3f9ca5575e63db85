/* Figures as SVG, drawn by the page's style. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"

enum { LEFT = 46, RIGHT = 24, TOP = 14, BOTTOM = 34, MOST_BINS = 64, MOST_POINTS = 300 };

/* A figure's size, margins included. */
typedef struct frame {
    int width, height;
} frame;

static const frame wide = {1000, 250}, narrow = {470, 210};

static double plot_width(const frame *f)
{
    return f->width - LEFT - RIGHT;
}

static double plot_height(const frame *f)
{
    return f->height - TOP - BOTTOM;
}

double mg_report_nice_step(double range, double n)
{
    const double raw = range / n, power = pow(10, floor(log10(raw)));
    const double part = raw / power;

    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static void begin(mg_text *t, const frame *f, const char *label)
{
    mg_text_format(t, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", f->width,
                   f->height, label);
}

static double y_of(const frame *f, double value, double most)
{
    return TOP + plot_height(f) * (1 - value / most);
}

/* Lines of equal counts, and their numbers. */
static void put_counts(mg_text *t, const frame *f, double most)
{
    const double step = fmax(1, mg_report_nice_step(most, 4));

    for (double v = 0; v <= most * 1.0001; v += step)
        mg_text_format(t,
                       "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                       "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>",
                       LEFT, f->width - RIGHT, y_of(f, v, most), y_of(f, v, most), LEFT - 8,
                       y_of(f, v, most) + 4, v);
}

static void put_tick(mg_text *t, const frame *f, double x, const char *text)
{
    mg_text_format(t, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>", x,
                   f->height - 12, text);
}

/* Where the bins begin, how wide and how many they are. */
typedef struct bins {
    double first, step;
    int n;
    int64_t count[MOST_BINS], most;
} bins;

static bool fill_bins(bins *b, const double *values, size_t n)
{
    double low = INFINITY, high = -INFINITY;

    *b = (bins){0};
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) low = fmin(low, values[i]), high = fmax(high, values[i]);
    if (!isfinite(low)) return false;
    if (high - low < 1e-9 * fmax(1, fabs(high))) low -= 0.5, high += 0.5;
    b->step = mg_report_nice_step(high - low, 20);
    b->first = floor(low / b->step + 1e-9) * b->step;
    b->n = (int)fmin(MOST_BINS, floor((high - b->first) / b->step + 1e-9) + 1);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) continue;
        const int at = (int)((values[i] - b->first) / b->step + 1e-9);
        b->count[at < 0 ? 0 : at < b->n ? at : b->n - 1]++;
    }
    for (int i = 0; i < b->n; i++)
        if (b->count[i] > b->most) b->most = b->count[i];
    return true;
}

void mg_report_histogram(mg_text *t, const double *values, size_t n, const char *unit, const char *label)
{
    const frame *const f = &narrow;
    bins b;
    char text[64];

    if (!fill_bins(&b, values, n)) {
        mg_text_add(t, "<p class=\"none\">nothing to show</p>");
        return;
    }
    begin(t, f, label);
    put_counts(t, f, (double)b.most);
    const double width = plot_width(f) / b.n;
    for (int i = 0; i < b.n; i++) {
        const double y = y_of(f, (double)b.count[i], (double)b.most);
        if (b.count[i] == 0) continue;
        mg_text_format(t,
                       "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                       "rx=\"2\"><title>%lld from "
                       "%.6g to %.6g %s</title></rect>",
                       LEFT + width * i + 1, y, fmax(1, width - 2), TOP + plot_height(f) - y,
                       (long long)b.count[i], b.first + b.step * i, b.first + b.step * (i + 1), unit);
    }
    const int every = (b.n + 7) / 8;
    for (int i = 0; i <= b.n; i += every) {
        snprintf(text, sizeof text, i == 0 ? "%.6g %s" : "%.6g", b.first + b.step * i, unit);
        put_tick(t, f, LEFT + width * i, text);
    }
    mg_text_add(t, "</svg>");
}

/* The path of a list that is in order: how many had come by then. */
static void put_steps(mg_text *t, const frame *f, const char *class, const double *at, size_t n, double first,
                      double last, double most, bool filled)
{
    const size_t stride = n / MOST_POINTS + 1;
    double x = LEFT;

    mg_text_format(t, "<path class=\"%s\" d=\"M%d %.1f", class, LEFT, TOP + plot_height(f));
    for (size_t i = stride - 1; i < n + stride - 1; i += stride) {
        const size_t k = i < n ? i : n - 1;
        x = LEFT + plot_width(f) * (at[k] - first) / (last - first);
        mg_text_format(t, "H%.1fV%.1f", x, y_of(f, (double)(k + 1), most));
    }
    mg_text_format(t, "H%d", f->width - RIGHT);
    if (filled) mg_text_format(t, "V%.1fZ", TOP + plot_height(f));
    mg_text_add(t, "\"/>");
}

static double time_step(double range)
{
    static const double steps[] = {1,    2,    5,    10,    15,    30,    60,    120,    300,    600,    900,
                                   1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (range / steps[i] <= 8) return steps[i];
    return range / 6;
}

static void put_times(mg_text *t, const frame *f, double first, double last)
{
    const double step = time_step(last - first);
    char text[64];
    struct tm tm;

    for (double at = ceil(first / step) * step; at <= last; at += step) {
        const time_t when = (time_t)at;
        if (!gmtime_r(&when, &tm)) continue;
        strftime(text, sizeof text, step >= 86400 ? "%-d %b" : step >= 60 ? "%H:%M" : "%H:%M:%S", &tm);
        put_tick(t, f, LEFT + plot_width(f) * (at - first) / (last - first), text);
    }
}

void mg_report_progress(mg_text *t, const double *done, size_t n_done, const double *failed, size_t n_failed)
{
    const frame *const f = &wide;
    double first = INFINITY, last = -INFINITY;
    const double most = fmax(1, fmax((double)n_done, (double)n_failed));

    if (n_done) first = done[0], last = done[n_done - 1];
    if (n_failed) first = fmin(first, failed[0]), last = fmax(last, failed[n_failed - 1]);
    if (!isfinite(first)) {
        mg_text_add(t, "<p class=\"none\">nothing yet</p>");
        return;
    }
    if (last - first < 1) last = first + 1;
    begin(t, f, "clips over time");
    put_counts(t, f, most);
    put_times(t, f, first, last);
    if (n_done) {
        put_steps(t, f, "area", done, n_done, first, last, most, true);
        put_steps(t, f, "curve", done, n_done, first, last, most, false);
    }
    if (n_failed) put_steps(t, f, "curve bad", failed, n_failed, first, last, most, false);
    mg_text_add(t, "</svg>");
}

void mg_report_waveform(mg_text *t, const mg_report_clip *c)
{
    mg_text_format(t,
                   "<svg class=\"wave\" viewBox=\"0 0 %d 60\" preserveAspectRatio=\"none\" role=\"img\" "
                   "aria-label=\"waveform\"><path d=\"M0 30",
                   MG_REPORT_COLUMNS);
    for (int i = 0; i < MG_REPORT_COLUMNS; i++)
        mg_text_format(t, "L%d %.1f", i, 30 - 29 * fmin(1, fmax(0.012, (double)c->high[i])));
    for (int i = MG_REPORT_COLUMNS - 1; i >= 0; i--)
        mg_text_format(t, "L%d %.1f", i, 30 - 29 * fmax(-1, fmin(-0.012, (double)c->low[i])));
    mg_text_add(t, "Z\"/></svg>");
}
