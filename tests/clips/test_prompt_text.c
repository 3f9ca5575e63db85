#include "io_fixture.h"

#include "prompt_text.h"

static void what_a_text_may_be(void **state)
{
    char *text = malloc(MG_MAX_PROMPT_BYTES + 10);

    (void)state;
    assert_non_null(text);
    expect_failure(mg_prompt_check("--prompt", "\xFF"), MG_EUSAGE,
                   "--prompt: byte 1 of the text is not UTF-8");
    memset(text, 'a', MG_MAX_PROMPT_BYTES + 1);
    text[MG_MAX_PROMPT_BYTES + 1] = '\0';
    expect_failure(mg_prompt_check("--prompt", text), MG_EUSAGE, "--prompt: longer than");
    text[MG_MAX_PROMPT_BYTES] = '\0';
    expect_ok(mg_prompt_check("--prompt", text));
    free(text);
}

static void a_file_is_one_prompt(void **state)
{
    const char *text = "\xEF\xBB\xBF\r\n \t\n  Song of the Sea \r\n\nverse one\n  chorus \n\n \n";
    char *prompt, *title, *long_text = malloc(1000000);

    (void)state;
    put_file(in_dir("l.txt"), text, strlen(text));
    expect_ok(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")));
    assert_string_equal(title, "Song of the Sea");
    assert_string_equal(prompt, "\r\n \t\n  Song of the Sea \r\n\nverse one\n  chorus");
    free(prompt);
    free(title);
    put_file(in_dir("l.txt"), "x", 1);
    expect_ok(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")));
    assert_string_equal(title, "x");
    assert_string_equal(prompt, "x");
    free(prompt);
    free(title);

    put_file(in_dir("l.txt"), " \n\t\r\n", 5);
    expect_failure(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")), MG_EUSAGE, "l.txt: holds no text");
    assert_true(!prompt && !title);
    put_file(in_dir("l.txt"), "", 0);
    expect_failure(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")), MG_EUSAGE, "l.txt: holds no text");
    put_file(in_dir("l.txt"), "a\0b", 3);
    expect_failure(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")), MG_EUSAGE, "l.txt: holds a NUL");
    put_file(in_dir("l.txt"), "a\xFF", 2);
    expect_failure(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")), MG_EUSAGE,
                   "byte 2 of the text is not UTF-8");
    assert_non_null(long_text);
    memset(long_text, 'a', 1000000);
    put_file(in_dir("l.txt"), long_text, 1000000);
    expect_failure(mg_prompt_file_read(&prompt, &title, in_dir("l.txt")), MG_EUSAGE,
                   "l.txt: longer than 65536 bytes");
    expect_failure(mg_prompt_file_read(&prompt, &title, in_dir("gone")), MG_EFAIL, "gone: cannot open");
    free(long_text);
}

/* Reading stops at the limit, with a sentence. */
static void files_have_a_limit(void **state)
{
    char *data = NULL;
    int64_t bytes;

    (void)state;
    put_file(in_dir("f"), "0123456789", 10);
    expect_ok(mg_in_file_read(&data, &bytes, in_dir("f"), 10));
    assert_int_equal(bytes, 10);
    assert_string_equal(data, "0123456789");
    free(data);
    expect_failure(mg_in_file_read(&data, &bytes, in_dir("f"), 9), MG_EFAIL, "f: more than 9 bytes");
    assert_null(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_text_may_be),
        cmocka_unit_test_setup_teardown(a_file_is_one_prompt, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(files_have_a_limit, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
