/* Does every tensor of a model's files have its place, and every place its tensor? All parts that are there
 * are surveyed as one rank would hold them, so that every rank of any group finds the same. */
#ifndef MG_MODEL_SURVEY_H
#define MG_MODEL_SURVEY_H

#include "mapping_report.h"
#include "model_files.h"

typedef struct mg_model_survey {
    mg_weights_requests requests; /* what the architecture needs */
    mg_mapping_report report;     /* what is wrong with that */
    char *problems;               /* what a stage cannot compute besides, a line each; NULL if nothing */
    int64_t read_bytes;           /* of the files, if one rank loads all of it */
} mg_model_survey;

/* A fault of a tensor is no failure here: the report has it. */
mg_status mg_model_survey_open(mg_model_survey *s, const mg_model_files *files, const mg_ops *ops);
void mg_model_survey_close(mg_model_survey *s);

/* The strict verdict: MG_ECHECKPOINT with the whole table. With `renames` the sure proposals are applied
 * first, added to it, and the rest is judged. */
mg_status mg_model_survey_judge(mg_model_files *files, const mg_ops *ops, mg_mapping_renames *renames);

#endif
