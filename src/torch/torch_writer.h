/* Writes what torch.load(weights_only=True) reads: a dict of texts, truth values, numbers, tensors and
 * further dicts, in torch's zip container. The tensors' bytes stream from where they lie: nothing is copied.
 *
 * Formats: pickle protocol 2, torch's zip container of format version 3. Entries are stored, their data
 * aligned to 64 bytes through the extra field "FB"; zip64 where 4 GiB are not enough. */
#ifndef MG_TORCH_WRITER_H
#define MG_TORCH_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "torch_file.h"

typedef struct mg_torch_writer mg_torch_writer;

/* An empty dict. `path` is where it will lie; nothing is made there yet. */
mg_status mg_torch_writer_open(mg_torch_writer **out, const char *path);
void mg_torch_writer_close(mg_torch_writer *w);

/* Add to the innermost open dict. Keys and texts are UTF-8 and copied. A new dict stays open until end. */
mg_status mg_torch_writer_text(mg_torch_writer *w, const char *key, const char *text);
mg_status mg_torch_writer_bool(mg_torch_writer *w, const char *key, bool value);
mg_status mg_torch_writer_begin_dict(mg_torch_writer *w, const char *key);
mg_status mg_torch_writer_end_dict(mg_torch_writer *w);

/* A tensor with a storage of its own. `source` is read when the file is written, in pieces: a strided one
 * becomes contiguous. MG_ECHECKPOINT for a type that has no storage class of its own: fp8, uint16 to
 * uint64, others. */
mg_status mg_torch_writer_tensor(mg_torch_writer *w, const char *key, const mg_torch_tensor *source);

/* As above, where the bytes have yet to be made: `read` gives elements [first, first+n) of the tensor.
 * `shape` carries dtype and dims; its data and strides are not looked at. */
typedef mg_status (*mg_torch_writer_read)(void *context, void *dst, int64_t first, int64_t n);
mg_status mg_torch_writer_stream(mg_torch_writer *w, const char *key, const mg_torch_tensor *shape,
                                 mg_torch_writer_read read, void *context);

/* Called after each piece, with the bytes of tensors so far and of all; what is no MG_OK gives up. */
typedef mg_status (*mg_torch_writer_progress)(void *context, int64_t done_bytes, int64_t all_bytes);

/* Write the file: it appears whole or not at all. `progress` may be NULL. */
mg_status mg_torch_writer_commit(mg_torch_writer *w, mg_torch_writer_progress progress, void *context);

#endif
