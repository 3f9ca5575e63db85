/* A clip's metadata: what is written is read again, exactly; the tag knows nothing of place and company; what
 * is no metadata is one sentence. */
#include <cjson/cJSON.h>
#include <math.h>

#include "clip_metadata.h"
#include "io_fixture.h"

#define SHA_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static const mg_part_source parts[] = {{"language_model", "/models/x", "Hugging Face", "safetensors"},
                                       {"codec", "/models/y", "AudioCraft", "torch zip"}};
static const mg_file_hash weights[] = {{"/models/x/model.safetensors", SHA_A, true, false},
                                       {"/models/t5/model.safetensors", SHA_B, false, true}};
static const mg_renamed applied[] = {{"a.weight", "b.weight"}};

/* Every field something of its own. */
static mg_clip_metadata sample(void)
{
    mg_clip_metadata m = {
        .input_sha256 = {SHA_A, SHA_B, NULL},
        .audio_file = "take-2.flac",
        .codes_file = "take-2.codes.npy",
        .audio_sha256 = SHA_A,
        .codes_sha256 = SHA_B,
        .sound_sha256 = SHA_B,
        .levels = {.loudness_lufs = -17.25,
                   .true_peak_dbtp = -0.5,
                   .sample_peak_dbfs = -1,
                   .silence_start_s = 0.1,
                   .silence_end_s = 0.2},
        .n_clipped = 33,
        .sampling_rate = 44100,
        .n_channels = 2,
        .n_frames_pcm = 123456,
        .dur_s = 123456.0 / 44100,
        .index = 7,
        .call_seed = ((uint64_t)1 << 53) - 8,
        .n_codebooks = 8,
        .asked.model = "/models/x",
        .model_key = "big",
        .asked.lm = "lm",
        .asked.text_encoder = "t5",
        .asked.codec = "codec",
        .asked.tokenizer = "tok",
        .tokenizer_sha256 = SHA_A,
        .parts = parts,
        .n_parts = 2,
        .weights = weights,
        .n_weights = 2,
        .applied = applied,
        .n_applied = 1,
        .version = "1.2.3",
        .backend = "cuda/sm_90",
        .text_backend = "cpu/avx2",
        .codec_backend = "cpu/avx512",
        .dtype = "bf16",
        .audio_library = "libsndfile-9",
        .host = "node",
        .n_ranks = 4,
        .tp = 2,
        .batch = 3,
        .n_threads = 5,
        .text_s = 0.5,
        .lm_s = 1.5,
        .codec_s = 2.5,
        .ms_per_step = 12.5,
        .n_steps = 6004,
        .n_windows = 6,
    };
    mg_recipe *r = &m.recipe;

    /* Whatever the table has; then what the tests below look for. */
    mg_recipe_init(r);
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        void *at = mg_recipe_at(r, key);
        if (!key->record) continue;
        mg_recipe_say(r, key);
        switch (key->type) {
        case MG_KEY_TEXT:
        case MG_KEY_ID:
        case MG_KEY_PATH: *(const char **)at = key->record; break;
        case MG_KEY_NUMBER: *(double *)at = key->low + (key->high - key->low) / (3 + i); break;
        case MG_KEY_INT: *(int64_t *)at = (int64_t)key->low + 1 + i; break;
        case MG_KEY_BOOL: *(bool *)at = true; break;
        case MG_KEY_CHOICE: *(int *)at = 1; break;
        }
    }
    r->id = "take-2";
    r->title = "Die Prinzessin \"Ä\"";
    r->prompt = "one\ntwo\t\xF0\x9F\x8E\xB5";
    r->melody = "/abs/melody.wav";
    r->seed = ((int64_t)1 << 53) - 1;
    r->n_frames = 6000;
    r->n_window_frames = 1500;
    r->cfg_coef_beta = 0.1 + 0.2;
    return m;
}

static void same_text(const char *a, const char *b)
{
    if (!a || !b)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void same_number(double a, double b)
{
    assert_true(a == b || (isnan(a) && isnan(b)));
}

static void same_levels(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_number(a->levels.loudness_lufs, b->levels.loudness_lufs);
    same_number(a->levels.true_peak_dbtp, b->levels.true_peak_dbtp);
    same_number(a->levels.sample_peak_dbfs, b->levels.sample_peak_dbfs);
    same_number(a->levels.silence_start_s, b->levels.silence_start_s);
    same_number(a->levels.silence_end_s, b->levels.silence_end_s);
    assert_int_equal(a->n_clipped, b->n_clipped);
}

static void same_files(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_text(a->audio_file, b->audio_file);
    same_text(a->codes_file, b->codes_file);
    same_text(a->audio_sha256, b->audio_sha256);
    same_text(a->codes_sha256, b->codes_sha256);
    same_text(a->sound_sha256, b->sound_sha256);
    if (a->audio_file) same_levels(a, b);
    assert_int_equal(a->sampling_rate, b->sampling_rate);
    assert_int_equal(a->n_channels, b->n_channels);
    assert_int_equal(a->n_frames_pcm, b->n_frames_pcm);
    same_number(a->dur_s, b->dur_s);
    assert_int_equal(a->index, b->index);
    assert_true(a->call_seed == b->call_seed);
    assert_int_equal(a->n_codebooks, b->n_codebooks);
}

static void same_recipe(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        const void *x = mg_recipe_get(&a->recipe, key), *y = mg_recipe_get(&b->recipe, key);
        if (!key->record) continue;
        assert_int_equal(mg_recipe_says(&a->recipe, key) || key->type == MG_KEY_BOOL,
                         mg_recipe_says(&b->recipe, key) || key->type == MG_KEY_BOOL);
        switch (key->type) {
        case MG_KEY_TEXT:
        case MG_KEY_ID:
        case MG_KEY_PATH: same_text(*(const char *const *)x, *(const char *const *)y); break;
        case MG_KEY_NUMBER: same_number(*(const double *)x, *(const double *)y); break;
        case MG_KEY_INT: assert_true(*(const int64_t *)x == *(const int64_t *)y); break;
        case MG_KEY_BOOL: assert_true(*(const bool *)x == *(const bool *)y); break;
        case MG_KEY_CHOICE: assert_int_equal(*(const int *)x, *(const int *)y); break;
        }
    }
    for (int i = 0; i < MG_RECIPE_INPUTS; i++) same_text(a->input_sha256[i], b->input_sha256[i]);
}

static void same_model(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_text(a->asked.model, b->asked.model);
    same_text(a->model_key, b->model_key);
    same_text(a->asked.lm, b->asked.lm);
    same_text(a->asked.text_encoder, b->asked.text_encoder);
    same_text(a->asked.codec, b->asked.codec);
    same_text(a->asked.tokenizer, b->asked.tokenizer);
    same_text(a->tokenizer_sha256, b->tokenizer_sha256);
    assert_int_equal(a->n_parts, b->n_parts);
    for (int i = 0; i < a->n_parts; i++) {
        same_text(a->parts[i].name, b->parts[i].name);
        same_text(a->parts[i].path, b->parts[i].path);
        same_text(a->parts[i].form, b->parts[i].form);
        same_text(a->parts[i].container, b->parts[i].container);
    }
    assert_int_equal(a->n_weights, b->n_weights);
    for (int i = 0; i < a->n_weights; i++) {
        same_text(a->weights[i].path, b->weights[i].path);
        same_text(a->weights[i].sha256, b->weights[i].sha256);
        assert_int_equal(a->weights[i].of_blob_name, b->weights[i].of_blob_name);
    }
    assert_int_equal(a->n_applied, b->n_applied);
    for (int i = 0; i < a->n_applied; i++) {
        same_text(a->applied[i].target, b->applied[i].target);
        same_text(a->applied[i].source, b->applied[i].source);
    }
}

static void same_run(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_text(a->version, b->version);
    same_text(a->backend, b->backend);
    same_text(a->text_backend, b->text_backend);
    same_text(a->codec_backend, b->codec_backend);
    same_text(a->dtype, b->dtype);
    same_text(a->audio_library, b->audio_library);
    same_text(a->host, b->host);
    assert_int_equal(a->n_ranks, b->n_ranks);
    assert_int_equal(a->tp, b->tp);
    assert_int_equal(a->batch, b->batch);
    assert_int_equal(a->n_threads, b->n_threads);
    same_number(a->text_s, b->text_s);
    same_number(a->lm_s, b->lm_s);
    same_number(a->codec_s, b->codec_s);
    same_number(a->ms_per_step, b->ms_per_step);
    assert_int_equal(a->n_steps, b->n_steps);
    assert_int_equal(a->n_windows, b->n_windows);
}

static void same_all(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_files(a, b);
    same_recipe(a, b);
    same_model(a, b);
    same_run(a, b);
}

static void comes_back(void **state)
{
    const mg_clip_metadata m = sample();
    const char *path = in_dir("take-2.json");
    mg_clip_metadata again;
    int64_t bytes;

    (void)state;
    expect_ok(mg_clip_metadata_write(path, &m));
    expect_ok(mg_clip_metadata_load(&again, path));
    same_all(&m, &again);
    mg_clip_metadata_close(&again);
    mg_clip_metadata_close(&again); /* legal */

    char *text = get_file(path, &bytes);
    assert_int_equal(text[bytes - 1], '\n');
    assert_non_null(strstr(text, "9007199254740991"));
    assert_non_null(strstr(text, "0.30000000000000004"));
    free(text);
}

static void comes_back_without_anything(void **state)
{
    mg_clip_metadata m = {.ms_per_step = NAN, .call_seed = 1};
    mg_clip_metadata again;

    (void)state;
    mg_recipe_init(&m.recipe);
    MG_SAY(&m.recipe, seed, 1);
    MG_SAY(&m.recipe, n_frames, 1);
    expect_ok(mg_clip_metadata_write(in_dir("none.json"), &m));
    expect_ok(mg_clip_metadata_load(&again, in_dir("none.json")));
    same_all(&m, &again);
    mg_clip_metadata_close(&again);
    MG_SAY(&m.recipe, n_window_frames, 1500);
    expect_ok(mg_clip_metadata_write(in_dir("short.json"), &m));
    expect_ok(mg_clip_metadata_load(&again, in_dir("short.json")));
    assert_null(again.recipe.prompt);
    assert_null(again.audio_file);
    assert_null(again.recipe.melody);
    assert_int_equal(again.recipe.rate_hz, -1);
    assert_int_equal(again.recipe.n_window_frames, -1); /* it was not longer than one */
    mg_clip_metadata_close(&again);
}

/* The layout is cJSON's: what it reads it prints as the same bytes, but for numbers of 16 and 17 digits. */
static void is_as_cjson_prints(void **state)
{
    mg_clip_metadata m = sample();
    int64_t bytes;
    char *tag;

    (void)state;
    for (int i = 0; i < mg_recipe_n_keys; i++)
        if (mg_recipe_keys[i].type == MG_KEY_NUMBER)
            *(double *)mg_recipe_at(&m.recipe, &mg_recipe_keys[i]) = 0.125 * i;
    m.recipe.seed = 1234567890123, m.call_seed = 0, m.dur_s = 30;
    expect_ok(mg_clip_metadata_write(in_dir("take.json"), &m));
    char *text = get_file(in_dir("take.json"), &bytes);
    cJSON *root = cJSON_Parse(text);
    char *printed = cJSON_Print(root);
    assert_true(strlen(printed) == (size_t)bytes - 1 && memcmp(printed, text, strlen(printed)) == 0);
    cJSON_free(printed);
    cJSON_Delete(root);
    free(text);

    expect_ok(mg_clip_metadata_tag(&tag, &m));
    root = cJSON_Parse(tag);
    printed = cJSON_PrintUnformatted(root);
    assert_string_equal(printed, tag);
    cJSON_free(printed);
    cJSON_Delete(root);
    free(tag);
}

/* Two metadata of the same clip in other places. */
static void tag_knows_no_place(void **state)
{
    mg_clip_metadata here = sample(), there = sample();
    const mg_file_hash moved[] = {{"/elsewhere/model.safetensors", SHA_A, false, false},
                                  {"/elsewhere/t5.safetensors", SHA_B, false, true}};
    char *a, *b;

    (void)state;
    there.recipe.id = there.audio_file = "000000";
    there.codes_file = NULL;
    there.audio_sha256 = NULL;
    there.index = 0, there.call_seed = 5;
    there.asked.model = there.asked.lm = there.asked.codec = there.host = "elsewhere";
    there.recipe.melody = "moved/melody.wav";
    there.weights = moved;
    there.n_parts = there.n_applied = 0;
    there.n_ranks = there.tp = there.batch = there.n_threads = 1;
    there.lm_s = there.ms_per_step = 99;
    MG_UNSAY(&there.recipe, window_s); /* the model's own, which are the same */
    MG_UNSAY(&there.recipe, stride_s);
    expect_ok(mg_clip_metadata_tag(&a, &here));
    expect_ok(mg_clip_metadata_tag(&b, &there));
    assert_string_equal(a, b);
    assert_null(strchr(a, '\n'));
    free(b);

    there.recipe.seed = 3;
    expect_ok(mg_clip_metadata_tag(&b, &there));
    assert_string_not_equal(a, b);
    free(a);
    free(b);
}

/* An empty text is none, and then the text encoder beside it says nothing. */
static void tag_of_a_clip_without_text(void **state)
{
    mg_clip_metadata empty = sample(), none = sample();
    char *a, *b;

    (void)state;
    empty.recipe.prompt = empty.recipe.negative_prompt = "";
    none.recipe.prompt = none.recipe.negative_prompt = NULL;
    none.n_weights = 1;
    expect_ok(mg_clip_metadata_tag(&a, &empty));
    expect_ok(mg_clip_metadata_tag(&b, &none));
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void tag_cuts_long_texts(void **state)
{
    mg_clip_metadata m = sample(), again;
    char *long_text = calloc(1, 100001), *tag;

    (void)state;
    assert_non_null(long_text);
    for (int i = 0; i < 100000; i += 2) memcpy(long_text + i, "\xC3\xA4", 2);
    memcpy(long_text, "x", 1), memcpy(long_text + 1, "y", 1);
    m.recipe.prompt = long_text;
    expect_ok(mg_clip_metadata_tag(&tag, &m));
    assert_true(strlen(tag) < 12000);
    expect_ok(mg_clip_metadata_parse(&again, "tag", tag, (int64_t)strlen(tag)));
    assert_non_null(strstr(again.recipe.prompt, "\xC3\xA4…"));
    mg_clip_metadata_close(&again);
    free(tag);
    free(long_text);
}

static void refuse(const char *text, const char *message)
{
    mg_clip_metadata m;

    expect_failure(mg_clip_metadata_parse(&m, "x.json", text, (int64_t)strlen(text)), MG_EFAIL, message);
    assert_null(m.memory);
}

static void says_what_is_wrong(void **state)
{
    mg_clip_metadata m;

    (void)state;
    refuse("", "x.json: not JSON");
    refuse("[1]", "x.json: must be a JSON object");
    refuse("{}", "x.json: seed: missing");
    refuse("{\"seed\":1}", "x.json: parameters.frames: missing");
    refuse("{\"seed\":1,\"parameters\":{\"frames\":0}}", "x.json: parameters.frames");
    refuse("{\"seed\":\"1\"}", "x.json: seed: \"1\": must be an integer");
    refuse("{\"seed\":-1}", "x.json: seed: -1: must not be negative");
    refuse("{\"seed\":9007199254740992}", "x.json: seed: ");
    refuse("{\"seed\":1,\"seed\":1}", "x.json: seed: given twice");
    refuse("{\"seed\":1,\"prompt\":3}", "x.json: prompt: 3: must be a string");
    refuse("{\"id\":\"../x\"}", "x.json: id: \"../x\"");
    refuse("{\"audio_file\":\"a/b.wav\"}", "x.json: audio_file: \"a/b.wav\"");
    refuse("{\"audio_sha256\":\"12\"}", "x.json: audio_sha256: 12: no SHA-256");
    refuse("{\"seed\":1,\"inputs\":[]}", "x.json: inputs: must be a JSON object");
    refuse("{\"seed\":1,\"inputs\":{\"melody\":{\"sha256\":\"zz\"}}}", "x.json: sha256: zz");
    refuse("{\"seed\":1,\"parameters\":{\"frames\":1,\"top_p\":\"x\"}}",
           "x.json: top_p: \"x\": must be a finite");
    refuse("{\"seed\":1,\"parameters\":{\"frames\":1},\"model\":{\"weights\":[1]}}",
           "x.json: must be a JSON object");
    refuse("{\"seed\":1,\"parameters\":{\"frames\":1},\"model\":{\"weights\":[{\"file\":\"a\"}]}}",
           "x.json: model.weights: item 0");
    expect_failure(mg_clip_metadata_load(&m, in_dir("nowhere.json")), MG_EFAIL, "nowhere.json: cannot open");
}

static void passes_over_what_it_does_not_know(void **state)
{
    const char text[] =
        "{\"seed\":1,\"later\":{\"x\":[]},\"parameters\":{\"frames\":2,\"more\":1},\"run\":null}";
    mg_clip_metadata m;

    (void)state;
    expect_ok(mg_clip_metadata_parse(&m, "x.json", text, (int64_t)strlen(text)));
    assert_true(m.recipe.seed == 1 && m.call_seed == 1 && m.recipe.n_frames == 2);
    assert_true(isnan(m.recipe.cfg_coef) && m.recipe.sampling.top_k == -1 && !m.audio_sha256 && !m.version);
    mg_clip_metadata_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(comes_back_without_anything, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(is_as_cjson_prints, make_dir, drop_dir),
        cmocka_unit_test(tag_knows_no_place),
        cmocka_unit_test(tag_of_a_clip_without_text),
        cmocka_unit_test(tag_cuts_long_texts),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, make_dir, drop_dir),
        cmocka_unit_test(passes_over_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
