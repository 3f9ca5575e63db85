/* A folder that `hf download --local-dir` filled has no links, but beside each file what it should be:
 * .cache/huggingface/download/NAME.metadata, with lines for the commit, the hash and the time of writing.
 * Reference: huggingface_hub 0.36, _local_folder.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hub.h"
#include "in_file.h"

enum { MAX_BYTES = 4096 };

bool mg_hub_local_hash(char out[65], const char *folder, const char *name)
{
    char path[MG_PATH_SIZE], hash[65] = "", *text = NULL;
    double written_s = 0;
    struct stat info;
    int64_t bytes;

    out[0] = '\0';
    if (mg_path_format(path, "%s/%s", folder, name) != MG_OK || stat(path, &info) != 0) return false;
    if (mg_path_format(path, "%s/.cache/huggingface/download/%s.metadata", folder, name) != MG_OK ||
        !mg_path_exists(path))
        return false;
    if (mg_in_file_read(&text, &bytes, path, MAX_BYTES) != MG_OK) {
        mg_clear_error();
        return false;
    }
    const bool reads = sscanf(text, "%*64[0-9a-f] %64[0-9a-f] %lf", hash, &written_s) == 2;
    free(text);
    const size_t n = strlen(hash);
    /* a file that was edited since is its owner's: the hub's client counts it as another, too */
    if (!reads || (n != 64 && n != 40) || (double)info.st_mtim.tv_sec > written_s + 1) return false;
    memcpy(out, hash, n + 1);
    return true;
}
