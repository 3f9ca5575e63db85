/* Inside the room: torch_file.c (the two containers), torch_storage.c (where elements lie, and of what type
 * they are), torch_tensor.c (what a pickled tensor is), torch_writer.c. */
#ifndef MG_TORCH_IMPL_H
#define MG_TORCH_IMPL_H

#include "in_file.h"
#include "torch_file.h"
#include "zip_reader.h"

/* A storage of the old container: its key and where its elements lie. */
typedef struct mg_torch_storage {
    const char *key; /* in the pickle store */
    const char *data;
    size_t bytes;
} mg_torch_storage;

struct mg_torch_file {
    char *path;
    mg_mapped_file map; /* empty if the caller owns the bytes */
    const char *data;   /* [n_bytes] the file */
    size_t n_bytes;
    mg_zip_archive zip;    /* of the new container */
    bool is_zip;           /* else the old one */
    char top[256];         /* the zip's top directory with a slash: "archive/" */
    mg_torch_storage *old; /* [n_old], of the old container, by key */
    size_t n_old;
    mg_pickle *store;
    const mg_pickle_value *root;
};

typedef struct mg_torch_type {
    const char *name;       /* torch.NAME; "": such elements have no class of storages */
    const char *dtype_name; /* torch.NAME */
    mg_dtype dtype;
} mg_torch_type;

/* The type that `v`, torch.<NAME>Storage or the dtype torch.<name>, stands for; NULL if it is not supported.
 */
const mg_torch_type *mg_torch_type_of(const mg_pickle_value *v);

/* NAMEStorage for elements of that type; NULL: torch has none. */
const char *mg_torch_storage_name(mg_dtype dtype);

/* The parts of a persistent id: ('storage', type, key, location, n_elements[, view]). *type is NULL for
 * UntypedStorage and for types that are not supported. False if `v` is no storage. */
bool mg_torch_storage_of(const mg_pickle_value *v, const mg_torch_type **type, const char **key,
                         int64_t *n_elements);

/* qsort's order of mg_torch_storage: by key. */
int mg_torch_storage_by_key(const void *a, const void *b);

/* The bytes of storage `key`. */
bool mg_torch_storage_find(const mg_torch_file *f, const char *key, const char **data, size_t *bytes);

#endif
