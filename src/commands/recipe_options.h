/* A recipe's keys (recipe_keys.h) as rows of a command's option table. AT(field) is the command's: offsetof
 * in its settings, where call.all holds the value for all clips. */
#ifndef MG_RECIPE_OPTIONS_H
#define MG_RECIPE_OPTIONS_H

#include "cli.h"
#include "recipe.h"

#define MG_OPT_NUMBER MG_OPT_FLOAT
#define MG_OPT_BOOL   MG_OPT_FLAG
#define OPTION(heading, option_type, at, from, to, words, option, ...) \
    {.name = option,                                                   \
     .type = option_type,                                              \
     .offset = at,                                                     \
     .low = from,                                                      \
     .high = to,                                                       \
     .choices = words,                                                 \
     .group = heading,                                                 \
     __VA_ARGS__},
#define VALUE(heading, type, field, low, high, choices, key, place, record, flags, option, ...) \
    OPTION(heading, MG_OPT_##type, AT(call.all.field), low, high, choices, option, __VA_ARGS__)
#define NONE(...)

/* --do-sample; not given: -1. Its row's value is AT(do_sample). */
enum mg_do_sample { MG_DO_SAMPLE_TRUE, MG_DO_SAMPLE_FALSE };
#define MG_DO_SAMPLE_OPTION                          \
    {.name = "do-sample",                            \
     .alias = "use-sampling",                        \
     .type = MG_OPT_CHOICE,                          \
     .offset = AT(do_sample),                        \
     .choices = "true|false",                        \
     .same = "True=true|False=false|1=true|0=false", \
     .rivals = "greedy",                             \
     .group = "Sampling",                            \
     .help = "as transformers says it: false is --greedy; true draws, whatever the checkpoint says"},

static inline mg_status mg_check_do_sample(const mg_recipe *all, int do_sample)
{
    if (do_sample != MG_DO_SAMPLE_TRUE || !all->sampling.greedy) return MG_OK;
    return mg_fail(MG_EUSAGE, "options --do-sample and --greedy: they contradict each other");
}

static inline void mg_say_do_sample(mg_recipe *all, int do_sample)
{
    if (do_sample >= 0) MG_SAY(all, sampling.greedy, do_sample == MG_DO_SAMPLE_FALSE);
}

#endif
