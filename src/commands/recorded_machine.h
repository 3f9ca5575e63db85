/* What made a clip, as its record says: a replay wants the same formats, instructions and products. */
#ifndef MG_RECORDED_MACHINE_H
#define MG_RECORDED_MACHINE_H

#include "clip_metadata.h"
#include "machine_options.h"

/* The options that a record answers: variables like MGDIST_DTYPE are meant for clips that are new. */
#define MG_RECORDED_MACHINE_OPTIONS "dtype|kv|gemm|cpu-level"

/* Give `machine` what was recorded, where the command line left it open. MG_EFAIL if the record, whose file
 * is `where`, has a word that this program does not know. Instructions that this processor lacks are said,
 * and left open. */
mg_status mg_recorded_machine(mg_machine *machine, const mg_clip_metadata *m, const char *where);

#endif
