/* The tensors of a checkpoint as its files name them. Private to checkpoint.c. */
#ifndef MG_CHECKPOINT_SOURCES_H
#define MG_CHECKPOINT_SOURCES_H

#include "checkpoint_files.h"

typedef struct mg_checkpoint_sources {
    mg_data_file *files; /* [n_files] */
    size_t n_files;
    mg_checkpoint_source *list; /* [n], file by file; they borrow from the files */
    const char **names;         /* [n], in the same order */
    size_t *by_name;            /* [n], indices */
    size_t n;
} mg_checkpoint_sources;

/* `path` as for mg_checkpoint_open. */
mg_status mg_checkpoint_sources_open(mg_checkpoint_sources *c, const char *path);

/* One file in memory, which the caller keeps until close. */
mg_status mg_checkpoint_sources_parse(mg_checkpoint_sources *c, const char *name, const void *data,
                                      size_t bytes);
void mg_checkpoint_sources_close(mg_checkpoint_sources *c);

/* One more behind the others; what it points to must outlive the list. */
mg_status mg_checkpoint_sources_add(mg_checkpoint_sources *c, const mg_checkpoint_source *s);

const mg_checkpoint_source *mg_checkpoint_sources_find(const mg_checkpoint_sources *c, const char *name);

#endif
