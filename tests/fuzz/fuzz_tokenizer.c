/* The first byte chooses: the rest is a text for the golden tokenizer, a spiece.model, or a tokenizer.json.
 * A model that is accepted must take texts and give ids below its size. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "in_file.h"
#include "status.h"
#include "tokenizer.h"

static void encode(const mg_tokenizer *t, const char *text)
{
    int32_t *ids;
    int64_t n;
    const mg_status st = mg_tokenizer_encode(t, text, &ids, &n);

    if (st != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !ids);
        return;
    }
    FUZZ_CHECK(n >= 1 && ids[n - 1] == 1);
    for (int64_t i = 0; i < n; i++) FUZZ_CHECK(ids[i] >= 0 && ids[i] < mg_tokenizer_size(t));
    free(ids);
}

static void encode_bytes(const uint8_t *data, size_t bytes)
{
    static mg_tokenizer *golden;
    char *text = malloc(bytes + 1);

    if (!golden) FUZZ_CHECK(mg_tokenizer_open(&golden, MG_GOLDEN_DIR "/tokenizer") == MG_OK);
    FUZZ_CHECK(text);
    if (bytes) memcpy(text, data, bytes);
    text[bytes] = '\0';
    encode(golden, text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const texts[] = {"", "80s pop track",
                                        "  caf\xC3\xA9 <extra_id_1>\t\xEF\xBC\xA1 \xF0\x9F\x8E\xB5"};
    mg_tokenizer *t;

    if (bytes < 1) return 0;
    mg_clear_error();
    if (data[0] == 't') {
        encode_bytes(data + 1, bytes - 1);
        return 0;
    }
    if (mg_tokenizer_parse(&t, "fuzz", (const char *)data + 1, (int64_t)bytes - 1, data[0] == 'j') != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !t);
        return 0;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) encode(t, texts[i]);
    mg_tokenizer_close(t);
    return 0;
}
