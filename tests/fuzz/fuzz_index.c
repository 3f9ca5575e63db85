/* Any bytes as an index of shards: what is accepted names plain files only, each once. */
#include <string.h>

#include "checkpoint_index.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_checkpoint_index index;

    mg_clear_error();
    if (mg_checkpoint_index_parse(&index, "fuzz", (const char *)data, (int64_t)bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !index.root && !index.tensors);
        return 0;
    }
    FUZZ_CHECK(index.n_files >= 1 && index.n_files <= index.n_tensors);
    for (int64_t i = 0; i < index.n_files; i++) {
        const char *file = index.files[i];
        FUZZ_CHECK(file[0] && file[0] != '.' && !strchr(file, '/') && !strchr(file, '\\'));
        FUZZ_CHECK(i == 0 || strcmp(index.files[i - 1], file) < 0);
    }
    for (int64_t i = 0; i < index.n_tensors; i++) {
        const mg_checkpoint_index_tensor *t = &index.tensors[i];
        FUZZ_CHECK(t->i_file >= 0 && t->i_file < index.n_files && !strcmp(index.files[t->i_file], t->file));
        FUZZ_CHECK(i == 0 || strcmp(t[-1].name, t->name) < 0);
        FUZZ_CHECK(mg_checkpoint_index_has(&index, t->name));
    }
    mg_checkpoint_index_close(&index);
    return 0;
}
