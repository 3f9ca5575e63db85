/* The files of a model's parts: each is opened once. */
#include <string.h>

#include "lora.h"
#include "model_files_impl.h"

const char mg_model_form_hf[] = "Hugging Face";

mg_status mg_model_files_open_shared(mg_model_files *m, mg_checkpoint **out, const char *path)
{
    for (int i = 0; i < m->n_opened; i++) {
        if (strcmp(m->opened_path[i], path) != 0) continue;
        *out = m->opened[i];
        return MG_OK;
    }
    MG_REQUIRE(m->n_opened < MG_MODEL_MAX_FILES);
    MG_RETURN(mg_lora_refuse(path));
    MG_RETURN(mg_path_format(m->opened_path[m->n_opened], "%s", path));
    MG_RETURN(mg_checkpoint_open(&m->opened[m->n_opened], path));
    *out = m->opened[m->n_opened++];
    return mg_lora_check_merged(*out, path);
}

mg_status mg_model_files_open_part(mg_model_files *m, mg_model_part *part, const char *path, const char *form)
{
    MG_RETURN(mg_path_format(part->path, "%s", path));
    part->form = form;
    part->prefix = "";
    return mg_model_files_open_shared(m, &part->checkpoint, path);
}

int64_t mg_model_width_of(const mg_checkpoint *c, const char *projection)
{
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, projection);

    return e && e->tensor.n_dims == 2 ? e->tensor.dim[1] : 0;
}
