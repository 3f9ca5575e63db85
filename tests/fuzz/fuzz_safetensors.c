/* Any bytes as a .safetensors file: what is accepted covers the data exactly, and every byte of it can be
 * read. */
#include "fuzz.h"
#include "safetensors.h"
#include "status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_safetensors s;
    int64_t n_header = 0, sum = 0;
    volatile uint8_t touched = 0; /* a sanitizer sees the reads */

    mg_clear_error();
    if (mg_safetensors_parse(&s, "fuzz", data, (int64_t)bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !s.entries);
        return 0;
    }
    for (int64_t i = 0; i < s.n; i++) {
        const mg_safetensors_entry *e = &s.entries[i];
        mg_tensor t = {.dtype = e->dtype, .n_dims = e->n_dims};
        FUZZ_CHECK(e->n_dims >= 0 && e->n_dims <= MG_MAX_DIMS);
        for (int d = 0; d < MG_MAX_DIMS; d++) t.dim[d] = e->dim[d];
        FUZZ_CHECK(e->begin >= 10 && e->begin <= e->end && e->end <= (int64_t)bytes);
        FUZZ_CHECK((int64_t)mg_tensor_bytes(&t) == e->end - e->begin);
        for (int64_t at = e->begin; at < e->end; at++) touched = data[at];
        sum += e->end - e->begin;
    }
    (void)touched;
    for (int i = 0; i < 8; i++) n_header |= (int64_t)data[i] << (8 * i);
    FUZZ_CHECK(8 + n_header + sum == (int64_t)bytes);
    mg_safetensors_close(&s);
    return 0;
}
