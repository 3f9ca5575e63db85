#include "io_fixture.h"

#include "prompt_list.h"

static void expect_prompts(const mg_prompt_list *list, int n, const char *const *want)
{
    assert_int_equal(list->n, n);
    for (int i = 0; i < n; i++) assert_string_equal(list->text[i], want[i]);
}

static void reads_one_a_line(void **state)
{
    const char *text = "\xEF\xBB\xBF"
                       "80s pop\r\n\n  \t\r\n slow piano \ncaf\xC3\xA9\r\nlast without newline";
    mg_prompt_list list = {0};

    (void)state;
    put_file(in_dir("p.txt"), text, strlen(text));
    expect_ok(mg_prompt_list_load(&list, in_dir("p.txt")));
    expect_prompts(&list, 4,
                   (const char *const[]){"80s pop", " slow piano ", "caf\xC3\xA9", "last without newline"});
    assert_true(list.line[0] == 1 && list.line[1] == 4 && list.line[2] == 5 && list.line[3] == 6);
    expect_ok(mg_prompt_list_parse(&list, "t", "more\n", 5));
    assert_int_equal(list.n, 5);
    assert_string_equal(list.text[4], "more");
    assert_int_equal(list.line[4], 1);
    mg_prompt_list_close(&list);
    assert_int_equal(list.n, 0);
    mg_prompt_list_close(&list);
}

static void empty_files_give_nothing(void **state)
{
    mg_prompt_list list = {0};

    (void)state;
    expect_ok(mg_prompt_list_parse(&list, "t", "", 0));
    expect_ok(mg_prompt_list_parse(&list, "t", "\n\r\n   \n", 7));
    expect_ok(mg_prompt_list_parse(&list, "t", "\xEF\xBB\xBF", 3));
    assert_int_equal(list.n, 0);
    mg_prompt_list_close(&list);
}

static void mistakes_name_the_line(void **state)
{
    mg_prompt_list list = {0};
    char *text = malloc(MG_MAX_PROMPT_BYTES + 10);

    (void)state;
    assert_non_null(text);
    expect_failure(mg_prompt_list_parse(&list, "p.txt", "ok\n\ncaf\xE9\n", 9), MG_EUSAGE,
                   "p.txt: line 3: byte 4 is not UTF-8");
    expect_failure(mg_prompt_list_parse(&list, "p.txt", "ok\na\0b\n", 7), MG_EUSAGE,
                   "p.txt: line 2: holds a NUL");
    expect_failure(mg_prompt_check("--prompt", "\xFF"), MG_EUSAGE,
                   "--prompt: byte 1 of the text is not UTF-8");
    memset(text, 'a', MG_MAX_PROMPT_BYTES + 1);
    text[MG_MAX_PROMPT_BYTES + 1] = '\0';
    expect_failure(mg_prompt_list_parse(&list, "p.txt", text, MG_MAX_PROMPT_BYTES + 1), MG_EUSAGE,
                   "p.txt: line 1: longer than 65536 bytes");
    expect_failure(mg_prompt_check("--prompt", text), MG_EUSAGE, "--prompt: longer than");
    expect_ok(mg_prompt_list_parse(&list, "p.txt", text, MG_MAX_PROMPT_BYTES));
    expect_failure(mg_prompt_list_load(&list, in_dir("gone.txt")), MG_EFAIL,
                   "gone.txt: cannot open: No such file");
    expect_failure(mg_prompt_list_load(&list, test_dir), MG_EFAIL, "cannot read: Is a directory");
    mg_prompt_list_close(&list);
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

static void a_dash_is_standard_input(void **state)
{
    mg_prompt_list list = {0};
    int ends[2];
    const int saved = dup(STDIN_FILENO);

    (void)state;
    assert_true(saved >= 0 && pipe(ends) == 0);
    assert_int_equal(write(ends[1], "one\ntwo\n", 8), 8);
    close(ends[1]);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    expect_ok(mg_prompt_list_load(&list, "-"));
    expect_prompts(&list, 2, (const char *const[]){"one", "two"});
    assert_true(dup2(saved, STDIN_FILENO) >= 0);
    close(saved);
    mg_prompt_list_close(&list);
}

static void many_prompts_fit(void **state)
{
    enum { N = 100000 };
    char *text = malloc(N * 7);
    mg_prompt_list list = {0};

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < N; i++) {
        char line[8];
        snprintf(line, sizeof line, "p%05d\n", i);
        memcpy(text + 7 * i, line, 7);
    }
    put_file(in_dir("p.txt"), text, N * 7);
    expect_ok(mg_prompt_list_load(&list, in_dir("p.txt")));
    assert_int_equal(list.n, N);
    assert_string_equal(list.text[0], "p00000");
    assert_string_equal(list.text[N - 1], "p99999");
    mg_prompt_list_close(&list);
    free(text);
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
        cmocka_unit_test_setup_teardown(reads_one_a_line, make_dir, drop_dir),
        cmocka_unit_test(empty_files_give_nothing),
        cmocka_unit_test_setup_teardown(mistakes_name_the_line, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_file_is_one_prompt, make_dir, drop_dir),
        cmocka_unit_test(a_dash_is_standard_input),
        cmocka_unit_test_setup_teardown(many_prompts_fit, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(files_have_a_limit, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
