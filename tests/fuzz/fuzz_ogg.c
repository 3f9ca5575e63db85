/* Any bytes as an Ogg file: refused with a message, or nothing changes but each page's number and checksum,
 * and the same again changes nothing more. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "ogg_serial.h"
#include "status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *once = malloc(bytes ? bytes : 1), *twice = malloc(bytes ? bytes : 1);

    FUZZ_CHECK(once && twice);
    if (bytes) memcpy(once, data, bytes);
    mg_clear_error();
    if (mg_ogg_serial_set(once, (int64_t)bytes, 0x01020304) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0]);
    } else {
        if (bytes) memcpy(twice, once, bytes);
        FUZZ_CHECK(mg_ogg_serial_set(twice, (int64_t)bytes, 0x01020304) == MG_OK);
        FUZZ_CHECK(memcmp(once, twice, bytes) == 0);
        for (size_t at = 0; at < bytes;) {
            size_t length = 27 + (size_t)data[at + 26];
            for (int i = 0; i < data[at + 26]; i++) length += data[at + 27 + (size_t)i];
            FUZZ_CHECK(at + length <= bytes && memcmp(once + at, data + at, 14) == 0);
            FUZZ_CHECK(memcmp(once + at + 14, "\4\3\2\1", 4) == 0);
            FUZZ_CHECK(memcmp(once + at + 18, data + at + 18, 4) == 0);
            FUZZ_CHECK(memcmp(once + at + 26, data + at + 26, length - 26) == 0);
            at += length;
        }
    }
    free(once);
    free(twice);
    return 0;
}
