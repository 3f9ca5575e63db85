/* The program: the table of commands, the start and end of MPI, and the only place that turns a status into
 * an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "job_functions.h" /* launch/slurm/job.sh: cmake/job_functions.cmake */
#include "log.h"
#include "stop.h"
#include "version.h"
#include "write_out.h"

static void print_version(void)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int n = 0;

    MPI_Get_library_version(library, &n);
    for (int i = 0; i < n; i++)
        if (library[i] == ',' || library[i] == '\n') library[i] = '\0', n = i;
    printf("mg-dist %s (%s)\n", mg_version(), library);
}

/* One message for the whole run: a rank whose last error is empty prints nothing, another one does. */
static void report(const mg_cli *cli, mg_status st)
{
    char message[4096];

    if (st == MG_OK || !*mg_last_error()) return;
    if (strlen(mg_last_error()) < sizeof message / 2) {
        mg_cli_name_origins(cli, message, sizeof message, mg_last_error());
        mg_fail_text(st, message);
    }
    mg_log_last_error();
}

static mg_log_level level_of(const mg_cli *cli)
{
    return cli->quiet ? MG_LOG_QUIET : cli->verbose ? MG_LOG_VERBOSE : MG_LOG_NORMAL;
}

/* Also where another option's mistake kept its value from being set. */
static bool wants_json(const mg_cli *cli)
{
    bool json = cli->log_format == MG_CLI_LOG_JSON;

    for (int i = 0; i < cli->n_words; i++)
        if (strcmp(cli->words[i].option->name, "log-format") == 0)
            json = strcmp(cli->words[i].text, "json") == 0;
    return json;
}

/* A file that is opened where standard input, output or error is closed would get its number, and what is
 * said there would go into it. In their place stands what can be neither read nor written, but for stderr:
 * it has nobody to complain to. */
static void hold_standard_places(void)
{
    static const int as[] = {O_WRONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", as[fd]); /* the lowest: fd */
}

/* A stop of work that the same command goes on with. One rank alone has the message. */
static mg_status finish_later(void)
{
    if (!*mg_last_error()) return MG_EUNFINISHED;
    if (!mg_stop_requested())
        return mg_fail(
            MG_EUNFINISHED,
            "stopped, for another rank was asked to: what is done is kept, and the same command goes on");
    return mg_fail(MG_EUNFINISHED, "stopped by %s: what is done is kept, and the same command goes on",
                   mg_stop_name());
}

/* A mistake on the command line is found before MPI begins, and said after it: once. */
static mg_status run(mg_cli *cli, mg_status parsed)
{
    mg_world world = {0};
    mg_context context = {.world = &world, .cli = cli};
    char mistake[4096];
    mg_status st;

    snprintf(mistake, sizeof mistake, "%s", mg_last_error());
    st = mg_world_begin(&world, cli->comm_timeout_s, cli->alone);
    mg_log_init(level_of(cli), world.rank, world.host);
    mg_log_set_json(wants_json(cli));
    if (st == MG_OK && parsed != MG_OK) mg_fail_text(parsed, mistake);
    if (st == MG_OK) st = mg_cli_share(cli, &world, parsed);
    if (st == MG_OK) mg_world_set_timeout(&world, cli->comm_timeout_s);
    context.comm_timeout_s = cli->comm_timeout_s;
    if (st == MG_OK && !cli->command->is_single && !cli->alone) st = mg_world_check_tasks(&world);
    if (st == MG_OK) st = cli->command->run(&context, cli->settings);
    if (st == MG_OK) st = mg_write_out_end();
    st = mg_world_settle(&world, st);
    if (st == MG_ESTOPPED && context.resumable) st = finish_later();
    report(cli, st);
    mg_world_end(&world, st);
    return st;
}

int main(int argc, char **argv)
{
    const mg_command commands[] = {
        mg_cmd_generate, mg_cmd_run,    mg_cmd_status,  mg_cmd_retry_failed,  mg_cmd_merge,  mg_cmd_report,
        mg_cmd_replay,   mg_cmd_models, mg_cmd_inspect, mg_cmd_verify,        mg_cmd_encode, mg_cmd_decode,
        mg_cmd_convert,  mg_cmd_export, mg_cmd_bench,   mg_cmd_bench_scaling, mg_cmd_plan,   mg_cmd_doctor};
    const int n_commands = sizeof commands / sizeof *commands;
    mg_cli cli = {.action = MG_CLI_RUN};
    mg_status st = MG_OK;

    hold_standard_places();
    mg_stop_begin();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit is a failed write, like a full disk */
    MG_TRY(mg_cli_check(commands, n_commands));
    st = mg_cli_parse(&cli, commands, n_commands, argc, argv);
    if (cli.action == MG_CLI_RUN) {
        st = run(&cli, st);
        goto done;
    }
    MG_TRY(st);
    if (mg_world_launched_rank() > 0) goto done; /* rank 0 says it for all */
    switch (cli.action) {
    case MG_CLI_HELP: mg_cli_print_help(stdout, commands, n_commands, cli.command); break;
    case MG_CLI_HELP_MARKDOWN: mg_cli_print_markdown(stdout, commands, n_commands); break;
    case MG_CLI_VERSION: print_version(); break;
    case MG_CLI_HELP_MAN: mg_cli_print_man(stdout, commands, n_commands, mg_version()); break;
    case MG_CLI_COMPLETION: MG_TRY(mg_cli_print_completion(stdout, commands, n_commands, cli.shell)); break;
    case MG_CLI_JOB_FUNCTIONS: fputs(job_functions, stdout); break;
    case MG_CLI_RUN: break;
    }
    st = mg_write_out_end();
done:
    if (st != MG_OK && cli.action != MG_CLI_RUN) report(&cli, st);
    mg_cli_close(&cli);
    return mg_exit_code(st);
}
