/* What the settings say of the dataset and of its clips. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "choice_words.h"
#include "json_text.h"
#include "run.h"

/* A task of an array that is submitted again alone (--array=3, --array=3,7) is numbered as before, but
 * Slurm's count is that of the new array: it would take other jobs than before, or all of them. */
static mg_status check_array(const char *task, const char *first, const char *last, const char *count)
{
    const long long from = first ? strtoll(first, NULL, 10) : 0;

    if (from <= 1 && (!last || strtoll(last, NULL, 10) - from + 1 == strtoll(count, NULL, 10))) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "SLURM_ARRAY_TASK_ID: %s: the numbers of this array do not run from 0 or 1 without a gap, "
                   "so its size is no number of parts: give --shard I/N",
                   task);
}

/* "3/8", or Slurm's array. */
static mg_status read_part(mg_dataset_call *call, const char *part)
{
    const char *task = getenv("SLURM_ARRAY_TASK_ID"), *count = getenv("SLURM_ARRAY_TASK_COUNT");
    const char *first = getenv("SLURM_ARRAY_TASK_MIN");
    char *end = NULL;

    if (!part && task && count) {
        MG_RETURN(check_array(task, first, getenv("SLURM_ARRAY_TASK_MAX"), count));
        call->part = strtoll(task, NULL, 10) - (first ? strtoll(first, NULL, 10) : 0);
        call->n_parts = strtoll(count, NULL, 10);
    } else if (part) {
        call->part = strtoll(part, &end, 10);
        call->n_parts = end > part && *end == '/' ? strtoll(end + 1, &end, 10) : -1;
    }
    if (!part && !(task && count)) return MG_OK;
    if (call->n_parts >= 1 && call->part >= 0 && call->part < call->n_parts && (!end || !*end)) return MG_OK;
    if (part) return mg_fail(MG_EUSAGE, "option --shard: %s: must be I/N with I from 0 to N-1", part);
    return mg_fail(MG_EUSAGE,
                   "SLURM_ARRAY_TASK_ID: %s: is none of the %s of SLURM_ARRAY_TASK_COUNT: give --shard I/N",
                   task, count);
}

mg_status mg_run_describe(mg_dataset_call *call, const mg_run_settings *s)
{
    *call = (mg_dataset_call){
        .out = s->out,
        .jobs = s->jobs,
        .how = s->how,
        .layout = (mg_layout)s->layout,
        .suffix = mg_audio_format_suffix((mg_audio_format)s->call.all.format),
        .name = s->name,
        .shard_clips = s->shard_clips,
        .shard_bytes = s->shard_bytes,
        .seed = s->call.all.seed,
        .n_per_job = s->n_per_job,
        .dur_s = isnan(s->call.all.dur_s) ? 30 : s->call.all.dur_s,
        .resume = (mg_resume)s->resume,
        .jobs_changed = (mg_jobs_changed)s->jobs_changed,
        .retries = s->retries,
    };
    return read_part(call, s->part);
}

/* All that holds for every clip, as one line. */
mg_status mg_run_describe_recipe(char out[MG_PATH_SIZE], const mg_recipe *all)
{
    mg_json_text t = {.layout = MG_JSON_LINE};
    char word[MG_CHOICE_WORD_SIZE], *text;

    mg_json_text_object(&t, NULL);
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        const void *at = mg_recipe_get(all, key);
        if (!key->option || !mg_recipe_says(all, key) || mg_recipe_is_string(key) ||
            (key->flags & MG_KEY_OWN))
            continue;
        switch (key->type) {
        case MG_KEY_NUMBER: mg_json_text_number(&t, key->option, *(const double *)at); break;
        case MG_KEY_INT: mg_json_text_int(&t, key->option, *(const int64_t *)at); break;
        case MG_KEY_BOOL: mg_json_text_bool(&t, key->option, *(const bool *)at); break;
        default:
            mg_choice_word(word, key->choices, *(const int *)at);
            mg_json_text_string(&t, key->option, word);
        }
    }
    MG_RETURN(mg_json_text_end(&t, &text));
    const mg_status st = mg_path_format(out, "%s", text);
    free(text);
    return st;
}

void mg_run_describe_gate(char out[MG_RUN_GATE_SIZE], const mg_run_settings *s)
{
    const mg_quality_limits *l = &s->limits;
    char word[MG_CHOICE_WORD_SIZE];

    mg_choice_word(word, MG_GATE_CHOICES, s->gate);
    if (s->gate == MG_GATE_OFF)
        snprintf(out, MG_RUN_GATE_SIZE, "%s", word);
    else
        snprintf(out, MG_RUN_GATE_SIZE,
                 "%s: silence %g below %g dB, clipping %g, dc %g, dead channel %g dB, repeat %g, loop %g",
                 word, l->silence, l->silence_db, l->clipping, l->dc, l->dead_channel_db, l->repeat, l->loop);
}
