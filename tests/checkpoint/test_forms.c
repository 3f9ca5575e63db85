/* Every form in which people have a checkpoint: the same tensors, bit for bit, whichever form. */
#include "io_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "tensor_read.h"
#include "torch_writer.h"

/* tests/golden first, then the large golden set; NULL, and loudly, if it is in neither. */
static const char *golden_path(const char *file)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    struct stat info;

    snprintf(path, sizeof paths[0], "%s/checkpoints/%s", MG_GOLDEN_DIR, file);
    if (stat(path, &info) == 0) return path;
    snprintf(path, sizeof paths[0], "%s/golden/checkpoints/%s", MG_SHARED_DIR, file);
    if (stat(path, &info) == 0) return path;
    printf("SKIPPED: %s not found\n", path);
    return NULL;
}

static mg_checkpoint *open_golden(const char *file)
{
    const char *path = golden_path(file);
    mg_checkpoint *c = NULL;

    if (path) expect_ok(mg_checkpoint_open(&c, path));
    return c;
}

/* Entries of `b` that are not the same in `a`, where a's names lack `prefix` and b's have it. */
static size_t n_different(const mg_checkpoint *a, const mg_checkpoint *b, const char *prefix,
                          size_t *n_compared)
{
    size_t n = 0;

    *n_compared = 0;
    for (size_t i = 0; i < mg_checkpoint_count(b); i++) {
        const mg_checkpoint_entry *y = mg_checkpoint_at(b, i), *x;
        if (strncmp(y->name, prefix, strlen(prefix)) != 0) continue;
        x = mg_checkpoint_find(a, y->name + strlen(prefix));
        if (!x || !mg_tensor_is(&y->tensor, x->tensor.dtype, x->tensor.n_dims, x->tensor.dim)) {
            n++;
            continue;
        }
        n += memcmp(x->tensor.data, y->tensor.data, mg_tensor_bytes(&x->tensor)) != 0;
        ++*n_compared;
    }
    return n;
}

static void forms_of_tiny_mono_are_one_model(void **state)
{
    static const struct {
        const char *file, *container;
        size_t n_files;
    } cases[] = {{"tiny-mono-sharded", "safetensors", 3},
                 {"tiny-mono-bin", "torch zip", 1},
                 {"tiny-mono-bin-sharded", "torch zip", 2},
                 {"tiny-mono-legacy-bin", "torch pickle", 1}};
    mg_checkpoint *whole = open_golden("tiny-mono");
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_checkpoint *c = open_golden(cases[i].file);
        if (!c) continue;
        assert_int_equal(mg_checkpoint_count(c), mg_checkpoint_count(whole));
        assert_int_equal(n_different(c, whole, "", &n), 0);
        assert_int_equal(n, 180);
        assert_string_equal(mg_checkpoint_container(c), cases[i].container);
        assert_int_equal(mg_checkpoint_n_files(c), cases[i].n_files);
        assert_int_equal(mg_checkpoint_get_dialect(c), MG_DIALECT_HF);
        assert_int_equal(mg_checkpoint_get_kind(c), MG_CHECKPOINT_WEIGHTS);
        printf("%s: %zu tensors, all equal\n", cases[i].file, n);
        mg_checkpoint_close(c);
    }
    mg_checkpoint *other = open_golden("tiny-variant"); /* the comparison can fail */
    assert_true(n_different(other, whole, "", &n) > 100);
    mg_checkpoint_close(other);
    mg_checkpoint_close(whole);
}

/* weight_g and weight_v under the names of newer torch versions: the same bits. */
static void parametrizations_are_the_same_pair(void **state)
{
    mg_checkpoint *whole = open_golden("tiny-mono"), *c = open_golden("tiny-mono-param-names");
    size_t n_pairs = 0;

    (void)state;
    for (size_t i = 0; c && i < mg_checkpoint_count(whole); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(whole, i);
        const size_t n = strlen(e->name);
        const char *const end = n > 9 ? e->name + n - 9 : "";
        char name[512];
        if (strcmp(end, ".weight_g") != 0 && strcmp(end, ".weight_v") != 0) continue;
        snprintf(name, sizeof name, "%.*s.parametrizations.weight.original%d", (int)(n - 9), e->name,
                 end[8] == 'v');
        const mg_checkpoint_entry *p = mg_checkpoint_find(c, name);
        if (!p) fail_msg("%s: missing", name);
        assert_memory_equal(p->tensor.data, e->tensor.data, mg_tensor_bytes(&e->tensor));
        n_pairs++;
    }
    if (c) assert_int_equal(n_pairs, 56);
    mg_checkpoint_close(c);
    mg_checkpoint_close(whole);
}

static void a_codec_alone_is_the_models_codec(void **state)
{
    mg_checkpoint *whole = open_golden("tiny-mono"), *codec = open_golden("encodec-hf");
    size_t n;

    (void)state;
    if (codec) {
        assert_int_equal(n_different(codec, whole, "audio_encoder.", &n), 0);
        assert_int_equal(n, mg_checkpoint_count(codec));
        assert_true(n > 100);
        assert_int_equal(mg_checkpoint_get_dialect(codec), MG_DIALECT_HF);
    }
    mg_checkpoint_close(codec);
    mg_checkpoint_close(whole);
}

/* An AudioCraft export under our names: exactly those of Hugging Face's form of the same architecture, but
 * for the position table, which AudioCraft computes. */
static void exports_have_our_names(void **state)
{
    static const struct {
        const char *file, *like;
        mg_dialect dialect;
    } cases[] = {
        {"ac-mono", "tiny-mono", MG_DIALECT_AUDIOCRAFT_LM},
        {"ac-stereo", "tiny-stereo", MG_DIALECT_AUDIOCRAFT_LM},
        {"ac-melody", "tiny-melody", MG_DIALECT_AUDIOCRAFT_LM},
        {"ac-audiogen", "tiny-mono", MG_DIALECT_AUDIOCRAFT_LM},
        {"ac-mono/compression_state_dict.bin", "encodec-hf", MG_DIALECT_AUDIOCRAFT_CODEC},
        {"ac-audiogen/compression_state_dict.bin", "encodec-hf", MG_DIALECT_AUDIOCRAFT_CODEC},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_checkpoint *c = open_golden(cases[i].file), *like = c ? open_golden(cases[i].like) : NULL;
        size_t n_wanted = 0, n_left = 0;
        for (size_t k = 0; like && k < mg_checkpoint_count(like); k++) {
            const char *name = mg_checkpoint_at(like, k)->name;
            if (strncmp(name, "text_encoder.", 13) == 0 || strncmp(name, "audio_encoder.", 14) == 0 ||
                strstr(name, "embed_positions"))
                continue;
            n_wanted++;
            if (!mg_checkpoint_find(c, name)) fail_msg("%s: %s: missing", cases[i].file, name);
        }
        for (size_t k = 0; like && k < mg_checkpoint_count(c); k++) {
            const char *name = mg_checkpoint_at(c, k)->name;
            if (mg_checkpoint_find(like, name)) continue;
            if (!mg_key_map_is_ignorable(name)) fail_msg("%s: %s: unexpected", cases[i].file, name);
            n_left++;
        }
        if (like) {
            printf("%s: %zu names as in %s, %zu ignorable\n", cases[i].file, n_wanted, cases[i].like, n_left);
            assert_int_equal(mg_checkpoint_get_dialect(c), cases[i].dialect);
            assert_non_null(strstr(mg_checkpoint_xp_config(c), "sample_rate"));
        }
        mg_checkpoint_close(c);
        mg_checkpoint_close(like);
    }
}

/* q, k and v are the three shares of one tensor's rows, in place. */
static void fused_projections_are_split(void **state)
{
    static const char *const part[] = {"q", "k", "v"};
    mg_checkpoint *c = open_golden("ac-mono");
    const char *begin = NULL;

    (void)state;
    for (int i = 0; c && i < 3; i++) {
        char name[128];
        snprintf(name, sizeof name, "decoder.model.decoder.layers.1.self_attn.%s_proj.weight", part[i]);
        const mg_checkpoint_entry *e = mg_checkpoint_find(c, name);
        assert_non_null(e);
        assert_string_equal(e->source, "transformer.layers.1.self_attn.in_proj_weight");
        assert_true(e->tensor.dtype == MG_F16 && e->tensor.dim[0] == 128 && e->tensor.dim[1] == 128);
        if (i == 0) begin = e->tensor.data;
        assert_ptr_equal(e->tensor.data, begin + (size_t)i * 128 * 128 * 2);
        assert_int_equal(mg_checkpoint_source_at(c, e->i_source)->tensor.dim[0], 384);
    }
    mg_checkpoint_close(c);
}

static void training_checkpoints_hold_what_was_exported(void **state)
{
    static const char *const cases[][2] = {
        {"ac-mono-training/checkpoint.th", "ac-mono/state_dict.bin"},
        {"ac-mono-training/codec_checkpoint.th", "ac-mono/compression_state_dict.bin"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_checkpoint *training = open_golden(cases[i][0]),
                      *exported = training ? open_golden(cases[i][1]) : NULL;
        size_t n;
        if (exported) {
            assert_int_equal(mg_checkpoint_count(training), mg_checkpoint_count(exported));
            assert_int_equal(n_different(training, exported, "", &n), 0);
            assert_true(n > 40);
            assert_int_equal(mg_checkpoint_get_kind(training), MG_CHECKPOINT_TRAINING);
            assert_int_equal(mg_checkpoint_get_kind(exported), MG_CHECKPOINT_WEIGHTS);
            assert_non_null(mg_checkpoint_xp_config(training));
        }
        mg_checkpoint_close(training);
        mg_checkpoint_close(exported);
    }
}

/* A solver's checkpoint whose one matrix has `n_dims` dimensions, at `name` of the test's folder. */
static const char *write_training(const char *name, const char *key, int n_dims)
{
    static const float values[16];
    const mg_torch_tensor t = {.data = values,
                               .dtype = MG_F32,
                               .n_dims = n_dims,
                               .dim = {n_dims == 1 ? 16 : 6, 2},
                               .stride = {n_dims == 1 ? 1 : 2, 1}};
    static char path[1024];
    mg_torch_writer *w;

    snprintf(path, sizeof path, "/tmp/mg-forms-%ld-%s", (long)getpid(), name);
    expect_ok(mg_torch_writer_open(&w, path));
    expect_ok(mg_torch_writer_begin_dict(w, "best_state"));
    expect_ok(mg_torch_writer_begin_dict(w, "model"));
    expect_ok(mg_torch_writer_tensor(w, key, &t));
    expect_ok(mg_torch_writer_end_dict(w));
    expect_ok(mg_torch_writer_end_dict(w));
    expect_ok(mg_torch_writer_begin_dict(w, "fsdp_best_state"));
    expect_ok(mg_torch_writer_end_dict(w));
    expect_ok(mg_torch_writer_commit(w, NULL, NULL));
    mg_torch_writer_close(w);
    return path;
}

/* What FSDP leaves: a file a rank, and without fsdp_best_state only slices. */
static void shards_of_training_are_refused(void **state)
{
    static const char in_proj[] = "transformer.layers.0.self_attn.in_proj_weight";
    static const struct {
        const char *file, *key;
        int n_dims;
        const char *says; /* NULL: it opens */
    } cases[] = {
        {"checkpoint.th", in_proj, 2, NULL},
        {"checkpoint.th", in_proj, 1, "checkpoint.th.1 and so on hold the others"},
        {"checkpoint_best.th", "transformer.layers.0._flat_param", 1, "checkpoint_best.th.1 and so on"},
        {"checkpoint.th.7", in_proj, 2, "is one rank's shard: give the file without .7"},
        {"checkpoint.th.bak", in_proj, 2, NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_training(cases[i].file, cases[i].key, cases[i].n_dims);
        mg_checkpoint *c = NULL;
        if (cases[i].says)
            expect_failure(mg_checkpoint_open(&c, path), MG_ECHECKPOINT, cases[i].says);
        else
            expect_ok(mg_checkpoint_open(&c, path));
        mg_checkpoint_close(c);
        unlink(path);
    }
}

static void pointers_and_nested_dicts(void **state)
{
    mg_checkpoint *c = open_golden("ac-pointer");

    (void)state;
    if (c) {
        assert_int_equal(mg_checkpoint_get_kind(c), MG_CHECKPOINT_POINTER);
        assert_string_equal(mg_checkpoint_pointer(c), "facebook/encodec_32khz");
        assert_int_equal(mg_checkpoint_count(c), 0);
        assert_null(mg_checkpoint_find(c, "a"));
    }
    mg_checkpoint_close(c);
    expect_ok(mg_checkpoint_open(&c, MG_GOLDEN_DIR "/torch/nested.pt"));
    assert_int_equal(mg_checkpoint_count(c), 2);
    assert_non_null(mg_checkpoint_find(c, "model.b")); /* no rule knows "b": it keeps its name */
    mg_checkpoint_close(c);
}

/* A shard of a pickled index: the same checks as for safetensors. */
static void bin_indexes_are_checked(void **state)
{
    static const struct {
        const char *map;
        mg_status status;
        const char *message;
    } cases[] = {
        {"{\"w\":\"s.bin\",\"b\":\"s.bin\"}", MG_OK, NULL},
        {"{\"w\":\"s.bin\"}", MG_ECHECKPOINT, "in a shard, but not named by the index: b"},
        {"{\"w\":\"s.bin\",\"b\":\"s.bin\",\"c\":\"s.bin\"}", MG_ECHECKPOINT, "names for it: c"},
        {"{\"w\":\"s.bin\",\"b\":\"../s.bin\"}", MG_ECHECKPOINT, "\"../s.bin\" is not a plain file name"},
        {"{\"w\":\"s.bin\",\"b\":\"/tmp/s.bin\"}", MG_ECHECKPOINT, "is not a plain file name"},
        {"{\"w\":\"s.bin\",\"b\":\"gone.bin\"}", MG_EFAIL, "gone.bin: cannot open this shard"},
        {"{\"w\":\"s.bin\",\"b\":\"t.bin\"}", MG_ECHECKPOINT, "also in "},
        {"{\"w\":\"s.bin\",\"b\":\"pointer.bin\"}", MG_ECHECKPOINT, "pointer.bin: no shard"},
    };
    int64_t bytes;
    char *small = get_file(MG_GOLDEN_DIR "/torch/small-zip.pt", &bytes);

    (void)state;
    put_file(in_dir("s.bin"), small, (size_t)bytes);
    put_file(in_dir("t.bin"), small, (size_t)bytes);
    free(small);
    const char *pointer = golden_path("ac-pointer/compression_state_dict.bin");
    if (pointer) {
        char *data = get_file(pointer, &bytes);
        put_file(in_dir("pointer.bin"), data, (size_t)bytes);
        free(data);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases - !pointer; i++) {
        char text[512];
        mg_checkpoint *c;
        snprintf(text, sizeof text, "{\"weight_map\":%s}", cases[i].map);
        put_file(in_dir("pytorch_model.bin.index.json"), text, strlen(text));
        const mg_status st = mg_checkpoint_open(&c, test_dir);
        if (st == MG_OK) assert_int_equal(mg_checkpoint_count(c), 2);
        mg_checkpoint_close(c);
        if (cases[i].message)
            expect_failure(st, cases[i].status, cases[i].message);
        else
            expect_ok(st);
    }
}

/* Both spellings of one tensor in one file: nobody can say which one is meant. */
static void two_sources_for_one_target_are_refused(void **state)
{
    const char header[] = "{\"emb.0.weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                          "\"model.emb.0.weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
    const char split[] = "{\"transformer.layers.0.self_attn.in_proj_weight\":{\"dtype\":\"U8\",\"shape\":[2],"
                         "\"data_offsets\":[0,2]}}";
    char file[300] = {0};
    mg_checkpoint *c;

    (void)state;
    file[0] = (char)strlen(header);
    memcpy(file + 8, header, strlen(header));
    put_file(in_dir("model.safetensors"), file, 8 + strlen(header) + 2);
    expect_failure(mg_checkpoint_open(&c, test_dir), MG_ECHECKPOINT,
                   "and both are decoder.model.decoder.embed_tokens.0.weight");
    memset(file, 0, sizeof file);
    file[0] = (char)strlen(split);
    memcpy(file + 8, split, strlen(split));
    put_file(in_dir("model.safetensors"), file, 8 + strlen(split) + 2);
    expect_failure(mg_checkpoint_open(&c, test_dir), MG_ECHECKPOINT, "its rows do not split into 3 parts");
}

/* Every container, cut short after it was opened: zeros are read, and the check names the file. */
static void cut_short_while_open_is_a_sentence(void **state)
{
    static const char *const files[] = {"ac-mono/state_dict.bin", "tiny-mono-bin/pytorch_model.bin",
                                        "tiny-mono-sharded/model-00001-of-00003.safetensors"};
    static const char *const names[] = {"a.bin", "b.bin", "c.safetensors"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *from = golden_path(files[i]);
        mg_checkpoint *c;
        int64_t n;
        if (!from) continue;
        char *data = get_file(from, &n);
        put_file(in_dir(names[i]), data, (size_t)n);
        free(data);
        expect_ok(mg_checkpoint_open(&c, in_dir(names[i])));
        expect_ok(mg_checkpoint_check_files(c));
        assert_int_equal(truncate(in_dir(names[i]), n / 2), 0);
        for (size_t k = 0; k < mg_checkpoint_n_sources(c); k++) {
            const mg_tensor *t = &mg_checkpoint_source_at(c, k)->tensor;
            char *copy = malloc(mg_tensor_bytes(t) + 1);
            assert_non_null(copy);
            expect_ok(mg_tensor_read(copy, t->dtype, t, 0, mg_tensor_count(t), NULL));
            free(copy);
        }
        expect_failure(mg_checkpoint_check_files(c), MG_EFAIL, "was cut short while it was read");
        assert_non_null(strstr(mg_last_error(), names[i]));
        mg_checkpoint_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_tiny_mono_are_one_model),
        cmocka_unit_test(parametrizations_are_the_same_pair),
        cmocka_unit_test(a_codec_alone_is_the_models_codec),
        cmocka_unit_test(exports_have_our_names),
        cmocka_unit_test(fused_projections_are_split),
        cmocka_unit_test(training_checkpoints_hold_what_was_exported),
        cmocka_unit_test(shards_of_training_are_refused),
        cmocka_unit_test(pointers_and_nested_dicts),
        cmocka_unit_test_setup_teardown(bin_indexes_are_checked, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(cut_short_while_open_is_a_sentence, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(two_sources_for_one_target_are_refused, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
