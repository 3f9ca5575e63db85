/* Turns finished clips into files, on a leader, and keeps the account of a call: clip_output.c has the
 * account, clip_files.c the files of one clip. */
#ifndef MG_CLIP_OUTPUT_H
#define MG_CLIP_OUTPUT_H

#include "clip_list.h"
#include "input_hashes.h"
#include "outcome_list.h"

typedef struct mg_clip_output {
    const mg_call *call;
    const mg_clip_list *list;
    const mg_replica *replica;
    const mg_world *world;
    uint8_t *outcome;        /* [list->n]; owned */
    mg_input_hashes hashes;  /* on a leader */
    mg_renamed *applied;     /* [replica->renames.n] the accepted proposals; owned */
    int64_t n_heard;         /* frames of the sound that standard output has, as they were made; 0: none */
    int64_t n_heard_clipped; /* samples of them that were cut */
    double clipping;         /* share of samples that were cut in the sound that was written last */
} mg_clip_output;

/* Starts hashing the weight files behind the work. The folder is there. */
mg_status mg_clip_output_open(mg_clip_output **out, const mg_call *call, const mg_clip_list *list,
                              const mg_replica *replica, const mg_world *world);
void mg_clip_output_close(mg_clip_output *o);

/* The finisher's mg_clip_done; `arg` is the mg_clip_output. A clip that cannot be written is reported,
 * counted and no reason to stop. */
mg_status mg_clip_output_take(void *arg, const mg_clip *clip, const mg_clip_result *result);

/* Can clip `index` go to standard output while it is made: a WAV at the model's rate, whose level is nobody
 * else's? Then this is the finisher's mg_clip_heard. */
bool mg_clip_output_is_heard(const mg_clip_output *o, int64_t index);
mg_status mg_clip_output_hear(void *arg, const mg_clip *clip, const mg_clip_result *so_far, int64_t first,
                              int64_t end);

/* Every rank learns every outcome; rank 0 prints the paths of what was delivered, in order, on stdout (on
 * stderr if the sound went there). MG_OK, MG_EPARTIAL if some clips failed, MG_EFAIL if all did. Collective
 * and agreed. */
mg_status mg_clip_output_conclude(mg_clip_output *o);

/* In place of conclude, after a stop: what was delivered is listed. Not collective. */
void mg_clip_output_stopped(mg_clip_output *o);

/* The sound, the codes and the metadata of one clip, whatever of them was asked for; may change the values of
 * the sound. The metadata comes last: who finds it finds the rest. A clip that fails leaves no file. */
mg_status mg_clip_files_write(mg_clip_output *o, const mg_clip *clip, const mg_clip_result *result);

/* What clip `index` is delivered as, for people: "out/000000.wav". */
mg_status mg_clip_files_path(char path[MG_PATH_SIZE], const mg_clip_output *o, int64_t index);

#endif
