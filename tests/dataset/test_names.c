/* What files are called: names in a shard, and how many a folder holds. */
#include "dataset_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "dataset_verify.h"

static char out[300], jobs[300];

static int set_up(void **state)
{
    if (make_dir(state) != 0) return -1;
    snprintf(out, sizeof out, "%s/out", test_dir);
    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    return 0;
}

/* In a tar 'a.b' and 'a_b' are one sample, of which loaders keep one; names with "__" in front they pass
 * over. */
static void test_names_in_a_shard(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"id\": \"a.b\"}\n{\"id\": \"c\"}\n{\"id\": \"a_b\"}\n",
         "line 3: id \"a_b\" and \"a.b\" of line 1 have one name in a shard"},
        {"{\"id\": \"a.b_c\"}\n{\"id\": \"a_b.c\"}\n", "line 2: id \"a_b.c\" and \"a.b_c\" of line 1"},
        {"{\"id\": \"-_x\"}\n{\"id\": \"__x\"}\n", "line 2: id \"__x\" and \"-_x\" of line 1"},
        {"{\"id\": \"x\"}\n{\"id\": \"x\"}\n{\"id\": \"y.\u00e9\"}\n", "line 2: id \"x\" is that of line 1"},
    };
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_WEBDATASET);
    char name[MG_PATH_SIZE];
    mg_dataset *d;
    int64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(jobs, cases[i].text, strlen(cases[i].text));
        expect_refused(&call, MG_EUSAGE, cases[i].part);
        assert_null(strstr(mg_last_error(), "more;")); /* said once */
    }
    put_file(jobs, cases[0].text, strlen(cases[0].text));
    call.layout = MG_LAYOUT_AUDIOFOLDER; /* where they are two files */
    expect_ok(mg_dataset_check_jobs(&call, NULL, NULL, &n));
    call.layout = MG_LAYOUT_WEBDATASET;
    static const char good[] = "{\"id\": \"__x.y\"}\n{\"id\": \"Clip_1\"}\n{\"id\": \"clip.2\"}\n";
    put_file(jobs, good, sizeof good - 1);
    call.out = in_dir("good");
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 9), 3);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    char *tar = text_of("good/set-000000.tar");
    assert_string_equal(tar, "-_x_y.flac");
    free(tar);
    expect_ok(mg_dataset_member_name(name, "_x.wav", ".json"));
    assert_string_equal(name, "_x.json");
    assert_true(mg_dataset_is_member("-_x_y.flac", "-_x_y.flac"));
    assert_true(mg_dataset_is_member("__x_y.flac", "-_x_y.flac")); /* as it was once */
    assert_false(mg_dataset_is_member("_x_y.flac", "-_x_y.flac"));
    assert_false(mg_dataset_is_member("-_x_y.flac", "__x_y.flac"));
}

/* The name of a job that is not there any more, and had no clip, is free. */
static void test_names_that_jobs_left(void **state)
{
    static const char before[] = "{\"id\": \"a.b\"}\n{\"id\": \"Clip\"}\n";
    static const char after[] = "{\"id\": \"a_b\"}\n{\"id\": \"clip\"}\n";
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_WEBDATASET);
    mg_dataset_counts n;
    mg_dataset *d;

    (void)state;
    put_file(jobs, before, sizeof before - 1);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    put_file(jobs, after, sizeof after - 1);
    call.jobs_changed = MG_JOBS_CHANGED_OK;
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_count(d, &n);
    assert_int_equal(n.total, 2);
    mg_dataset_close(d);
}

/* Fewer than 10,000 entries, or the hub takes none of them: clips, their .json, the metadata and the folders.
 */
static void test_folders_stay_small(void **state)
{
    char name[MG_PATH_SIZE];
    int64_t n = 0;

    (void)state;
    do expect_ok(mg_dataset_file_name(name, MG_LAYOUT_AUDIOCRAFT, ".flac", n++, "x"));
    while (strcmp(name, "train/x.flac") == 0);
    assert_string_equal(name, "train/00001/x.flac");
    assert_true(2 * (n - 1) + 1 < 9000);
}

static void test_a_dataset_is_in_no_other(void **state)
{
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    char link[300];
    mg_dataset *d;

    (void)state;
    put_file(jobs, "{}\n", 3);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_close(d);
    snprintf(link, sizeof link, "%s", in_dir("link"));
    assert_int_equal(symlink("out/train", link), 0);
    assert_int_equal(mkdir(in_dir("out/train"), 0777), 0);
    static const char *const inside[] = {"out/x", "out/train", "out/.mg-dist/x/y//", "link", "link/../x"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        expect_failure(mg_dataset_check_outside(in_dir(inside[i]), true), MG_EUSAGE, "is in the dataset");
        call.out = in_dir(inside[i]);
        expect_refused(&call, MG_EUSAGE, "name a folder elsewhere");
    }
    expect_failure(mg_dataset_check_outside(out, false), MG_EUSAGE, "is in the dataset");
    expect_ok(mg_dataset_check_outside(out, true));
    expect_ok(mg_dataset_check_outside(in_dir("out-2/x"), false));
    expect_ok(mg_dataset_check_outside(test_dir, false));
    expect_ok(mg_dataset_check_outside("not/there", false));
    expect_ok(mg_dataset_check_outside("/", false));
}

/* What verify says of the one line of a manifest. */
static void note_fault(void *arg, const char *fault)
{
    if (strstr(fault, "line 1: ")) snprintf(arg, 200, "%s", strstr(fault, "line 1: "));
}

/* A state and a manifest may be others' work: both are held to one rule (test_merge.c: a state). */
static void test_names_that_a_manifest_may_say(void **state)
{
    static const struct {
        const char *file, *shard, *fault;
    } cases[] = {
        {"train/a.flac", NULL, ""},
        {"a.flac", "set-000000.tar", ""},
        {"../a.flac", NULL, "line 1: file: "},
        {"a", NULL, "line 1: file: "},
        {"train.d/a", NULL, "line 1: file: "},
        {"train/.flac", NULL, "line 1: file: "},
        {"a\\u0001.flac", NULL, "line 1: file: "},
        {"a.flac", "below/set-000000.tar", "line 1: shard: below/set-000000.tar: is no name"},
        {"a.flac", "..", "line 1: shard: ..: is no name"},
    };
    char text[400], said[200];

    (void)state;
    assert_int_equal(mkdir(out, 0777), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_dataset_verdict v = {0};
        const char *shard = cases[i].shard;
        snprintf(text, sizeof text, "{\"id\":\"a\",\"file\":\"%s\",\"sha256\":\"%064d\",\"bytes\":1%s%s%s}\n",
                 cases[i].file, 0, shard ? ",\"shard\":\"" : "", shard ? shard : "", shard ? "\"" : "");
        put_file(in_dir("out/manifest.jsonl"), text, strlen(text));
        *said = '\0';
        expect_ok(mg_dataset_verify(&v, out, 1, note_fault, said));
        mg_dataset_verdict_close(&v);
        if (strncmp(said, cases[i].fault, strlen(cases[i].fault)) != 0 || (!*cases[i].fault && *said))
            fail_msg("%s: %s", text, said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_in_a_shard, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_names_that_jobs_left, set_up, drop_dir),
        cmocka_unit_test(test_folders_stay_small),
        cmocka_unit_test_setup_teardown(test_a_dataset_is_in_no_other, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_names_that_a_manifest_may_say, set_up, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
