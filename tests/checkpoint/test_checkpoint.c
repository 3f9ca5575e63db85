/* Folders and files of weights: the golden ones, and broken ones made here. */
#include "io_fixture.h"

#include <sys/stat.h>

#include "checkpoint.h"

#define CHECKPOINTS MG_GOLDEN_DIR "/checkpoints/"

static void golden_checkpoints_open(void **state)
{
    static const struct {
        const char *path;
        size_t n_tensors, n_files;
    } cases[] = {{CHECKPOINTS "tiny-mono", 180, 1},
                 {CHECKPOINTS "tiny-mono-sharded", 180, 3},
                 {CHECKPOINTS "tiny-mono-fused-no-positions", 139, 1},
                 {CHECKPOINTS "tiny-variant", 181, 1},
                 {CHECKPOINTS "tiny-mono/model.safetensors", 180, 1},
                 {CHECKPOINTS "tiny-mono-sharded/model.safetensors.index.json", 180, 3},
                 {CHECKPOINTS "tiny-mono-sharded/model-00001-of-00003.safetensors", 0, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_checkpoint *c;
        expect_ok(mg_checkpoint_open(&c, cases[i].path));
        if (cases[i].n_tensors) assert_int_equal(mg_checkpoint_count(c), cases[i].n_tensors);
        assert_int_equal(mg_checkpoint_n_files(c), cases[i].n_files);
        size_t bytes = 0;
        for (size_t j = 0; j < cases[i].n_files; j++) {
            struct stat info;
            assert_int_equal(stat(mg_checkpoint_file(c, j), &info), 0);
            bytes += (size_t)info.st_size;
        }
        assert_int_equal(mg_checkpoint_bytes(c), bytes);
        assert_null(mg_checkpoint_find(c, "no such tensor"));
        mg_checkpoint_close(c);
    }
    mg_checkpoint_close(NULL);
}

static void shards_hold_what_the_whole_holds(void **state)
{
    mg_checkpoint *whole, *shards;

    (void)state;
    expect_ok(mg_checkpoint_open(&whole, CHECKPOINTS "tiny-mono"));
    expect_ok(mg_checkpoint_open(&shards, CHECKPOINTS "tiny-mono-sharded"));
    for (size_t i = 0; i < mg_checkpoint_count(whole); i++) {
        const mg_checkpoint_entry *a = mg_checkpoint_at(whole, i), *b = mg_checkpoint_find(shards, a->name);
        assert_non_null(b);
        assert_ptr_equal(mg_checkpoint_find(whole, a->name), a);
        assert_true(mg_tensor_is(&b->tensor, a->tensor.dtype, a->tensor.n_dims, a->tensor.dim));
        assert_memory_equal(a->tensor.data, b->tensor.data, mg_tensor_bytes(&a->tensor));
        if (i) assert_true(strcmp(mg_checkpoint_at(whole, i - 1)->name, a->name) < 0);
    }
    mg_checkpoint_close(whole);
    mg_checkpoint_close(shards);
}

static void the_data_are_the_tensors(void **state)
{
    mg_checkpoint *c;
    float first;

    (void)state;
    expect_ok(mg_checkpoint_open(&c, CHECKPOINTS "tiny-mono"));
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, "audio_encoder.quantizer.layers.0.codebook.inited");
    assert_non_null(e); /* a buffer that holds 1.0 in every EnCodec model */
    memcpy(&first, e->tensor.data, sizeof first);
    assert_true(e->tensor.dtype == MG_F32 && first == 1.0f);
    assert_non_null(strstr(e->file, "tiny-mono/model.safetensors"));
    mg_checkpoint_close(c);
}

/* A file with one U8 tensor [2]. */
static void put_tensor(const char *file, const char *name)
{
    char header[256], out[300] = {0};
    const int n = snprintf(header, sizeof header,
                           "{\"%s\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", name);

    out[0] = (char)n;
    memcpy(out + 8, header, (size_t)n);
    put_file(in_dir(file), out, 8 + (size_t)n + 2);
}

static mg_status open_dir(const char *path)
{
    mg_checkpoint *c = (mg_checkpoint *)test_dir;
    const mg_status st = mg_checkpoint_open(&c, path);

    if (st != MG_OK) assert_null(c);
    mg_checkpoint_close(st == MG_OK ? c : NULL);
    return st;
}

static mg_status open_index(const char *map)
{
    char text[600];

    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":4},\"weight_map\":%s}", map);
    put_file(in_dir("model.safetensors.index.json"), text, strlen(text));
    return open_dir(test_dir);
}

static void index_mistakes_are_named(void **state)
{
    (void)state;
    put_tensor("s1.safetensors", "a");
    put_tensor("s2.safetensors", "b");
    put_tensor("s3.safetensors", "a");
    expect_ok(open_index("{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}"));
    /* one tensor under two names, of which Hugging Face's converter keeps one, and both in the index */
    expect_ok(open_index("{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\","
                         "\"text_encoder.encoder.embed_tokens.weight\":\"s1.safetensors\"}"));
    expect_failure(open_index("{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}"), MG_ECHECKPOINT,
                   "index.json: not in the shard that the index names for it: b");
    expect_failure(open_index("{\"a\":\"s2.safetensors\",\"b\":\"s1.safetensors\"}"), MG_ECHECKPOINT,
                   "names for it: a, b");
    expect_failure(open_index("{\"a\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}"), MG_ECHECKPOINT,
                   "names for it: c");
    expect_failure(open_index("{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"s3.safetensors\"}"),
                   MG_ECHECKPOINT, "a: also in ");
    expect_failure(open_index("{\"a\":\"s1.safetensors\",\"b\":\"gone.safetensors\"}"), MG_EFAIL,
                   "gone.safetensors: cannot open this shard of the index: No such file");
    expect_failure(open_index("{\"a\":\"../s1.safetensors\"}"), MG_ECHECKPOINT,
                   "weight_map: a: \"../s1.safetensors\" is not a plain file name");
    expect_failure(open_index("{\"a\":\"/etc/passwd\"}"), MG_ECHECKPOINT, "is not a plain file name");
    expect_failure(open_index("{\"a\":\"..\"}"), MG_ECHECKPOINT, "is not a plain file name");
    expect_failure(open_index("{\"a\":\"\"}"), MG_ECHECKPOINT, "is not a plain file name");
    expect_failure(open_index("{\"a\":7}"), MG_ECHECKPOINT, "is not a plain file name");
    expect_failure(open_index("{\"a\":\"s1.safetensors\",\"a\":\"s1.safetensors\"}"), MG_ECHECKPOINT,
                   "weight_map: a: is there twice");
    expect_failure(open_index("{}"), MG_ECHECKPOINT, "weight_map: is empty");
    expect_failure(open_index("null"), MG_ECHECKPOINT, "weight_map: missing");
    expect_failure(open_index("[]"), MG_ECHECKPOINT, "weight_map: must be a JSON object");

    char two[300] = {0}; /* a shard with one tensor more than the index says */
    const char *header = "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"extra\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
    two[0] = (char)strlen(header);
    memcpy(two + 8, header, strlen(header));
    put_file(in_dir("s2.safetensors"), two, 8 + strlen(header) + 2);
    expect_failure(open_index("{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}"), MG_ECHECKPOINT,
                   "index.json: in a shard, but not named by the index: extra");
}

static void folders_are_resolved(void **state)
{
    (void)state;
    expect_failure(open_dir(in_dir("gone")), MG_EFAIL, "gone: cannot open: No such file");
    expect_failure(open_dir(test_dir), MG_EFAIL, "no model.safetensors, no pytorch_model.bin, no index");
    put_file(in_dir("state_dict.bin"), "PK", 2);
    expect_failure(open_dir(test_dir), MG_ECHECKPOINT, "/state_dict.bin: ");
    put_file(in_dir("pytorch_model.bin"), "PK", 2); /* Hugging Face's before AudioCraft's */
    expect_failure(open_dir(test_dir), MG_ECHECKPOINT, "/pytorch_model.bin: ");
    put_tensor("model.fp32.safetensors", "a"); /* a variant alone is taken */
    expect_ok(open_dir(test_dir));
    put_tensor("model.fp16.safetensors", "b"); /* of two the wider */
    expect_ok(open_dir(test_dir));
    put_file(in_dir("model.safetensors"), "", 0); /* but the plain name wins, even if it is broken */
    expect_failure(open_dir(test_dir), MG_ECHECKPOINT, "model.safetensors: 0 bytes are no safetensors file");
    unlink(in_dir("model.safetensors"));
    mkdir(in_dir("model.safetensors"), 0777);
    expect_failure(open_dir(test_dir), MG_EFAIL, "model.safetensors: not a regular file");
}

/* Old pickles of torch.save: an empty dict in each of 3000 places of a second one, which is in each of a
 * third's, and so on: 50 kB that are walked for hours. */
static void dicts_that_hold_each_other_are_no_walk_without_end(void **state)
{
    (void)state;
    enum { N = 3000, LEVELS = 4 };
    static const char begin[] = "\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." /* the magic number */
                                "\x80\2M\xe9\3."                                        /* the protocol */
                                "\x80\2}X\15\0\0\0little_endian\x88s."                  /* the system */
                                "\x80\2X\3\0\0\0emaq\1}q\2",
                      end[] = ".\x80\2].";
    static char data[sizeof begin + sizeof end + LEVELS * (4 * N + 8)];
    size_t n = sizeof begin - 1;
    mg_checkpoint *c;

    memcpy(data, begin, n);
    for (int level = 0; level < LEVELS; level++) {
        memcpy(data + n, "}(", 2), n += 2;
        for (int i = 0; i < N; i++, n += 4) memcpy(data + n, (char[]){'h', 1, 'h', (char)(2 + level)}, 4);
        memcpy(data + n, (char[]){'u', 'q', (char)(3 + level)}, 3), n += 3;
    }
    memcpy(data + n, end, sizeof end - 1), n += sizeof end - 1;
    alarm(60);
    expect_failure(mg_checkpoint_parse(&c, "evil.bin", data, n), MG_ECHECKPOINT, "holds no weights");
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_checkpoints_open),
        cmocka_unit_test(shards_hold_what_the_whole_holds),
        cmocka_unit_test(the_data_are_the_tensors),
        cmocka_unit_test(dicts_that_hold_each_other_are_no_walk_without_end),
        cmocka_unit_test_setup_teardown(index_mistakes_are_named, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(folders_are_resolved, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
