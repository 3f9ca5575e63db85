/* A clip's conditioning: text states, the codes of an audio prompt, the pitch classes of a melody, or the
 * rows of a style. The group's leader prepares it on any thread, without communication. When the clip takes a
 * slot, the conditioning is shared with the group. */
#ifndef MG_CONDITIONS_H
#define MG_CONDITIONS_H

#include "ready_clip.h"
#include "replica.h"

typedef struct mg_conditions mg_conditions;

/* On a leader. `r` is loaded, and borrowed. */
mg_status mg_conditions_open(mg_conditions **out, mg_replica *r);
void mg_conditions_close(mg_conditions *c);

/* Read the clip's files, encode its texts and its audio prompt, find the pitch classes of every window. A
 * text or a file that cannot be used is (*out)->fault, and no failure here. One caller at a time; it computes
 * on the replica's backend beside, and may run beside the steps if that is not the language model's. */
mg_status mg_conditions_prepare(mg_conditions *c, mg_ready_clip **out, const mg_clip *clip);

/* The leader's `clip` (NULL elsewhere) to every rank of the group: terms, then the payload, which on a leader
 * is the clip's own and elsewhere goes to `room` of room_bytes. On the thread of the steps. Collective over
 * the group. */
mg_status mg_conditions_share(mg_replica *r, mg_clip_terms *terms, mg_clip_payload *payload, void *room,
                              size_t room_bytes, const mg_ready_clip *clip);

#endif
