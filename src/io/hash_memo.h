/* SHA-256 of a large file that may have been hashed before. A memo, one small file for each path, keeps the
 * hash with the file's number, size and times. It holds while all of these are the same. A file that is
 * written to, or that takes the place of another, has another time of change, which no program can set. */
#ifndef MG_HASH_MEMO_H
#define MG_HASH_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

/* Which state of a file a hash is of. */
typedef struct mg_file_state {
    int64_t inode, bytes;
    int64_t modified_ns, changed_ns; /* since 1970 */
} mg_file_state;

typedef struct mg_hash_memo {
    mg_file_state state;
    char sha256[65];
} mg_hash_memo;

/* The hash of the file that is open as `fd`: from the memo of `path` in `folder` if that holds (*was_known),
 * else computed and, where the folder lets us, put down there. A file that has changed within the last two
 * seconds gets no memo, for it may change once more without a new time. MG_EFAIL if it changes while it is
 * hashed, or if `path` is another file by now. */
mg_status mg_hash_memo_file(char sha256[65], bool *was_known, const char *path, int fd, const char *folder);

/* A memo as text; MG_EFAIL if it is none. `text` ends with a NUL. */
mg_status mg_hash_memo_parse(mg_hash_memo *out, const char *name, const char *text);

#endif
