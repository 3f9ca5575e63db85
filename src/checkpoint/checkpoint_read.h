/* The values of an entry: out of its file, or its memory, with what an adapter does to them (lora.h). Whoever
 * wants values reads them here; what is mapped is not merged. */
#ifndef MG_CHECKPOINT_READ_H
#define MG_CHECKPOINT_READ_H

#include "checkpoint.h"
#include "tensor_read.h"

/* `part` of the entry into `dst`, as it is stored: 0, or an errno (ENODATA past the file's end, ECANCELED
 * when a signal asks to stop). From any thread. What an adapter made infinite is added to *n_overflows (may
 * be NULL). */
int mg_checkpoint_read(const mg_checkpoint_entry *e, void *dst, const mg_tensor_part *part,
                       int64_t *n_overflows);

/* Takes the next `bytes` of a tensor. A status other than MG_OK ends the stream. */
typedef mg_status mg_tensor_sink(void *arg, const void *data, size_t bytes);

/* Every element as fp32, in order, with one small buffer between. */
mg_status mg_checkpoint_stream(const mg_checkpoint_entry *e, mg_tensor_sink *sink, void *arg);

/* MG_ESTOPPED, or MG_EFAIL naming the file, if `error` is not 0. */
mg_status mg_checkpoint_check_read(const mg_checkpoint_entry *e, int error);

enum { MG_SAMPLE_BYTES = 1024 };

/* A piece from its middle, up to `most` bytes: a training moves every value, if any. */
mg_status mg_checkpoint_sample(char piece[MG_SAMPLE_BYTES], size_t *bytes, const mg_checkpoint_entry *e,
                               size_t most);

#endif
