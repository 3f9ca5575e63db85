/* The plots of a sweep. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "path.h"
#include "report_gnuplot.h"
#include "report_scaling.h"

enum { MOST = 64, MOST_NAMED = 12 /* more names would lie upon each other: those of the front alone */ };

const char *const mg_sweep_plot_name[MG_SWEEP_PLOTS] = {"speedup", "front", "parts", "floor", "predicted"};

/* Speed-up over the base, with the spread of both: processors or GPUs relative to the base, low, mid, high.
 * The base over itself has none. */
static void put_curve(mg_text *t, const char *name, const mg_sweep_point **p, size_t n, bool of_rate)
{
    mg_text_format(t, "$%s << EOD\n", name);
    for (size_t i = 0; i < n; i++) {
        const mg_sweep_spread *a = of_rate ? &p[0]->rate : &p[0]->step_ms;
        const mg_sweep_spread *b = of_rate ? &p[i]->rate : &p[i]->step_ms;
        const double width = p[i]->width / p[0]->width;
        if (i == 0)
            mg_text_add(t, "1 1 1 1\n");
        else if (of_rate)
            mg_text_format(t, "%g %.6g %.6g %.6g\n", width, b->mid / a->mid, b->low / a->high,
                           b->high / a->low);
        else
            mg_text_format(t, "%g %.6g %.6g %.6g\n", width, a->mid / b->mid, a->low / b->high,
                           a->high / b->low);
    }
    mg_text_add(t, "EOD\n");
}

static void put_speedup(mg_text *t, const void *arg)
{
    const mg_sweep *s = arg;
    const mg_sweep_point *p[MOST];
    double low = INFINITY, high = 0;

    for (size_t i = 0; i < s->n; i++) {
        low = fmin(low, s->point[i].width);
        high = fmax(high, s->point[i].width);
    }
    put_curve(t, "strong", p, mg_sweep_strong(s, p, MOST), false);
    put_curve(t, "weak", p, mg_sweep_replicas(s, p, MOST), true);
    mg_text_format(
        t,
        "set multiplot layout 1,2\nset xrange [%g:%g]\nset xlabel 'times the processors or GPUs'\nset "
        "logscale xy "
        "2\nset ylabel 'times as fast'\n"
        "plot x lc rgb '#667085' lw 1.5 dt 2 title 'ideal', $strong using 1:2:3:4 with yerrorlines lw 2 pt 7 "
        "lc rgb '#3b5bdb' title 'one replica, T grows', $weak using 1:2:3:4 with yerrorlines lw 2 pt 5 lc "
        "rgb '#c2410c' title 'replicas'\n"
        "unset logscale y\nset yrange [0:*]\nset ylabel 'efficiency'\n"
        "plot 1 lc rgb '#667085' lw 1.5 dt 2 title 'ideal', $strong using 1:($2/$1):($3/$1):($4/$1) with "
        "yerrorlines lw 2 pt 7 lc rgb '#3b5bdb' title 'one replica, T grows', $weak using "
        "1:($2/$1):($3/$1):($4/$1) with yerrorlines lw 2 pt 5 lc rgb '#c2410c' title 'replicas'\n"
        "unset multiplot\n",
        0.9 * fmin(1, low / s->point[0].width), 1.15 * high / low);
}

static int by_rate(const void *a, const void *b)
{
    const mg_sweep_point *p = *(const mg_sweep_point *const *)a, *q = *(const mg_sweep_point *const *)b;

    return (p->rate.mid > q->rate.mid) - (p->rate.mid < q->rate.mid);
}

static void put_front_row(mg_text *t, const mg_sweep_point *p)
{
    mg_text_format(t, "%.6g %.6g %.6g %.6g %.6g %.6g \"%s\"\n", p->rate.mid, p->clip_s.mid, p->rate.low,
                   p->rate.high, p->clip_s.low, p->clip_s.high, p->name);
}

static void put_front(mg_text *t, const void *arg)
{
    const mg_sweep *s = arg;
    const mg_sweep_point *front[MOST];
    double x[2] = {INFINITY, 0}, y[2] = {INFINITY, 0};
    size_t n = 0;

    mg_text_add(t, "$all << EOD\n");
    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_spread *rate = &s->point[i].rate, *clip = &s->point[i].clip_s;
        x[0] = fmin(x[0], rate->low), x[1] = fmax(x[1], rate->high);
        y[0] = fmin(y[0], clip->low), y[1] = fmax(y[1], clip->high);
        put_front_row(t, &s->point[i]);
        if (n < MOST && mg_sweep_on_front(s, &s->point[i])) front[n++] = &s->point[i];
    }
    qsort(front, n, sizeof *front, by_rate);
    mg_text_add(t, "EOD\n$front << EOD\n");
    for (size_t i = 0; i < n; i++) put_front_row(t, front[i]);
    x[0] *= 0.8, x[1] *= 1.6, y[0] *= 0.8, y[1] *= 1.4;
    mg_text_format(t, "EOD\nset xrange [%.6g:%.6g]\nset yrange [%.6g:%.6g]\n", x[0], x[1], y[0], y[1]);
    mg_plot_log_ticks(t, "x", x[0], x[1]);
    mg_plot_log_ticks(t, "y", y[0], y[1]);
    mg_text_format(
        t,
        "set xlabel 'seconds of audio a second, all replicas'\nset ylabel 'seconds to a clip'\nplot $front "
        "using 1:2 with lines lw 2 lc rgb '#c2410c' title 'Pareto front', $all using 1:2:3:4:5:6 with "
        "xyerrorbars pt 7 lc rgb '#3b5bdb' title 'points, with their spread', $%s using 1:2:7 with labels "
        "left "
        "offset 0.8,0.6 font ',10' notitle\n",
        s->n > MOST_NAMED ? "front" : "all");
}

static void put_parts(mg_text *t, const void *arg)
{
    const mg_sweep *s = arg;
    static const char *const color[MG_SCALING_PARTS] = {"3b5bdb", "0ca678", "c2410c",
                                                        "ff9b6a", "9c36b5", "98a2b3"};
    static const char *const title[MG_SCALING_PARTS] = {"products", "attention", "sums over ranks",
                                                        "waiting",  "sampling",  "rest"};

    mg_text_add(t, "$parts << EOD\n");
    for (size_t i = 0; i < s->n; i++) {
        mg_text_format(t, "\"%s\"", s->point[i].name);
        const bool is_told = !isnan(s->point[i].split_ms); /* a device tells what draws add, and no more */
        for (int k = 0; k < MG_SCALING_PARTS; k++)
            mg_text_format(t, " %.6g", is_told ? s->point[i].part_ms[k] : 0.0);
        mg_text_add(t, "\n");
    }
    mg_text_add(t, "EOD\n");
    mg_plot_names(t, s->n);
    mg_text_add(t,
                "set style data histograms\nset style histogram rowstacked\nset style fill solid 1 noborder\n"
                "set boxwidth 0.7\nset ylabel 'ms of a step, mean over ranks'\nset yrange [0:*]\n"
                "unset grid\nset grid y\nplot ");
    for (int k = 0; k < MG_SCALING_PARTS; k++)
        mg_text_format(t, "%s$parts using %d%s lc rgb '#%s' title '%s'", k ? ", " : "", k + 2,
                       k ? "" : ":xtic(1)", color[k], title[k]);
    mg_text_add(t, "\n");
}

static void put_floor(mg_text *t, const void *arg)
{
    const mg_sweep *s = arg;

    mg_text_add(t, "$floor << EOD\n");
    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_spread *f = &s->point[i].fraction;
        mg_text_format(t, "%zu %.6g %.6g %.6g \"%s\"\n", i, f->mid, f->low, f->high, s->point[i].name);
    }
    mg_text_add(t, "EOD\n");
    mg_plot_names(t, s->n);
    mg_text_format(t,
                   "set style fill solid 0.85 noborder\nset boxwidth 0.6\nset yrange [0:*]\nset xrange "
                   "[-0.7:%g]\nset ylabel 'fraction of the memory floor'\nunset grid\nset "
                   "grid y\nplot $floor using 1:2:xtic(5) with boxes lc rgb '#3b5bdb' notitle, $floor using "
                   "1:3:(0):($4-$3) "
                   "with vectors heads size screen 0.005,90 lw 1.5 lc rgb '#1d2433' notitle, 1 lc rgb "
                   "'#c2410c' lw 1.5 dt 2 "
                   "title 'all bytes at the speed of memory'\n",
                   (double)s->n - 0.3);
}

/* A little beside each other, on a logarithmic axis: ratios are what counts. */
static void put_predicted(mg_text *t, const void *arg)
{
    const mg_sweep *s = arg;
    double low = INFINITY, high = 0;

    mg_text_add(t, "$steps << EOD\n");
    for (size_t i = 0; i < s->n; i++) {
        const mg_sweep_point *p = &s->point[i];
        low = fmin(low, isnan(p->predicted_ms) ? p->step_ms.low : fmin(p->step_ms.low, p->predicted_ms));
        high = fmax(high, isnan(p->predicted_ms) ? p->step_ms.high : fmax(p->step_ms.high, p->predicted_ms));
        mg_text_format(t, "%zu %.6g %.6g %.6g ", i, p->step_ms.mid, p->step_ms.low, p->step_ms.high);
        if (isnan(p->predicted_ms))
            mg_text_format(t, "NaN \"%s\"\n", p->name);
        else
            mg_text_format(t, "%.6g \"%s\"\n", p->predicted_ms, p->name);
    }
    mg_text_add(t, "EOD\n");
    mg_plot_names(t, s->n);
    mg_plot_log_ticks(t, "y", low / 1.2, high * 1.2);
    mg_text_format(
        t,
        "set xrange [-0.7:%g]\nset yrange [%.4g:%.4g]\nset ylabel 'ms of a step'\nunset grid\nset grid "
        "y\nplot $steps using 1:2:3:4:xtic(6) with yerrorbars pt 7 lw 2 lc rgb '#3b5bdb' title 'measured, "
        "with its spread', $steps using ($1+0.2):5 with points pt 9 lc rgb '#c2410c' title 'predicted "
        "from other points'\n",
        (double)s->n - 0.3, low / 1.2, high * 1.2);
}

mg_status mg_sweep_check_plots(const char *dir, bool ours)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(folder, "%s/plots", dir));
    for (int i = 0; i < MG_SWEEP_PLOTS; i++)
        MG_RETURN(mg_report_plot_check(folder, mg_sweep_plot_name[i], ours));
    return MG_OK;
}

mg_status mg_sweep_draw(const mg_sweep *s, const char *dir, bool *drawn, char reason[160])
{
    static mg_plot_put *const put[MG_SWEEP_PLOTS] = {put_speedup, put_front, put_parts, put_floor,
                                                     put_predicted};
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(folder, "%s/plots", dir));
    for (int i = 0; i < MG_SWEEP_PLOTS; i++) {
        const size_t n_columns = i >= MG_SWEEP_PARTS ? s->n : 0;
        if (!mg_sweep_has_plot(s, (enum mg_sweep_plot)i)) continue;
        MG_RETURN(mg_report_plot(folder, mg_sweep_plot_name[i], put[i], s, n_columns, drawn, reason));
        if (!*drawn) return MG_OK;
    }
    return MG_OK;
}
