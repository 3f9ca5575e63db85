/* The layout of a run for which nobody gives --tp or --batch: how many ranks share a model, and how many
 * clips run at once. `generate`, `run` and `plan` ask here; what they make is the same bytes with any layout.
 *
 * It is a rule and no prediction: what a step takes here is not known before it is measured. With predict.h's
 * constants of another machine the choice would be wrong by more than the rule is (docs/PERFORMANCE.md, "The
 * layout that nobody asked for"). */
#ifndef MG_LAYOUT_H
#define MG_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/* Clips of a dataset: more than there are ranks. */
#define MG_MANY_CLIPS INT64_MAX

/* Ranks of a group, for n_clips clips on n_ranks ranks. As few as hold the model, `least`, and as the clips
 * occupy: replicas share nothing and wait for nothing. `most`: over which the heads can be split. */
int mg_layout_tp(int64_t n_ranks, int64_t n_clips, int least, int most);

/* Clips at once of each replica, before memory is looked at: as many as suit what computes (mg_hints), and no
 * more than a replica gets. n_clips < 0: not known. */
int64_t mg_layout_slots(int64_t suits, int64_t n_clips, int64_t n_replicas);

/* Of two layouts that fit, with n_slots clips at once and n_outside layers outside (lm.h): does the second
 * bring in fewer layers for each clip? */
bool mg_layout_is_cheaper(int64_t n_slots, int64_t n_outside, int64_t other_slots, int64_t other_outside);

#endif
