/* What a model's files say that is not done here, or that nobody knows: a line for each (config_keys.h). */
#ifndef MG_MODEL_NOTES_H
#define MG_MODEL_NOTES_H

#include "model_files.h"
#include "text.h"

/* Appended to `notes`, a line each, fit to be shown; nothing for a model whose files say nothing else. */
mg_status mg_model_notes(mg_text *notes, const mg_model_files *files);

/* Each of them as a warning. What cannot be read is refused by whoever needs it. */
void mg_model_notes_say(const mg_model_files *files);

#endif
