/* Any bytes as a line of a dataset's lists: one sentence, or a clip that does not differ from itself. */
#include <string.h>

#include "fuzz.h"
#include "json_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_clip_line a, b;

    mg_clear_error();
    if (mg_clip_line_parse(&a, "fuzz", (const char *)data, (int64_t)bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
        FUZZ_CHECK(!a.json);
        return 0;
    }
    FUZZ_CHECK(mg_clip_line_parse(&b, "fuzz", (const char *)data, (int64_t)bytes) == MG_OK);
    const char *key = mg_clip_line_difference(&a, &b);
    FUZZ_CHECK(!key || strlen(key) < bytes);
    mg_clip_line_close(&a);
    mg_clip_line_close(&b);
    return 0;
}
