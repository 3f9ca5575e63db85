/* Any bytes as a line of a sweep's results: one sentence, or figures that a table and a plot can hold. */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "scaling_results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_scaling_result a;
    mg_text t = {0};

    mg_clear_error();
    if (mg_scaling_parse(&a, "fuzz", (const char *)data, (int64_t)bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
        return 0;
    }
    FUZZ_CHECK(a.point.np > 0 && a.point.tp > 0 && a.point.batch > 0 && a.dur_s > 0 && isfinite(a.dur_s));
    if (a.status == MG_SCALING_OK) {
        FUZZ_CHECK(a.step_ms > 0 && isfinite(a.step_ms) && a.x_real_time > 0 && isfinite(a.x_real_time));
        for (int p = 0; p < MG_SCALING_PARTS; p++) FUZZ_CHECK(isnan(a.part_ms[p]) || a.part_ms[p] >= 0);
    }
    FUZZ_CHECK(a.sizes.n_layers >= 0 && a.sizes.n_rows >= 0 && !(a.joules < 0) && !(a.bare_ms < 0) &&
               !(a.decode_first_ms < 0) && !(a.decode_batch_ms < 0));
    const mg_scaling_results one = {.item = &a, .n = 1};
    mg_scaling_csv(&t, &one);
    FUZZ_CHECK(mg_text_check(&t, "table") == MG_OK);
    size_t n_lines = 0;
    for (size_t i = 0; i < t.n; i++) n_lines += t.data[i] == '\n';
    FUZZ_CHECK(n_lines == 2);
    mg_text_reset(&t);
    mg_scaling_result_close(&a);
    return 0;
}
