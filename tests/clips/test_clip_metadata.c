/* A clip's metadata: what is written is read again, exactly; the tag knows nothing of place and company; what
 * is no metadata is one sentence. */
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
    return (mg_clip_metadata){
        .id = "take-2",
        .title = "Die Prinzessin \"Ä\"",
        .audio_file = "take-2.flac",
        .codes_file = "take-2.codes.npy",
        .audio_sha256 = SHA_A,
        .codes_sha256 = SHA_B,
        .format = "flac",
        .strategy = "loudness",
        .peak_headroom_db = 1.25,
        .rms_headroom_db = 18.1,
        .loudness_headroom_db = 16,
        .loudness_compressor = true,
        .rate_asked_hz = 44100,
        .sampling_rate = 44100,
        .n_channels = 2,
        .n_frames_pcm = 123456,
        .dur_s = 123456.0 / 44100,
        .prompt = "one\ntwo\t\xF0\x9F\x8E\xB5",
        .negative_prompt = "noise",
        .text_states = {"states.npy", SHA_A},
        .audio_prompt = {"in/prompt.ogg", SHA_B},
        .melody = {"/abs/melody.wav", NULL},
        .prompt_dur_s = 1.1,
        .n_prompt_frames = 55,
        .drop_prompt = true,
        .index = 7,
        .seed = ((uint64_t)1 << 53) - 1,
        .call_seed = ((uint64_t)1 << 53) - 8,
        .n_codebooks = 8,
        .n_frames = 6000,
        .n_window_frames = 1500,
        .n_stride_frames = 900,
        .window_s = 30.000000000000004,
        .stride_s = 18,
        .cfg_coef = 3.3,
        .cfg_coef_beta = 0.1 + 0.2,
        .top_p = 0.9,
        .temperature = 1.0 / 3,
        .top_k = 250,
        .greedy = true,
        .sampler = "hf",
        .model = "/models/x",
        .model_key = "big",
        .lm = "lm",
        .text_encoder = "t5",
        .codec = "codec",
        .tokenizer = "tok",
        .tokenizer_sha256 = SHA_A,
        .parts = parts,
        .n_parts = 2,
        .weights = weights,
        .n_weights = 2,
        .applied = applied,
        .n_applied = 1,
        .version = "1.2.3",
        .backend = "cpu/avx2",
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

static void same_files(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_text(a->id, b->id);
    same_text(a->title, b->title);
    same_text(a->audio_file, b->audio_file);
    same_text(a->codes_file, b->codes_file);
    same_text(a->audio_sha256, b->audio_sha256);
    same_text(a->codes_sha256, b->codes_sha256);
    same_text(a->format, b->format);
    same_text(a->strategy, b->strategy);
    same_number(a->peak_headroom_db, b->peak_headroom_db);
    same_number(a->rms_headroom_db, b->rms_headroom_db);
    same_number(a->loudness_headroom_db, b->loudness_headroom_db);
    assert_int_equal(a->loudness_compressor, b->loudness_compressor);
    assert_int_equal(a->rate_asked_hz, b->rate_asked_hz);
    assert_int_equal(a->sampling_rate, b->sampling_rate);
    assert_int_equal(a->n_channels, b->n_channels);
    assert_int_equal(a->n_frames_pcm, b->n_frames_pcm);
    same_number(a->dur_s, b->dur_s);
}

static void same_request(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    const mg_clip_input *const ins[2][3] = {{&a->text_states, &a->audio_prompt, &a->melody},
                                            {&b->text_states, &b->audio_prompt, &b->melody}};

    for (int i = 0; i < 3; i++) {
        same_text(ins[0][i]->path, ins[1][i]->path);
        same_text(ins[0][i]->sha256, ins[1][i]->sha256);
    }
    same_text(a->prompt, b->prompt);
    same_text(a->negative_prompt, b->negative_prompt);
    same_number(a->prompt_dur_s, b->prompt_dur_s);
    assert_int_equal(a->n_prompt_frames, b->n_prompt_frames);
    assert_int_equal(a->drop_prompt, b->drop_prompt);
    assert_int_equal(a->index, b->index);
    assert_true(a->seed == b->seed && a->call_seed == b->call_seed);
    assert_int_equal(a->n_codebooks, b->n_codebooks);
    assert_int_equal(a->n_frames, b->n_frames);
    assert_int_equal(a->n_window_frames, b->n_window_frames);
    assert_int_equal(a->n_stride_frames, b->n_stride_frames);
    same_number(a->window_s, b->window_s);
    same_number(a->stride_s, b->stride_s);
    same_number(a->cfg_coef, b->cfg_coef);
    same_number(a->cfg_coef_beta, b->cfg_coef_beta);
    same_number(a->top_p, b->top_p);
    same_number(a->temperature, b->temperature);
    assert_int_equal(a->top_k, b->top_k);
    assert_int_equal(a->greedy, b->greedy);
    same_text(a->sampler, b->sampler);
}

static void same_model(const mg_clip_metadata *a, const mg_clip_metadata *b)
{
    same_text(a->model, b->model);
    same_text(a->model_key, b->model_key);
    same_text(a->lm, b->lm);
    same_text(a->text_encoder, b->text_encoder);
    same_text(a->codec, b->codec);
    same_text(a->tokenizer, b->tokenizer);
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
    same_request(a, b);
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
    const mg_clip_metadata m = {.seed = 1,
                                .n_frames = 1,
                                .n_window_frames = -1,
                                .n_prompt_frames = -1,
                                .n_stride_frames = -1,
                                .rate_asked_hz = -1,
                                .prompt_dur_s = NAN,
                                .cfg_coef_beta = NAN,
                                .window_s = NAN,
                                .stride_s = NAN,
                                .ms_per_step = NAN};
    const mg_clip_metadata short_clip = {
        .seed = 1, .n_frames = 1, .n_window_frames = 1500, .rate_asked_hz = -1};
    mg_clip_metadata again;

    (void)state;
    expect_ok(mg_clip_metadata_write(in_dir("none.json"), &m));
    expect_ok(mg_clip_metadata_load(&again, in_dir("none.json")));
    same_all(&m, &again);
    mg_clip_metadata_close(&again);
    expect_ok(mg_clip_metadata_write(in_dir("short.json"), &short_clip));
    expect_ok(mg_clip_metadata_load(&again, in_dir("short.json")));
    assert_null(again.prompt);
    assert_null(again.audio_file);
    assert_null(again.melody.path);
    assert_int_equal(again.rate_asked_hz, -1);
    assert_int_equal(again.n_window_frames, -1); /* it was not longer than one */
    mg_clip_metadata_close(&again);
}

/* Two metadata of the same clip in other places. */
static void tag_knows_no_place(void **state)
{
    mg_clip_metadata here = sample(), there = sample();
    const mg_file_hash moved[] = {{"/elsewhere/model.safetensors", SHA_A, false, false},
                                  {"/elsewhere/t5.safetensors", SHA_B, false, true}};
    char *a, *b;

    (void)state;
    there.id = there.audio_file = "000000";
    there.codes_file = NULL;
    there.audio_sha256 = NULL;
    there.index = 0, there.call_seed = 5;
    there.model = there.lm = there.codec = there.host = "elsewhere";
    there.melody.path = "moved/melody.wav";
    there.weights = moved;
    there.n_parts = there.n_applied = 0;
    there.n_ranks = there.tp = there.batch = there.n_threads = 1;
    there.lm_s = there.ms_per_step = 99;
    there.window_s = there.stride_s = NAN; /* the model's own, which are the same */
    expect_ok(mg_clip_metadata_tag(&a, &here));
    expect_ok(mg_clip_metadata_tag(&b, &there));
    assert_string_equal(a, b);
    assert_null(strchr(a, '\n'));
    free(b);

    there.seed = 3;
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
    empty.prompt = empty.negative_prompt = "";
    none.prompt = none.negative_prompt = NULL;
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
    m.prompt = long_text;
    expect_ok(mg_clip_metadata_tag(&tag, &m));
    assert_true(strlen(tag) < 12000);
    expect_ok(mg_clip_metadata_parse(&again, "tag", tag, (int64_t)strlen(tag)));
    assert_non_null(strstr(again.prompt, "\xC3\xA4…"));
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
    refuse("{\"seed\":\"1\"}", "x.json: seed: must be an integer");
    refuse("{\"seed\":-1}", "x.json: seed: -1: must not be negative");
    refuse("{\"seed\":9007199254740992}", "x.json: seed: ");
    refuse("{\"seed\":1,\"seed\":1}", "x.json: seed: given twice");
    refuse("{\"seed\":1,\"prompt\":3}", "x.json: prompt: must be a string");
    refuse("{\"id\":\"../x\"}", "x.json: id: \"../x\"");
    refuse("{\"audio_file\":\"a/b.wav\"}", "x.json: audio_file: \"a/b.wav\"");
    refuse("{\"audio_sha256\":\"12\"}", "x.json: audio_sha256: 12: no SHA-256");
    refuse("{\"seed\":1,\"inputs\":[]}", "x.json: inputs: must be a JSON object");
    refuse("{\"seed\":1,\"inputs\":{\"melody\":{\"sha256\":\"zz\"}}}", "x.json: sha256: zz");
    refuse("{\"seed\":1,\"parameters\":{\"frames\":1,\"top_p\":\"x\"}}", "x.json: top_p: must be a finite");
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
    assert_true(m.seed == 1 && m.call_seed == 1 && m.n_frames == 2);
    assert_true(isnan(m.cfg_coef) && m.top_k == -1 && !m.audio_sha256 && !m.version);
    mg_clip_metadata_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(comes_back_without_anything, make_dir, drop_dir),
        cmocka_unit_test(tag_knows_no_place),
        cmocka_unit_test(tag_of_a_clip_without_text),
        cmocka_unit_test(tag_cuts_long_texts),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, make_dir, drop_dir),
        cmocka_unit_test(passes_over_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
