/* Averaged copies without names: lists of tensors in the order of the model's parameters, as torch-ema and
 * diffusers ('shadow_params') and NeMo's optimiser ('ema') save them. */
#ifndef MG_NAMELESS_H
#define MG_NAMELESS_H

#include "torch_entries.h"

/* The first such list below `root`, and the key that it is under; NULL: there is none. */
const mg_pickle_value *mg_nameless_find(const mg_pickle_value *root, const char **key);

/* Which of the n entries each tensor of the list is a copy of, into of[]. Order and shapes decide: they must
 * be those of all entries, or of all that belong to a model. False: they are neither. */
bool mg_nameless_match(size_t *of, const mg_torch_file *f, const mg_pickle_value *list,
                       const mg_torch_entry *entry, size_t n);

#endif
