/* Any bytes as a shard: members that lie inside of it, or one sentence; and an end. */
#include <string.h>

#include "fuzz.h"
#include "tar_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_tar_reader t;
    mg_tar_member m;
    bool over = false;
    size_t n = 0;

    mg_clear_error();
    mg_tar_reader_open_text(&t, "fuzz", (const char *)data, (int64_t)bytes);
    while (!over) {
        if (mg_tar_reader_next(&t, &m, &over) != MG_OK) {
            FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
            break;
        }
        if (over) break;
        FUZZ_CHECK(++n <= bytes / 512);
        FUZZ_CHECK(*m.name && m.bytes >= 0);
        FUZZ_CHECK(m.data >= (const char *)data && m.data + m.bytes <= (const char *)data + bytes);
    }
    mg_tar_reader_close(&t);
    return 0;
}
