/* A file written by torch.save, read without Python: the zip container of torch >= 1.6, or the five pickles
 * before it. Tensors stay in the map: nothing is copied, and only what is used is read. */
#ifndef MG_TORCH_FILE_H
#define MG_TORCH_FILE_H

#include <stdbool.h>

#include "pickle.h"
#include "tensor.h"

enum { MG_TORCH_MAX_DIMS = 8 };

typedef struct mg_torch_file mg_torch_file;

/* A tensor as torch stores it: a view into a storage. Element (i, j, …) stands at data + (i*stride[0] +
 * j*stride[1] …) elements; all of them lie inside the file. */
typedef struct mg_torch_tensor {
    const void *data; /* mapped; may be unaligned */
    mg_dtype dtype;
    int n_dims;
    int64_t dim[MG_TORCH_MAX_DIMS], stride[MG_TORCH_MAX_DIMS]; /* strides in elements */
} mg_torch_tensor;

/* Does a file that begins like this come from torch.save, as far as one can tell? */
bool mg_torch_file_is(const char *data, size_t bytes);

mg_status mg_torch_file_open(mg_torch_file **out, const char *path);

/* The same over bytes that the caller keeps until close; `name` is for messages. */
mg_status mg_torch_file_parse(mg_torch_file **out, const char *name, const void *data, size_t bytes);
void mg_torch_file_close(mg_torch_file *f);

/* MG_EFAIL if the file was cut short or written to since it was opened: asked after its tensors were read. */
mg_status mg_torch_file_check(const mg_torch_file *f);

/* MG_ECHECKPOINT if a record is not what its checksum says; *n counts those that have one. Reads the whole
 * file, which nothing else here does; torch does not look at them. */
mg_status mg_torch_file_check_sums(const mg_torch_file *f, int64_t *n);

/* What was saved: a dict as a rule. Borrowed until close. */
const mg_pickle_value *mg_torch_file_root(const mg_torch_file *f);

bool mg_torch_file_is_zip(const mg_torch_file *f);
size_t mg_torch_file_bytes(const mg_torch_file *f);

/* Is `v` a tensor (or a Parameter around one)? */
bool mg_torch_file_is_tensor(const mg_pickle_value *v);

/* Of a tensor that is none of those, what it is and what to do, for the end of a sentence; "": it is nothing
 * of the kind. */
const char *mg_torch_file_odd_tensor(const mg_pickle_value *v);

/* The tensor that `v` describes. `name` is for messages. MG_ECHECKPOINT if it reaches outside its storage, or
 * its element type is none of floating point (8 to 64 bits), integer or bool. */
mg_status mg_torch_file_tensor(const mg_torch_file *f, mg_torch_tensor *out, const char *name,
                               const mg_pickle_value *v);

/* Row-major without holes: it can be used as it lies. */
bool mg_torch_tensor_is_contiguous(const mg_torch_tensor *t);

/* Elements; the reader has checked that their bytes fit an int64_t. */
int64_t mg_torch_tensor_count(const mg_torch_tensor *t);

/* Its elements in row-major order into `dst`, in its own dtype. */
void mg_torch_tensor_copy(void *dst, const mg_torch_tensor *t);

/* Elements [first, first+n) of that order. */
void mg_torch_tensor_copy_part(void *dst, const mg_torch_tensor *t, int64_t first, int64_t n);

#endif
