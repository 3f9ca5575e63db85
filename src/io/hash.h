/* SHA-256 of files, as sha256sum prints it and as Hugging Face names its blobs. */
#ifndef MG_HASH_H
#define MG_HASH_H

#include "status.h"

/* 64 hex digits and NUL. */
mg_status mg_hash_file(char out[65], const char *path);

#endif
