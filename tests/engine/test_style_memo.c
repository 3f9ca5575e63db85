#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "style_memo.h"

static mg_style_key key_of(int64_t size)
{
    return (mg_style_key){.file.st_size = size, .start_s = NAN, .dur_s = 3, .n_codebooks = 3};
}

static void put(mg_style_memo *m, int64_t size)
{
    const mg_style_key key = key_of(size);
    const float rows[4] = {(float)size, 1, 2, 3};

    mg_style_memo_put(m, &key, rows, 2, 2);
}

static bool knows(mg_style_memo *m, int64_t size)
{
    const mg_style_key key = key_of(size);
    int64_t n_rows = 0;
    const float *rows = mg_style_memo_find(m, &n_rows, &key);

    if (!rows) return false;
    assert_int_equal(n_rows, 2);
    assert_true(rows[0] == (float)size && rows[3] == 3);
    return true;
}

/* A style is another one by each part of its key. */
static void test_keys(void **state)
{
    mg_style_memo m = {0};
    int64_t n;

    (void)state;
    assert_false(knows(&m, 7));
    put(&m, 7);
    assert_true(knows(&m, 7));
    mg_style_key other[] = {key_of(8), key_of(7), key_of(7), key_of(7), key_of(7), key_of(7), key_of(7)};
    enum { N = sizeof other / sizeof *other };
    other[1].start_s = 0;
    other[2].dur_s = 2;
    other[3].n_codebooks = 1;
    other[4].file.st_ino = 1;
    other[5].file.st_mtim.tv_nsec = 1;
    other[6].file.st_ctim.tv_nsec = 1;
    for (int i = 0; i < N; i++) assert_null(mg_style_memo_find(&m, &n, &other[i]));
    mg_style_memo_reset(&m);
    assert_false(knows(&m, 7));
}

/* What was used longest ago goes. */
static void test_bound(void **state)
{
    mg_style_memo m = {0};

    (void)state;
    for (int i = 0; i < MG_STYLE_MEMO_PLACES; i++) put(&m, i);
    assert_true(knows(&m, 0));
    put(&m, MG_STYLE_MEMO_PLACES);
    assert_true(knows(&m, 0));
    assert_false(knows(&m, 1));
    for (int i = 2; i <= MG_STYLE_MEMO_PLACES; i++) assert_true(knows(&m, i));
    mg_style_memo_reset(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
