/* What is written is read back by our reader; torch.load(weights_only=True) of torch 2.5.1 read the same file
 * when this was written. */
#include "io_fixture.h"

#include "torch_writer.h"

static const float plain[6] = {1, 2, 3, 4, 5, 6};
static const uint16_t half[2] = {0x3c00, 0x4000};

static void write_sample(const char *path, mg_torch_writer_progress progress, void *context, mg_status wanted)
{
    const mg_torch_tensor contiguous = {plain, MG_F32, 2, {2, 3}, {3, 1}};
    const mg_torch_tensor transposed = {plain, MG_F32, 2, {3, 2}, {1, 3}};
    const mg_torch_tensor scalar = {half, MG_F16, 0, {0}, {0}}, none = {NULL, MG_I64, 2, {0, 4}, {4, 1}};
    mg_torch_writer *w;

    expect_ok(mg_torch_writer_open(&w, path));
    expect_ok(mg_torch_writer_begin_dict(w, "best_state"));
    expect_ok(mg_torch_writer_tensor(w, "a", &contiguous));
    expect_ok(mg_torch_writer_tensor(w, "b", &transposed));
    expect_ok(mg_torch_writer_tensor(w, "c", &scalar));
    expect_ok(mg_torch_writer_tensor(w, "d", &none));
    expect_ok(mg_torch_writer_end_dict(w));
    expect_ok(mg_torch_writer_text(w, "text", "h\xC3\xA9llo"));
    expect_ok(mg_torch_writer_bool(w, "yes", true));
    assert_int_equal(mg_torch_writer_commit(w, progress, context), wanted);
    mg_torch_writer_close(w);
}

static void tensors_and_values_come_back(void **state)
{
    mg_torch_file *f;
    mg_torch_tensor t;
    float got[6];

    (void)state;
    write_sample(in_dir("x.bin"), NULL, NULL, MG_OK);
    expect_ok(mg_torch_file_open(&f, in_dir("x.bin")));
    const mg_pickle_value *root = mg_torch_file_root(f), *state_dict = mg_pickle_get(root, "best_state");
    assert_true(mg_pickle_is_string(mg_pickle_get(root, "text"), "h\xC3\xA9llo"));
    assert_true(mg_pickle_get(root, "yes")->boolean);

    expect_ok(mg_torch_file_tensor(f, &t, "a", mg_pickle_get(state_dict, "a")));
    assert_true(t.n_dims == 2 && t.dim[0] == 2 && t.dim[1] == 3 && mg_torch_tensor_is_contiguous(&t));
    assert_memory_equal(t.data, plain, sizeof plain);
    assert_int_equal((uintptr_t)t.data % 64, 0);

    expect_ok(mg_torch_file_tensor(f, &t, "b", mg_pickle_get(state_dict, "b")));
    assert_true(t.dim[0] == 3 && t.dim[1] == 2 && mg_torch_tensor_is_contiguous(&t));
    memcpy(got, t.data, sizeof got);
    for (int i = 0; i < 3; i++) assert_true(got[2 * i] == plain[i] && got[2 * i + 1] == plain[3 + i]);

    expect_ok(mg_torch_file_tensor(f, &t, "c", mg_pickle_get(state_dict, "c")));
    assert_true(t.n_dims == 0 && t.dtype == MG_F16);
    assert_memory_equal(t.data, half, 2);
    expect_ok(mg_torch_file_tensor(f, &t, "d", mg_pickle_get(state_dict, "d")));
    assert_true(t.n_dims == 2 && t.dim[0] == 0 && t.dim[1] == 4 && t.dtype == MG_I64);
    mg_torch_file_close(f);
}

static void the_same_input_makes_the_same_bytes(void **state)
{
    int64_t n_first, n_second;

    (void)state;
    write_sample(in_dir("x.bin"), NULL, NULL, MG_OK);
    write_sample(in_dir("y.bin"), NULL, NULL, MG_OK);
    char *first = get_file(in_dir("x.bin"), &n_first), *second = get_file(in_dir("y.bin"), &n_second);
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, (size_t)n_first);
    free(first);
    free(second);
}

static mg_status stop(void *context, int64_t done_bytes, int64_t all_bytes)
{
    assert_true(done_bytes > 0 && done_bytes <= all_bytes && all_bytes == 2 * sizeof plain + 2);
    return ++*(int *)context == 2 ? mg_fail(MG_ESTOPPED, "stopped") : MG_OK;
}

static void an_interrupted_file_is_not_there(void **state)
{
    int n_calls = 0;

    (void)state;
    const int n_before = count_files(test_dir);
    write_sample(in_dir("z.bin"), stop, &n_calls, MG_ESTOPPED);
    assert_int_equal(count_files(test_dir), n_before);
}

/* 10 MB in pieces, each element its own index. */
static mg_status count_up(void *context, void *dst, int64_t first, int64_t n)
{
    int32_t *to = dst;

    (void)context;
    for (int64_t i = 0; i < n; i++) to[i] = (int32_t)(first + i);
    return MG_OK;
}

static void streams_arrive_in_order(void **state)
{
    const mg_torch_tensor shape = {NULL, MG_I32, 1, {2500000}, {1}};
    mg_torch_writer *w;
    mg_torch_file *f;
    mg_torch_tensor t;

    (void)state;
    expect_ok(mg_torch_writer_open(&w, in_dir("s.bin")));
    expect_ok(mg_torch_writer_stream(w, "s", &shape, count_up, NULL));
    expect_ok(mg_torch_writer_commit(w, NULL, NULL));
    mg_torch_writer_close(w);
    expect_ok(mg_torch_file_open(&f, in_dir("s.bin")));
    expect_ok(mg_torch_file_tensor(f, &t, "s", mg_pickle_get(mg_torch_file_root(f), "s")));
    assert_true(t.n_dims == 1 && t.dim[0] == 2500000);
    for (int32_t i = 0; i < 2500000; i++)
        if (((const int32_t *)t.data)[i] != i) fail_msg("element %d", i);
    mg_torch_file_close(f);
}

/* Of each type that the reader knows, its own bytes; what has no storage class of its own is refused. */
static void types_come_back(void **state)
{
    static const mg_dtype good[] = {MG_F64, MG_F32, MG_F16, MG_BF16, MG_I64, MG_I32, MG_I16, MG_I8, MG_U8};
    static const mg_dtype bad[] = {MG_U16, MG_U32, MG_U64, MG_F8_E4M3, MG_F8_E5M2, MG_C64};
    mg_torch_tensor from = {plain, MG_F32, 1, {3}, {1}}, t;
    mg_torch_writer *w;
    mg_torch_file *f;

    (void)state;
    expect_ok(mg_torch_writer_open(&w, in_dir("t.bin")));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        from.dtype = good[i];
        expect_ok(mg_torch_writer_tensor(w, mg_dtype_name(good[i]), &from));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        from.dtype = bad[i];
        expect_failure(mg_torch_writer_tensor(w, "odd", &from), MG_ECHECKPOINT, "not written here");
    }
    expect_ok(mg_torch_writer_commit(w, NULL, NULL));
    mg_torch_writer_close(w);
    expect_ok(mg_torch_file_open(&f, in_dir("t.bin")));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *name = mg_dtype_name(good[i]);
        expect_ok(mg_torch_file_tensor(f, &t, name, mg_pickle_get(mg_torch_file_root(f), name)));
        assert_true(t.dtype == good[i] && t.n_dims == 1 && t.dim[0] == 3);
        assert_memory_equal(t.data, plain, 3 * mg_dtype_bytes(good[i]));
    }
    mg_torch_file_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_and_values_come_back),
        cmocka_unit_test(the_same_input_makes_the_same_bytes),
        cmocka_unit_test(an_interrupted_file_is_not_there),
        cmocka_unit_test(streams_arrive_in_order),
        cmocka_unit_test(types_come_back),
    };

    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
