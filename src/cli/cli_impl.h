/* What the parser (cli.c) and the help (cli_help.c) share. */
#ifndef MG_CLI_IMPL_H
#define MG_CLI_IMPL_H

#include "cli.h"

/* The options that every command has. */
typedef struct mg_cli_common_settings {
    bool quiet, verbose, help, version;
    double comm_timeout_s;
} mg_cli_common_settings;

extern const mg_option mg_cli_common[];
extern const int mg_cli_n_common;

/* MGDIST_CFG_COEF for cfg-coef. */
void mg_cli_environment_name(char *out, size_t out_bytes, const mg_option *option);

#endif
