/* What a clip's record calls its weights is what was loaded. */
#include "io_fixture.h"

#include <sys/stat.h>

#include "hash.h"
#include "input_hashes.h"

#define TINY MG_GOLDEN_DIR "/checkpoints/tiny-mono/"

static void put_copy(const char *name)
{
    char from[512];
    int64_t bytes;

    snprintf(from, sizeof from, TINY "%s", name);
    char *data = get_file(from, &bytes);
    put_file(in_dir(name), data, (size_t)bytes);
    free(data);
}

/* A trainer that saves again, by a rename, while clips are made of what was there before. */
static void a_replaced_file_counts_as_loaded(void **state)
{
    const mg_model_request request = {.model = test_dir};
    const mg_request_list none = {0};
    mg_input_hashes h;
    mg_model_files *files;
    char loaded[65];

    (void)state;
    put_copy("model.safetensors");
    put_copy("config.json");
    expect_ok(mg_hash_file(loaded, in_dir("model.safetensors")));
    expect_ok(mg_model_files_open(&files, &request, MG_NEED_LM));
    put_file(in_dir("other"), "weights of the next epoch", 25);
    assert_int_equal(rename(in_dir("other"), in_dir("model.safetensors")), 0);
    expect_ok(mg_input_hashes_open(&h, files, &none));
    expect_ok(mg_input_hashes_wait(&h));
    assert_int_equal(h.n_weights, 1);
    assert_string_equal(h.weights[0].sha256, loaded);
    mg_input_hashes_close(&h);
    mg_model_files_close(files);
}

/* One that is written in place is neither what was loaded nor anything else. */
static void a_file_that_was_written_to_is_refused(void **state)
{
    const mg_model_request request = {.model = test_dir};
    const mg_request_list none = {0};
    mg_input_hashes h;
    mg_model_files *files;

    (void)state;
    put_copy("model.safetensors");
    put_copy("config.json");
    expect_ok(mg_model_files_open(&files, &request, MG_NEED_LM));
    usleep(20000); /* a file's clock ticks every few milliseconds */
    put_copy("model.safetensors");
    expect_ok(mg_input_hashes_open(&h, files, &none));
    expect_failure(mg_input_hashes_wait(&h), MG_EFAIL, "model.safetensors: was written to while it was read");
    mg_input_hashes_close(&h);
    mg_model_files_close(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_replaced_file_counts_as_loaded, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_file_that_was_written_to_is_refused, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
