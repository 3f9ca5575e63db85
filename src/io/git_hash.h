/* SHA-1 of a file as git names its blobs, and as Hugging Face names the small files of its cache. */
#ifndef MG_GIT_HASH_H
#define MG_GIT_HASH_H

#include "status.h"

/* 40 hex digits and NUL. */
mg_status mg_git_hash_file(char out[65], const char *path);

#endif
