/* Growing text and arrays, characters of UTF-8, digits of doubles. */
#include "io_fixture.h"

#include <math.h>
#include <string.h>

#include "tensor.h"
#include "text.h"
#include "utf8.h"

static void grows_and_ends(void **state)
{
    mg_text t = {0};
    char *out, expected[4096] = "";

    (void)state;
    for (int i = 0; i < 200; i++) {
        mg_text_format(&t, "%d,", i);
        sprintf(expected + strlen(expected), "%d,", i);
    }
    mg_text_add_bytes(&t, "a\0b", 3);
    assert_int_equal(t.n, strlen(expected) + 3);
    assert_memory_equal(t.data + strlen(expected), "a\0b", 4); /* and the NUL */
    assert_int_equal(mg_text_end(&t, &out, "test"), MG_OK);
    assert_null(t.data);
    assert_int_equal(strncmp(out, expected, strlen(expected)), 0);
    free(out);

    assert_int_equal(mg_text_end(&t, &out, "test"), MG_OK);
    assert_string_equal(out, "");
    free(out);

    t.failed = true; /* as a realloc that found nothing leaves it */
    mg_text_add(&t, "lost");
    assert_int_equal(mg_text_end(&t, &out, "test"), MG_ENOMEM);
    assert_null(out);
    assert_non_null(strstr(mg_last_error(), "test: no memory"));
}

static void arrays_double(void **state)
{
    int64_t *list = NULL;
    size_t capacity = 0, n_moves = 0;

    (void)state;
    for (size_t n = 0; n < 10000; n++) {
        const size_t before = capacity;
        assert_int_equal(mg_grow(&list, &capacity, n + 1, sizeof *list, "test"), MG_OK);
        n_moves += capacity != before;
        list[n] = (int64_t)n;
    }
    assert_true(n_moves < 16);
    for (size_t n = 0; n < 10000; n++) assert_int_equal(list[n], n);
    assert_int_equal(mg_grow(&list, &capacity, SIZE_MAX / 2, sizeof *list, "test"), MG_ENOMEM);
    assert_int_equal(list[9999], 9999);
    free(list);
}

static void characters(void **state)
{
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9D\x84\x9E\xED\xA0\x80"; /* a é € 𝄞, a surrogate */
    static const int32_t expected[] = {'a', 0xE9, 0x20AC, 0x1D11E, -1, -1};
    const char *p = text;

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(mg_utf8_next(&p, text + sizeof text - 1), expected[i]);
    assert_ptr_equal(p, text + 10);
    assert_int_equal(mg_utf8_bad_offset(text, sizeof text - 1), 10);
    p = text + 1;
    assert_int_equal(mg_utf8_next(&p, text + 2), -1); /* the end is in the middle */
    p = text;
    assert_int_equal(mg_utf8_next(&p, text), -1);

    char *whole = malloc(sizeof text - 1); /* no byte is behind it */
    memcpy(whole, text, sizeof text - 1);
    p = whole + sizeof text - 1;
    assert_int_equal(mg_utf8_next(&p, p), -1);
    free(whole);
    static const size_t kept[] = {0, 1, 1, 3, 3, 3,
                                  6, 6, 6, 6, 10}; /* of so many bytes that there is room for */
    char copy[20];
    for (size_t most = 0; most < sizeof kept / sizeof *kept; most++) {
        mg_utf8_copy(copy, most + 1, text);
        assert_int_equal(strlen(copy), kept[most]);
        assert_memory_equal(copy, text, kept[most]);
    }
    for (size_t most = 0; most < sizeof kept / sizeof *kept; most++)
        assert_int_equal(mg_utf8_fit(text, (int)most), kept[most]);
    assert_int_equal(mg_utf8_fit("abc", 4000), 3);
    mg_utf8_copy(copy, sizeof copy, text);
    assert_string_equal(copy, text);
    mg_utf8_copy(copy, 6, "\x80\x80\x80\x80\x80\x80"); /* no UTF-8: as it comes */
    assert_int_equal(strlen(copy), 5);
}

static void digits_read_back(void **state)
{
    static const struct {
        double v;
        int n;
    } known[] = {{0.1, 1}, {0.30000000000000004, 17}, {1e-8, 1}, {3.25, 3}, {5e-324, 1}, {100000, 1}};
    char text[40];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(mg_double_digits(known[i].v), known[i].n);
    for (int i = 1; i < 2000; i++) {
        const double v = exp(i * 0.37 - 300) / 3;
        snprintf(text, sizeof text, "%.*g", mg_double_digits(v), v);
        assert_true(strtod(text, NULL) == v);
    }
}

static void dims_and_halves(void **state)
{
    const int64_t dim[3] = {2, 3, 1234567890123456789},
                  many[8] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
                             INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    const uint16_t f16[2] = {0x3C00, 0xC000}, bf16[2] = {0x3F80, 0xC000};
    char out[MG_DIMS_SIZE], unaligned[5];
    float x[2];

    (void)state;
    assert_string_equal(mg_dims_format(out, 3, dim), "[2,3,1234567890123456789]");
    assert_string_equal(mg_dims_format(out, 0, dim), "[]");
    assert_int_equal(strlen(mg_dims_format(out, 8, many)), MG_DIMS_SIZE - 1);
    memcpy(unaligned + 1, f16, 4);
    mg_widen(x, unaligned + 1, MG_F16, 2);
    assert_true(x[0] == 1 && x[1] == -2);
    mg_widen(x, bf16, MG_BF16, 2);
    assert_true(x[0] == 1 && x[1] == -2);
}

static void endings(void **state)
{
    (void)state;
    assert_true(mg_text_ends_with("a.json", ".json"));
    assert_true(mg_text_ends_with(".json", ".json"));
    assert_false(mg_text_ends_with("json", ".json"));
    assert_false(mg_text_ends_with("a.json ", ".json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_ends),   cmocka_unit_test(arrays_double),   cmocka_unit_test(characters),
        cmocka_unit_test(digits_read_back), cmocka_unit_test(dims_and_halves), cmocka_unit_test(endings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
