#include "io_fixture.h"

#include <pthread.h>

#include "utf8.h"

static void keeps_the_last_message(void **state)
{
    (void)state;
    assert_int_equal(mg_fail(MG_EUSAGE, "top-k: %d: must be positive", -3), MG_EUSAGE);
    assert_string_equal(mg_last_error(), "top-k: -3: must be positive");
    assert_int_equal(mg_fail(MG_EFIT, "second"), MG_EFIT);
    assert_string_equal(mg_last_error(), "second");
    mg_clear_error();
    assert_string_equal(mg_last_error(), "");
}

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    mg_fail(MG_EFAIL, "of another thread");
    return NULL;
}

static void is_of_one_thread(void **state)
{
    pthread_t other;

    (void)state;
    mg_fail(MG_EFAIL, "mine");
    assert_int_equal(pthread_create(&other, NULL, fail_elsewhere, NULL), 0);
    pthread_join(other, NULL);
    assert_string_equal(mg_last_error(), "mine");
}

static void cuts_what_is_too_long(void **state)
{
    char text[10000];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mg_fail(MG_EFAIL, "%s", text);
    assert_in_range(strlen(mg_last_error()), 1000, sizeof text - 1);
}

/* It comes into files of JSON, which are UTF-8. */
static void a_fault_is_cut_between_characters(void **state)
{
    static const char *const character[] = {"a", "\u00e9", "\u266b", "\U0001f3b5"};
    char text[1000];

    (void)state;
    for (size_t i = 0; i < sizeof character / sizeof *character; i++) {
        for (size_t before = 0; before < 4; before++) {
            size_t n = before;
            memset(text, 'x', before);
            for (; n + 5 < sizeof text; n += strlen(character[i])) strcpy(text + n, character[i]);
            const mg_fault fault = mg_fault_take(mg_fail(MG_EFAIL, "%s", text));
            assert_int_equal(mg_utf8_bad_offset(fault.text, (int64_t)strlen(fault.text)), -1);
            assert_in_range(strlen(fault.text), sizeof fault.text - 4, sizeof fault.text - 1);
        }
    }
}

static void *find_a_fault(void *arg)
{
    mg_fault *fault = arg;

    *fault = mg_fault_take(mg_fail(MG_EFIT, "memory: %d MB", 7));
    if (*mg_last_error()) fault->st = MG_EBUG; /* it was taken */
    return NULL;
}

static void a_fault_travels_between_threads(void **state)
{
    pthread_t other;
    mg_fault fault = {0};

    (void)state;
    mg_clear_error();
    assert_int_equal(pthread_create(&other, NULL, find_a_fault, &fault), 0);
    pthread_join(other, NULL);
    assert_string_equal(mg_last_error(), "");
    assert_int_equal(mg_fault_raise(&fault), MG_EFIT);
    assert_string_equal(mg_last_error(), "memory: 7 MB");
}

static void no_fault_is_none(void **state)
{
    (void)state;
    mg_fail(MG_EFAIL, "of something else");
    const mg_fault none = mg_fault_take(MG_OK);
    assert_int_equal(none.st, MG_OK);
    assert_string_equal(none.text, "");
    assert_int_equal(mg_fault_raise(&none), MG_OK);
    assert_string_equal(mg_last_error(), "of something else");
}

static mg_status requires(int n)
{
    MG_REQUIRE(n > 0);
    return MG_OK;
}

static mg_status owns(int n, int *n_done)
{
    mg_status st = MG_OK;

    MG_TRY(requires(n));
    n = 7;
done:
    *n_done = n;
    return st;
}

static void macros_hand_the_status_up(void **state)
{
    int n = 0;

    (void)state;
    assert_int_equal(owns(1, &n), MG_OK);
    assert_int_equal(n, 7);
    expect_failure(owns(-1, &n), MG_EBUG, "requires: n > 0");
    assert_int_equal(n, -1);
}

static void common_faults_are_no_clip_s_own(void **state)
{
    static const mg_status common[] = {MG_EBUG, MG_ENOMEM, MG_EDEVICE, MG_ECOMM, MG_ESTOPPED};
    static const mg_status own[] = {MG_OK, MG_EFAIL, MG_EUSAGE, MG_ECHECKPOINT, MG_EFIT};

    (void)state;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) assert_true(mg_status_is_common(common[i]));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) assert_false(mg_status_is_common(own[i]));
}

static void exit_codes_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(mg_exit_code(MG_OK), 0);
    assert_int_equal(mg_exit_code(MG_EFAIL), 1);
    assert_int_equal(mg_exit_code(MG_EDEVICE), 6);
    assert_int_equal(mg_exit_code(MG_EBUG), 1);
    assert_int_equal(mg_exit_code(MG_EUSAGE), 2);
    assert_int_equal(mg_exit_code(MG_EPARTIAL), 3);
    assert_int_equal(mg_exit_code(MG_ECHECKPOINT), 4);
    assert_int_equal(mg_exit_code(MG_EFIT), 5);
    assert_int_equal(mg_exit_code(MG_ENOMEM), 5);
    assert_int_equal(mg_exit_code(MG_ECOMM), 6);
    assert_int_equal(mg_exit_code(MG_ESTOPPED), 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_last_message),
        cmocka_unit_test(is_of_one_thread),
        cmocka_unit_test(cuts_what_is_too_long),
        cmocka_unit_test(a_fault_is_cut_between_characters),
        cmocka_unit_test(a_fault_travels_between_threads),
        cmocka_unit_test(no_fault_is_none),
        cmocka_unit_test(macros_hand_the_status_up),
        cmocka_unit_test(common_faults_are_no_clip_s_own),
        cmocka_unit_test(exit_codes_are_those_of_the_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
