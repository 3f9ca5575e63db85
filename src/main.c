/* The program: the table of commands, the start and end of MPI, and the only place that turns a status into
 * an exit code. */
#include <math.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "log.h"
#include "stop.h"

static void print_version(void)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int n = 0;

    MPI_Get_library_version(library, &n);
    for (int i = 0; i < n; i++)
        if (library[i] == ',' || library[i] == '\n') library[i] = '\0', n = i;
    printf("mg-dist %s (%s)\n", MG_VERSION, library);
}

/* One message for the whole run: a rank whose last error is empty leaves the word to another. */
static void report(mg_status st)
{
    if (st != MG_OK && *mg_last_error()) mg_log_last_error();
}

static mg_status run(const mg_cli *cli)
{
    const mg_log_level level = cli->quiet ? MG_LOG_QUIET : cli->verbose ? MG_LOG_VERBOSE : MG_LOG_NORMAL;
    mg_world world = {0};
    mg_context context = {.world = &world};
    char seconds[32];
    mg_status st;

    if (!isnan(cli->comm_timeout_s)) {
        snprintf(seconds, sizeof seconds, "%.17g", cli->comm_timeout_s);
        setenv("MGDIST_COMM_TIMEOUT", seconds, 1);
    }
    st = mg_world_begin(&world);
    mg_log_init(level, world.rank, world.host);
    if (st == MG_OK) st = cli->command->run(&context, cli->settings);
    st = mg_world_settle(&world, st);
    report(st);
    mg_world_end(&world, st);
    return st;
}

int main(int argc, char **argv)
{
    const mg_command commands[] = {mg_cmd_generate, mg_cmd_replay, mg_cmd_models, mg_cmd_inspect,
                                   mg_cmd_verify,   mg_cmd_encode, mg_cmd_decode, mg_cmd_convert,
                                   mg_cmd_export,   mg_cmd_bench};
    const int n_commands = sizeof commands / sizeof *commands;
    mg_cli cli = {.action = MG_CLI_RUN};
    mg_status st = MG_OK;

    mg_stop_begin();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit is a failed write, like a full disk */
    MG_TRY(mg_cli_check(commands, n_commands));
    MG_TRY(mg_cli_parse(&cli, commands, n_commands, argc, argv));
    switch (cli.action) {
    case MG_CLI_HELP: mg_cli_print_help(stdout, commands, n_commands, cli.command); break;
    case MG_CLI_HELP_MARKDOWN: mg_cli_print_markdown(stdout, commands, n_commands); break;
    case MG_CLI_VERSION: print_version(); break;
    case MG_CLI_RUN:
        st = run(&cli);
        mg_cli_close(&cli);
        return mg_exit_code(st);
    }
done:
    report(st);
    mg_cli_close(&cli);
    return mg_exit_code(st);
}
