/* Files that change while they are mapped, and files that are away. */
#include "io_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "in_file.h"

enum { N_BYTES = 1 << 20, N_THREADS = 4 };

static void put_ones(const char *name)
{
    static char ones[N_BYTES];

    memset(ones, 1, sizeof ones);
    put_file(in_dir(name), ones, sizeof ones);
}

static int64_t sum(const mg_mapped_file *f)
{
    int64_t n = 0;

    for (int64_t i = 0; i < f->bytes; i++) n += f->data[i];
    return n;
}

static void *sum_in_thread(void *arg)
{
    return (void *)(intptr_t)sum(arg);
}

static void cut_short_is_a_sentence(void **state)
{
    mg_mapped_file f, whole;
    pthread_t thread[N_THREADS];
    void *got;

    (void)state;
    put_ones("f");
    put_ones("whole");
    expect_ok(mg_in_file_map(&f, in_dir("f")));
    expect_ok(mg_in_file_map(&whole, in_dir("whole")));
    expect_ok(mg_in_file_check(&f));
    assert_int_equal(truncate(in_dir("f"), N_BYTES / 2), 0);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, sum_in_thread, &f), 0);
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], &got), 0);
        assert_int_equal((intptr_t)got, N_BYTES / 2); /* zeros behind its end */
    }
    expect_failure(mg_in_file_check(&f), MG_EFAIL, "f: was cut short while it was read");
    put_ones("f"); /* whole again: what was read before is still not its content */
    expect_failure(mg_in_file_check(&f), MG_EFAIL, "f: was cut short while it was read");
    mg_in_file_unmap(&f);
    assert_int_equal(sum(&whole), N_BYTES);
    expect_ok(mg_in_file_check(&whole));
    mg_in_file_unmap(&whole);

    expect_ok(mg_in_file_map(&f, in_dir("f"))); /* the same slot, without its past */
    assert_int_equal(sum(&f), N_BYTES);
    expect_ok(mg_in_file_check(&f));
    mg_in_file_unmap(&f);
}

/* Cut short where nothing was read of it yet. */
static void cut_short_is_seen_without_a_fault(void **state)
{
    char piece[16];
    mg_mapped_file f;

    (void)state;
    put_ones("f");
    expect_ok(mg_in_file_map(&f, in_dir("f")));
    assert_int_equal(truncate(in_dir("f"), 10), 0);
    assert_int_equal(mg_in_file_copy(f.fd, piece, 0, 16), ENODATA);
    expect_failure(mg_in_file_check(&f), MG_EFAIL, "f: was cut short while it was read");
    mg_in_file_unmap(&f);
}

/* A page that cannot be read, of a file that is as it was: its disk. Here the page is away for a moment. */
static void an_error_of_the_disk_is_called_so(void **state)
{
    struct stat before;
    mg_mapped_file f;

    (void)state;
    put_ones("f");
    assert_int_equal(stat(in_dir("f"), &before), 0);
    expect_ok(mg_in_file_map(&f, in_dir("f")));
    assert_int_equal(truncate(in_dir("f"), N_BYTES / 2), 0);
    assert_int_equal(sum(&f), N_BYTES / 2);
    assert_int_equal(truncate(in_dir("f"), N_BYTES), 0);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, in_dir("f"), times, 0), 0);
    expect_failure(mg_in_file_check(&f), MG_EFAIL, "f: cannot read all of it: an error of its disk");
    mg_in_file_unmap(&f);
}

static void written_to_is_a_sentence(void **state)
{
    const struct timespec later[2] = {{.tv_sec = 2000000000}, {.tv_sec = 2000000000}};
    mg_mapped_file f;

    (void)state;
    put_ones("f");
    expect_ok(mg_in_file_map(&f, in_dir("f")));
    assert_int_equal(utimensat(AT_FDCWD, in_dir("f"), later, 0), 0);
    expect_failure(mg_in_file_check(&f), MG_EFAIL, "f: was written to while it was read");
    mg_in_file_unmap(&f);
}

static void replaced_or_removed_stays_as_it_was(void **state)
{
    mg_mapped_file f;

    (void)state;
    put_ones("f");
    put_file(in_dir("new"), "short", 5);
    expect_ok(mg_in_file_map(&f, in_dir("f")));
    char *from = strdup(in_dir("new"));
    assert_int_equal(rename(from, in_dir("f")), 0);
    free(from);
    assert_int_equal(sum(&f), N_BYTES);
    expect_ok(mg_in_file_check(&f));
    assert_int_equal(unlink(in_dir("f")), 0);
    assert_int_equal(sum(&f), N_BYTES);
    expect_ok(mg_in_file_check(&f));
    mg_in_file_unmap(&f);
}

/* A name with a mistake is the file's own fault; a folder that is empty or missing is a disk that is not
 * mounted. */
static void away_is_the_disk(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_dir("some"), 0777), 0);
    assert_int_equal(mkdir(in_dir("empty"), 0777), 0);
    put_ones("some/a.wav");
    assert_false(mg_in_file_is_away(in_dir("some/a.wav")));
    assert_false(mg_in_file_is_away(in_dir("some/b.wav")));
    assert_false(mg_in_file_is_away(in_dir("some")));
    assert_false(mg_in_file_is_away(in_dir("some/a.wav/b")));
    assert_true(mg_in_file_is_away(in_dir("empty/a.wav")));
    assert_true(mg_in_file_is_away(in_dir("empty/none/a.wav")));
    assert_false(mg_in_file_is_away(in_dir("none/a.wav"))); /* a name that is wrong: others are there */
    assert_false(mg_in_file_is_away("/dev/zero"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cut_short_is_a_sentence, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(cut_short_is_seen_without_a_fault, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(an_error_of_the_disk_is_called_so, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(written_to_is_a_sentence, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(replaced_or_removed_stays_as_it_was, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(away_is_the_disk, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
