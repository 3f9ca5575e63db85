/* Compares the tensors of a model's files with those that its architecture needs. Every part that is present
 * is surveyed as a single rank would hold it, so that every rank of any group finds the same. */
#ifndef MG_MODEL_SURVEY_H
#define MG_MODEL_SURVEY_H

#include "mapping_report.h"
#include "model_files.h"

/* The strict check: MG_ECHECKPOINT with the whole table if anything is missing or unexpected. With `renames`
 * the sure proposals are applied first and added to it. */
mg_status mg_model_survey_judge(mg_model_files *files, const mg_ops *ops, mg_mapping_renames *renames);

#endif
