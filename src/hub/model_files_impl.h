/* Between model_files.c, model_files_sound.c and model_files_part.c. */
#ifndef MG_MODEL_FILES_IMPL_H
#define MG_MODEL_FILES_IMPL_H

#include "model_files.h"
#include "xp_config.h"

extern const char mg_model_form_hf[]; /* "Hugging Face" */

/* The checkpoint at `path`, which several parts may share; and as `part`. */
mg_status mg_model_files_open_shared(mg_model_files *m, mg_checkpoint **out, const char *path);
mg_status mg_model_files_open_part(mg_model_files *m, mg_model_part *part, const char *path,
                                   const char *form);

/* The width that a projection reads; 0: there is none. */
int64_t mg_model_width_of(const mg_checkpoint *c, const char *projection);

/* Of a model that follows sound: how many rows of it stand before the columns, and what makes them. */
mg_status mg_model_files_set_sound(mg_model_files *m, const mg_xp_lm *xp, const mg_checkpoint *source,
                                   const char *path);

/* MERT as named, else under its public name, of a style model and as far as `need` says. */
mg_status mg_model_files_open_mert(mg_model_files *m, const char *named, int need);

#endif
