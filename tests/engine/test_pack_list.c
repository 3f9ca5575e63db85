/* Names of packs, the folder they are in, and the list of one. */
#include "io_fixture.h"

#include <sys/stat.h>

#include "pack_list.h"

static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void our_names_and_no_others(void **state)
{
    static const char *const others[] = {"",
                                         "pack",
                                         "int8-avx2-1of1-0123456789abcdef",
                                         "int8-avx2-1of1-0123456789abcdef.pack.lock",
                                         ".int8-avx2-1of1-0123456789abcdef.pack.1234.tmp",
                                         "int8-avx2-1of1-0123456789abcde.pack",
                                         "int8-avx2-1of1-0123456789abcdef0.pack",
                                         "int8-avx2-1of1-0123456789abcdeF.pack",
                                         "int8-avx2-01of1-0123456789abcdef.pack",
                                         "int8-avx2-+1of1-0123456789abcdef.pack",
                                         "int8-avx2-1of-0123456789abcdef.pack",
                                         "int8--1of1-0123456789abcdef.pack",
                                         "int8-avx2-1of1-0123456789abcdef.idx",
                                         "pack-0123456789abcdef0123456789abcdef01234567.pack"};
    const mg_pack_name name = {"bf16", "avx512", 3, 8, "0123456789abcdef"};
    char file[MG_PACK_NAME_SIZE];
    mg_pack_name back;

    (void)state;
    mg_pack_name_format(file, &name);
    assert_string_equal(file, "bf16-avx512-3of8-0123456789abcdef.pack");
    assert_true(mg_pack_name_parse(&back, file));
    assert_string_equal(back.format, name.format);
    assert_string_equal(back.level, name.level);
    assert_string_equal(back.key, name.key);
    assert_int_equal(back.rank, 3);
    assert_int_equal(back.n_ranks, 8);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(mg_pack_name_parse(&back, others[i]));
}

static void beside_the_weights_or_where_it_is_said(void **state)
{
    static const char *const cases[][3] = {
        {"/srv/packs", "/m/a.safetensors", "/srv/packs"},
        {"model", "/m/a.safetensors", "/m/mg-dist-packs"},
        {"model", "a.safetensors", "./mg-dist-packs"},
        {"model", "/h/models--me--demo/snapshots/abc/a.bin", "/h/models--me--demo/mg-dist-packs"},
        {"model", "/h/demo/snapshots/abc/a.bin", "/h/demo/snapshots/abc/mg-dist-packs"},
    };
    char folder[MG_PATH_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_ok(mg_pack_folder(folder, cases[i][0], cases[i][1]));
        assert_string_equal(folder, cases[i][2]);
    }
}

static void a_folder_is_listed(void **state)
{
    static const char wrong[] = "int8-avx2-1of1-bbbbbbbbbbbbbbbb.pack";
    static const char good[] = "int8-avx2-1of1-0123456789abcdef.pack",
                      bad[] = "fp32-avx2-2of2-aaaaaaaaaaaaaaaa.pack";
    mg_pack_entry *list;
    mg_threads *threads;
    size_t n;

    (void)state;
    expect_ok(mg_threads_open(&threads, 1, false));
    expect_ok(mg_pack_write(in_dir(good), key, "me/demo", key, 64, threads));
    expect_ok(mg_pack_write(in_dir(wrong), key, "me/demo", key, 64, threads));
    mg_threads_close(threads);
    put_file(in_dir(bad), "old", 3);
    put_file(in_dir("hash-0123456789abcdef"), "x", 1);
    expect_ok(mg_pack_list(&list, &n, test_dir));
    assert_int_equal(n, 3);
    assert_string_equal(list[0].file, bad);
    assert_string_equal(list[0].refusal, "is no pack of weights");
    assert_string_equal(list[0].model, "");
    assert_int_equal(list[0].bytes, 3);
    assert_string_equal(list[1].file, good);
    assert_string_equal(list[1].refusal, "");
    assert_string_equal(list[1].model, "me/demo");
    assert_int_equal(list[1].bytes, 4096 + 64);
    assert_string_equal(list[2].file, wrong);
    assert_string_equal(list[2].refusal, "is a pack of other weights or settings");
    free(list);
    expect_ok(mg_pack_list(&list, &n, in_dir("none")));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_names_and_no_others),
        cmocka_unit_test(beside_the_weights_or_where_it_is_said),
        cmocka_unit_test_setup_teardown(a_folder_is_listed, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
