#include "report_gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "out_file.h"
#include "path.h"
#include "report.h"

enum { COLUMNS_ASLANT = 14, COLUMNS_OF_WIDTH = 44, ENOUGH_TICKS = 3 };

static const char style[] =
    "set border 3 lc rgb '#667085'\nset tics nomirror\nset grid lc rgb '#e6e3da' lt 1\n"
    "set key above reverse Left samplen 2\n";

void mg_plot_names(mg_text *t, size_t n)
{
    if (n <= COLUMNS_ASLANT)
        mg_text_add(t, "set xtics rotate by -35\n");
    else
        mg_text_add(t, "set xtics rotate by 90 right font ',10'\n");
}

static void add_tick(mg_text *t, double at)
{
    mg_text_format(t, "%s%.6g", t->n ? ", " : "", at);
}

/* 1, 2 and 5 times powers of ten, or 1 to 9 times. How many. */
static int add_round_ticks(mg_text *t, double low, double high, bool few)
{
    const int first = (int)floor(log10(low)), last = (int)ceil(log10(high));
    int n = 0;

    for (int power = first; power <= last; power++)
        for (int step = 1; step <= 9; step++) {
            const double at = step * pow(10, power);
            if (at < low || at > high || (few && step != 1 && step != 2 && step != 5)) continue;
            add_tick(t, at);
            n++;
        }
    return n;
}

/* Of a range within which hardly any of those lies. */
static void add_even_ticks(mg_text *t, double low, double high)
{
    const double step = mg_report_nice_step(high - low, 5);

    for (double i = ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i++) add_tick(t, i * step);
}

void mg_plot_log_ticks(mg_text *t, const char *axis, double low, double high)
{
    mg_text ticks = {0};

    if (add_round_ticks(&ticks, low, high, true) < ENOUGH_TICKS) {
        mg_text_reset(&ticks);
        if (add_round_ticks(&ticks, low, high, false) < ENOUGH_TICKS) {
            mg_text_reset(&ticks);
            add_even_ticks(&ticks, low, high);
        }
    }
    mg_text_format(t, "set logscale %s\nset %stics (%s)\n", axis, axis, ticks.data ? ticks.data : "");
    mg_text_reset(&ticks);
}

/* gnuplot SCRIPT in `folder`. 0: drawn; 127: there is no gnuplot; else its exit code. */
static int run_gnuplot(const char *folder, const char *script)
{
    char *const words[] = {(char *)"gnuplot", (char *)script, NULL};
    int status;
    const pid_t child = fork();

    if (child == 0) {
        const int null = open("/dev/null", O_RDWR);
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir(folder))
            _exit(126);
        (void)execvp(words[0], words);
        _exit(127);
    }
    if (child < 0) return 126;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

static void put_script(mg_text *t, const char *name, mg_plot_put *put, const void *arg, size_t n_columns)
{
    const double wide = n_columns > COLUMNS_OF_WIDTH ? (double)n_columns / COLUMNS_OF_WIDTH : 1;

    mg_text_format(
        t, "set terminal svg size %.0f,420 background rgb 'white' font 'sans,13'\nset output '%s.svg'\n",
        900 * wide, name);
    mg_text_add(t, style);
    put(t, arg);
    mg_text_format(t, "reset\nset terminal pdfcairo size %.1fcm,8.4cm font 'sans,10'\nset output '%s.pdf'\n",
                   18 * wide, name);
    mg_text_add(t, style);
    mg_text_add(t, "set pointsize 0.6\n"); /* its points are larger */
    put(t, arg);
}

mg_status mg_report_plot_check(const char *folder, const char *name, bool ours)
{
    static const char *const suffix[] = {"gp", "svg", "pdf"};
    char path[MG_PATH_SIZE];

    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        MG_RETURN(mg_path_format(path, "%s/%s.%s", folder, name, suffix[i]));
        MG_RETURN(mg_out_check_free(path, ours, MG_REPORT_AWAY));
    }
    return MG_OK;
}

mg_status mg_report_plot(const char *folder, const char *name, mg_plot_put *put, const void *arg,
                         size_t n_columns, bool *drawn, char reason[160])
{
    char path[MG_PATH_SIZE], script[64];
    mg_text t = {0};
    mg_status st = MG_OK;

    *drawn = false;
    MG_TRY(mg_out_dir_open(folder));
    put_script(&t, name, put, arg, n_columns);
    MG_TRY(mg_text_check(&t, "plot"));
    (void)snprintf(script, sizeof script, "%s.gp", name);
    MG_TRY(mg_path_format(path, "%s/%s", folder, script));
    MG_TRY(mg_out_file_put(path, t.data, t.n));
    const int code = run_gnuplot(folder, script);
    *drawn = code == 0;
    if (code != 0)
        (void)snprintf(reason, 160, "%s",
                       code == 127
                           ? "gnuplot is not installed (Debian: gnuplot-nox); its scripts are in plots/"
                           : "gnuplot failed on a script in plots/");
done:
    mg_text_reset(&t);
    return st;
}
