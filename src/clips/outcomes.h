/* Between outcomes.c, which keeps the account, and clip_files.c, which turns one clip into its
 * files. */
#ifndef MG_OUTCOMES_H
#define MG_OUTCOMES_H

#include "clip_list.h"
#include "input_hashes.h"
#include "outcome_list.h"

struct mg_generate_output {
    const mg_call *call;
    const mg_clip_list *list;
    const mg_replica *replica;
    const mg_world *world;
    uint8_t *outcome;          /* [list->n]; owned */
    mg_generate_hashes hashes; /* on a leader */
    mg_renamed *applied;       /* [replica->renames.n] the accepted proposals; owned */
    int64_t n_heard;           /* frames of the sound that standard output has, as they were made; 0: none */
    int64_t n_heard_clipped;   /* samples of them that were cut */
    double clipping;           /* share of samples that were cut in the sound that was written last */
};

/* The sound, the codes and the metadata of one clip, whatever of them was asked for; may change the values of
 * the sound. The metadata comes last: who finds it finds the rest. A clip that fails leaves no file. */
mg_status mg_clip_files_write(mg_generate_output *o, const mg_clip *clip, const mg_clip_result *result);

/* What clip `index` is delivered as, for people: "out/000000.wav". */
mg_status mg_clip_files_path(char path[MG_PATH_SIZE], const mg_generate_output *o, int64_t index);

/* --out -: one sound to standard output and no file beside it. */
bool mg_clip_files_to_stdout(const mg_call *call);

#endif
