/* The command line: one table per subcommand drives parsing, validation, --help and docs/CLI.md.
 *
 * A subcommand is a cmd_*.c: a plain struct of its settings, a table of mg_option that says where each value
 * goes, and a mg_command, listed by main.c. Parsing needs no MPI, so `--help` and a wrong option answer
 * at once. A value comes from the command line, else from the environment (MGDIST_CFG_COEF for --cfg-coef),
 * else from the table's default. Every rank parses for itself; then mg_cli_share gives all of them rank 0's
 * values, for launchers do not forward the environment to other hosts. */
#ifndef MG_CLI_H
#define MG_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "status.h"
#include "string_list.h"
#include "world.h"

/* What an option writes at its offset; and what is there when neither given nor defaulted. */
typedef enum mg_option_type {
    MG_OPT_FLAG,    /* bool; false */
    MG_OPT_INT,     /* int64_t; -1 (so `low` is at least 0) */
    MG_OPT_FLOAT,   /* double; NaN */
    MG_OPT_SIZE,    /* int64_t, bytes: 500M, 1.5GB, 8Gi; -1 */
    MG_OPT_STRING,  /* const char *; NULL */
    MG_OPT_STRINGS, /* mg_strings, borrowed from argv or the environment; may be repeated */
    MG_OPT_CHOICE,  /* int: the place of the word in `choices`; -1 */
} mg_option_type;

/* Options that a command has not, and what to give instead of each. */
typedef struct mg_foreign_word {
    const char *names;   /* "num-beams|early-stopping"; _ may be typed for any - */
    const char *instead; /* the end of a sentence: "give --out DIR" */
} mg_foreign_word;

typedef struct mg_option {
    const char *name;  /* without dashes: "cfg-coef"; of an operand, what help calls it: "WHAT" */
    const char *alias; /* other names, "guidance-scale|cfg"; or NULL. _ may be typed for any - */
    char letter;       /* 'o' for -o, or 0 */
    mg_option_type type;
    bool is_operand;     /* not an option but a word of its own: `bench WHAT`; MG_OPT_STRINGS takes all words
                            that are left, so it stands last */
    bool is_optional;    /* an operand that may be left out; all others are required */
    size_t offset;       /* offsetof(struct settings, field) */
    const char *arg;     /* "N", "SECONDS"; NULL for a flag and for a choice (help shows its words) */
    const char *preset;  /* the default, written as a user would; NULL: none */
    double low, high;    /* accepted range of an int or a float, both inclusive; INFINITY is a bound too; of
                            a size the least bytes, and the largest number without a unit */
    bool in_mb;          /* of a size: a number without a unit counts MB; else bytes, as many as there are */
    const char *choices; /* "auto|fp32|bf16": of a choice */
    const char *same;    /* of a choice: others' words for some of them, "float32=fp32|half=fp16"; or NULL */
    const char *group;   /* heading in the help; options of one group stand together in the table */
    const char *help;    /* never NULL; no full stop at the end */
    bool is_action;      /* --help and --version: of the command line only, not of the environment */
    bool is_once;        /* a second one on the command line is refused, for both would be meant */
    bool is_own;         /* each rank's own; of all other options rank 0's values hold on every rank */
    const char *rivals;  /* "frames|window": where the command line gives one of these, this option's
                            environment variable is ignored; or NULL */
    const char *also;    /* a second environment variable, read if the first is not set; or NULL */
} mg_option;

/* What run() gets beside its settings. */
typedef struct mg_context {
    mg_world *world;       /* begun, not yet split */
    double comm_timeout_s; /* NaN if not given */
    const struct mg_cli *cli;
    bool resumable; /* run() sets it: a stop leaves the work in good order, and the same command goes on */
} mg_context;

typedef struct mg_command {
    const char *name;
    const char
        *meant_by; /* what people type for it, "info|show": such a word is answered with the name; or NULL */
    const char *summary; /* one line */
    const char *usage;   /* after "mg-dist NAME": "--model DIR --prompt TEXT [options]" */
    const char *details; /* paragraphs after the options, or NULL */
    const mg_option *options;
    int n_options;
    const mg_foreign_word *foreign[2]; /* lists, whose last word is zeros; or NULL */
    size_t settings_bytes;             /* sizeof of the struct that the offsets are of; zeroed first */

    /* Rules between options, before MPI starts: MG_EUSAGE. May be NULL. */
    mg_status (*check)(const void *settings);

    bool is_single; /* rank 0 does all the work: no ranks are missed where a launcher promised several */

    /* The work, on every rank. What can fail on one rank alone ends in mg_comm_agree inside: main.c does not
     * agree again. A rank that fails and has no message ("") leaves the word to the one that has. */
    mg_status (*run)(mg_context *context, const void *settings);
} mg_command;

/* Check all tables (a fault in ours is MG_EBUG): names unique and well made, help there, presets valid. */
mg_status mg_cli_check(const mg_command *commands, int n_commands);

/* What the command line asks for. */
typedef enum mg_cli_action {
    MG_CLI_RUN,
    MG_CLI_HELP,
    MG_CLI_VERSION,
    MG_CLI_HELP_MARKDOWN,
    MG_CLI_HELP_MAN,
    MG_CLI_COMPLETION,
    MG_CLI_JOB_FUNCTIONS,
} mg_cli_action;

/* Where a value was found. */
typedef enum mg_cli_origin { MG_CLI_PRESET, MG_CLI_ENVIRONMENT, MG_CLI_LINE } mg_cli_origin;

typedef struct mg_cli_word {
    const mg_option *option;
    bool is_common; /* of the options that every command has */
    mg_cli_origin origin;
    const char *text; /* borrowed from argv, the environment, the table or `shared` */
} mg_cli_word;

enum mg_cli_log_format { MG_CLI_LOG_TEXT, MG_CLI_LOG_JSON };

typedef struct mg_cli {
    mg_cli_action action;
    const mg_command *command; /* NULL: help of the whole program */
    const char *shell;         /* of MG_CLI_COMPLETION */
    void *settings;            /* of the command; owned */
    bool quiet, verbose, help, version, alone;
    int log_format;        /* mg_cli_log_format */
    double comm_timeout_s; /* NaN if not given */
    mg_cli_word *words;    /* [n_words] all values in the order in which they are set; owned */
    int n_words;
    bool is_read;      /* `words` are complete; a value among them may still be wrong */
    char *shared;      /* rank 0's words; owned */
    mg_strings *lists; /* arrays behind MG_OPT_STRINGS; owned */
    int n_lists;
} mg_cli;

/* Parse argv (with argv[0]). MG_EUSAGE names option, value and the accepted set, or the nearest name. */
mg_status mg_cli_parse(mg_cli *cli, const mg_command *commands, int n_commands, int argc, char **argv);
void mg_cli_close(mg_cli *cli);

/* The door of every command: all ranks must run the same build and command in the same working folder. They
 * get rank 0's values of all options but those that are `is_own`. `parsed` is what mg_cli_parse returned
 * here; a wrong value on another rank is no fault if rank 0's holds. MG_EUSAGE names a difference. Collective
 * and agreed. */
mg_status mg_cli_share(mg_cli *cli, const mg_world *world, mg_status parsed);

/* `message` with "option --NAME" replaced by "environment MGDIST_NAME" where the value came from there. */
void mg_cli_name_origins(const mg_cli *cli, char *out, size_t out_bytes, const char *message);

/* Of the `options`, "dtype|kv", those become their defaults that no command line said: the variable is meant
 * for other commands. `settings`: a copy of the command's. The same on every rank, after mg_cli_share. */
void mg_cli_forget_environment(const mg_cli *cli, void *settings, const char *options);

/* MG_EUSAGE if the command line itself gave any of the `options`, "jobs|out": they would do nothing. It names
 * them, and `why` ends the sentence: "without --sbatch; give it, or leave them out". A variable is meant for
 * other commands, and may stand. The same on every rank, after mg_cli_share. */
mg_status mg_cli_refuse_idle(const mg_cli *cli, const char *options, const char *why);

/* A command's settings as they are when nothing is given, the environment neither. */
void mg_cli_preset(const mg_command *command, void *settings);

/* The help of one command, or of the program if `command` is NULL. */
void mg_cli_print_help(FILE *to, const mg_command *commands, int n_commands, const mg_command *command);

/* docs/CLI.md. */
void mg_cli_print_markdown(FILE *to, const mg_command *commands, int n_commands);

/* The manual page in roff, and completion for a shell: "bash", "zsh" or "fish", else MG_EUSAGE. */
void mg_cli_print_man(FILE *to, const mg_command *commands, int n_commands, const char *version);
mg_status mg_cli_print_completion(FILE *to, const mg_command *commands, int n_commands, const char *shell);

#endif
