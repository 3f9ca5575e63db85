/* Help for people and docs/CLI.md, both from the option tables. */
#include <string.h>

#include "cli_impl.h"

enum { HELP_COLUMN = 32, LINE_WIDTH = 100 };

#define COMMON(field) offsetof(mg_cli, field)

const mg_option mg_cli_common[] = {
    {.name = "quiet",
     .letter = 'q',
     .type = MG_OPT_FLAG,
     .offset = COMMON(quiet),
     .group = "Everywhere",
     .help = "say nothing but errors and results",
     .is_own = true,
     .rivals = "verbose"},
    {.name = "verbose",
     .letter = 'v',
     .type = MG_OPT_FLAG,
     .offset = COMMON(verbose),
     .group = "Everywhere",
     .help = "say more",
     .is_own = true,
     .rivals = "quiet"},
    {.name = "log-format",
     .type = MG_OPT_CHOICE,
     .offset = COMMON(log_format),
     .preset = "text",
     .choices = "text|json",
     .group = "Everywhere",
     .help =
         "of what is said on stderr: json is an object a line, with level, time, rank, message and figures",
     .is_own = true},
    {.name = "comm-timeout",
     .type = MG_OPT_FLOAT,
     .offset = COMMON(comm_timeout_s),
     .arg = "SECONDS",
     .low = 1,
     .high = 86400,
     .group = "Everywhere",
     .help = "give a silent rank up after this long (default: 300; the start of MPI has 300 at least)"},
    {.name = "alone",
     .type = MG_OPT_FLAG,
     .offset = COMMON(alone),
     .group = "Everywhere",
     .help = "be one rank by itself, whatever a launcher promised",
     .is_own = true},
    {.name = "help",
     .letter = 'h',
     .type = MG_OPT_FLAG,
     .offset = COMMON(help),
     .group = "Everywhere",
     .help = "print this and exit",
     .is_action = true},
    {.name = "version",
     .type = MG_OPT_FLAG,
     .offset = COMMON(version),
     .group = "Everywhere",
     .help = "print the version and exit",
     .is_action = true},
};
const char mg_cli_exit_codes[] =
    "Exit codes: 0 done · 1 run-time error · 2 usage · 3 finished, some clips failed (listed) · 4 bad\n"
    "checkpoint or config · 5 does not fit, or no such device · 6 a rank was lost, or its GPU · 75 stopped\n"
    "early: the same command goes on · 130 stopped by a signal.";
const int mg_cli_n_common = sizeof mg_cli_common / sizeof *mg_cli_common;

/* "--top-k N", "--dtype auto|fp32", "WHAT" */
static void format_name(char *out, size_t out_bytes, const mg_option *o)
{
    const char *arg = o->arg ? o->arg : o->choices;

    if (o->is_operand)
        snprintf(out, out_bytes, "%s", o->name);
    else
        snprintf(out, out_bytes, "--%s%s%s", o->name, arg ? " " : "", arg ? arg : "");
}

void mg_cli_format_help(char *out, size_t out_bytes, const mg_option *o)
{
    size_t n = (size_t)snprintf(out, out_bytes, "%s", o->help);
    char name[64], next[64];

    if (o->is_operand && o->choices && n < out_bytes)
        n += (size_t)snprintf(out + n, out_bytes - n, ": %s", o->choices);
    if (o->type == MG_OPT_STRINGS && n < out_bytes)
        n += (size_t)snprintf(out + n, out_bytes - n, " (may be repeated)");
    if (o->preset && n < out_bytes)
        n += (size_t)snprintf(out + n, out_bytes - n, " (default: %s)", o->preset);
    for (int i = 1; mg_cli_name_at(name, o, i) && n < out_bytes; i++)
        n += (size_t)snprintf(out + n, out_bytes - n, "%s--%s%s", i == 1 ? " (also " : ", ", name,
                              mg_cli_name_at(next, o, i + 1) ? "" : ")");
    if (o->is_own && n < out_bytes) snprintf(out + n, out_bytes - n, " (each rank's own)");
}

/* `text` broken at spaces, the lines after the first indented to `column`. */
static void print_wrapped(FILE *to, const char *text, int column)
{
    int at = column;

    for (const char *gap = ""; *text; gap = " ") {
        const int n = (int)strcspn(text, " ");
        if (at > column && at + 1 + n > LINE_WIDTH) {
            fprintf(to, "\n%*s", column, "");
            at = column;
            gap = "";
        }
        at += fprintf(to, "%s%.*s", gap, n, text);
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

static void print_options(FILE *to, const mg_option *options, int n_options)
{
    const char *group = "";

    for (int i = 0; i < n_options; i++) {
        const mg_option *o = &options[i];
        char name[128], help[MG_CLI_HELP_SIZE];
        int at;

        if (strcmp(group, o->group) != 0) fprintf(to, "\n%s:\n", o->group);
        group = o->group;
        format_name(name, sizeof name, o);
        mg_cli_format_help(help, sizeof help, o);
        if (o->letter)
            at = fprintf(to, "  -%c, %s", o->letter, name);
        else
            at = fprintf(to, "  %s%s", o->is_operand ? "" : "    ", name);
        if (at + 2 > HELP_COLUMN) {
            fputc('\n', to);
            at = 0;
        }
        fprintf(to, "%*s", HELP_COLUMN - at, "");
        print_wrapped(to, help, HELP_COLUMN);
    }
}

void mg_cli_print_help(FILE *to, const mg_command *commands, int n_commands, const mg_command *command)
{
    if (!command) {
        fprintf(to, "usage: mg-dist COMMAND [options]        (alone, or under mpirun or srun)\n\n"
                    "Generates music with MusicGen, split over any number of ranks.\n\nCommands:\n");
        for (int i = 0; i < n_commands; i++)
            fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].summary);
        fprintf(to, "\n  mg-dist help COMMAND                 options of a command\n"
                    "  mg-dist --version                    version\n"
                    "  mg-dist --help-man | man -l -        the manual page\n"
                    "  mg-dist --completion bash|zsh|fish   completion for a shell\n"
                    "  mg-dist --job-functions              functions of a Slurm job script\n");
        return;
    }
    fprintf(to, "usage: mg-dist %s %s\n\n%s\n", command->name, command->usage, command->summary);
    print_options(to, command->options, command->n_options);
    print_options(to, mg_cli_common, mg_cli_n_common);
    if (command->details) fprintf(to, "\n%s\n", command->details);
    fprintf(
        to,
        "\nAny option may be set in the environment, as MGDIST_NAME; the command line wins. Under mpirun or\n"
        "srun rank 0's values hold on every rank, but for those that are each rank's own.\n");
}

/* A | inside a table cell would end it. */
static void print_cell(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') fputc('\\', to);
        fputc(*text, to);
    }
}

static void print_markdown_table(FILE *to, const mg_option *options, int n_options)
{
    const char *group = "";

    for (int i = 0; i < n_options; i++) {
        const mg_option *o = &options[i];
        char name[128], help[MG_CLI_HELP_SIZE], environment[64] = "";

        if (strcmp(group, o->group) != 0)
            fprintf(to, "\n**%s**\n\n| option | meaning | environment |\n|---|---|---|\n", o->group);
        group = o->group;
        format_name(name, sizeof name, o);
        mg_cli_format_help(help, sizeof help, o);
        if (!o->is_operand && !o->is_action) mg_cli_environment_name(environment, sizeof environment, o);
        fprintf(to, "| `");
        if (o->letter) fprintf(to, "-%c`, `", o->letter);
        print_cell(to, name);
        fprintf(to, "` | ");
        print_cell(to, help);
        fprintf(to, " | %s%s%s |\n", *environment ? "`" : "", environment, *environment ? "`" : "");
    }
}

void mg_cli_print_markdown(FILE *to, const mg_command *commands, int n_commands)
{
    fprintf(
        to,
        "# Command line\n\n"
        "This page is printed by `mg-dist --help-markdown` from the program's own option tables; a test\n"
        "compares the two. Edit the tables (`src/commands/*/cmd_*.c`), not this page.\n\n"
        "A value comes from the command line, else from the environment variable of the last column, else\n"
        "it is the default. A variable is ignored where the command line gives an option that excludes it.\n"
        "Under `mpirun` or `srun` rank 0's values hold on every rank, whatever the others find in their\n"
        "environment, but for those that are each rank's own. All ranks must run the same build and command\n"
        "in the same working folder. Results go to stdout, everything else to stderr.\n\n%s\n",
        mg_cli_exit_codes);
    for (int i = 0; i < n_commands; i++) {
        fprintf(to, "\n## mg-dist %s\n\n%s\n\n```\nmg-dist %s %s\n```\n", commands[i].name,
                commands[i].summary, commands[i].name, commands[i].usage);
        print_markdown_table(to, commands[i].options, commands[i].n_options);
        if (commands[i].details) fprintf(to, "\n```text\n%s\n```\n", commands[i].details);
    }
    fprintf(to, "\n## All commands\n");
    print_markdown_table(to, mg_cli_common, mg_cli_n_common);
}
