/* Any bytes as a pack of weights, and as the note of a hash: whole and in bounds, or one sentence. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hash_memo.h"
#include "pack_file.h"

enum { DATA_BYTES = 4200000 }; /* two chunks; the seeds hold as much */

static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void check_refusal(void)
{
    FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    const int64_t file_bytes = mg_pack_head_bytes(DATA_BYTES) + DATA_BYTES;
    mg_pack_head head;
    mg_hash_memo memo;

    FUZZ_CHECK(text);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    mg_clear_error();
    if (mg_pack_head_parse(&head, "fuzz", text, (int64_t)bytes, file_bytes, key, DATA_BYTES) == MG_OK) {
        FUZZ_CHECK(head.data_bytes == DATA_BYTES && head.n_chunks == 2);
        FUZZ_CHECK(head.sums >= text && head.sums + 16 <= text + bytes);
        FUZZ_CHECK(head.first_byte + head.data_bytes == file_bytes);
    } else {
        check_refusal();
    }
    FUZZ_CHECK(mg_pack_head_parse(&head, "fuzz", text, (int64_t)bytes, file_bytes - 1, key, DATA_BYTES) !=
               MG_OK);
    if (mg_pack_head_parse(&head, "fuzz", text, (int64_t)bytes, file_bytes, "", -1) == MG_OK) {
        FUZZ_CHECK(head.first_byte + head.data_bytes == file_bytes);
        FUZZ_CHECK(strlen(head.model) < MG_PACK_MODEL_SIZE);
        FUZZ_CHECK(head.sums + head.n_chunks * 8 <= text + bytes);
    } else {
        check_refusal();
    }
    mg_clear_error();
    if (mg_hash_memo_parse(&memo, "fuzz", text) == MG_OK)
        FUZZ_CHECK(strlen(memo.sha256) == 64);
    else
        check_refusal();
    free(text);
    return 0;
}
