/* SHA-256 against the known answers of FIPS 180-4, of bytes and of files. */
#include "hash.h"
#include "io_fixture.h"
#include "stop.h"

static const char *const of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char *const of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char *const of_a_million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void known_answers(void **state)
{
    const size_t million = 1000000; /* less than a chunk; twice is more */
    char sha256[65], twice[65];
    char *many = malloc(2 * million);

    (void)state;
    assert_non_null(many);
    memset(many, 'a', 2 * million);
    expect_ok(mg_hash_bytes(sha256, "abc", 3));
    assert_string_equal(sha256, of_abc);
    expect_ok(mg_hash_bytes(sha256, "", 0));
    assert_string_equal(sha256, of_nothing);
    expect_ok(mg_hash_bytes(sha256, many, million));
    assert_string_equal(sha256, of_a_million);

    put_file(in_dir("abc"), "abc", 3);
    put_file(in_dir("million"), many, million);
    put_file(in_dir("twice"), many, 2 * million);
    expect_ok(mg_hash_file(sha256, in_dir("abc")));
    assert_string_equal(sha256, of_abc);
    expect_ok(mg_hash_file(sha256, in_dir("million")));
    assert_string_equal(sha256, of_a_million);
    expect_ok(mg_hash_file(sha256, in_dir("twice")));
    expect_ok(mg_hash_bytes(twice, many, 2 * million));
    assert_string_equal(sha256, twice);
    free(many);
}

static void can_be_stopped(void **state)
{
    atomic_bool stop = false;
    char sha256[65];

    (void)state;
    put_file(in_dir("abc"), "abc", 3);
    expect_ok(mg_hash_file_unless(sha256, in_dir("abc"), &stop));
    assert_string_equal(sha256, of_abc);
    atomic_store(&stop, true);
    expect_failure(mg_hash_file_unless(sha256, in_dir("abc"), &stop), MG_ESTOPPED,
                   "abc: hashing was stopped");
    assert_string_equal(sha256, "");
}

/* The last test: what was asked to stop stays so. */
static void a_signal_stops_all_but_what_goes_on(void **state)
{
    const atomic_bool never = false;
    char sha256[65];

    (void)state;
    put_file(in_dir("abc"), "abc", 3);
    mg_stop_begin();
    raise(SIGTERM);
    expect_failure(mg_hash_file(sha256, in_dir("abc")), MG_ESTOPPED, "stopped by SIGTERM");
    expect_failure(mg_hash_git_file(sha256, in_dir("abc")), MG_ESTOPPED, "stopped by SIGTERM");
    expect_ok(mg_hash_file_unless(sha256, in_dir("abc"), NULL));
    assert_string_equal(sha256, of_abc);
    expect_ok(mg_hash_file_unless(sha256, in_dir("abc"), &never));
    assert_string_equal(sha256, of_abc);
}

static void says_what_is_missing(void **state)
{
    char sha256[65];

    (void)state;
    expect_failure(mg_hash_file(sha256, in_dir("nowhere")), MG_EFAIL, "nowhere: cannot open");
    assert_string_equal(sha256, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(known_answers, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(can_be_stopped, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(says_what_is_missing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_signal_stops_all_but_what_goes_on, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
