/* The manual page, from the option tables: mg-dist --help-man | man -l - */
#include <string.h>

#include "cli_impl.h"

/* Text with roff's own characters escaped: a line must not begin with . or ', and - is a hyphen elsewhere. */
static void print_text(FILE *to, const char *text)
{
    for (bool at_start = true; *text; text++) {
        if (at_start && (*text == '.' || *text == '\'' || *text == ' ')) fputs("\\&", to);
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
        at_start = *text == '\n';
    }
}

static void print_option(FILE *to, const mg_option *o)
{
    const char *arg = o->arg ? o->arg : o->is_operand ? NULL : o->choices;
    char help[MG_CLI_HELP_SIZE], name[64];

    fputs(".TP\n", to);
    if (o->letter) fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB", to);
    if (!o->is_operand) fputs("\\-\\-", to);
    print_text(to, o->name);
    fputs("\\fR", to);
    if (arg) {
        fputs(" \\fI", to);
        print_text(to, arg);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    mg_cli_format_help(help, sizeof help, o);
    print_text(to, help);
    if (!o->is_operand && !o->is_action) {
        mg_cli_environment_name(name, sizeof name, o);
        fprintf(to, " [%s]", name);
    }
    fputc('\n', to);
}

static void print_options(FILE *to, const mg_option *options, int n_options)
{
    const char *group = "";

    for (int i = 0; i < n_options; i++) {
        if (strcmp(group, options[i].group) != 0) {
            fputs(".PP\n\\fI", to);
            print_text(to, options[i].group);
            fputs("\\fR\n", to);
        }
        group = options[i].group;
        print_option(to, &options[i]);
    }
}

static void print_command(FILE *to, const mg_command *c)
{
    fputs(".SS \"mg\\-dist ", to);
    print_text(to, c->name);
    fputs("\"\n", to);
    print_text(to, c->summary);
    fputs(".\n.PP\n.B mg\\-dist ", to);
    print_text(to, c->name);
    fputc(' ', to);
    print_text(to, c->usage);
    fputc('\n', to);
    print_options(to, c->options, c->n_options);
    if (!c->details) return;
    fputs(".PP\n.nf\n", to);
    print_text(to, c->details);
    fputs("\n.fi\n", to);
}

void mg_cli_print_man(FILE *to, const mg_command *commands, int n_commands, const char *version)
{
    fprintf(
        to,
        ".TH MG\\-DIST 1 \"\" \"mg\\-dist %s\" \"User Commands\"\n"
        ".SH NAME\nmg\\-dist \\- make music with MusicGen on any number of ranks\n"
        ".SH SYNOPSIS\n.B mg\\-dist\n.I COMMAND\n[options]\n.PP\n"
        ".B mpirun \\-np\n.I N\n.B mg\\-dist\n.I COMMAND\n[options]\n"
        ".SH DESCRIPTION\n"
        "A value comes from the command line, else from the environment variable in brackets, else it is\n"
        "the default. Under mpirun or srun rank 0's values hold on every rank, but for those that are each\n"
        "rank's own. Results go to stdout, everything else to stderr.\n"
        ".SH COMMANDS\n",
        version);
    for (int i = 0; i < n_commands; i++) print_command(to, &commands[i]);
    fputs(".SS \"All commands\"\n", to);
    print_options(to, mg_cli_common, mg_cli_n_common);
    fputs(".SH EXIT STATUS\n", to);
    print_text(to, mg_cli_exit_codes);
    fputc('\n', to);
}
