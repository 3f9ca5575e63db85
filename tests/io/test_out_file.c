/* Files appear whole or not at all, whatever goes wrong. */
#include "io_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "audio_file.h"
#include "npy.h"
#include "out_file.h"
#include "out_made.h"
#include "out_name.h"

static void expect_content(const char *path, const char *want)
{
    int64_t bytes;
    char *data = get_file(path, &bytes);

    assert_string_equal(data, want);
    free(data);
}

static void a_file_appears_at_commit(void **state)
{
    mg_out_file f;

    (void)state;
    put_file(in_dir("a.txt"), "old", 3);
    expect_ok(mg_out_file_begin(&f, in_dir("a.txt")));
    expect_ok(mg_out_file_write(&f, "new ", 4));
    expect_ok(mg_out_file_write(&f, "text", 4));
    expect_content(in_dir("a.txt"), "old");
    assert_int_equal(count_files(test_dir), f.nameless ? 1 : 2);
    expect_ok(mg_out_file_commit(&f));
    expect_content(in_dir("a.txt"), "new text");
    assert_int_equal(count_files(test_dir), 1);
    mg_out_file_abandon(&f);
    expect_content(in_dir("a.txt"), "new text");
}

static void a_name_may_be_as_long_as_the_disk_allows(void **state)
{
    char name[256];
    mg_out_file f;

    (void)state;
    memset(name, 'x', 255);
    name[255] = '\0';
    expect_ok(mg_out_file_put(in_dir(name), "a", 1));
    expect_content(in_dir(name), "a");
    expect_ok(mg_out_file_begin(&f, in_dir(name)));
    assert_true(strlen(mg_path_name(f.temp_path)) <= 255); /* for file systems without files without names */
    mg_out_file_abandon(&f);
    assert_int_equal(unlink(in_dir(name)), 0); /* drop_dir knows shorter ones */
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    mg_out_file f, nothing = {.fd = -1};

    (void)state;
    expect_ok(mg_out_file_begin(&f, in_dir("a.txt")));
    expect_ok(mg_out_file_write(&f, "x", 1));
    mg_out_file_abandon(&f);
    mg_out_file_abandon(&f);
    mg_out_file_abandon(&nothing);
    assert_int_equal(count_files(test_dir), 0);
    expect_failure(mg_out_file_write(&f, "x", 1), MG_EBUG, "mg_out_file_write: f->fd >= 0");
    expect_failure(mg_out_file_commit(&f), MG_EBUG, "mg_out_file_commit: f->fd >= 0");
}

static void a_leftover_of_a_killed_process_is_replaced(void **state)
{
    char name[512];

    (void)state;
    assert_true(mg_out_temp_name(name, sizeof name, in_dir("a.txt")));
    put_file(name, "half", 4);
    expect_ok(mg_out_file_put(in_dir("a.txt"), "whole", 5));
    expect_content(in_dir("a.txt"), "whole");
    assert_int_equal(count_files(test_dir), 1);
}

/* 0: two machines with one number of a process take two names; 77: this one does not let us play two. */
static int compare_machines(const char *path)
{
    char here[512], there[512];

    const bool fits = mg_out_temp_name(here, sizeof here, path);
    if (unshare(CLONE_NEWUSER | CLONE_NEWUTS) != 0 || sethostname("elsewhere", 9) != 0) return 77;
    return fits && mg_out_temp_name(there, sizeof there, path) && strcmp(here, there) != 0 ? 0 : 1;
}

static void another_machine_has_another_name(void **state)
{
    int code;

    (void)state;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(compare_machines(in_dir("a.txt")));
    assert_int_equal(waitpid(pid, &code, 0), pid);
    assert_true(WIFEXITED(code));
    if (WEXITSTATUS(code) == 77) skip();
    assert_int_equal(WEXITSTATUS(code), 0);
}

static void bad_paths_are_named(void **state)
{
    char longer[5000];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    put_file(in_dir("file"), "", 0);
    mkdir(in_dir("folder"), 0777);
    expect_failure(mg_out_file_put(in_dir("gone/a.txt"), "x", 1), MG_EFAIL,
                   "gone/a.txt: cannot create: No such file or directory");
    expect_failure(mg_out_file_put(in_dir("file/a.txt"), "x", 1), MG_EFAIL,
                   "file/a.txt: cannot create: Not a directory");
    expect_failure(mg_out_file_put("/proc/a.txt", "x", 1), MG_EFAIL, "/proc/a.txt: cannot create: ");
    expect_failure(mg_out_file_put(in_dir("folder"), "x", 1), MG_EFAIL,
                   "folder: cannot rename to it: Is a directory");
    expect_failure(mg_out_file_put(in_dir("folder/"), "x", 1), MG_EFAIL, "folder/: not the name of a file");
    expect_failure(mg_out_file_put("", "x", 1), MG_EFAIL, ": not the name of a file");
    expect_failure(mg_out_file_put(longer, "x", 1), MG_EFAIL, "the path is longer than 4095 bytes");
    longer[4090] = '\0';
    expect_failure(mg_out_file_put(longer, "x", 1), MG_EFAIL, "a file's name has at most 255 bytes");
    for (int i = 100; i < 4090; i += 100) longer[i] = '/';
    expect_failure(mg_out_file_put(longer, "x", 1), MG_EFAIL, "the path is longer than");
    assert_int_equal(count_files(test_dir), 2);
    assert_int_equal(count_files(in_dir("folder")), 0);
}

/* A full disk, played by the limit on the size of files. */
static void a_full_disk_leaves_nothing(void **state)
{
    static float pcm[20000];
    static const int32_t codes[20000];
    static char big[100000];
    const mg_sound sound = {pcm, 20000, 1, 32000};
    struct rlimit old, small;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 30000;
    put_file(in_dir("b.wav"), "old", 3);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const mg_status put = mg_out_file_put(in_dir("a.bin"), big, sizeof big);
    expect_failure(put, MG_EFAIL, "a.bin: cannot write: File too large");
    const mg_status wav = mg_audio_file_write(in_dir("b.wav"), MG_AUDIO_WAV, &sound, NULL);
    expect_failure(wav, MG_EFAIL, "b.wav: cannot write: File too large");
    const mg_status f32 = mg_audio_file_write(in_dir("b.wav"), MG_AUDIO_WAV_F32, &sound, NULL);
    expect_failure(f32, MG_EFAIL, "b.wav: cannot write: File too large");
    const mg_status npy = mg_npy_write_i32(in_dir("c.npy"), codes, 4, 5000);
    expect_failure(npy, MG_EFAIL, "c.npy: cannot write: File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(count_files(test_dir), 1);
    expect_content(in_dir("b.wav"), "old");
}

static void folders_are_made(void **state)
{
    char longer[5000];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    expect_ok(mg_out_dir_open(in_dir("one/two//three/")));
    expect_ok(mg_out_dir_open(in_dir("one/two/three")));
    assert_int_equal(count_files(in_dir("one/two/three")), 0);
    put_file(in_dir("file"), "", 0);
    expect_failure(mg_out_dir_open(in_dir("file")), MG_EUSAGE,
                   "file: is there already, and is no folder; name another");
    expect_failure(mg_out_dir_open(in_dir("file/x")), MG_EUSAGE, "file: is there already, and is no folder");
    assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
    expect_failure(mg_out_dir_open(in_dir("dangling")), MG_EUSAGE, "is there already, and is no folder");
    expect_failure(mg_out_dir_open("/proc/mg-test"), MG_EFAIL, "/proc/mg-test: cannot make the folder: ");
    expect_failure(mg_out_dir_open("/proc"), MG_EFAIL, "/proc: cannot make files in this folder: ");
    expect_failure(mg_out_dir_open(""), MG_EFAIL, "output folder: its name is empty");
    expect_failure(mg_out_dir_open(longer), MG_EFAIL, "the path is longer than");
}

/* Two calls write into one new folder; the one that made it is refused late. */
static void folders_of_two_stay(void **state)
{
    mg_out_made first, second, third;

    (void)state;
    expect_ok(mg_out_made_open(&first, in_dir("new/deep")));
    expect_ok(mg_out_made_open(&second, in_dir("new/deep")));
    mg_out_made_undo(&first);
    assert_true(mg_path_is_folder(in_dir("new/deep")));
    mg_out_made_undo(&second);
    assert_true(mg_path_is_folder(in_dir("new/deep"))); /* it was there before */
    assert_int_equal(rmdir(in_dir("new/deep")), 0);
    expect_ok(mg_out_made_open(&third, in_dir("new/deep")));
    mg_out_made_undo(&third);
    assert_false(mg_path_is_folder(in_dir("new/deep")));
    assert_true(mg_path_is_folder(in_dir("new")));
    mg_out_made_undo(&third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_appears_at_commit, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_name_may_be_as_long_as_the_disk_allows, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(an_abandoned_file_leaves_nothing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_leftover_of_a_killed_process_is_replaced, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(another_machine_has_another_name, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(bad_paths_are_named, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(folders_are_made, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(folders_of_two_stay, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
