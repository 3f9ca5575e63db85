/* What a start finds of an earlier one. */
#include "dataset_fixture.h"

#include "run_db.h"

static const char jobs_text[] = "{\"id\": \"a\", \"prompt\": \"x\", \"duration\": 5}\n"
                                "{\"id\": \"b\", \"prompt\": \"y\", \"duration\": 9, \"n\": 2}\n"
                                "{\"prompt\": \"z\"}\n";

static const char changed[] = "{\"id\": \"new\", \"prompt\": \"w\"}\n"
                              "{\"id\": \"a\", \"prompt\": \"x\", \"duration\": 5}\n";

static char out[FIXTURE_PATH], jobs[FIXTURE_PATH];

static int set_up(void **state)
{
    return make_jobs(state, out, jobs, jobs_text);
}

/* A disk that is away for a moment has lost nothing; what was lost is made again, if its job is there. */
static void test_parts_that_cannot_be_seen(void **state)
{
    char some[300];
    mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_WEBDATASET);
    mg_dataset *d;
    mg_dataset_counts n;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    assert_int_equal(make_some(d, &call, 3), 3); /* but for the shortest, the first: no shard is closed */
    expect_ok(mg_dataset_commit(d));
    mg_dataset_close(d);
    snprintf(some, sizeof some, "%s", in_dir("out/.mg-dist/parts/0000000001.flac"));
    assert_int_equal(rename(some, in_dir("aside")), 0);
    assert_int_equal(symlink(some, some), 0); /* ELOOP */
    expect_refused(&call, MG_EFAIL, "0000000001.flac: cannot look at it");
    assert_int_equal(unlink(some), 0);
    assert_int_equal(rename(in_dir("aside"), some), 0);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 3);
    mg_dataset_close(d);
    put_file(jobs, changed, sizeof changed - 1);
    call.jobs_changed = MG_JOBS_CHANGED_OK;
    assert_int_equal(unlink(some), 0);
    expect_ok(mg_dataset_open(&d, &call));
    mg_dataset_count(d, &n);
    assert_int_equal(n.done, 2);
    assert_int_equal(n.total, 4); /* without the one that is lost */
    mg_dataset_close(d);
}

static void test_a_part_that_changes_before_its_shard(void **state)
{
    static const char *const texts[] = {"", "longer than what was recorded of this clip"};
    static const char *const wanted[] = {".mg-dist/parts/0000000001.flac: has 0 bytes, and not the ",
                                         ".mg-dist/parts/0000000001.flac: has 42 bytes, and not the "};
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_WEBDATASET);
    mg_dataset *d;

    (void)state;
    for (int i = 0; i < 2; i++) {
        expect_ok(mg_dataset_open(&d, &call));
        assert_int_equal(make_some(d, &call, 9), i == 0 ? 4 : 1);
        put_file(in_dir("out/.mg-dist/parts/0000000001.flac"), texts[i], strlen(texts[i]));
        expect_failure(mg_dataset_finish(d), MG_EFAIL, wanted[i]);
        assert_non_null(strstr(mg_last_error(), "the same command makes it again"));
        mg_dataset_close(d);
        assert_false(mg_path_exists(in_dir("out/set-000000.tar")));
    }
    expect_ok(mg_dataset_open(&d, &call)); /* and so it does */
    assert_int_equal(make_some(d, &call, 9), 1);
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
    assert_true(mg_path_exists(in_dir("out/set-000000.tar")));
}

/* What an earlier version noted of the jobs is a number shorter: excerpts may be as long as any. */
static void test_needs_of_an_earlier_version(void **state)
{
    const mg_dataset_call call = call_of(out, jobs, MG_LAYOUT_AUDIOFOLDER);
    mg_dataset_needs needs;
    mg_dataset *d;
    mg_run_db *db;
    char *noted;

    (void)state;
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(mg_dataset_get_needs(d, &needs));
    assert_int_equal(needs.dur_ms, 9000);
    assert_int_equal(needs.style_ms, 0);
    mg_dataset_close(d);
    expect_ok(mg_run_db_open(&db, in_dir("out/.mg-dist/run.db"), NULL));
    expect_ok(mg_run_db_read_note(db, "needs", &noted));
    *strrchr(noted, ' ') = '\0';
    expect_ok(mg_run_db_note(db, "needs", noted));
    expect_ok(mg_run_db_commit(db));
    mg_run_db_close(db);
    free(noted);
    expect_ok(mg_dataset_open(&d, &call));
    expect_ok(mg_dataset_get_needs(d, &needs));
    assert_int_equal(needs.dur_ms, 9000);
    assert_int_equal(needs.without_length, 1);
    assert_int_equal(needs.style_ms, 10000);
    mg_dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parts_that_cannot_be_seen, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_a_part_that_changes_before_its_shard, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(test_needs_of_an_earlier_version, set_up, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
