/* Names of files: out of texts, and each once. */
#include "io_fixture.h"

#include "clip_name.h"

static void expect_slug(const char *text, const char *want)
{
    char out[MG_SLUG_SIZE];

    mg_slug_make(out, text);
    assert_string_equal(out, want);
}

static void words_become_names(void **state)
{
    (void)state;
    expect_slug("Grand piano jazz improvisation", "grand-piano-jazz-improvisation");
    expect_slug("  80s pop, with -- punchy/drums! ", "80s-pop-with-punchy-drums");
    expect_slug("don't stop \xE2\x80\x98til it\xE2\x80\x99s over", "dont-stop-til-its-over");
    expect_slug("../../etc/passwd", "etc-passwd");
    expect_slug("..", "clip");
    expect_slug("a\tb\nc\x7F"
                "d",
                "a-b-c-d");
    expect_slug("", "clip");
    expect_slug("\xE2\x99\xAA \xF0\x9F\x8E\xB9", "clip");                    /* a note, a keyboard */
    expect_slug("\xE9\x9F\xB3\xE6\xA5\xBD 2 \xD0\xBC\xD1\x83\xD0\xB7", "2"); /* other scripts part words */
}

static void accents_are_folded(void **state)
{
    (void)state;
    expect_slug("Caf\xC3\xA9 del Mar", "cafe-del-mar");
    expect_slug("\xC3\x84rger \xC3\x9C"
                "ber Stra\xC3\x9F"
                "e",
                "arger-uber-strasse");
    expect_slug("\xC3\x86"
                "r\xC3\xB8 \xC5\x93uvre \xC3\x9Eing \xC5\x81\xC3\xB3"
                "d\xC5\xBA",
                "aero-oeuvre-thing-lodz");
    expect_slug("Dvor\xCC\x8C"
                "a\xCC\x81k Dvo\xC5\x99\xC3\xA1k",
                "dvorak-dvorak"); /* accents apart, and not */
    expect_slug("Nh\xE1\xBA\xA1"
                "c \xC4\x90\xE1\xBB\x8F \xE1\xBA\x9E",
                "nhac-do-ss");
    expect_slug("2 \xC3\x97 3 \xC3\xB7 4", "2-3-4");
    expect_slug("\xC5\xBF", "s"); /* the last of its table */
    expect_slug("ok \xFF rest", "ok");
}

static void long_texts_end_between_words(void **state)
{
    char text[200];

    (void)state;
    expect_slug("a slow and very sad piano piece with a violin in it",
                "a-slow-and-very-sad-piano-piece-with-a-violin-in");
    expect_slug("a slow and very sad piano piece with violoncello solos",
                "a-slow-and-very-sad-piano-piece-with-violoncello");
    expect_slug("a slow and very sad piano piece with violoncellos", "a-slow-and-very-sad-piano-piece-with");
    memset(text, 'x', 199);
    text[199] = '\0';
    expect_slug(text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    text[47] = ' ';
    expect_slug(text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    memcpy(text + 46, "\xC3\x9F", 3); /* two letters that just fit */
    expect_slug(text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxss");
    memcpy(text + 47, "\xC3\x9F", 3); /* and do not */
    text[46] = 'x';
    expect_slug(text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void expect_name(mg_name_set *s, const char *name, const char *want)
{
    char *out;

    expect_ok(mg_name_set_take(s, &out, name));
    assert_string_equal(out, want);
    free(out);
}

static void names_never_collide(void **state)
{
    mg_name_set *s;

    (void)state;
    expect_ok(mg_name_set_open(&s, 100));
    assert_false(mg_name_set_has(s, "a"));
    expect_name(s, "a", "a");
    assert_true(mg_name_set_has(s, "a"));
    expect_name(s, "a-3", "a-3");
    expect_name(s, "a", "a-2");
    expect_name(s, "a", "a-4");
    expect_name(s, "a-3", "a-3-2");
    expect_name(s, "a-2", "a-2-2");
    expect_name(s, "b", "b");
    mg_name_set_close(s);
    mg_name_set_close(NULL);
}

/* As many of one name as a call may have: not the square of it. */
static void many_of_one_name(void **state)
{
    enum { N = 200000 };
    mg_name_set *s;
    char want[32];

    (void)state;
    expect_ok(mg_name_set_open(&s, N));
    expect_name(s, "clip", "clip");
    for (int i = 2; i <= N; i++) {
        snprintf(want, sizeof want, "clip-%d", i);
        expect_name(s, "clip", want);
    }
    mg_name_set_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_names),
        cmocka_unit_test(accents_are_folded),
        cmocka_unit_test(long_texts_end_between_words),
        cmocka_unit_test(names_never_collide),
        cmocka_unit_test(many_of_one_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
