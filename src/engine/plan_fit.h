/* Whether what ranks need fits into the places where they need it: arithmetic, for ranks that are there
 * (plan.h) and for those of a plan (mg-dist plan) alike. */
#ifndef MG_PLAN_FIT_H
#define MG_PLAN_FIT_H

#include "replica.h"

/* What a rank needs of a memory: for its language model, text encoder and codec, and of the host's. */
enum { MG_DEMAND_LM, MG_DEMAND_TEXT, MG_DEMAND_CODEC, MG_DEMAND_HOST, MG_DEMANDS };

/* What each rank tells the others: numbers of 64 bits alone. A place is a host or a device; the same number
 * is the same place. Bytes are those with no layer outside. */
typedef struct mg_plan_demand {
    int64_t place[MG_DEMANDS], bytes[MG_DEMANDS], available_bytes[MG_DEMANDS];
    int64_t shares_host; /* 1: the language model's device has no memory but the host's (mg_budget) */
    mg_lm_layer_size layer;
} mg_plan_demand;

/* Bytes and layers of a replica that was measured with no layer outside; places and what is available are the
 * caller's. */
void mg_plan_demand_set(mg_plan_demand *d, const mg_replica_bytes *b);

/* The first demand of all, rank * MG_DEMANDS + its own number, whose place is too small for all ranks
 * together with n_outside layers outside; -1: they fit. */
int mg_plan_find_misfit(const mg_plan_demand *all, int n_ranks, int64_t n_outside);

/* The most layers that can be outside. */
int64_t mg_plan_most_outside(const mg_lm_config *config, const mg_lm_formats *formats);

/* How many layers must be outside: as few as fit, or the number that was asked for. Where that does not fit
 * either, how many are least in the way. None on a device in the host's memory, where a layer outside takes
 * as much of it as before. */
int64_t mg_plan_choose_outside(const mg_plan_demand *all, int n_ranks, int64_t most, int64_t asked);

/* MG_EUSAGE if more layers are asked for than can be outside. */
mg_status mg_plan_check_outside(const mg_lm_config *config, const mg_lm_formats *formats, int64_t asked);

/* MG_EFIT with the numbers. */
mg_status mg_plan_check_fit(const mg_plan_demand *all, int n_ranks, int64_t n_slots, int64_t n_outside);

#endif
