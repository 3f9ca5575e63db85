/* Any bytes as a file of torch.save: zip, pickles, tensors, names. What is accepted can be read to its last
 * byte. */
#include "checkpoint.h"
#include "fuzz.h"
#include "status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_checkpoint *c;
    volatile uint8_t touched = 0; /* a sanitizer sees the reads */

    mg_clear_error();
    if (mg_checkpoint_parse(&c, "fuzz.bin", data, bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !c);
        return 0;
    }
    FUZZ_CHECK(mg_checkpoint_n_files(c) == 1 && mg_checkpoint_bytes(c) == bytes);
    FUZZ_CHECK(!mg_checkpoint_pointer(c) == (mg_checkpoint_get_kind(c) != MG_CHECKPOINT_POINTER));
    for (size_t i = 0; i < mg_checkpoint_count(c); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(c, i);
        const uint8_t *begin = e->tensor.data;
        const size_t n = mg_tensor_bytes(&e->tensor);
        FUZZ_CHECK(mg_checkpoint_find(c, e->name) == e && e->name[0]);
        FUZZ_CHECK(e->tensor.n_dims >= 0 && e->tensor.n_dims <= MG_MAX_DIMS);
        FUZZ_CHECK(e->in_memory || (begin >= data && n <= bytes && begin <= data + (bytes - n)));
        for (size_t k = 0; k<n; k += n> 4096 ? 61 : 1) touched = begin[k];
        if (n) touched = begin[n - 1];
    }
    (void)touched;
    mg_checkpoint_close(c);
    return 0;
}
