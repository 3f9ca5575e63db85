#include "sealed_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hash.h"
#include "out_file.h"

static const char begin[] = "<!-- written by mg-dist; a changed text is kept; sha256 ", end[] = " -->\n";

enum { SEAL_BYTES = sizeof begin - 1 + 64 + sizeof end - 1 };

/* The first `bytes` of f are those that the seal behind them names. */
static bool is_sealed(FILE *f, long bytes)
{
    char block[16384], sha256[65], seal[SEAL_BYTES + 1] = "", expected[SEAL_BYTES + 1];
    mg_hash *h = NULL;
    bool is_read = mg_hash_open(&h) == MG_OK;

    for (size_t n, left = (size_t)bytes; is_read && left > 0; left -= n) {
        n = fread(block, 1, left < sizeof block ? left : sizeof block, f);
        is_read = n > 0 && mg_hash_add(h, block, n) == MG_OK;
    }
    if (!is_read) {
        mg_hash_close(h);
        return false;
    }
    if (mg_hash_end(h, sha256) != MG_OK || fread(seal, 1, SEAL_BYTES, f) != SEAL_BYTES) return false;
    (void)snprintf(expected, sizeof expected, "%s%s%s", begin, sha256, end);
    return strcmp(seal, expected) == 0;
}

bool mg_sealed_is_ours(const char *path)
{
    struct stat there;
    FILE *f;

    if (lstat(path, &there) != 0) return errno == ENOENT;
    if (!S_ISREG(there.st_mode) || there.st_size < SEAL_BYTES || !(f = fopen(path, "re"))) return false;
    const bool ours = is_sealed(f, (long)there.st_size - SEAL_BYTES);
    fclose(f);
    mg_clear_error();
    return ours;
}

mg_status mg_sealed_check(const char *path, const char *remedy)
{
    if (mg_sealed_is_ours(path)) return MG_OK;
    return mg_fail(MG_EUSAGE, "%s: is there already, and is not as mg-dist wrote it; %s", path, remedy);
}

mg_status mg_sealed_put(const char *path, const void *text, size_t bytes)
{
    mg_out_file f = {.fd = -1};
    mg_status st = MG_OK;
    char seal[SEAL_BYTES + 1], sha256[65];

    MG_TRY(mg_hash_bytes(sha256, text, bytes));
    (void)snprintf(seal, sizeof seal, "%s%s%s", begin, sha256, end);
    MG_TRY(mg_out_file_begin(&f, path));
    MG_TRY(mg_out_file_write(&f, text, bytes));
    MG_TRY(mg_out_file_write(&f, seal, SEAL_BYTES));
    MG_TRY(mg_out_file_commit(&f));
done:
    mg_out_file_abandon(&f);
    return st;
}
