/* What the parser (cli.c) and the help (cli_help.c) share. */
#ifndef MG_CLI_IMPL_H
#define MG_CLI_IMPL_H

#include "cli.h"

/* The options that every command has; their offsets are of mg_cli. */
extern const mg_option mg_cli_common[];
extern const int mg_cli_n_common;

/* MGDIST_CFG_COEF for cfg-coef. */
void mg_cli_environment_name(char *out, size_t out_bytes, const mg_option *option);

/* What help says of an option beside its name. */
enum { MG_CLI_HELP_SIZE = 600 };
void mg_cli_format_help(char *out, size_t out_bytes, const mg_option *o);

/* One line for each exit code. */
extern const char mg_cli_exit_codes[];

/* The i-th word of an option's names, its own first, into `out`; false if there is none. */
bool mg_cli_name_at(char out[64], const mg_option *o, int i);

/* "option --seed", "environment MGDIST_SEED", "WHAT": where a value stands, for messages. */
enum { MG_CLI_SOURCE_SIZE = 96 };
void mg_cli_source(char out[MG_CLI_SOURCE_SIZE], const mg_cli_word *word);

/* Convert `text` into `settings`; `from` is its source. Of MG_OPT_STRINGS it is appended to the list, whose
 * array `cli` owns and which is sized once for all of its words. */
mg_status mg_cli_set_value(mg_cli *cli, void *settings, const mg_option *o, const char *from,
                           const char *text);

/* What stands there when no value is given. */
void mg_cli_set_absent(void *settings, const mg_option *o);

/* All words into the settings, then the command's own check. What was set before is forgotten. */
mg_status mg_cli_apply(mg_cli *cli);

#endif
