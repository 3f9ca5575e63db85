/* Text states from .npy and safetensors files. */
#include "io_fixture.h"

#include "npy.h"
#include "text_states.h"

/* A safetensors file of this header and data. */
static const char *put_safetensors(const char *name, const char *header, const void *data, size_t bytes)
{
    unsigned char file[1024] = {0};
    const size_t n = strlen(header);

    file[0] = (unsigned char)n;
    memcpy(file + 8, header, n);
    memcpy(file + 8 + n, data, bytes);
    put_file(in_dir(name), file, 8 + n + bytes);
    return in_dir(name);
}

static const char *put_npy(const char *name, const char *dict, const void *data, size_t bytes)
{
    unsigned char file[512] = "\x93NUMPY\x01";
    const size_t n = strlen(dict);

    file[8] = (unsigned char)n;
    memcpy(file + 10, dict, n);
    memcpy(file + 10 + n, data, bytes);
    put_file(in_dir(name), file, 10 + n + bytes);
    return in_dir(name);
}

static void expect_states(const char *path, const float *want, int64_t S, int64_t d)
{
    float *states;
    int64_t S_read, d_read;

    expect_ok(mg_text_states_probe(&S_read, &d_read, path));
    assert_true(S_read == S && d_read == d);
    expect_ok(mg_text_states_read(&states, &S_read, &d_read, path));
    assert_true(S_read == S && d_read == d);
    assert_memory_equal(states, want, (size_t)(S * d) * sizeof *states);
    free(states);
}

static void every_form_is_read(void **state)
{
    static const float values[6] = {1, -2, 0.5f, 3, 0, -0.25f};
    static const uint16_t bf16[6] = {0x3F80, 0xC000, 0x3F00, 0x4040, 0, 0xBE80},
                          f16[6] = {0x3C00, 0xC000, 0x3800, 0x4200, 0, 0xB400};

    (void)state;
    expect_states(put_npy("a.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", values, 24),
                  values, 2, 3);
    expect_states(put_safetensors("a.safetensors",
                                  "{\"x\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]}}",
                                  values, 24),
                  values, 3, 2);
    expect_states(put_safetensors(
                      "b",
                      "{\"last_hidden_state\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}",
                      values, 24),
                  values, 2, 3);
    expect_states(put_safetensors("c", "{\"x\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}",
                                  bf16, 12),
                  values, 2, 3);
    expect_states(
        put_safetensors("d", "{\"x\":{\"dtype\":\"F16\",\"shape\":[1,6],\"data_offsets\":[0,12]}}", f16, 12),
        values, 1, 6);
}

static void refuse(const char *path, bool by_probe, const char *part)
{
    float *states = (float *)(uintptr_t)path;
    int64_t S = 7, d = 7;

    if (by_probe) {
        expect_failure(mg_text_states_probe(&S, &d, path), MG_EFAIL, part);
        assert_true(S == 0 && d == 0);
    }
    expect_failure(mg_text_states_read(&states, &S, &d, path), MG_EFAIL, part);
    assert_true(!states && S == 0 && d == 0);
}

static void other_files_are_refused(void **state)
{
    static const uint32_t bad[4] = {0, 0x7FC00000, 0, 0}; /* NaN */
    static const float values[6] = {0};

    (void)state;
    refuse(in_dir("gone"), true, "gone: cannot open");
    refuse(in_dir("gone.npy"), true, "gone.npy: cannot open");
    put_file(in_dir("short"), "abc", 3);
    refuse(in_dir("short"), true, "short: ");
    refuse(put_npy("i.npy", "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }", values, 8), true,
           "i.npy: holds int32; text states are float16");
    refuse(put_npy("d.npy", "{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1), }", values, 8), true,
           "d.npy: its numbers are of the type '<c8'");
    refuse(put_npy("e.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }", values, 0), true,
           "e.npy: text states of shape [0,4] hold nothing");
    refuse(put_npy("n.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", bad, 16), false,
           "n.npy: value [0,1] is not finite");
    refuse(put_safetensors("two",
                           "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
                           "\"y\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]}}",
                           values, 8),
           true, "two: holds 2 tensors");
    refuse(put_safetensors("batch", "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,1,3],\"data_offsets\":[0,24]}}",
                           values, 24),
           true, "batch: x: not of shape [S,d] or [1,S,d]");
    refuse(put_safetensors("flat", "{\"x\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}}",
                           values, 24),
           true, "flat: x: not of shape");
    refuse(put_safetensors("int", "{\"x\":{\"dtype\":\"I64\",\"shape\":[1,3],\"data_offsets\":[0,24]}}",
                           values, 24),
           true, "int: x: holds ");
    refuse(put_safetensors("cut", "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
                           values, 20),
           true, "cut: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_form_is_read, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(other_files_are_refused, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
