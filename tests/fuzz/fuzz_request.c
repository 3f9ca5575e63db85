/* Any bytes as a list of requests: one sentence, or requests that are in order and that printing and reading
 * give back the same; and any title or text as a file's name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clip_name.h"
#include "fuzz.h"
#include "prompt_list.h"
#include "request_list.h"
#include "utf8.h"

static void check_text(const char *text)
{
    FUZZ_CHECK(!text ||
               (strlen(text) <= MG_MAX_PROMPT_BYTES && mg_utf8_bad_offset(text, (int64_t)strlen(text)) < 0));
}

static void check_slug(const char *text)
{
    char slug[MG_SLUG_SIZE];

    mg_slug_make(slug, text);
    const size_t n = strlen(slug);
    FUZZ_CHECK(n > 0 && strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") == n);
    FUZZ_CHECK(slug[0] != '-' && slug[n - 1] != '-' && !strstr(slug, "--"));
}

static void check_number(double x, double low, double high)
{
    FUZZ_CHECK(isnan(x) || (x >= low && x <= high));
}

static void check_request(const mg_request *r)
{
    const char *const texts[] = {r->title,       r->prompt,       r->negative_prompt,
                                 r->text_states, r->audio_prompt, r->melody};

    FUZZ_CHECK(!r->id ||
               (*r->id && *r->id != '.' && *r->id != '-' && !strchr(r->id, '/') && strlen(r->id) <= 128));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_text(texts[i]);
    if (r->title) check_slug(r->title);
    if (r->prompt) check_slug(r->prompt);
    check_number(r->duration_s, 1e-3, 1e6);
    check_number(r->window_s, 1e-3, 1e6);
    check_number(r->top_p, 0, 1);
    check_number(r->temperature, 0, 1000);
    FUZZ_CHECK(isnan(r->duration_s) || r->n_frames == -1);
    FUZZ_CHECK(r->seed >= -1 && r->seed < INT64_C(1) << 53);
    FUZZ_CHECK(r->n == -1 || (r->n >= 1 && r->n <= 1000000000));
    FUZZ_CHECK(r->greedy >= -1 && r->greedy <= 1);
    FUZZ_CHECK(r->where && strncmp(r->where, "fuzz: line ", 11) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_request_list list = {0}, again = {0};
    char *text, *text_again;
    int64_t n, n_again;

    mg_clear_error();
    if (mg_request_list_parse(&list, "fuzz", (const char *)data, (int64_t)bytes) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
        mg_request_list_close(&list);
        return 0;
    }
    for (int64_t i = 0; i < list.n; i++) check_request(&list.request[i]);
    FUZZ_CHECK(mg_request_list_print(&text, &n, &list) == MG_OK);
    FUZZ_CHECK(mg_request_list_parse(&again, "fuzz", text, n) == MG_OK && again.n == list.n);
    FUZZ_CHECK(mg_request_list_print(&text_again, &n_again, &again) == MG_OK);
    FUZZ_CHECK(n == n_again && memcmp(text, text_again, (size_t)n) == 0);
    free(text);
    free(text_again);
    mg_request_list_close(&list);
    mg_request_list_close(&again);
    return 0;
}
