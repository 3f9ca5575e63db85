/* .npy files and SHA-256. */
#include "io_fixture.h"

#include "hash.h"
#include "npy.h"

static const int32_t codes[6] = {1, -2, 3, 1000000, 0, INT32_MAX};

/* What numpy.save of that array writes, byte for byte. */
static void writes_what_numpy_writes(void **state)
{
    const char *dict = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }";
    char want[128 + sizeof codes];
    int64_t n;

    (void)state;
    memset(want, ' ', 128);
    memcpy(want, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(want + 10, dict, strlen(dict));
    want[127] = '\n';
    memcpy(want + 128, codes, sizeof codes);
    expect_ok(mg_npy_write_i32(in_dir("a.npy"), codes, 2, 3));
    char *file = get_file(in_dir("a.npy"), &n);
    assert_int_equal(n, sizeof want);
    assert_memory_equal(file, want, sizeof want);
    free(file);
}

static void reads_what_it_wrote(void **state)
{
    static const int64_t shapes[][2] = {{2, 3}, {6, 1}, {1, 6}, {0, 5}, {4, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int32_t *data;
        int64_t n_rows, n_cols;
        expect_ok(mg_npy_write_i32(in_dir("a.npy"), codes, shapes[i][0], shapes[i][1]));
        expect_ok(mg_npy_read_i32(in_dir("a.npy"), &data, &n_rows, &n_cols));
        assert_int_equal(n_rows, shapes[i][0]);
        assert_int_equal(n_cols, shapes[i][1]);
        assert_memory_equal(data, codes, (size_t)(n_rows * n_cols) * sizeof *data);
        free(data);
    }
}

/* Files that NumPy saved: tests/golden/make_npy.py. */
static void reads_every_type_order_and_shape(void **state)
{
    static const char *const codes_files[] = {
        "codes-int16",           "codes-int32", "codes-int64", "codes-uint16",     "codes-uint32",
        "codes-uint64",          "codes-1kt",   "codes-11kt",  "codes-big-endian", "codes-fortran",
        "codes-transposed-view", "codes-v2",    "codes-v3",    "small-int8",       "small-uint8"};
    static const char *const states_files[] = {"states-float16",
                                               "states-float32",
                                               "states-float64",
                                               "states-bfloat16",
                                               "states-bfloat16-as-uint16",
                                               "states-1sd",
                                               "states-fortran",
                                               "states-big-endian"};
    static const float states[6] = {-1, 0.5f, 2, 0.25f, 0, -3};
    int32_t wanted[6] = {0, 1, 2, 3, 4, 2047}, *ints;
    char path[512];
    float *floats;
    int64_t n_rows, n_cols;
    mg_npy_info info;

    (void)state;
    for (size_t i = 0; i < sizeof codes_files / sizeof *codes_files; i++) {
        wanted[5] = strncmp(codes_files[i], "small", 5) == 0 ? 127 : 2047;
        snprintf(path, sizeof path, MG_GOLDEN_DIR "/npy/%s.npy", codes_files[i]);
        expect_ok(mg_npy_read_i32(path, &ints, &n_rows, &n_cols));
        assert_true(n_rows == 2 && n_cols == 3);
        assert_memory_equal(ints, wanted, sizeof wanted);
        free(ints);
        expect_ok(mg_npy_probe(&info, path));
        assert_true(info.n_rows == 2 && info.n_cols == 3);
        assert_int_equal(mg_npy_has_floats(&info), strcmp(codes_files[i], "codes-uint16") == 0);
    }
    for (size_t i = 0; i < sizeof states_files / sizeof *states_files; i++) {
        snprintf(path, sizeof path, MG_GOLDEN_DIR "/npy/%s.npy", states_files[i]);
        expect_ok(mg_npy_read_f32(path, &floats, &n_rows, &n_cols));
        assert_true(n_rows == 2 && n_cols == 3);
        assert_memory_equal(floats, states, sizeof states);
        free(floats);
        expect_ok(mg_npy_probe(&info, path));
        assert_true(mg_npy_has_floats(&info));
        if (strcmp(info.type, "uint16") != 0)
            expect_failure(mg_npy_read_i32(path, &ints, &n_rows, &n_cols), MG_EFAIL, "codes are integers");
    }
}

static void refuses_what_it_cannot_read_as_it_is(void **state)
{
    static const struct {
        const char *file, *part;
    } bad[] = {{"bad-large", "[0,1] is beyond 32 bits"},
               {"bad-large-unsigned", "[0,1] is beyond 32 bits"},
               {"bad-two-clips", "3 dimensions, the first not 1"},
               {"bad-flat", "its shape has 1 dimension:"},
               {"bad-scalar", "its shape is ()"},
               {"bad-complex", "of the type '<c8'"},
               {"bad-bool", "of the type '|b1'"},
               {"bad-text", "of the type '<U1'"},
               {"bad-record", "its numbers are of a structured type: save the one field of it"}};
    char path[512];
    int32_t *ints;
    float *floats;
    int64_t n_rows, n_cols;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, MG_GOLDEN_DIR "/npy/%s.npy", bad[i].file);
        expect_failure(mg_npy_read_i32(path, &ints, &n_rows, &n_cols), MG_EFAIL, bad[i].part);
        assert_true(!ints && n_rows == 0 && n_cols == 0);
    }
    put_file(in_dir("z.npy"), "PK\x03\x04 codes.npy", 14);
    expect_failure(mg_npy_read_i32(in_dir("z.npy"), &ints, &n_rows, &n_cols), MG_EFAIL,
                   "z.npy: an archive, as numpy.savez and torch.save write one");
    expect_failure(mg_npy_read_f32(MG_GOLDEN_DIR "/npy/codes-int64.npy", &floats, &n_rows, &n_cols), MG_EFAIL,
                   "holds int64: float16, bfloat16, float32 or float64 is needed");
    assert_null(floats);
}

static void refuse(const char *dict, size_t n_data, const char *part)
{
    char file[512] = "\x93NUMPY\x01";
    int32_t *data = (int32_t *)file;
    int64_t n_rows, n_cols;
    const size_t n = strlen(dict);

    file[8] = (char)n;
    memcpy(file + 10, dict, n);
    put_file(in_dir("b.npy"), file, 10 + n + n_data);
    expect_failure(mg_npy_read_i32(in_dir("b.npy"), &data, &n_rows, &n_cols), MG_EFAIL, part);
    assert_true(!data && n_rows == 0 && n_cols == 0);
}

static void refuses_damaged_headers(void **state)
{
    int32_t *data;
    int64_t n_rows, n_cols, n;

    (void)state;
    refuse("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", 24, "holds Python objects");
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (-2, 3), }", 24, "its shape is (-2, 3)");
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3", 24, "its shape is (2, 3");
    refuse("{'descr': '<i4', 'fortran_order': False, }", 24, "its shape is not said");
    refuse("{'descr': '<i4', 'fortran_order': Maybe, 'shape': (2, 3), }", 24, "the order of its numbers");
    refuse("{'descr': '<i3', 'fortran_order': False, 'shape': (2, 3), }", 24, "of the type '<i3'");
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 24,
           "beyond any file");
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }", 24,
           "beyond any file");
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }", 23,
           "23 bytes of data, its shape (2, 3) needs 24");
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }", 25, "25 bytes of data");
    refuse("", 0, "of the type (none)");
    expect_failure(mg_npy_read_i32(in_dir("gone.npy"), &data, &n_rows, &n_cols), MG_EFAIL,
                   "gone.npy: cannot open");

    expect_ok(mg_npy_write_i32(in_dir("a.npy"), codes, 2, 3));
    char *file = get_file(in_dir("a.npy"), &n);
    for (int64_t i = 0; i < n; i++) { /* cut anywhere */
        put_file(in_dir("a.npy"), file, (size_t)i);
        expect_failure(mg_npy_read_i32(in_dir("a.npy"), &data, &n_rows, &n_cols), MG_EFAIL, "a.npy: ");
    }
    free(file);
}

/* The vectors of FIPS 180-4's examples. */
static void sha256_gives_the_known_answers(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char out[65];
    char *million = malloc(3000000);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(in_dir("f"), cases[i].text, strlen(cases[i].text));
        expect_ok(mg_hash_file(out, in_dir("f")));
        assert_string_equal(out, cases[i].want);
    }
    assert_non_null(million);
    memset(million, 'a', 1000000);
    put_file(in_dir("f"), million, 1000000);
    expect_ok(mg_hash_file(out, in_dir("f")));
    assert_string_equal(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    memset(million, 0, 3000000); /* longer than one read: coreutils' answer for 3,000,000 zero bytes */
    put_file(in_dir("f"), million, 3000000);
    expect_ok(mg_hash_file(out, in_dir("f")));
    assert_string_equal(out, "35bce4eae54ec8e6cc2868baa8d157914d6ae2858811b4cc0c078c94460fa26f");
    free(million);
    expect_failure(mg_hash_file(out, in_dir("gone")), MG_EFAIL, "gone: cannot open: No such file");
    assert_string_equal(out, "");
    expect_failure(mg_hash_file(out, test_dir), MG_EFAIL, "cannot read: Is a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_what_numpy_writes, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(reads_what_it_wrote, make_dir, drop_dir),
        cmocka_unit_test(reads_every_type_order_and_shape),
        cmocka_unit_test_setup_teardown(refuses_what_it_cannot_read_as_it_is, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(refuses_damaged_headers, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(sha256_gives_the_known_answers, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
