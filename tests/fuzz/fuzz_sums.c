/* Any bytes as SHA256SUMS: names that stay in the folder and are found again, or one sentence. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sum_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    mg_sum_list l;

    FUZZ_CHECK(text);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    mg_clear_error();
    if (mg_sum_list_parse(&l, "fuzz", text, (int64_t)bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
        FUZZ_CHECK(l.n == 0 && !l.text);
        return 0;
    }
    for (size_t i = 0; i < l.n; i++) {
        const mg_sum *s = &l.sum[i];
        FUZZ_CHECK(strlen(s->sha256) == 64 && *s->name && s->name[0] != '/' &&
                   strncmp(s->name, "../", 3) != 0);
        FUZZ_CHECK(mg_sum_list_find(&l, s->name) == s);
    }
    mg_sum_list_close(&l);
    return 0;
}
