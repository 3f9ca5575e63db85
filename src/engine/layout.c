#include "layout.h"

int mg_layout_tp(int64_t n_ranks, int64_t n_clips, int least, int most)
{
    int tp = 1;

    while (tp < most && (tp < least || n_ranks / tp > n_clips)) tp *= 2;
    return tp;
}

int64_t mg_layout_slots(int64_t suits, int64_t n_clips, int64_t n_replicas)
{
    const int64_t n_most = (n_clips + n_replicas - 1) / n_replicas; /* of one replica */

    if (n_clips < 0 || suits <= n_most) return suits;
    return n_most > 1 ? n_most : 1;
}

bool mg_layout_is_cheaper(int64_t n_slots, int64_t n_outside, int64_t other_slots, int64_t other_outside)
{
    return other_outside * n_slots < n_outside * other_slots;
}
