#include "outcome_list.h"

#include <stdlib.h>

enum { PIECE = 4096 };

mg_status mg_outcomes_share(uint8_t *outcome, int64_t n, mg_comm *all)
{
    uint8_t *of_all = calloc((size_t)all->size, PIECE);
    mg_status st = of_all ? MG_OK : mg_fail(MG_ENOMEM, "outcomes: %d ranks", all->size);

    MG_TRY(mg_comm_agree(all, st));
    for (int64_t first = 0; first < n; first += PIECE) {
        const int64_t n_piece = n - first < PIECE ? n - first : PIECE;
        MG_TRY(mg_comm_all_gather(all, of_all, outcome + first, n_piece, MG_U8));
        for (int64_t i = 0; i < n_piece; i++)
            for (int r = 0; r < all->size; r++)
                if (of_all[r * n_piece + i] != MG_OUTCOME_NONE) outcome[first + i] = of_all[r * n_piece + i];
    }
done:
    free(of_all);
    return st;
}

int64_t mg_outcomes_count(const uint8_t *outcome, int64_t n, uint8_t what)
{
    int64_t n_found = 0;

    for (int64_t i = 0; i < n; i++) n_found += outcome[i] == what;
    return n_found;
}
