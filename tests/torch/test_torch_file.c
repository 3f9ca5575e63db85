/* Files of torch.save: every layout and container reads as the safetensors file that torch wrote of the same
 * tensors; damaged and hostile ones cost a message. */
#include "io_fixture.h"

#include <sys/stat.h>

#include "checkpoint.h"
#include "torch_file.h"

#define TORCH MG_GOLDEN_DIR "/torch/"

/* Every tensor of `wanted` stands in `got` with the same bytes, and no other. */
static int n_different(const char *got_path, const char *wanted_path)
{
    mg_checkpoint *got, *wanted;
    int n = 0;

    expect_ok(mg_checkpoint_open(&got, got_path));
    expect_ok(mg_checkpoint_open(&wanted, wanted_path));
    assert_int_equal(mg_checkpoint_count(got), mg_checkpoint_count(wanted));
    for (size_t i = 0; i < mg_checkpoint_count(wanted); i++) {
        const mg_checkpoint_entry *w = mg_checkpoint_at(wanted, i), *g = mg_checkpoint_find(got, w->name);
        if (!g || !mg_tensor_is(&g->tensor, w->tensor.dtype, w->tensor.n_dims, w->tensor.dim))
            fail_msg("%s: %s is not there, or of another shape", got_path, w->name);
        n += memcmp(g->tensor.data, w->tensor.data, mg_tensor_bytes(&w->tensor)) != 0;
    }
    mg_checkpoint_close(got);
    mg_checkpoint_close(wanted);
    return n;
}

static void every_layout_reads_as_torch_says(void **state)
{
    static const char *const files[] = {"tensors-zip.pt", "tensors-protocol4.pt", "tensors-old.pt",
                                        "tensors-zip64.pt", "tensors-descriptors.pt"};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        snprintf(path, sizeof path, TORCH "%s", files[i]);
        if (n_different(path, TORCH "tensors.safetensors") != 0) fail_msg("%s differs", files[i]);
    }
}

/* The comparison can fail: one byte of one storage. */
static void a_changed_byte_is_seen(void **state)
{
    int64_t bytes;
    char *data = get_file(TORCH "tensors-zip.pt", &bytes);

    (void)state;
    mg_torch_file *f;
    mg_torch_tensor t;
    expect_ok(mg_torch_file_parse(&f, "whole", data, (size_t)bytes));
    expect_ok(mg_torch_file_tensor(f, &t, "plain", mg_pickle_get(mg_torch_file_root(f), "plain")));
    ((char *)(uintptr_t)t.data)[5] ^= 1;
    mg_torch_file_close(f);
    put_file(in_dir("changed.pt"), data, (size_t)bytes);
    assert_int_equal(n_different(in_dir("changed.pt"), TORCH "tensors.safetensors"), 1);
    free(data);
}

static void only_other_orders_are_copied(void **state)
{
    static const struct {
        const char *name;
        bool in_memory;
    } cases[] = {{"plain", false}, {"shared.a", false}, {"shared.b", false}, {"scalar", false},
                 {"empty", false}, {"column", false},   {"f16", false},      {"transposed", true},
                 {"sliced", true}, {"stepped", true},   {"permuted", true},  {"expanded", true}};
    mg_checkpoint *c;

    (void)state;
    expect_ok(mg_checkpoint_open(&c, TORCH "tensors-zip.pt"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (mg_checkpoint_find(c, cases[i].name)->in_memory != cases[i].in_memory)
            fail_msg("%s", cases[i].name);
    const char *a = mg_checkpoint_find(c, "shared.a")->tensor.data,
               *b = mg_checkpoint_find(c, "shared.b")->tensor.data;
    assert_ptr_equal(a + 4 * sizeof(float), b);
    assert_string_equal(mg_checkpoint_container(c), "torch zip");
    mg_checkpoint_close(c);
    expect_ok(mg_checkpoint_open(&c, TORCH "tensors-old.pt"));
    assert_string_equal(mg_checkpoint_container(c), "torch pickle");
    mg_checkpoint_close(c);
}

static void untyped_storages_read(void **state)
{
    mg_checkpoint *c;
    float value[6];

    (void)state;
    expect_ok(mg_checkpoint_open(&c, TORCH "untyped.pt"));
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, "w");
    assert_true(e && e->tensor.dtype == MG_F32 && e->tensor.dim[0] == 2 && e->tensor.dim[1] == 3);
    memcpy(value, e->tensor.data, sizeof value);
    for (int i = 0; i < 6; i++) assert_true(value[i] == (float)i);
    mg_checkpoint_close(c);
}

static mg_status open_path(const char *path)
{
    mg_checkpoint *c = (mg_checkpoint *)test_dir;
    const mg_status st = mg_checkpoint_open(&c, path);

    if (st != MG_OK) assert_null(c);
    mg_checkpoint_close(st == MG_OK ? c : NULL);
    return st;
}

/* Cut anywhere: never accepted, always one line that names the file. */
static void truncated_anywhere_is_refused(void **state)
{
    static const char *const files[] = {"small-zip.pt", "small-old.pt", "untyped.pt"};

    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char path[512];
        int64_t bytes;
        snprintf(path, sizeof path, TORCH "%s", files[k]);
        expect_ok(open_path(path));
        char *data = get_file(path, &bytes);
        for (int64_t n = 0; n < bytes; n++) {
            put_file(in_dir("cut.pt"), data, (size_t)n);
            const mg_status st = open_path(in_dir("cut.pt"));
            if (st != MG_ECHECKPOINT) fail_msg("%s cut to %lld bytes: status %d", files[k], (long long)n, st);
            expect_failure(st, MG_ECHECKPOINT, "cut.pt: ");
        }
        free(data);
    }
}

/* Any one byte changed: accepted or refused, and whatever is accepted can be read (sanitizers watch). */
static void one_wrong_byte_is_harmless(void **state)
{
    static const char *const files[] = {"small-zip.pt", "small-old.pt", "tensors-zip64.pt",
                                        "tensors-descriptors.pt"};
    volatile char touched = 0;

    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char path[512];
        int64_t bytes;
        int n_accepted = 0, n_refused = 0;
        snprintf(path, sizeof path, TORCH "%s", files[k]);
        char *data = get_file(path, &bytes);
        for (int64_t at = 0; at < bytes; at++) {
            static const char masks[] = {1, 0x40, (char)0x80, (char)0xFF};
            for (size_t i = 0; i < sizeof masks; i++) {
                mg_torch_file *f;
                data[at] = (char)(data[at] ^ masks[i]);
                if (mg_torch_file_parse(&f, "bent", data, (size_t)bytes) == MG_OK) {
                    const mg_pickle_value *root = mg_torch_file_root(f);
                    for (size_t j = 1; root->kind == MG_PICKLE_DICT && j < root->items.n; j += 2) {
                        mg_torch_tensor t;
                        if (mg_torch_file_tensor(f, &t, "t", root->items.item[j]) != MG_OK) continue;
                        const int64_t n = mg_torch_tensor_count(&t) * (int64_t)mg_dtype_bytes(t.dtype);
                        if (mg_torch_tensor_is_contiguous(&t))
                            for (int64_t b = 0; b < n; b++) touched = ((const char *)t.data)[b];
                    }
                    mg_torch_file_close(f);
                    n_accepted++;
                } else {
                    assert_true(mg_last_error()[0]);
                    n_refused++;
                }
                data[at] = (char)(data[at] ^ masks[i]);
            }
        }
        assert_true(n_accepted > 0 && n_refused > 0);
        free(data);
    }
    (void)touched;
}

/* torch < 0.2 wrote storages that are parts of others: their elements begin elsewhere. */
static void a_part_of_a_storage_is_refused(void **state)
{
    int64_t bytes;
    char *data = get_file(TORCH "small-old.pt", &bytes);
    int n = 0;

    (void)state;
    for (int64_t i = 0; i + 4 < bytes; i++) /* the id's last value is None, and now an empty tuple */
        if (data[i] == 'N' && data[i + 1] == 't' && data[i + 2] == 'q' && data[i + 4] == 'Q')
            data[i] = ')', n++;
    assert_int_equal(n, 2);
    put_file(in_dir("parts.pt"), data, (size_t)bytes);
    expect_failure(open_path(in_dir("parts.pt")), MG_ECHECKPOINT, "parts.pt: a storage of no known");
    free(data);
}

/* torch writes a checksum for each record, and never looks at it. */
static void damaged_records_are_named(void **state)
{
    int64_t bytes, n = 0;
    char *data = get_file(TORCH "tensors-zip.pt", &bytes);
    mg_torch_file *f;
    mg_torch_tensor t;

    (void)state;
    expect_ok(mg_torch_file_parse(&f, "whole", data, (size_t)bytes));
    expect_ok(mg_torch_file_check_sums(f, &n));
    assert_true(n > 15);
    expect_ok(mg_torch_file_tensor(f, &t, "plain", mg_pickle_get(mg_torch_file_root(f), "plain")));
    ((char *)(uintptr_t)t.data)[5] ^= 1;
    expect_failure(mg_torch_file_check_sums(f, &n), MG_ECHECKPOINT, "is not what its checksum says");
    mg_torch_file_close(f);
    free(data);
}

static void hostile_files_cost_a_message(void **state)
{
    struct stat info;

    (void)state;
    /* a command stays the record of a call that nobody makes */
    expect_failure(open_path(TORCH "command.pt"), MG_ECHECKPOINT, "command.pt: x: not a tensor");
    expect_failure(open_path(TORCH "command-old.pt"), MG_ECHECKPOINT,
                   "command-old.pt: a Python object (posix.system), whose code is not run");
    assert_int_not_equal(stat("mg-dist-was-tricked", &info), 0);
    mg_torch_file *f;
    expect_ok(mg_torch_file_open(&f, TORCH "command.pt"));
    const mg_pickle_value *x = mg_pickle_get(mg_torch_file_root(f), "x");
    assert_true(mg_pickle_is_object_of(x, "posix", "system"));
    mg_torch_file_close(f);

    expect_failure(open_path(TORCH "expanded-bomb.pt"), MG_ECHECKPOINT,
                   "w: an expanded tensor of 4398046511104 bytes");
    expect_failure(open_path(TORCH "complex.pt"), MG_ECHECKPOINT, "w: its element type is not supported");
    expect_failure(open_path(TORCH "negated.pt"), MG_ECHECKPOINT,
                   "w: a view whose values are still to be negated");
    expect_failure(open_path(TORCH "dtensor.pt"), MG_ECHECKPOINT,
                   "w: not a tensor of plain numbers, but of a class of its own: save a plain copy");
    expect_failure(open_path(TORCH "module.pt"), MG_ECHECKPOINT,
                   "a Python object (torch.nn.modules.linear.Linear), whose code is not run");
    expect_failure(open_path(TORCH "compressed.pt"), MG_ECHECKPOINT, "is compressed: not of torch.save");
    put_file(in_dir("empty.bin"), "", 0);
    expect_failure(open_path(in_dir("empty.bin")), MG_ECHECKPOINT, "empty.bin: is empty");
    const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    put_file(in_dir("pytorch_model.bin"), lfs, sizeof lfs - 1);
    expect_failure(open_path(test_dir), MG_ECHECKPOINT, "pytorch_model.bin: is a Git LFS pointer");
    const char page[] = "<!doctype html><html></html>";
    put_file(in_dir("page.bin"), page, sizeof page - 1);
    expect_failure(open_path(in_dir("page.bin")), MG_ECHECKPOINT, "page.bin: a web page");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_reads_as_torch_says),
        cmocka_unit_test_setup_teardown(a_changed_byte_is_seen, make_dir, drop_dir),
        cmocka_unit_test(only_other_orders_are_copied),
        cmocka_unit_test(untyped_storages_read),
        cmocka_unit_test_setup_teardown(truncated_anywhere_is_refused, make_dir, drop_dir),
        cmocka_unit_test(one_wrong_byte_is_harmless),
        cmocka_unit_test(damaged_records_are_named),
        cmocka_unit_test_setup_teardown(a_part_of_a_storage_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(hostile_files_cost_a_message, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
