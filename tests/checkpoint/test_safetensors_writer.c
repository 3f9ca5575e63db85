/* What is written reads back bit by bit; conversions round; nothing half appears. */
#include "io_fixture.h"

#include "checkpoint_read.h"
#include "json_text.h"
#include "out_folder.h"
#include "safetensors_writer.h"
#include "tensor_read.h"

static const float values[6] = {1.0f, -2.5f, 0.333333f, 1e-3f, 65504.0f, -0.0f};

static mg_status to_writer(void *arg, const void *data, size_t bytes)
{
    return mg_safetensors_writer_add(arg, data, bytes);
}

static void what_is_written_reads_back(void **state)
{
    static const uint16_t halves[4] = {0x3c00, 0x7c00, 0xfc01, 0x8000}; /* 1, Inf, NaN, -0: as they are */
    const mg_safetensors_item items[] = {
        {"b.weight", mg_tensor_2d(NULL, MG_F32, 2, 3)},
        {"a.bias", mg_tensor_1d(NULL, MG_F16, 4)},
        {"empty", mg_tensor_1d(NULL, MG_F32, 0)},
    };
    mg_safetensors_writer w;
    mg_checkpoint *c;

    (void)state;
    expect_ok(mg_safetensors_writer_open(&w, in_dir("model.safetensors"), items, 3));
    expect_ok(mg_safetensors_writer_add(&w, values, 10)); /* in pieces of any size */
    expect_ok(mg_safetensors_writer_add(&w, (const char *)values + 10, 14));
    expect_failure(mg_safetensors_writer_commit(&w), MG_EBUG, "i_item == w->n");
    expect_ok(mg_safetensors_writer_add(&w, halves, sizeof halves));
    expect_failure(mg_safetensors_writer_add(&w, halves, 1), MG_EBUG, "i_item < w->n");
    expect_ok(mg_safetensors_writer_commit(&w));
    mg_safetensors_writer_close(&w);
    expect_ok(mg_checkpoint_open(&c, in_dir("model.safetensors")));
    assert_int_equal(mg_checkpoint_count(c), 3);
    assert_memory_equal(mg_checkpoint_find(c, "b.weight")->tensor.data, values, sizeof values);
    assert_memory_equal(mg_checkpoint_find(c, "a.bias")->tensor.data, halves, sizeof halves);
    assert_int_equal((uintptr_t)mg_checkpoint_find(c, "b.weight")->tensor.data % 8, 0);
    mg_checkpoint_close(c);
}

static void every_known_type_reads_back_as_itself(void **state)
{
    mg_safetensors_writer w;
    mg_checkpoint *c;

    (void)state;
    for (mg_dtype dtype = MG_F32; dtype < MG_ODD; dtype++) {
        const mg_safetensors_item item = {"x", mg_tensor_1d(NULL, dtype, 2)};
        expect_ok(mg_safetensors_writer_open(&w, in_dir("model.safetensors"), &item, 1));
        expect_ok(mg_safetensors_writer_add(&w, values, mg_tensor_bytes(&item.tensor)));
        expect_ok(mg_safetensors_writer_commit(&w));
        mg_safetensors_writer_close(&w);
        expect_ok(mg_checkpoint_open(&c, in_dir("model.safetensors")));
        assert_string_equal(mg_dtype_name(mg_checkpoint_find(c, "x")->tensor.dtype), mg_dtype_name(dtype));
        mg_checkpoint_close(c);
    }
    const mg_safetensors_item odd = {"x", mg_tensor_1d(NULL, MG_ODD, 2)};
    expect_failure(mg_safetensors_writer_open(&w, in_dir("a"), &odd, 1), MG_ECHECKPOINT,
                   "x: safetensors has no number type for it");
}

static void an_unfinished_file_does_not_appear(void **state)
{
    const mg_safetensors_item item = {"x", mg_tensor_1d(NULL, MG_F32, 6)};
    const mg_safetensors_item bad = {"x\"y", mg_tensor_1d(NULL, MG_F32, 6)};
    mg_safetensors_writer w;

    (void)state;
    expect_ok(mg_safetensors_writer_open(&w, in_dir("model.safetensors"), &item, 1));
    expect_ok(mg_safetensors_writer_add(&w, values, 8));
    mg_safetensors_writer_close(&w);
    mg_safetensors_writer_close(&w);
    assert_int_equal(count_files(test_dir), 0);
    expect_failure(mg_safetensors_writer_open(&w, in_dir("a"), &bad, 1), MG_ECHECKPOINT, "not a name");
    assert_int_equal(count_files(test_dir), 0);
}

/* The end of the data against a file of other bytes: a comparison that can fail. */
static void shards_are_cut_and_indexed(void **state)
{
    const mg_safetensors_item items[] = {
        {"c", mg_tensor_1d(NULL, MG_F32, 6)},
        {"b", mg_tensor_1d(NULL, MG_F32, 6)},
        {"a", mg_tensor_1d(NULL, MG_F32, 6)},
        {"d", mg_tensor_2d(NULL, MG_F32, 6, 6)},
    };
    const int64_t expected[] = {0, 0, 1, 2};
    char name[MG_SHARD_NAME_SIZE];
    int64_t i_shard[4], n_shards;
    mg_checkpoint *c;

    (void)state;
    mg_safetensors_cut(i_shard, &n_shards, items, 4, 0);
    assert_int_equal(n_shards, 1);
    mg_safetensors_cut(i_shard, &n_shards, items, 4, 50); /* d alone is longer */
    assert_int_equal(n_shards, 3);
    assert_memory_equal(i_shard, expected, sizeof expected);
    for (int64_t s = 0, first = 0; s < n_shards; s++) {
        mg_safetensors_writer w;
        int64_t n = 0;
        while (first + n < 4 && i_shard[first + n] == s) n++;
        mg_safetensors_shard_name(name, s, n_shards);
        expect_ok(mg_safetensors_writer_open(&w, in_dir(name), items + first, n));
        for (int64_t i = first; i < first + n; i++)
            for (size_t k = 0; k < mg_tensor_bytes(&items[i].tensor) / sizeof values; k++)
                expect_ok(mg_safetensors_writer_add(&w, values, sizeof values));
        expect_ok(mg_safetensors_writer_commit(&w));
        mg_safetensors_writer_close(&w);
        first += n;
    }
    expect_ok(mg_safetensors_write_index(test_dir, items, 4, i_shard, n_shards));
    expect_ok(mg_checkpoint_open(&c, test_dir));
    assert_int_equal(mg_checkpoint_count(c), 4);
    assert_int_equal(mg_checkpoint_n_files(c), 3);
    assert_memory_equal(mg_checkpoint_find(c, "a")->tensor.data, values, sizeof values);
    mg_checkpoint_close(c);
    unlink(in_dir("model-00002-of-00003.safetensors"));
    assert_int_not_equal(mg_checkpoint_open(&c, test_dir), MG_OK);
    mg_safetensors_shard_name(name, 0, 1);
    assert_string_equal(name, "model.safetensors");
}

static void conversions_round_and_count(void **state)
{
    const float from[4] = {1.0f, 70000.0f, 1.0f + 0x1p-9f, -1e30f};
    uint16_t half[4];
    float back[4];
    mg_tensor t = mg_tensor_1d((void *)(uintptr_t)from, MG_F32, 4), h = mg_tensor_1d(half, MG_F16, 4);
    int64_t n_overflows = 0;

    (void)state;
    expect_ok(mg_tensor_read(half, MG_F16, &t, 0, 4, &n_overflows));
    assert_int_equal(n_overflows, 2);
    assert_int_equal(half[0], 0x3c00);
    assert_int_equal(half[1], 0x7c00);
    assert_int_equal(half[2], 0x3c02);
    expect_ok(mg_tensor_read(back, MG_F32, &h, 2, 1, NULL));
    assert_float_equal(back[0], 1.0f + 0x1p-9f, 0);
    n_overflows = 0;
    expect_ok(mg_tensor_read(half, MG_BF16, &t, 0, 4, &n_overflows));
    assert_int_equal(n_overflows, 0);
    assert_int_equal(half[2], mg_f32_to_bf16(from[2]));
    t.dtype = MG_I32;
    expect_failure(mg_tensor_read(half, MG_F16, &t, 0, 4, NULL), MG_ECHECKPOINT, "cannot become fp16");
    expect_ok(mg_tensor_read(back, MG_I32, &t, 0, 4, NULL));
    assert_memory_equal(back, from, sizeof back);
}

static void a_stream_is_whole(void **state)
{
    enum { N = 70000 };
    uint16_t *from = calloc(N, sizeof *from);
    const mg_safetensors_item item = {"x", mg_tensor_1d(NULL, MG_F32, N)};
    const mg_checkpoint_entry e = {
        .name = "x", .tensor = mg_tensor_1d(from, MG_BF16, N), .file = "", .fd = -1};
    mg_safetensors_writer w;
    mg_checkpoint *c;

    (void)state;
    assert_non_null(from);
    for (int i = 0; i < N; i++) from[i] = mg_f32_to_bf16((float)i);
    expect_ok(mg_safetensors_writer_open(&w, in_dir("model.safetensors"), &item, 1));
    expect_ok(mg_checkpoint_stream(&e, to_writer, &w));
    expect_ok(mg_safetensors_writer_commit(&w));
    expect_ok(mg_checkpoint_open(&c, in_dir("model.safetensors")));
    const float *written = mg_checkpoint_find(c, "x")->tensor.data;
    for (int i = 0; i < N; i++) assert_float_equal(written[i], mg_bf16_to_f32(from[i]), 0);
    mg_checkpoint_close(c);
    free(from);
}

static void json_text_is_as_python_writes_it(void **state)
{
    mg_json_text t = {0};
    char *text;

    (void)state;
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "a\"\n", "\\x");
    mg_json_text_array(&t, "list");
    mg_json_text_int(&t, NULL, -3);
    mg_json_text_number(&t, NULL, 2);
    mg_json_text_number(&t, NULL, 1e-6);
    mg_json_text_close(&t);
    mg_json_text_object(&t, "none");
    mg_json_text_close(&t);
    mg_json_text_bool(&t, "yes", true);
    mg_json_text_string(&t, "null", NULL);
    expect_ok(mg_json_text_end(&t, &text));
    assert_string_equal(text,
                        "{\n  \"a\\\"\\n\": \"\\\\x\",\n  \"list\": [\n    -3,\n    2.0,\n    1e-06\n  ],\n"
                        "  \"none\": {},\n  \"yes\": true,\n  \"null\": null\n}\n");
    free(text);
    for (int i = 0; i <= MG_JSON_TEXT_DEPTH; i++) mg_json_text_array(&t, NULL);
    expect_failure(mg_json_text_end(&t, &text), MG_ENOMEM, "json");
    assert_null(text);
}

static void a_folder_appears_at_commit(void **state)
{
    mg_out_folder f, nothing = {0};
    char path[MG_PATH_SIZE];

    (void)state;
    expect_ok(mg_out_folder_begin(&f, in_dir("new/model/")));
    assert_false(mg_path_exists(in_dir("new/model")));
    expect_ok(mg_path_format(path, "%s/a", f.temp));
    put_file(path, "x", 1);
    expect_ok(mg_out_folder_commit(&f));
    assert_true(mg_path_exists(in_dir("new/model/a")));
    assert_int_equal(count_files(in_dir("new")), 1);
    mg_out_folder_abandon(&f);
    mg_out_folder_abandon(&nothing);
    assert_true(mg_path_exists(in_dir("new/model/a")));
    expect_failure(mg_out_folder_begin(&f, in_dir("new/model")), MG_EFAIL, "is there already");
    mg_out_folder_abandon(&f);
    expect_ok(mg_out_folder_begin(&f, in_dir("new/other")));
    expect_ok(mg_path_format(path, "%s/a", f.temp));
    put_file(path, "x", 1);
    mg_out_folder_abandon(&f);
    assert_int_equal(count_files(in_dir("new")), 1);
    expect_failure(mg_out_folder_begin(&f, "/"), MG_EFAIL, "not the name of a new folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_reads_back, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(every_known_type_reads_back_as_itself, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(an_unfinished_file_does_not_appear, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(shards_are_cut_and_indexed, make_dir, drop_dir),
        cmocka_unit_test(conversions_round_and_count),
        cmocka_unit_test_setup_teardown(a_stream_is_whole, make_dir, drop_dir),
        cmocka_unit_test(json_text_is_as_python_writes_it),
        cmocka_unit_test_setup_teardown(a_folder_appears_at_commit, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
