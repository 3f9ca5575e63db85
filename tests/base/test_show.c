/* What was not written here, made fit for a terminal; and long lists, grouped. */
#include "io_fixture.h"

#include <math.h>

#include "lines.h"
#include "show.h"

static int show(char *out, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = mg_show_vformat(out, size, format, args);
    va_end(args);
    return n;
}

static void shows(const char *wanted, const char *text)
{
    char out[256];

    assert_int_equal(show(out, sizeof out, "<%s>", text), strlen(wanted) + 2);
    assert_int_equal(out[0], '<');
    out[strlen(out) - 1] = '\0';
    assert_string_equal(out + 1, wanted);
}

static void controls_and_directions_are_escaped(void **state)
{
    (void)state;
    shows("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8E\xB5 \xD7\xA9",
          "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8E\xB5 \xD7\xA9");
    shows("\\x1b[31mred\\x07", "\x1b[31mred\a");
    shows("a\\nmg-dist: error: forged\\r\\t", "a\nmg-dist: error: forged\r\t");
    shows("\\x7f\\x9b\\u0085", "\x7f\xC2\x9B\\u0085");
    shows("\\u202eabc\\u2066\\u200f\\u061c", "\xE2\x80\xAE"
                                             "abc\xE2\x81\xA6\xE2\x80\x8F\xD8\x9C");
    shows("\\u2028", "\xE2\x80\xA8");
    shows("\\xff\\xc3(", "\xFF\xC3("); /* not UTF-8 */
}

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif
/* All else is as printf has it. */
static void conversions_are_printfs(void **state)
{
    char ours[256], theirs[256];
    int n;

    (void)state;
#define SAME(...)                                                  \
    do {                                                           \
        n = snprintf(theirs, sizeof theirs, __VA_ARGS__);          \
        assert_int_equal(show(ours, sizeof ours, __VA_ARGS__), n); \
        assert_string_equal(ours, theirs);                         \
        assert_int_equal(show(NULL, 0, __VA_ARGS__), n);           \
        assert_int_equal(show(ours, 4, __VA_ARGS__), n);           \
        theirs[3] = '\0';                                          \
        assert_string_equal(ours, theirs);                         \
    } while (0)
    SAME("100 %% %d %i %u %x\n", -7, 8, 4000000000u, 255u);
    SAME("%5d|%-5d|%05d|%+d|% d|%.3d|%*d", 1, 2, 3, 4, 5, 6, 7, 8);
    SAME("%ld %lu %lld %llu %zu %zd %hd %hhu %jd", -1L, 1UL, -1LL, ~0ULL, (size_t)5, (ssize_t)-5, (short)-3,
         (unsigned char)200, (intmax_t)-9);
    SAME("%08x %#x %X %o", 0xbeefu, 10u, 0xabcu, 8u);
    SAME("%f %.3f %8.2f %-8.1f| %e %.*g %.17g %G", 1.5, 2.25, 3.125, 4.0, 1e-8, 3, 0.1, 0.1, 1e20);
    SAME("%g %g %g", (double)INFINITY, (double)-INFINITY, 0.0);
    SAME("%c%c", 'a', 'z');
    SAME("%s|%10s|%-10s|%.3s|%-6.2s|%.*s|%*s", "abc", "abc", "abc", "abcdef", "abc", 2, "xyz", -5, "q");
    SAME("%p", (void *)ours);
    SAME("no conversion");
    SAME("%s", "");
#undef SAME
    /* a width counts what is shown, and a precision does not cut a character in two */
    show(ours, sizeof ours, "%-6s|%6s|%.3s|", "\n", "\n", "ab\xC3\xA9");
    assert_string_equal(ours, "\\n    |    \\n|ab|");
}

static void messages_are_shown(void **state)
{
    (void)state;
    expect_failure(mg_fail(MG_EFAIL, "%s: is \"%.64s\"", "a\nb", "\x1b[2J"), MG_EFAIL,
                   "a\\nb: is \"\\x1b[2J\"");
    assert_int_equal(mg_fail_text(MG_EFAIL, "one\ntwo"), MG_EFAIL);
    assert_string_equal(mg_last_error(), "one\ntwo");
}

static void grouped(const char *wanted, const char *text, size_t most)
{
    mg_text out = {0};

    expect_ok(mg_lines_group(&out, text, most));
    assert_string_equal(out.data, wanted);
    mg_text_reset(&out);
}

static void lines_of_one_pattern_are_one(void **state)
{
    (void)state;
    grouped("a.1\na.2\n", "a.1\na.2", 2);
    grouped("a.{1..3}  (3)\n", "a.1\na.3\na.2\n", 2);
    grouped("a.{1..3}.w  [2,1]  (2)\nb.w\na.2.w  [3,1]\n", "a.1.w  [2,1]\nb.w\na.3.w  [2,1]\na.2.w  [3,1]\n",
            3);
    grouped("w fp32 {1..2}  (2)\nw fp16 1\n", "w fp32 1\nw fp16 1\nw fp32 2", 2);
    grouped("q.{0..1}.{0..1}  (4)\n", "q.0.0\nq.0.1\nq.1.0\nq.1.1", 1);
    grouped("a  (2)\n  ... and 2 more; -v lists all\n", "a\nb\na\nc", 1);
    grouped("a.{0..1}.x  (2)\n    * 0.93  b.{7..8}.x\nc.0\n",
            "a.0.x\n    * 0.93  b.7.x\na.1.x\n    * 0.93  b.8.x\nc.0", 2);
    grouped("f-{1..3}-of-00003.bin  (3)\n",
            "f-00001-of-00003.bin\nf-00002-of-00003.bin\nf-00003-of-00003.bin", 2);
}

static void long_lists_take_no_time(void **state)
{
    enum { N = 400000 };
    mg_text in = {0}, out = {0};

    (void)state;
    for (int i = 0; i < N; i++)
        mg_text_format(&in, "%s.layers.%d.part_%d.weight\n", i % 3 ? "a" : "b", i, i % 7);
    for (int i = 0; i < N / 4; i++) mg_text_format(&in, "x%dy\n", i);
    expect_ok(mg_lines_group(&out, in.data, 20));
    assert_non_null(strstr(out.data, "b.layers.{0..399999}.part_{0..6}.weight  (133334)\n"));
    assert_non_null(strstr(out.data, "... and 99982 more; -v lists all\n"));
    assert_true(out.n < 2000);
    mg_text_reset(&in);
    mg_text_reset(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_and_directions_are_escaped),
        cmocka_unit_test(conversions_are_printfs),
        cmocka_unit_test(messages_are_shown),
        cmocka_unit_test(lines_of_one_pattern_are_one),
        cmocka_unit_test(long_lists_take_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
