/* What came of many items (clips, files) that are dealt over the ranks. */
#ifndef MG_OUTCOME_LIST_H
#define MG_OUTCOME_LIST_H

#include "comm.h"

enum { MG_OUTCOME_NONE, MG_OUTCOME_DELIVERED, MG_OUTCOME_FAILED };

/* outcome [n], NONE where it is another rank's: afterwards every rank has all of them. In pieces, so that
 * memory does not grow with ranks times items. Collective and agreed. */
mg_status mg_outcomes_share(uint8_t *outcome, int64_t n, mg_comm *all);

int64_t mg_outcomes_count(const uint8_t *outcome, int64_t n, uint8_t what);

#endif
