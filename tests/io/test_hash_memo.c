/* A hash that is remembered: only while the file is the same, whatever is done to it. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "hash.h"
#include "hash_memo.h"
#include "io_fixture.h"

/* Looks at the file as it is now: the hash must be the true one. */
static bool is_known(const char *path)
{
    char sha256[65], truth[65];
    bool known = false;
    const int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    expect_ok(mg_hash_memo_file(sha256, &known, path, fd, test_dir));
    close(fd);
    expect_ok(mg_hash_file(truth, path));
    assert_string_equal(sha256, truth);
    return known;
}

static void settle(void)
{
    nanosleep(&(struct timespec){2, 100000000}, NULL);
}

static void remembers_until_it_changes(void **state)
{
    const char *path = in_dir("weights");
    struct stat before;

    (void)state;
    put_file(path, "abcdef", 6);
    assert_false(is_known(path));
    assert_false(is_known(path)); /* changed a moment ago: it may be changed again within the same time */
    settle();
    assert_false(is_known(path));
    assert_true(is_known(path));

    /* the same size and the same time of writing, in place */
    assert_int_equal(stat(path, &before), 0);
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, 3), 1);
    assert_int_equal(futimens(fd, (const struct timespec[2]){before.st_atim, before.st_mtim}), 0);
    close(fd);
    assert_false(is_known(path));

    /* and another file under this name */
    settle();
    assert_false(is_known(path));
    assert_true(is_known(path));
    put_file(in_dir("other"), "abcdeF", 6);
    assert_int_equal(
        utimensat(AT_FDCWD, in_dir("other"), (const struct timespec[2]){before.st_atim, before.st_mtim}, 0),
        0);
    assert_int_equal(rename(in_dir("other"), path), 0);
    assert_false(is_known(path));
}

static void another_file_than_the_open_one(void **state)
{
    const char *path = in_dir("weights");
    char sha256[65];
    bool known;

    (void)state;
    put_file(path, "abcdef", 6);
    const int fd = open(path, O_RDONLY);
    put_file(in_dir("other"), "abcdeF", 6);
    assert_int_equal(rename(in_dir("other"), path), 0);
    expect_failure(mg_hash_memo_file(sha256, &known, path, fd, test_dir), MG_EFAIL,
                   "weights: was changed while it was read");
    close(fd);
}

static void without_a_folder(void **state)
{
    const char *path = in_dir("weights");
    char sha256[65];
    bool known;

    (void)state;
    put_file(path, "abc", 3);
    const int fd = open(path, O_RDONLY);
    expect_ok(mg_hash_memo_file(sha256, &known, path, fd, in_dir("nowhere")));
    close(fd);
    assert_false(known);
    assert_memory_equal(sha256, "ba7816bf", 8);
}

static void what_is_no_memo(void **state)
{
    static const char good[] = "mg-dist hash 1 5 6 -7 8 "
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    char text[sizeof good];
    mg_hash_memo m;

    (void)state;
    expect_ok(mg_hash_memo_parse(&m, "memo", good));
    assert_int_equal(m.state.inode, 5);
    assert_int_equal(m.state.bytes, 6);
    assert_int_equal(m.state.modified_ns, -7);
    assert_int_equal(m.state.changed_ns, 8);
    for (size_t i = 0; i + 1 < sizeof good; i++) {
        memcpy(text, good, sizeof good);
        text[i] = '\0';
        expect_failure(mg_hash_memo_parse(&m, "memo", text), MG_EFAIL, "memo: is no note of a hash");
        text[i] = 'G';
        expect_failure(mg_hash_memo_parse(&m, "memo", text), MG_EFAIL, "memo: is no note of a hash");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remembers_until_it_changes, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(another_file_than_the_open_one, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(without_a_folder, make_dir, drop_dir),
        cmocka_unit_test(what_is_no_memo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
