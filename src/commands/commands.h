/* The commands, each from its cmd_*.c; main.c has them in the order of the help. */
#ifndef MG_COMMANDS_H
#define MG_COMMANDS_H

#include "cli.h"

extern const mg_command mg_cmd_generate;
extern const mg_command mg_cmd_run;
extern const mg_command mg_cmd_status;
extern const mg_command mg_cmd_retry_failed;
extern const mg_command mg_cmd_merge;
extern const mg_command mg_cmd_report;
extern const mg_command mg_cmd_replay;
extern const mg_command mg_cmd_bench;
extern const mg_command mg_cmd_bench_scaling;
extern const mg_command mg_cmd_plan;
extern const mg_command mg_cmd_encode;
extern const mg_command mg_cmd_decode;
extern const mg_command mg_cmd_export;
extern const mg_command mg_cmd_models;
extern const mg_command mg_cmd_doctor;
extern const mg_command mg_cmd_inspect;
extern const mg_command mg_cmd_verify;
extern const mg_command mg_cmd_convert;

#endif
