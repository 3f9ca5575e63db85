/* What people give as weights that are none: each is called what it is, by its first bytes before its name.
 */
#include "io_fixture.h"

#include "checkpoint.h"

#define ZEROS64                                                                                              \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define BYTES(text) text, sizeof(text) - 1

static void each_is_called_what_it_is(void **state)
{
    static const struct {
        const char *name, *data;
        size_t n;
        const char *said;
    } cases[] = {
        {"model.safetensors", BYTES("version https://git-lfs.github.com/spec/v1\noid"),
         "is a Git LFS pointer"},
        {"model.safetensors", BYTES("# xet version 0\nfilesize = 4\n"), "is a Xet pointer"},
        {"model.safetensors", BYTES(ZEROS64 "\0"),
         "begins with zeros alone: its download or copy did not finish"},
        {"model.bin", BYTES(ZEROS64 "\0"), "begins with zeros alone"},
        {"a.bin", BYTES("GGUF\3\0\0\0\1\0\0\0"), "is a GGUF file"},
        {"model.h5", BYTES("\x89HDF\r\n\x1a\n\0\0"), "is an HDF5 file"},
        {"a.pt", BYTES("\x89HDF\r\n\x1a\n\0\0"), "is an HDF5 file"},
        {"a.tflite", BYTES("\x1c\0\0\0TFL3\0\0"), "is a TensorFlow Lite file"},
        {"model.onnx", BYTES("\x08\x07\x12\x07pytorch"), "is an ONNX file"},
        {"flax_model.msgpack",
         BYTES("\x82\xa7"
               "decoder\x81"),
         "is a MessagePack file"},
        {"saved_model.pb", BYTES("\x08\x01\x12\0\0\0\0\0\0"), "is a TensorFlow graph"},
        {"__0_0.distcp", BYTES("\x80\x02}q\0."), "dcp_to_torch"},
        {"a.pt.gz", BYTES("\x1f\x8b\x08\0\0\0\0\0\0"), "is packed by gzip: unpack it"},
        {"a.safetensors", BYTES("\x28\xb5\x2f\xfd\0\0\0\0\0"), "is packed by zstd"},
        {"a.pkl", BYTES("\x80\x04\x95\0\0\0\0\0\0\0"), "a pickle that torch.save did not write"},
        {"a.npy", BYTES("\x93NUMPY\1\0v\0{'descr'"), "an array of NumPy's"},
        {"a.wav", BYTES("RIFF\0\0\0\0WAVEfmt "), "is a sound"},
        {"a.pt", BYTES("{\"error\":\"Repository not found\"}"),
         "a text, not weights; it begins: {\"error\":\"Repository not found\"}"},
        {"a.safetensors", BYTES("Access to model x is restricted."),
         "it begins: Access to model x is restricted."},
        {"a.bin", BYTES("\n <!DOCTYPE html><html>"), "a web page or other XML"},
        {"a.safetensors", BYTES("<?xml version=\"1.0\"?><Error>"), "a web page or other XML"},
        /* nothing known: as before, by the name */
        {"a.safetensors", BYTES("\xc3\x01\xfe\x9d\xfe\xdc\xba\x98\xff"), "not a safetensors file"},
        {"a.bin", BYTES("\xc3\x01\xfe\x9d\xfe\xdc\xba\x98\xff"), "pickle"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_checkpoint *c;
        expect_failure(mg_checkpoint_parse(&c, cases[i].name, cases[i].data, cases[i].n), MG_ECHECKPOINT,
                       cases[i].said);
        assert_null(c);
    }
}

/* A tar says so in the middle of its first block. */
static void an_archive_is_to_be_unpacked(void **state)
{
    char tar[512] = "model_weights.ckpt";
    mg_checkpoint *c;

    (void)state;
    memcpy(tar + 257, "ustar", 5);
    expect_failure(mg_checkpoint_parse(&c, "a.nemo", tar, sizeof tar), MG_ECHECKPOINT, "is a tar archive");
}

/* Weights are read by what they are: a wrong name does not matter. */
static void names_do_not_matter(void **state)
{
    static const struct {
        const char *file, *name, *container;
    } cases[] = {
        {"torch/small-zip.pt", "model.safetensors", "torch zip"},
        {"mixed.safetensors", "pytorch_model.bin", "safetensors"},
        {"mixed.safetensors", "weights.gguf", "safetensors"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[1024];
        int64_t bytes;
        mg_checkpoint *c;
        snprintf(path, sizeof path, "%s/%s", MG_GOLDEN_DIR, cases[i].file);
        char *data = get_file(path, &bytes);
        expect_ok(mg_checkpoint_parse(&c, cases[i].name, data, (size_t)bytes));
        assert_string_equal(mg_checkpoint_container(c), cases[i].container);
        mg_checkpoint_close(c);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_called_what_it_is),
        cmocka_unit_test(an_archive_is_to_be_unpacked),
        cmocka_unit_test(names_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
