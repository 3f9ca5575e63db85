/* What ranks must agree on beyond their options (cli.h): the output folder, the level of the CPU, the model.
 * Each call is collective over the world and agreed; ranks that do not agree are an error that names them. */
#ifndef MG_AGREEMENT_H
#define MG_AGREEMENT_H

#include "cpu.h"
#include "model_files.h"
#include "out_made.h"
#include "replica.h"
#include "world.h"

/* Make `folder`, and check that it is one folder for all ranks that write into it: rank 0 and others, which
 * may be on other hosts. MG_EUSAGE if it is not. `made`, of rank 0, says what to undo where nothing comes of
 * it. */
mg_status mg_agree_output(mg_out_made *made, const mg_world *w, const char *folder, bool writes);

/* MG_CPU_AUTO becomes the lowest of the best levels of all ranks, which rank 0 says if they differ and
 * `says`. A level
 * that was asked for stays. MGDIST_CPU_BEST=avx2 makes this rank's best no higher than that (tests; a host
 * whose avx512 is slow). */
mg_status mg_agree_level(mg_cpu_level *level, const mg_world *w, bool says);

/* Check that every rank has opened the same model. Compared are the number format and each part's
 * config, the names, formats, shapes and bytes of its tensors, and a sample of their contents. So is the hash
 * in the name of a cached file. `needs` are the parts that this rank uses (MG_NEED_LM …). MG_ECHECKPOINT
 * names part and rank. */
mg_status mg_agree_model(const mg_world *w, const mg_model_files *files, const char *number_format,
                         int needs);

/* The same for an open replica, whose leader alone computes with the text encoder and the codec. */
mg_status mg_agree_replica(const mg_world *w, const mg_replica *r);

#endif
