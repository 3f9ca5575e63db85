/* Compares the tensors of a model's files with those that its architecture needs. Every part that is present
 * is surveyed as a single rank would hold it, so that every rank of any group finds the same. */
#ifndef MG_MODEL_SURVEY_H
#define MG_MODEL_SURVEY_H

#include "mapping_report.h"
#include "model_files.h"

typedef struct mg_model_survey {
    mg_weights_requests requests; /* what the architecture needs */
    mg_mapping_report report;     /* missing, unexpected and misshapen tensors */
    char *problems;               /* what a stage cannot compute, a line each; NULL if nothing */
    int64_t read_bytes;           /* of the files, if one rank loads all of it */
} mg_model_survey;

/* A tensor's fault goes into the report and is no failure of this call. */
mg_status mg_model_survey_open(mg_model_survey *s, const mg_model_files *files, const mg_ops *ops);
void mg_model_survey_close(mg_model_survey *s);

/* The strict check: MG_ECHECKPOINT with the whole table if anything is missing or unexpected. With `renames`
 * the sure proposals are applied first and added to it. */
mg_status mg_model_survey_judge(mg_model_files *files, const mg_ops *ops, mg_mapping_renames *renames);

#endif
