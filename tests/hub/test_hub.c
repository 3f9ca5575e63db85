/* Caches laid out by hand as the hub client does it: blobs named by hash, snapshots of links, refs/main. */
#include <sys/stat.h>

#include "io_fixture.h"
#include "manifest.h"
#include "model_fingerprint.h"
#include "model_folder.h"

#define COMMIT   "0123456789abcdef0123456789abcdef01234567"
#define BLOB     "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" /* SHA-256 of "test" */
#define GIT_BLOB "30d74d258442c7c65512eafab474568dd706c430"

static void make(const char *path)
{
    char part[512];

    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++)
        if (*p == '/') *p = '\0', mkdir(part, 0777), *p = '/';
    mkdir(part, 0777);
}

/* ROOT/models--NAME with one snapshot of two files. */
static void make_model(const char *root, const char *name)
{
    char path[512], target[512];

    snprintf(path, sizeof path, "%s/models--%s/blobs", root, name);
    make(path);
    snprintf(path, sizeof path, "%s/models--%s/refs", root, name);
    make(path);
    snprintf(path, sizeof path, "%s/models--%s/refs/main", root, name);
    put_file(path, COMMIT, strlen(COMMIT));
    snprintf(path, sizeof path, "%s/models--%s/blobs/%s", root, name, BLOB);
    put_file(path, "test", 4);
    snprintf(path, sizeof path, "%s/models--%s/blobs/%s", root, name, GIT_BLOB);
    put_file(path, "{\"model_type\": \"t5\"}", 20);
    snprintf(path, sizeof path, "%s/models--%s/snapshots/%s", root, name, COMMIT);
    make(path);
    snprintf(target, sizeof target, "../../blobs/%s", BLOB);
    snprintf(path, sizeof path, "%s/models--%s/snapshots/%s/model.safetensors", root, name, COMMIT);
    assert_int_equal(symlink(target, path), 0);
    snprintf(target, sizeof target, "../../blobs/%s", GIT_BLOB);
    snprintf(path, sizeof path, "%s/models--%s/snapshots/%s/config.json", root, name, COMMIT);
    assert_int_equal(symlink(target, path), 0);
}

static const char *const variables[] = {"AUDIOCRAFT_CACHE_DIR",
                                        "HF_HUB_CACHE",
                                        "HF_HOME",
                                        "XDG_CACHE_HOME",
                                        "HOME",
                                        "MGDIST_MANIFEST",
                                        "XDG_CONFIG_HOME",
                                        "HUGGINGFACE_HUB_CACHE",
                                        "TRANSFORMERS_CACHE"};

static int begin(void **state)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    return make_dir(state);
}

static int end(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", test_dir);
    return system(command);
}

static void test_ids(void **state)
{
    const char *const ids[] = {"facebook/musicgen-small", "t5-base", "google-t5/t5-base", "a/b.c_d"};
    const char *const others[] = {"",    "/models/a", "./a", "a/b/c", "a//b", "../a", "~/models",
                                  "a b", "facebook/", "/a",  "a/.b",  "-a",   "a..b", "a--b"};

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) assert_true(mg_hub_is_id(ids[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(mg_hub_is_id(others[i]));
}

static void expect_found(const char *id, const char *root, const char *name)
{
    char path[MG_PATH_SIZE], wanted[512];

    snprintf(wanted, sizeof wanted, "%s/models--%s/snapshots/%s", root, name, COMMIT);
    expect_ok(mg_hub_find(path, id));
    assert_string_equal(path, wanted);
}

/* Each variable in its place; the later ones are not asked. */
static void test_order(void **state)
{
    char path[MG_PATH_SIZE];

    (void)state;
    make_model(in_dir("home/.cache/huggingface/hub"), "o--m");
    setenv("HOME", in_dir("home"), 1);
    expect_found("o/m", in_dir("home/.cache/huggingface/hub"), "o--m");
    setenv("XDG_CACHE_HOME", in_dir("xdg"), 1);
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL, "xdg/huggingface/hub/models--o--m");
    make_model(in_dir("xdg/huggingface/hub"), "o--m");
    expect_found("o/m", in_dir("xdg/huggingface/hub"), "o--m");
    make_model(in_dir("hf/hub"), "o--m");
    setenv("HF_HOME", in_dir("hf"), 1);
    expect_found("o/m", in_dir("hf/hub"), "o--m");
    make_model(in_dir("hub"), "o--m");
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    expect_found("o/m", in_dir("hub"), "o--m");
    setenv("AUDIOCRAFT_CACHE_DIR", in_dir("ac"), 1); /* not there: the others still count */
    expect_found("o/m", in_dir("hub"), "o--m");
    make_model(in_dir("ac"), "o--m");
    expect_found("o/m", in_dir("ac"), "o--m");
    setenv("HF_HUB_CACHE", "~/.cache/huggingface/hub", 1);
    unsetenv("AUDIOCRAFT_CACHE_DIR");
    expect_found("o/m", in_dir("home/.cache/huggingface/hub"), "o--m");
}

/* The older names of the cache. */
static void test_old_variables(void **state)
{
    (void)state;
    make_model(in_dir("home/.cache/huggingface/hub"), "o--m");
    setenv("HOME", in_dir("home"), 1);
    make_model(in_dir("hugging"), "o--m");
    setenv("HUGGINGFACE_HUB_CACHE", in_dir("hugging"), 1);
    expect_found("o/m", in_dir("hugging"), "o--m");
    make_model(in_dir("hub"), "o--m");
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    expect_found("o/m", in_dir("hub"), "o--m");
    make_model(in_dir("transformers"), "o--other");
    setenv("TRANSFORMERS_CACHE", in_dir("transformers"), 1);
    expect_found("o/m", in_dir("hub"), "o--m"); /* not there: the others still count */
    expect_found("o/other", in_dir("transformers"), "o--other");
    make_model(in_dir("transformers"), "o--m");
    expect_found("o/m", in_dir("transformers"), "o--m");
}

/* A branch, a tag, a commit or its beginning; a cache without refs; a model's folder itself; slashes. */
static void test_revisions(void **state)
{
    static const char other[] = "89abcdef0123456789abcdef0123456789abcdef";
    char path[MG_PATH_SIZE], folder[512], wanted[512];

    (void)state;
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    make_model(in_dir("hub"), "o--m");
    expect_found("o/m@main", in_dir("hub"), "o--m");
    expect_found("o/m@" COMMIT, in_dir("hub"), "o--m");
    expect_found("o/m@0123456", in_dir("hub"), "o--m");
    expect_found("o/m/", in_dir("hub"), "o--m");
    expect_found("o/m///", in_dir("hub"), "o--m");
    expect_failure(mg_hub_find(path, "o/m@v2"), MG_EFAIL, "refs/v2");
    expect_failure(mg_hub_find(path, "o/m@v2"), MG_EFAIL, "hf download o/m --revision v2");
    expect_failure(mg_hub_find(path, "o/m@012"), MG_EFAIL, "refs/012"); /* too little for a commit */
    make(in_dir("hub/models--o--m/refs/pr"));
    put_file(in_dir("hub/models--o--m/refs/pr/1"), other, strlen(other));
    expect_failure(mg_hub_find(path, "o/m@pr/1"), MG_EFAIL, "snapshots/89abcdef");
    snprintf(folder, sizeof folder, "%s/hub/models--o--m/snapshots/%s", test_dir, other);
    make(folder);
    expect_ok(mg_hub_find(path, "o/m@pr/1"));
    assert_string_equal(path, folder);
    expect_found("o/m", in_dir("hub"), "o--m");
    unlink(in_dir("hub/models--o--m/refs/main")); /* which of the two? */
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL, "several snapshots: give ID@COMMIT");
    expect_found("o/m@0123", in_dir("hub"), "o--m");
    rmdir(folder);
    expect_found("o/m", in_dir("hub"), "o--m"); /* the only one */
    snprintf(wanted, sizeof wanted, "%s/hub/models--o--m/snapshots/" COMMIT, test_dir);
    snprintf(folder, sizeof folder, "%s/hub/models--o--m", test_dir);
    expect_ok(mg_hub_find(path, folder));
    assert_string_equal(path, wanted);
    strcat(folder, "/");
    expect_ok(mg_hub_find(path, folder));
    assert_string_equal(path, wanted);
    assert_false(mg_hub_is_id("o/m@"));
    assert_false(mg_hub_is_id("o/m@a b"));
    assert_false(mg_hub_is_id("o/m@../x"));
}

static void test_bare_name(void **state)
{
    char path[MG_PATH_SIZE];

    (void)state;
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    expect_failure(mg_hub_find(path, "t5-base"), MG_EFAIL, "hub/models--t5-base");
    expect_failure(mg_hub_find(path, "t5-base"), MG_EFAIL, "hub/models--google-t5--t5-base");
    expect_failure(mg_hub_find(path, "t5-base"), MG_EFAIL, "hf download google-t5/t5-base");
    make_model(in_dir("hub"), "google-t5--t5-base");
    expect_found("t5-base", in_dir("hub"), "google-t5--t5-base");
    make_model(in_dir("hub"), "t5-base");
    expect_found("t5-base", in_dir("hub"), "t5-base");
}

static void test_incomplete(void **state)
{
    char path[MG_PATH_SIZE];

    (void)state;
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL, "hf download o/m");
    expect_failure(mg_hub_find(path, in_dir("nowhere")), MG_EFAIL, "no such file or folder");
    make_model(in_dir("hub"), "o--m");
    unlink(in_dir("hub/models--o--m/blobs/" BLOB));
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL,
                   "snapshots/" COMMIT "/model.safetensors is a link to "
                   "../../blobs/" BLOB);
    assert_string_equal(path, "");
    put_file(in_dir("hub/models--o--m/refs/main"), "ffff\n", 5);
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL, "models--o--m/snapshots/ffff");
    put_file(in_dir("hub/models--o--m/refs/main"), "../../x", 7);
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL, "refs/main (holds no commit)");
    unlink(in_dir("hub/models--o--m/refs/main"));
    expect_failure(mg_hub_find(path, "o/m"), MG_EFAIL, "incomplete in the cache"); /* the only one */
}

static void test_blob_hash(void **state)
{
    char hash[65];

    (void)state;
    make_model(in_dir("hub"), "o--m");
    assert_true(mg_hub_blob_hash(hash, in_dir("hub/models--o--m/snapshots/" COMMIT "/model.safetensors")));
    assert_string_equal(hash, BLOB);
    assert_true(mg_hub_blob_hash(hash, in_dir("hub/models--o--m/snapshots/" COMMIT "/config.json")));
    assert_string_equal(hash, GIT_BLOB);
    assert_false(mg_hub_blob_hash(hash, in_dir("hub/models--o--m/blobs/" BLOB))); /* no link */
    assert_false(mg_hub_blob_hash(hash, in_dir("nowhere")));
    assert_int_equal(symlink("model.safetensors", in_dir("link")), 0);
    assert_false(mg_hub_blob_hash(hash, in_dir("link")));
}

static void test_list(void **state)
{
    mg_hub_model *models;
    size_t n;

    (void)state;
    expect_ok(mg_hub_list(&models, &n, in_dir("nowhere")));
    assert_int_equal(n, 0);
    make_model(in_dir("hub"), "z--m");
    make_model(in_dir("hub"), "a--m");
    make_model(in_dir("hub"), "t5-base");
    make(in_dir("hub/datasets--a--d"));
    put_file(in_dir("hub/models--z--m/refs/main"), "", 0);
    expect_ok(mg_hub_list(&models, &n, in_dir("hub")));
    assert_int_equal(n, 3);
    assert_string_equal(models[0].id, "a/m");
    assert_string_equal(models[1].id, "t5-base");
    assert_string_equal(models[2].id, "z/m");
    assert_string_equal(models[2].snapshot, "");
    assert_non_null(strstr(models[0].snapshot, "snapshots/" COMMIT));
    free(models);
}

static mg_status find_key(char path[MG_PATH_SIZE], const char *key)
{
    static mg_manifest_room room;
    mg_model_request r = {0};
    const mg_status st = mg_manifest_find_model(&r, &room, key, NULL);

    snprintf(path, MG_PATH_SIZE, "%s", r.model ? r.model : "");
    return st;
}

/* Parts in several folders; what the request names itself stays. */
static void test_parts(void **state)
{
    static mg_manifest_room room;
    mg_model_request r = {.codec = "mine"};
    mg_manifest m;

    (void)state;
    setenv("HOME", in_dir("home"), 1);
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    make_model(in_dir("hub"), "google-t5--t5-base");
    make(in_dir("home/.config/mg-dist/lm"));
    expect_ok(mg_manifest_edit(&m, NULL));
    expect_ok(mg_manifest_set(
        &m, &(mg_manifest_entry){.key = "k", .lm = "lm", .text_encoder = "t5-base", .codec = "no/such"}));
    expect_ok(mg_manifest_set(&m, &(mg_manifest_entry){.key = "bad", .lm = "lm", .tokenizer = "no/such"}));
    expect_ok(mg_manifest_save(&m));
    mg_manifest_close(&m);
    expect_ok(mg_manifest_find_model(&r, &room, "k", NULL));
    assert_null(r.model);
    assert_string_equal(r.lm, in_dir("home/.config/mg-dist/lm"));
    assert_non_null(strstr(r.text_encoder, "google-t5--t5-base/snapshots/" COMMIT));
    assert_string_equal(r.codec, "mine");
    assert_null(r.tokenizer);
    r = (mg_model_request){0};
    expect_failure(mg_manifest_find_model(&r, &room, "bad", NULL), MG_EFAIL, "no/such: neither a path nor");
}

static void test_manifest(void **state)
{
    mg_manifest m;
    mg_manifest_entry e;
    char path[MG_PATH_SIZE];

    (void)state;
    expect_failure(find_key(path, "large"), MG_EFAIL, "give --manifest");
    setenv("HOME", in_dir("home"), 1);
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    expect_failure(find_key(path, "large"), MG_EFAIL,
                   "home/.config/mg-dist/models_manifest.json does not exist");
    make_model(in_dir("hub"), "o--m");
    make(in_dir("home/.config/mg-dist/here"));
    expect_ok(mg_manifest_edit(&m, NULL));
    expect_ok(
        mg_manifest_set(&m, &(mg_manifest_entry){.key = "large", .id = "o/m", .notes = "big \xc3\xa9"}));
    expect_ok(mg_manifest_set(&m, &(mg_manifest_entry){.key = "here", .id = "o/x", .path = "here"}));
    expect_ok(mg_manifest_set(&m, &(mg_manifest_entry){.key = "gone", .path = "/nowhere/at/all"}));
    expect_ok(mg_manifest_save(&m));
    mg_manifest_close(&m);

    expect_ok(find_key(path, "large"));
    assert_non_null(strstr(path, "models--o--m/snapshots/" COMMIT));
    expect_ok(find_key(path, "here")); /* the path wins, from the manifest's folder */
    assert_string_equal(path, in_dir("home/.config/mg-dist/here"));
    expect_failure(find_key(path, "gone"), MG_EFAIL, "says path /nowhere/at/all, which is not there");
    expect_failure(find_key(path, "small"), MG_EFAIL, "which has: large, here, gone");

    expect_ok(mg_manifest_edit(&m, NULL));
    assert_int_equal(mg_manifest_count(&m), 3);
    assert_true(mg_manifest_find(&m, "large", &e));
    assert_string_equal(e.notes, "big \xc3\xa9");
    assert_true(mg_manifest_remove(&m, "gone"));
    assert_false(mg_manifest_remove(&m, "gone"));
    expect_ok(mg_manifest_set(&m, &(mg_manifest_entry){.key = "large", .path = "/x"}));
    assert_true(mg_manifest_find(&m, "large", &e));
    assert_null(e.id);
    assert_int_equal(mg_manifest_count(&m), 2);
    mg_manifest_close(&m);
}

static void test_bad_manifest(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "must be an object of keys"},
        {"{\"a\": 1}", "a: must be a JSON object"},
        {"{\"a\": null}", "a: must be an object"},
        {"{\"a\": {}}", "a: has neither \"path\" nor \"id\" nor \"lm\""},
        {"{\"a\": {\"id\": 3}}", "id: 3: must be a string"},
        {"{\"a\": {\"id\": \"x\"}, \"a\": {\"id\": \"y\"}}", "a:"},
        {"{", "not JSON"},
    };
    mg_manifest m;

    (void)state;
    setenv("MGDIST_MANIFEST", in_dir("m.json"), 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(in_dir("m.json"), cases[i].text, strlen(cases[i].text));
        expect_failure(mg_manifest_open(&m, NULL), MG_ECHECKPOINT, cases[i].message);
    }
}

static void expect_state(const char *state)
{
    mg_model_folder folder;
    char said[300];

    expect_ok(mg_model_folder_survey(&folder, in_dir("model")));
    mg_model_folder_state(said, sizeof said, &folder);
    assert_string_equal(said, state);
}

static void put(const char *name, const char *text)
{
    put_file(in_dir(name), text, strlen(text));
}

static void test_folder(void **state)
{
    (void)state;
    make(in_dir("model"));
    expect_state("no config.json");
    put("model/config.json", "{\"model_type\": \"musicgen\"}");
    expect_state("no weights");
    put("model/adapter_config.json", "{}");
    expect_state("an adapter, for --lora");
    put("model/model.safetensors.index.json",
        "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}");
    put("model/one.safetensors", "x");
    expect_state("no two.safetensors");
    put("model/two.safetensors", "x");
    expect_state("no tokenizer");
    put("model/spiece.model", "x");
    expect_state("complete");
    assert_int_equal(symlink("../nowhere", in_dir("model/generation_config.json")), 0);
    expect_state("no generation_config.json");
    unlink(in_dir("model/generation_config.json"));
    put("model/model.safetensors.index.json", "{");
    expect_state("no model.safetensors.index.json");
    assert_true(mg_model_folder_is_hf(in_dir("model")));
    unlink(in_dir("model/model.safetensors.index.json"));
    put("model/state_dict.bin", "x");
    expect_state("no compression_state_dict.bin");
    assert_false(mg_model_folder_is_hf(in_dir("model")));
    put("model/compression_state_dict.bin", "x");
    expect_state("complete");
}

/* A copy of the golden model, with the values of one tensor changed. */
static void fingerprint_of(char out[65], const char *tensor)
{
    const char *from = MG_GOLDEN_DIR "/checkpoints/tiny-mono/model.safetensors";
    mg_model_files *files;
    int64_t bytes;
    char *data = get_file(from, &bytes);
    mg_checkpoint *c;

    expect_ok(mg_checkpoint_open(&c, from));
    const mg_checkpoint_entry *e = tensor ? mg_checkpoint_find(c, tensor) : NULL;
    for (size_t i = 0; e && i < mg_tensor_bytes(&e->tensor); i += 4) data[e->offset + (int64_t)i] ^= 1;
    mg_checkpoint_close(c);
    mkdir(in_dir("model"), 0777);
    put_file(in_dir("model/model.safetensors"), data, (size_t)bytes);
    free(data);
    data = get_file(MG_GOLDEN_DIR "/checkpoints/tiny-mono/config.json", &bytes);
    put_file(in_dir("model/config.json"), data, (size_t)bytes);
    free(data);
    const mg_model_request request = {.model = in_dir("model")};
    expect_ok(mg_model_files_open(&files, &request, MG_NEED_LM));
    expect_ok(mg_model_fingerprint(out, files));
    mg_model_files_close(files);
}

static void test_fingerprint(void **state)
{
    static const char *const tuned[] = {"decoder.model.decoder.layers.1.fc1.weight",
                                        "decoder.lm_heads.0.weight", "enc_to_dec_proj.bias"};
    char plain[65], again[65], other[65];

    (void)state;
    fingerprint_of(plain, NULL);
    fingerprint_of(again, NULL);
    assert_string_equal(plain, again);
    for (size_t i = 0; i < sizeof tuned / sizeof *tuned; i++) {
        fingerprint_of(other, tuned[i]);
        assert_string_not_equal(plain, other);
    }
}

/* Two T5 of one width: the wrong one would load. */
static void test_other_t5(void **state)
{
    static const char flan[] =
        "{\"model_type\": \"t5\", \"d_model\": 768, \"d_ff\": 2048, \"num_layers\": 12, "
        "\"num_heads\": 12, \"feed_forward_proj\": \"gated-gelu\"}",
                      base[] =
                          "{\"model_type\": \"t5\", \"d_model\": 768, \"d_ff\": 3072, \"num_layers\": 12, "
                          "\"num_heads\": 12}";
    char folder[128];
    const mg_model_request request = {.model = MG_GOLDEN_DIR "/checkpoints/ac-mono", /* names t5-base */
                                      .text_encoder = folder};
    int64_t bytes;
    mg_model_files *files;
    char *data = get_file(MG_GOLDEN_DIR "/checkpoints/tiny-mono/model.safetensors", &bytes);

    (void)state;
    snprintf(folder, sizeof folder, "%s", in_dir("t5"));
    mkdir(folder, 0777);
    put_file(in_dir("t5/model.safetensors"), data, (size_t)bytes);
    free(data);
    put_file(in_dir("t5/config.json"), flan, strlen(flan));
    expect_failure(mg_model_files_open(&files, &request, MG_NEED_LM | MG_NEED_T5), MG_ECHECKPOINT,
                   "has the sizes of google/flan-t5-base, and the language model was trained with t5-base: "
                   "give that as --text-encoder");
    put_file(in_dir("t5/config.json"), base, strlen(base));
    expect_ok(mg_model_files_open(&files, &request, MG_NEED_LM | MG_NEED_T5));
    mg_model_files_close(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test_setup_teardown(test_order, begin, end),
        cmocka_unit_test_setup_teardown(test_old_variables, begin, end),
        cmocka_unit_test_setup_teardown(test_revisions, begin, end),
        cmocka_unit_test_setup_teardown(test_bare_name, begin, end),
        cmocka_unit_test_setup_teardown(test_incomplete, begin, end),
        cmocka_unit_test_setup_teardown(test_blob_hash, begin, end),
        cmocka_unit_test_setup_teardown(test_list, begin, end),
        cmocka_unit_test_setup_teardown(test_manifest, begin, end),
        cmocka_unit_test_setup_teardown(test_parts, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_manifest, begin, end),
        cmocka_unit_test_setup_teardown(test_folder, begin, end),
        cmocka_unit_test_setup_teardown(test_fingerprint, begin, end),
        cmocka_unit_test_setup_teardown(test_other_t5, begin, end),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
