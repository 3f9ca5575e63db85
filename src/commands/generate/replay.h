/* Between cmd_replay.c, the call and the comparison, and replay_request.c, which turns a clip's metadata
 * into a call. */
#ifndef MG_REPLAY_H
#define MG_REPLAY_H

#include "generate.h"
#include "json_lines.h"
#include "out_folder.h"

typedef struct mg_replay_settings {
    const char *file;
    const char *out_dir;    /* NULL: a temporary folder */
    mg_model_request model; /* where it is now */
    mg_machine machine;
} mg_replay_settings;

enum { MG_REPLAY_PARTS = 7 };

typedef struct mg_replay {
    mg_replay_settings asked;                   /* what the clip's record answers: not by a variable */
    mg_clip_metadata m;                         /* as recorded */
    mg_clip_line line;                          /* of a dataset, behind the metadata; else closed */
    char file_name[MG_PATH_SIZE];               /* the same: what the sound is called now, */
    char beside_sha256[65];                     /* and its hash; rank 0 */
    mg_recipe recipe;                           /* the same, its files where they are now; rank 0 */
    char input[MG_RECIPE_INPUTS][MG_PATH_SIZE]; /* absolute; rank 0 */
    char part[MG_REPLAY_PARTS][MG_PATH_SIZE];   /* where the model is now */
    char out_dir[MG_PATH_SIZE];                 /* rank 0's word */
    mg_out_folder temp;                         /* rank 0, without --out */
    mg_generate_settings call;
} mg_replay;

/* A dataset's line in the place of a clip's metadata. The second, by rank 0: where the line has no hash, that
 * of the sound beside it; if there is none, --out must say what the clip is made for. */
bool mg_replay_is_line(const char *text, int64_t bytes);
mg_status mg_replay_read_line(mg_replay *r, const char *text, int64_t bytes);
mg_status mg_replay_hash_beside(mg_replay *r);

/* The call that makes the clip again, from its record: the same on every rank. Rank 0 also gets the request
 * and its folder. Every file that the clip was made from must be there with its recorded hash. Not agreed. */
mg_status mg_replay_prepare(mg_replay *r, const mg_world *world);

#endif
