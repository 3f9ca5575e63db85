/* Any bytes as the metadata.jsonl beside clips: said to be no such list, or kept; what is written is one. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clip_index.h"
#include "fuzz.h"
#include "in_file.h"
#include "out_file.h"
#include "path.h"

static char folder[] = "/tmp/fuzz_sounds.XXXXXX", path[MG_PATH_SIZE], sound[MG_PATH_SIZE];

static void clean(void)
{
    unlink(path);
    unlink(sound);
    rmdir(folder);
}

static void begin(void)
{
    if (*path) return;
    FUZZ_CHECK(mkdtemp(folder) && mg_path_format(path, "%s/" MG_CLIP_INDEX_NAME, folder) == MG_OK);
    FUZZ_CHECK(mg_path_format(sound, "%s/a.wav", folder) == MG_OK && mg_out_file_put(sound, "x", 1) == MG_OK);
    atexit(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *before = NULL, *after = NULL;
    int64_t n_before, n_after;

    begin();
    mg_clear_error();
    FUZZ_CHECK(mg_out_file_put(path, data, bytes) == MG_OK);
    const mg_status st = mg_clip_index_check(folder);
    FUZZ_CHECK(st == MG_OK || (st == MG_EUSAGE && strstr(mg_last_error(), "--overwrite")));
    mg_clear_error();
    FUZZ_CHECK(mg_clip_index_write(folder) == MG_OK); /* as --overwrite does with what is none */
    FUZZ_CHECK(mg_clip_index_check(folder) == MG_OK);
    FUZZ_CHECK(mg_in_file_read(&before, &n_before, path, 1 << 30) == MG_OK);
    FUZZ_CHECK(mg_clip_index_write(folder) == MG_OK);
    FUZZ_CHECK(mg_in_file_read(&after, &n_after, path, 1 << 30) == MG_OK);
    FUZZ_CHECK(n_before == n_after && memcmp(before, after, (size_t)n_before) == 0); /* and nothing more */
    free(before);
    free(after);
    return 0;
}
