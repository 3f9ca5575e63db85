/* SHA-256, as sha256sum prints it and as Hugging Face names its large blobs; and git's hash of a file, by
 * which Hugging Face names the small ones. */
#ifndef MG_HASH_H
#define MG_HASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/* 64 hex digits and NUL. MG_ESTOPPED soon after a signal to stop. */
mg_status mg_hash_file(char out[65], const char *path);

/* The same for what goes on after a signal, and for a thread that nobody may wait for: MG_ESTOPPED soon after
 * *stop has become true; NULL: never. */
mg_status mg_hash_file_unless(char out[65], const char *path, const atomic_bool *stop);

/* Of a file that is open as `fd`, also where another has taken its name since; `path` is for messages. */
mg_status mg_hash_open_file(char out[65], int fd, const char *path, const atomic_bool *stop);

mg_status mg_hash_bytes(char out[65], const void *data, size_t bytes);

/* SHA-256 of what comes piece by piece. End frees it; so does close, which is legal on NULL. */
typedef struct mg_hash mg_hash;
mg_status mg_hash_open(mg_hash **out);
mg_status mg_hash_add(mg_hash *h, const void *data, size_t bytes);
mg_status mg_hash_end(mg_hash *h, char out[65]);
void mg_hash_close(mg_hash *h);

/* SHA-1 of "blob N" and the file, as git names it: 40 hex digits and NUL. */
mg_status mg_hash_git_file(char out[65], const char *path);

#endif
