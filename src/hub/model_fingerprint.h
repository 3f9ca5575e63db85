/* One word for what a model is, without reading all of it. */
#ifndef MG_MODEL_FINGERPRINT_H
#define MG_MODEL_FINGERPRINT_H

#include "model_files.h"

/* A hash of every tensor's name, type, shape and of a piece of its values: fine-tunes of one model differ,
 * who share header, text encoder and codec. Weights that were merged count as merged. 64 hex digits and NUL.
 * Without MERT, which only some clips need: that is a word of its own, where it is opened. */
mg_status mg_model_fingerprint(char out[65], const mg_model_files *files);
mg_status mg_style_fingerprint(char out[65], const mg_model_files *files);

#endif
