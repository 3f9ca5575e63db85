/* The bytes that Python's tarfile writes for the same files (tests/golden/make_jobs.py). */
#include "io_fixture.h"

#include "tar_writer.h"

static void test_bytes_of_tarfile(void **state)
{
    mg_tar_writer t;
    char x[600], sha256[65], again[65];
    int64_t n, n_wanted;

    (void)state;
    memset(x, 'x', sizeof x);
    put_file(in_dir("part"), x, sizeof x);
    expect_ok(mg_tar_writer_begin(&t, in_dir("a.tar")));
    expect_ok(mg_tar_writer_add_file(&t, "a.flac", in_dir("part"), sizeof x));
    expect_ok(mg_tar_writer_add(&t, "a.json", "{}", 2));
    expect_ok(mg_tar_writer_add(&t, "\xE9\x9B\xA8.flac", "", 0));
    assert_int_equal(t.bytes, mg_tar_writer_room(600) + mg_tar_writer_room(2) + mg_tar_writer_room(0));
    expect_ok(mg_tar_writer_commit(&t, sha256));
    mg_tar_writer_abandon(&t);
    char *got = get_file(in_dir("a.tar"), &n), *wanted = get_file(MG_GOLDEN_DIR "/jobs/small.tar", &n_wanted);
    assert_true(n <= n_wanted && n % 512 == 0);
    assert_memory_equal(got, wanted, (size_t)n);
    for (int64_t i = n; i < n_wanted; i++)
        assert_int_equal(wanted[i], 0); /* tarfile fills up to 10240 bytes */
    expect_ok(mg_hash_bytes(again, got, (size_t)n));
    assert_string_equal(sha256, again);
    free(got);
    free(wanted);
}

static void test_nothing_is_left_of_a_failure(void **state)
{
    mg_tar_writer t;

    (void)state;
    expect_ok(mg_tar_writer_begin(&t, in_dir("b.tar")));
    expect_failure(mg_tar_writer_add_file(&t, "a", in_dir("none"), 0), MG_EFAIL, "No such file");
    mg_tar_writer_abandon(&t);
    assert_int_equal(count_files(test_dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_of_tarfile, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_nothing_is_left_of_a_failure, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
