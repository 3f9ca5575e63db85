/* What made a clip, as its record says: a replay wants the same formats, instructions and products. */
#ifndef MG_RECORDED_MACHINE_H
#define MG_RECORDED_MACHINE_H

#include "cli.h"
#include "clip_metadata.h"
#include "machine_options.h"

/* Leave open what no command line said: variables like MGDIST_DTYPE are meant for clips that are new. */
void mg_recorded_machine_open(mg_machine *machine, const mg_cli *cli);

/* Give `machine` what was recorded, where the command line left it open. MG_EFAIL if the record, whose file
 * is `where`, has a word that this program does not know. Instructions that this processor lacks are said,
 * and left open. */
mg_status mg_recorded_machine(mg_machine *machine, const mg_clip_metadata *m, const char *where);

#endif
