/* Names that clips of two parts share in a shard, where a '.' is a '_'. */
#include "dataset_fixture.h"

#include "dataset_merge.h"

enum { N_PARTS = 2 };

static char path[N_PARTS][300];

static int set_up(void **state)
{
    if (make_dir(state) != 0) return -1;
    for (int i = 0; i < N_PARTS; i++) snprintf(path[i], sizeof path[i], "%s/part-%d", test_dir, i);
    return 0;
}

static mg_status merge(mg_dataset_merged *done)
{
    const char *const parts[N_PARTS] = {path[0], path[1]};
    const mg_dataset_merge_call call = {.out = in_dir("out"),
                                        .source = parts,
                                        .n_sources = N_PARTS,
                                        .shard_clips = 20,
                                        .shard_bytes = 1 << 20};

    return mg_dataset_merge(done, &call);
}

/* Both are in the list: one must be called otherwise. */
static void two_that_are_asked_for(void **state)
{
    mg_dataset_merged done;

    (void)state;
    take_list(N_PARTS, "{\"id\":\"a.b\"}\n{\"id\":\"a_b\"}\n", MG_LAYOUT_WEBDATASET);
    expect_failure(merge(&done), MG_EUSAGE, "clips a.b and a_b: have one name in a shard");
    assert_false(mg_path_exists(in_dir("out"))); /* nor a folder of it */
}

/* One has left the list, and its clip stayed in its part: the other has the name. */
static void one_that_is_left_over(void **state)
{
    mg_dataset_merged done;

    (void)state;
    take_list(N_PARTS, "{\"id\":\"a.b\"}\n{\"id\":\"c\"}\n", MG_LAYOUT_WEBDATASET);
    take_list(N_PARTS, "{\"id\":\"x\"}\n{\"id\":\"a_b\"}\n", MG_LAYOUT_WEBDATASET);
    expect_ok(merge(&done));
    assert_int_equal(done.done, 3);
    char *manifest = text_of("out/manifest.jsonl");
    assert_non_null(strstr(manifest, "\"id\":\"x\""));
    assert_non_null(strstr(manifest, "\"id\":\"a_b\""));
    assert_non_null(strstr(manifest, "\"id\":\"c\""));
    assert_null(strstr(manifest, "\"id\":\"a.b\""));
    free(manifest);
    expect_ok(merge(&done)); /* which has nothing to do */
    assert_int_equal(done.copied, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_that_are_asked_for, set_up, drop_dir),
        cmocka_unit_test_setup_teardown(one_that_is_left_over, set_up, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
