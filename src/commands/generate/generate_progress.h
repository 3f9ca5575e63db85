/* How far all replicas are: the bar counts the frames of all their clips. Leaders tell rank 0 twice a second,
 * beside the steps, and no step waits for that. */
#ifndef MG_GENERATE_PROGRESS_H
#define MG_GENERATE_PROGRESS_H

#include "channel.h"
#include "clip_source.h"
#include "progress.h"

typedef struct mg_generate_progress {
    const mg_world *world;
    mg_channel *channel; /* NULL: one replica */
    mg_progress bar;     /* rank 0 */
    int64_t *n_frames;   /* [world->size] rank 0: of the replica that this rank leads */
    int n_at_work;       /* rank 0: other leaders that have not said that they are done */
    double told_s;
} mg_generate_progress;

/* `n_frames`: of all clips of all replicas. Collective, not agreed. */
mg_status mg_generate_progress_open(mg_generate_progress *p, const mg_world *world, int64_t n_frames);
void mg_generate_progress_close(mg_generate_progress *p);

/* A leader's clips have so many frames. */
mg_status mg_generate_progress_tell(mg_generate_progress *p, int64_t n_frames);

/* A leader's clips are made. Rank 0 goes on showing until those of all others are, too. */
mg_status mg_generate_progress_end(mg_generate_progress *p, int64_t n_frames);

#endif
