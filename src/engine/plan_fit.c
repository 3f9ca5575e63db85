#include "plan_fit.h"

#include <stdio.h>

/* Bytes of demand i with the last n_outside layers outside: a device's are in its host's memory then, and
 * the host's in the file. */
static int64_t bytes_of(const mg_plan_demand *d, int i, int64_t n_outside)
{
    const bool on_device = d->shares_host || d->place[MG_DEMAND_LM] != d->place[MG_DEMAND_HOST];

    if (i == MG_DEMAND_LM) return d->bytes[i] - mg_lm_outside_saves(d->layer, n_outside);
    return d->bytes[i] + (i == MG_DEMAND_HOST && on_device ? n_outside * d->layer.all_bytes : 0);
}

/* All ranks' demands of one place: bytes, the least that any of them finds available, and how many they are.
 */
typedef struct place_sum {
    int64_t bytes, available_bytes;
    int n_ranks;
} place_sum;

static place_sum sum_place(const mg_plan_demand *all, int n_ranks, int64_t place, int64_t n_outside)
{
    place_sum s = {.available_bytes = INT64_MAX};

    for (int k = 0; k < n_ranks; k++) {
        bool is_here = false;
        for (int l = 0; l < MG_DEMANDS; l++) {
            const int64_t bytes = bytes_of(&all[k], l, n_outside);
            if (all[k].place[l] != place || bytes == 0) continue;
            s.bytes += bytes;
            if (all[k].available_bytes[l] < s.available_bytes) s.available_bytes = all[k].available_bytes[l];
            is_here = true;
        }
        s.n_ranks += is_here;
    }
    return s;
}

int mg_plan_find_misfit(const mg_plan_demand *all, int n_ranks, int64_t n_outside)
{
    for (int i = 0; i < n_ranks * MG_DEMANDS; i++) {
        const place_sum s = sum_place(all, n_ranks, all[i / MG_DEMANDS].place[i % MG_DEMANDS], n_outside);
        if (s.bytes > s.available_bytes) return i;
    }
    return -1;
}

void mg_plan_demand_set(mg_plan_demand *d, const mg_replica_bytes *b)
{
    d->layer = b->lm_layer;
    d->bytes[MG_DEMAND_LM] = (int64_t)mg_replica_bytes_lm(b);
    d->bytes[MG_DEMAND_TEXT] = (int64_t)mg_replica_bytes_text(b);
    d->bytes[MG_DEMAND_CODEC] = (int64_t)mg_replica_bytes_codec(b);
    d->bytes[MG_DEMAND_HOST] = (int64_t)b->host;
}

/* What comes in turn is of one size, and with 4 bits the first layer is larger (lm_load.c). */
int64_t mg_plan_most_outside(const mg_lm_config *config, const mg_lm_formats *formats)
{
    return config->L - (formats->weights == MG_FORMAT_Q4);
}

mg_status mg_plan_check_outside(const mg_lm_config *config, const mg_lm_formats *formats, int64_t asked)
{
    const int64_t most = mg_plan_most_outside(config, formats);

    if (asked > config->L)
        return mg_fail(MG_EUSAGE, "option --offload: layers=%lld: the model has %lld", (long long)asked,
                       (long long)config->L);
    if (asked > most)
        return mg_fail(MG_EUSAGE,
                       "option --offload: layers=%lld: with int4 the first layer stays: %lld at most",
                       (long long)asked, (long long)most);
    return MG_OK;
}

int64_t mg_plan_choose_outside(const mg_plan_demand *all, int n_ranks, int64_t most, int64_t asked)
{
    if (asked != MG_OUTSIDE_AUTO) return asked;
    for (int k = 0; k < n_ranks; k++)
        if (all[k].shares_host) return 0;
    for (int64_t n = 0; n <= most; n++)
        if (mg_plan_find_misfit(all, n_ranks, n) < 0) return n;
    return most > MG_LM_BUFFERS ? most : 0;
}

mg_status mg_plan_check_fit(const mg_plan_demand *all, int n_ranks, int64_t n_slots, int64_t n_outside)
{
    const int i = mg_plan_find_misfit(all, n_ranks, n_outside);
    char outside[64] = "";

    if (i < 0) return MG_OK;
    const mg_plan_demand *d = &all[i / MG_DEMANDS];
    const int64_t place = d->place[i % MG_DEMANDS];
    const place_sum s = sum_place(all, n_ranks, place, n_outside);
    if (n_outside > 0)
        snprintf(outside, sizeof outside, " with %lld layer%s outside", (long long)n_outside,
                 n_outside == 1 ? "" : "s");
    const bool on_host = place == d->place[MG_DEMAND_HOST]; /* where the sounds of whole clips are */
    const bool by_length = on_host && d->bytes[MG_DEMAND_HOST] > s.bytes / 2;
    return mg_fail(MG_EFIT,
                   "memory: %d rank%s of the %s of rank %d need%s %.0f MB for %lld clip%s at a time%s, and "
                   "%.0f MB are available; use %s",
                   s.n_ranks, s.n_ranks == 1 ? "" : "s", on_host ? "host" : "device", i / MG_DEMANDS,
                   s.n_ranks == 1 ? "s" : "", (double)s.bytes / 1e6, (long long)n_slots,
                   n_slots == 1 ? "" : "s", outside, (double)s.available_bytes / 1e6,
                   by_length ? "a shorter --duration or a smaller --batch"
                             : "a smaller --batch, more hosts, or --dtype bf16");
}
