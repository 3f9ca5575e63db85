#include "report_gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "out_file.h"
#include "path.h"

static const char style[] = "set border 3 lc rgb '#667085'\nset tics nomirror\nset "
                            "grid lc rgb '#e6e3da' lt 1\nset key top left "
                            "samplen 2\n";

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

static void put_script(mg_text *t, const char *name, mg_plot_put *put, const void *arg)
{
    mg_text_format(
        t, "set terminal svg size 900,420 background rgb 'white' font 'sans,13'\nset output '%s.svg'\n",
        name);
    mg_text_add(t, style);
    put(t, arg);
    mg_text_format(t, "reset\nset terminal pdfcairo size 18cm,8.4cm font 'sans,10'\nset output '%s.pdf'\n",
                   name);
    mg_text_add(t, style);
    put(t, arg);
}

mg_status mg_report_plot(const char *folder, const char *name, mg_plot_put *put, const void *arg, bool *drawn,
                         char reason[160])
{
    char path[MG_PATH_SIZE], script[64];
    mg_text t = {0};
    mg_status st = MG_OK;

    *drawn = false;
    MG_TRY(mg_out_dir_open(folder));
    put_script(&t, name, put, arg);
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
