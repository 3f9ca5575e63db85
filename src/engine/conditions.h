/* What a clip's texts and files become before its first step: text states, the codes of an audio prompt, the
 * pitch classes of a melody. The group's leader makes them and every rank gets the same. A file that cannot
 * be used is the clip's fault, and no reason to end the run. */
#ifndef MG_CONDITIONS_H
#define MG_CONDITIONS_H

#include "clip.h"
#include "replica.h"

typedef struct mg_conditions mg_conditions;

mg_status mg_conditions_open(mg_conditions **out, mg_replica *r);
void mg_conditions_close(mg_conditions *c);

/* What is kept of a clip while it is in a slot. */
typedef struct mg_clip_material {
    mg_status st;     /* MG_OK, or why the clip cannot be made, the same on every rank; the leader's
                         mg_last_error() says it */
    int64_t T_prompt; /* codec frames of the audio prompt, now in the slot's codes */
    mg_sound melody;  /* leader: mono, at the codec's rate; no pcm without a melody */
} mg_clip_material;

void mg_clip_material_close(mg_clip_material *m);

/* Read the clip's files; an audio prompt's codes go to codes [K, clip->T]. Collective over the group. */
mg_status mg_conditions_read(mg_conditions *c, mg_clip_material *m, const mg_clip *clip, int32_t *codes);

/* Text states of the clip and of its negative, [S, d_text] in host memory, good until the next call; NULL if
 * there is none. A states file that cannot be used is in m->st. Collective over the group. */
mg_status mg_conditions_encode(mg_conditions *c, mg_clip_material *m, const float **text,
                               const float **negative, const mg_clip *clip);

/* The melody's pitch classes for a window that begins at frame `first` of the clip: bins [*n_bins], NULL
 * without a melody, good until the next call. A clip of several windows goes round in a melody that is
 * shorter than it. Collective over the group. */
mg_status mg_conditions_listen(mg_conditions *c, const int32_t **bins, int64_t *n_bins,
                               const mg_clip_material *m, const mg_clip *clip, int64_t first);

#endif
