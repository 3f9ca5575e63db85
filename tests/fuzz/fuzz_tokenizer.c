/* The first byte chooses: the rest is a text for the golden tokenizer, a spiece.model, a tokenizer.json, or
 * one of the files beside these: tokenizer_config.json (c), added_tokens.json (a), special_tokens_map.json
 * (m), the tokenizer.json beside a spiece.model (b). A model that is accepted must take texts and give ids
 * below its size. */
#include <stdlib.h>
#include <string.h>

#include "added_tokens.h"
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
    FUZZ_CHECK(n >= 1);
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

static mg_status parse_side(mg_tokenizer **t, char which, const char *text, int64_t bytes)
{
    static char *model;
    static int64_t model_bytes;
    mg_tokenizer_side side = {0};

    if (!model)
        FUZZ_CHECK(mg_in_file_read(&model, &model_bytes, MG_GOLDEN_DIR "/tokenizer/spiece.model", 1 << 20) ==
                   MG_OK);
    if (which == 'c') side.config = text, side.config_bytes = bytes;
    if (which == 'a') side.added = text, side.added_bytes = bytes;
    if (which == 'm') side.special = text, side.special_bytes = bytes;
    if (which == 'b') side.json = text, side.json_bytes = bytes;
    return mg_tokenizer_parse_side(t, "fuzz", model, model_bytes, false, &side);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const texts[] = {"", "80s pop track",
                                        "  caf\xC3\xA9 <extra_id_1>\t\xEF\xBC\xA1 \xF0\x9F\x8E\xB5",
                                        "zork drop <genre> zorkdrop drop"};
    mg_tokenizer *t;

    if (bytes < 1) return 0;
    mg_clear_error();
    if (data[0] == 't') {
        encode_bytes(data + 1, bytes - 1);
        return 0;
    }
    const char *rest = (const char *)data + 1;
    const int64_t n_rest = (int64_t)bytes - 1;
    if ((strchr("camb", data[0]) && data[0]
             ? parse_side(&t, (char)data[0], rest, n_rest)
             : mg_tokenizer_parse(&t, "fuzz", rest, n_rest, data[0] == 'j')) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !t);
        return 0;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) encode(t, texts[i]);
    mg_tokenizer_close(t);
    return 0;
}
