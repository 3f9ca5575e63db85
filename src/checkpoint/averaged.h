/* Weights that a trainer keeps twice: as the optimiser left them, and averaged over its steps ("lm_ema.",
 * "ema_model.", 'ema_state_dict'). Trainers evaluate and export the averaged ones, so these are taken. */
#ifndef MG_AVERAGED_H
#define MG_AVERAGED_H

#include <stdbool.h>
#include <stddef.h>

#include "key_map.h"
#include "status.h"

/* Does a key or a component of a name say that what is below is averaged: the word EMA, SWA, averaged,
 * shadow or Polyak in it? */
bool mg_averaged_is_word(const char *text, size_t n);

/* From the names of a file to the names that rules are asked for: what stands before all of them is off
 * (mg_key_map_prefix), and of what is there twice the averaged copy stays. */
typedef struct mg_plain_names {
    const char **list; /* [n] borrowed from the names; NULL: the other copy, or a counter of it */
    char **made;       /* [n_made] names that have got their dots back (dotless.h) */
    size_t n_made;
    char prefix[MG_KEY_MAX];     /* before the names of the optimiser's copy, or of all */
    char averaged[MG_KEY_MAX];   /* before those of the averaged copy; "": there are not two */
    size_t n_averaged, n_others; /* tensors: averaged, and there once */
} mg_plain_names;

/* MG_ECHECKPOINT if there are two averaged copies. `path` is for messages. */
mg_status mg_plain_names_make(mg_plain_names *out, const char *const *names, size_t n, const char *path);
void mg_plain_names_close(mg_plain_names *p);

#endif
