/* Texts with a seal: ours as long as nobody has touched them. */
#include <sys/stat.h>

#include "io_fixture.h"
#include "sealed_file.h"

static void tells_ours_from_others(void **state)
{
    static const char text[] = "# A card\n";
    const char *path = in_dir("card.md");
    int64_t n;

    (void)state;
    assert_true(mg_sealed_is_ours(path)); /* nothing is there */
    expect_ok(mg_sealed_put(path, text, sizeof text - 1));
    assert_true(mg_sealed_is_ours(path));
    expect_ok(mg_sealed_check(path, "move it away"));
    expect_ok(mg_sealed_put(path, "", 0));
    assert_true(mg_sealed_is_ours(path));

    expect_ok(mg_sealed_put(path, text, sizeof text - 1));
    char *whole = get_file(path, &n);
    assert_memory_equal(whole, text, sizeof text - 1);
    for (int64_t i = 0; i < n; i++) { /* any byte of it changed */
        whole[i] = (char)(whole[i] ^ 1);
        put_file(path, whole, (size_t)n);
        assert_false(mg_sealed_is_ours(path));
        whole[i] = (char)(whole[i] ^ 1);
    }
    for (int64_t i = 0; i < n; i++) { /* cut off anywhere */
        put_file(path, whole, (size_t)i);
        assert_false(mg_sealed_is_ours(path));
    }
    free(whole);
    expect_failure(mg_sealed_check(path, "move it away"), MG_EUSAGE, "card.md: is there already");
    assert_non_null(strstr(mg_last_error(), "; move it away"));

    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_false(mg_sealed_is_ours(path));
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_false(mg_sealed_is_ours(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_ours_from_others, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
