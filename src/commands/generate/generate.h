/* What `mg-dist generate` and `mg-dist replay` share: the settings, and the run. generate_run.c has the
 * stages of a call, cmd_generate.c and cmd_replay.c the two ways to ask for one. */
#ifndef MG_GENERATE_H
#define MG_GENERATE_H

#include "clip_list.h"
#include "machine_options.h"

typedef struct mg_generate_settings {
    mg_call call;
    const char *manifest;
    bool apply_proposed;
    const char *start_index; /* "next" or a number */
    bool two_step_cfg;       /* without effect */
    int do_sample;           /* mg_do_sample */
    int64_t n_slots;
    mg_machine machine;
} mg_generate_settings;

/* What no option said: the defaults of the table, for a command that has none of these options. */
void mg_generate_settings_init(mg_generate_settings *settings);

/* Cut the world into groups: of machine->tp ranks, else of as few as the model fits and the clips occupy.
 * None is over the end of a host or larger than the model's heads allow. Rank 0 says which, and why.
 * MG_MANY_CLIPS: a dataset (layout.h). Collective and agreed. */
mg_status mg_generate_split(mg_world *w, const mg_model_request *model, const mg_machine *machine,
                            int64_t n_clips);

/* All stages: clips, model, plan, work, outcomes. */
mg_status mg_generate_run(mg_context *context, const mg_generate_settings *settings);

#endif
