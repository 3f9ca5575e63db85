/* Any bytes as a list of requests: one sentence, or requests that are in order and that another rank
 * gets as the same; and any title or text as a file's name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clip_name.h"
#include "fuzz.h"
#include "prompt_text.h"
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

static void check_request(const mg_recipe *r)
{
    FUZZ_CHECK(mg_recipe_check(r, "fuzz") == MG_OK);
    FUZZ_CHECK(!r->id || (*r->id && *r->id != '.' && !strchr(r->id, '/') && strlen(r->id) <= 200));
    check_text(r->title);
    check_text(r->prompt);
    if (r->title) check_slug(r->title);
    if (r->prompt) check_slug(r->prompt);
    FUZZ_CHECK(isnan(r->dur_s) || r->n_frames == -1);
    FUZZ_CHECK(r->where && strncmp(r->where, "fuzz: line ", 11) == 0);
    for (int i = 0; i < mg_recipe_n_keys; i++)
        if (i > 0)
            FUZZ_CHECK(mg_recipe_says(r, &mg_recipe_keys[i]) != mg_recipe_is_absent(r, &mg_recipe_keys[i]) ||
                       mg_recipe_keys[i].type == MG_KEY_BOOL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_request_list list = {0}, again = {0};
    mg_request_pack pack;

    mg_clear_error();
    if (mg_request_list_parse(&list, "fuzz", (const char *)data, (int64_t)bytes, &(mg_job_format){0}) !=
        MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !strchr(mg_last_error(), '\n'));
        mg_request_list_close(&list);
        return 0;
    }
    for (int64_t i = 0; i < list.n; i++) check_request(&list.recipe[i]);
    FUZZ_CHECK(mg_request_list_pack(&pack, &list) == MG_OK);
    FUZZ_CHECK(mg_request_list_unpack(&again, &pack, true) == MG_OK && again.n == list.n);
    for (int64_t i = 0; i < list.n; i++) {
        check_request(&again.recipe[i]);
        FUZZ_CHECK(again.recipe[i].said == list.recipe[i].said);
        FUZZ_CHECK(!list.recipe[i].prompt || strcmp(list.recipe[i].prompt, again.recipe[i].prompt) == 0);
    }
    mg_request_pack_close(&pack);
    mg_request_list_close(&list);
    mg_request_list_close(&again);
    return 0;
}
