/* LoRA adapters as PEFT saves them: adapter_config.json beside adapter_model.safetensors or .bin. Merged into
 * a language model as PEFT's merge does it: W + (B A) alpha/r, in fp32, rounded to the base's own type. */
#ifndef MG_LORA_H
#define MG_LORA_H

#include "checkpoint.h"

/* Merge the adapter in the folder `path` into `base`: from now on what is read of a tensor that it changes is
 * merged, piece by piece (checkpoint_read.h). *adapter is its weights, which must outlive `base`; on failure
 * it is NULL, and `base` is of no more use. MG_ECHECKPOINT names what the adapter holds that is not done
 * here, or that `base` has no place for. */
mg_status mg_lora_merge(mg_checkpoint *base, const char *path, mg_checkpoint **adapter);

/* MG_ECHECKPOINT if the weights at `path`, a folder or a file, are an adapter's, whatever else lies beside
 * them: what it is, and how to give it. MG_OK else. */
mg_status mg_lora_refuse(const char *path);

/* MG_ECHECKPOINT if weights taken for a model's are an adapter's, or hold one beside what it changes, as a
 * trainer's state dict does. */
mg_status mg_lora_check_merged(const mg_checkpoint *c, const char *path);

/* adapter_config.json as text, for the fuzzer. */
mg_status mg_lora_check(const char *name, const char *text, int64_t bytes);

#endif
