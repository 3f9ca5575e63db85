/* Every way to ask for a clip, against transformers and AudioCraft: text, no text, another text to lead away
 * from, audio prompts, melodies, double guidance, windows; mono and stereo. Codes exactly and sound within
 * 1e-4, each clip alone and all clips of a model mixed in one run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audio_file.h"
#include "engine_run.h"
#include "golden.h"
#include "npy.h"
#include "out_file.h"
#include "test_backend.h"
#include "tokenizer.h"

#define POP       "80s pop track with bassy drums and synth"
#define PIANO     "slow sad piano"
#define ROCK      "90s rock song with loud guitars and heavy drums"
#define TOLERANCE 1e-4

enum { MAX_CASES = 16, N_SLOTS = 3 };

/* One golden clip: item `item` of arrays NAME_codes and NAME_audio (which a few cases lack). */
typedef struct mode_case {
    const char *name;
    int item;
    const char *text, *negative; /* NULL: none */
    double guidance, beta;       /* 0: off */
    const char *prompt, *melody; /* arrays of the golden file */
    int window, stride;          /* frames; 0: one window */
} mode_case;

typedef struct mode_model {
    const char *name, *golden; /* folder of tests/golden/checkpoints; file without its ending */
    bool is_audiocraft;
    mode_case cases[MAX_CASES];
} mode_model;

#define HF_TEXT_CASES                                                                                    \
    {"text_cfg3", 0, POP, .guidance = 3}, {"text_cfg3", 1, PIANO, .guidance = 3},                        \
        {"text_cfg3", 2, "techno", .guidance = 3}, {"text_nocfg", 0, POP, .guidance = 1},                \
        {"text_nocfg", 1, PIANO, .guidance = 1}, {"single_cfg3", 0, ROCK, .guidance = 3},                \
        {"uncond", 1, NULL, .guidance = 3}, {"negative_cfg3", 0, POP, .negative = PIANO, .guidance = 3}, \
        {"prompted_alone_0_cfg3", 0, POP, .guidance = 3, .prompt = "prompt_audio_0"},                    \
    {                                                                                                    \
        "prompted_alone_1_cfg3", 0, PIANO, .guidance = 3, .prompt = "prompt_audio_1"                     \
    }
#define MELODY_CASES                                                                \
    {"melody_alone_0_cfg3", 0, POP, .guidance = 3, .melody = "melody_audio"},       \
        {"melody_alone_1_cfg3", 0, PIANO, .guidance = 3, .melody = "melody_audio"}, \
        {"melody_nocfg", 0, POP, .guidance = 1, .melody = "melody_audio"},          \
        {"textonly_alone_0_cfg3", 0, POP, .guidance = 3},                           \
        {"textonly_alone_1_cfg3", 0, PIANO, .guidance = 3},                         \
    {                                                                               \
        "uncond", 0, NULL, .guidance = 3                                            \
    }
#define AUDIOCRAFT_CASES                                                                          \
    {"text_cfg3_alone_0", 0, POP, .guidance = 3}, {"text_cfg3_alone_1", 0, PIANO, .guidance = 3}, \
        {"uncond", 1, NULL, .guidance = 3},                                                       \
        {"continuation_cfg3", 0, POP, .guidance = 3, .prompt = "prompt_audio"},                   \
    {                                                                                             \
        "extended_cfg3", 0, PIANO, .guidance = 3, .window = 100, .stride = 60                     \
    }

static const mode_model models[] = {
    {"tiny-mono", "hf/tiny-mono", false, {HF_TEXT_CASES}},
    {"tiny-variant", "hf/tiny-variant", false, {HF_TEXT_CASES}},
    {"tiny-stereo", "hf/tiny-stereo", false, {HF_TEXT_CASES}},
    {"tiny-melody", "hf/tiny-melody", false, {MELODY_CASES}},
    {"tiny-stereo-melody", "hf/tiny-stereo-melody", false, {MELODY_CASES}},
    {"ac-mono", "audiocraft/ac-mono", true, {AUDIOCRAFT_CASES}},
    {"ac-stereo", "audiocraft/ac-stereo", true, {AUDIOCRAFT_CASES}},
    {"ac-audiogen", "audiocraft/ac-audiogen", true, {AUDIOCRAFT_CASES}},
    {"ac-melody",
     "audiocraft/ac-melody",
     true,
     {{"text_cfg3_alone_0", 0, POP, .guidance = 3, .melody = "melody_audio"},
      {"text_cfg3_alone_1", 0, PIANO, .guidance = 3, .melody = "melody_audio"},
      {"double_cfg_3_2", 0, POP, .guidance = 3, .beta = 2, .melody = "melody_audio"}}},
    {"ac-melody",
     "audiocraft/windows",
     true,
     {{"melody_windows", 0, PIANO, .guidance = 3, .melody = "tune", .window = 100, .stride = 60},
      {"long_melody_windows", 0, POP, .guidance = 3, .melody = "long_tune", .window = 100, .stride = 60},
      {"melody_continued", 0, POP, .guidance = 3, .melody = "tune", .prompt = "beeps"},
      {"melody_continued_windows", 0, PIANO, .guidance = 3, .melody = "tune", .prompt = "beeps",
       .window = 100, .stride = 60},
      {"melody_alone", 0, NULL, .guidance = 3, .melody = "long_tune"},
      {"double_windows", 0, POP, .guidance = 3, .beta = 2, .melody = "long_tune", .window = 100,
       .stride = 60},
      {"text_alone", 0, POP, .guidance = 3},
      {"continued_text_alone", 0, PIANO, .guidance = 3, .prompt = "beeps"}}},
    {"ac-mono",
     "audiocraft/windows",
     true,
     {{"continued_windows", 0, "techno", .guidance = 3, .prompt = "beeps", .window = 100, .stride = 60}}},
};

typedef struct fixture {
    engine_machine on;
    mg_tokenizer *tokenizer;
    char folder[64]; /* of the sound files */
    /* of the model at hand */
    const mode_model *model;
    mg_checkpoint *golden;
    mg_replica *replica;
    mg_clip clip[MAX_CASES];
    char path[MAX_CASES][2][128]; /* prompt and melody */
    int n, n_done;
    int64_t n_different;
    double worst;
} fixture;

static int begin(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    if (!f) return -1;
    engine_machine_open(&f->on);
    GOLDEN_OK(mg_tokenizer_open(&f->tokenizer, MG_GOLDEN_DIR "/tokenizer"));
    snprintf(f->folder, sizeof f->folder, "/tmp/test_modes.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    return 0;
}

static int end(void **state)
{
    fixture *f = *state;

    rmdir(f->folder);
    mg_tokenizer_close(f->tokenizer);
    engine_machine_close(&f->on);
    free(f);
    return 0;
}

/* A golden sound, [N] or [C,N], as a float file. */
static const char *write_sound(fixture *f, char path[128], const char *array)
{
    const mg_tensor *t = golden_tensor(f->golden, array);
    const int64_t C = t->n_dims > 1 ? t->dim[0] : 1, N = mg_tensor_count(t) / C;
    float *planar = golden_f32(f->golden, array, NULL);
    mg_sound sound = {.pcm = malloc((size_t)(N * C) * sizeof(float)),
                      .n_frames = N,
                      .n_channels = C,
                      .rate_hz = f->replica->config.codec.sampling_rate};

    assert_non_null(sound.pcm);
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) sound.pcm[n * C + c] = planar[c * N + n];
    snprintf(path, 128, "%s/%s.wav", f->folder, array);
    GOLDEN_OK(mg_audio_file_write(path, MG_AUDIO_WAV_F32, &sound, NULL));
    mg_sound_close(&sound);
    free(planar);
    return path;
}

static void set_text(fixture *f, mg_clip_text *out, int64_t *S, const char *text)
{
    *out = (mg_clip_text){.text = text ? text : ""};
    if (text) GOLDEN_OK(mg_tokenizer_encode(f->tokenizer, text, &out->ids, S));
}

static void make_clip(fixture *f, int i)
{
    const mode_case *m = &f->model->cases[i];
    mg_clip *c = &f->clip[i];
    char key[64];

    snprintf(key, sizeof key, "%s_codes", m->name);
    *c = (mg_clip){.index = i,
                   .audio_prompt_dur_s = NAN,
                   .terms = {.T = golden_tensor(f->golden, key)->dim[2],
                             .T_stride = m->stride,
                             .with_melody = m->melody != NULL,
                             .guidance = m->guidance,
                             .guidance_beta = m->beta > 0 ? m->beta : NAN,
                             .sampling = {.greedy = true}}};
    c->terms.T_window = m->window ? m->window : c->terms.T;
    set_text(f, &c->text, &c->terms.S, m->text);
    set_text(f, &c->negative, &c->terms.S_negative, m->negative);
    if (m->prompt) c->audio_prompt = write_sound(f, f->path[i][0], m->prompt);
    if (m->melody) c->melody = write_sound(f, f->path[i][1], m->melody);
}

/* `beside`: text and sound on a backend and threads of their own. */
static void open_model(fixture *f, const mode_model *model, bool beside)
{
    char dir[256], file[256];
    const mg_replica_source source = {
        .model = {.model = dir, .text_encoder = model->is_audiocraft ? MG_GOLDEN_DIR "/t5-tiny" : NULL},
        .with_text = true,
        .with_decoder = true,
        .with_encoder = true};

    snprintf(dir, sizeof dir, "%s/checkpoints/%s", MG_GOLDEN_DIR, model->name);
    snprintf(file, sizeof file, "%s.safetensors", model->golden);
    f->model = model;
    f->golden = golden_open(file);
    GOLDEN_OK(mg_replica_open(&f->replica, &source, &f->on.backend, beside ? &f->on.beside : &f->on.backend,
                              f->on.comm));
    for (f->n = 0; f->n < MAX_CASES && model->cases[f->n].name; f->n++) make_clip(f, f->n);
}

static void close_model(fixture *f)
{
    for (int i = 0; i < f->n; i++) {
        free(f->clip[i].text.ids);
        free(f->clip[i].negative.ids);
        if (f->clip[i].audio_prompt) unlink(f->clip[i].audio_prompt);
        if (f->clip[i].melody) unlink(f->clip[i].melody);
    }
    mg_replica_close(f->replica);
    mg_checkpoint_close(f->golden);
}

static double sound_error(const fixture *f, const mg_clip *clip, const mg_sound *sound)
{
    const mode_case *m = &f->model->cases[clip->index];
    char key[64];
    double worst = 0;

    snprintf(key, sizeof key, "%s_audio", m->name);
    const mg_checkpoint_entry *e = mg_checkpoint_find(f->golden, key);
    if (!e) return 0;
    const int64_t C = e->tensor.dim[1], N = e->tensor.dim[2];
    float *all = golden_f32(f->golden, key, NULL), *want = all + m->item * C * N;
    if (sound->n_channels != C || sound->n_frames != N) worst = INFINITY;
    for (int64_t i = 0; i < C * N && worst <= TOLERANCE; i++) {
        const double error = fabs((double)sound->pcm[i % N * C + i / N] - (double)want[i]);
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    }
    free(all);
    return worst;
}

static mg_status judge(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    fixture *f = arg;
    const mode_case *m = &f->model->cases[clip->index];
    int64_t n_different = 0;
    char key[64];

    if (result->fault.st != MG_OK) fail_msg("%s %s: %s", f->model->name, m->name, result->fault.text);
    snprintf(key, sizeof key, "%s_codes", m->name);
    int32_t *all = golden_i32(f->golden, key, NULL);
    const int64_t n = f->replica->config.lm.K * clip->terms.T;
    for (int64_t i = 0; i < n; i++) n_different += result->codes[i] != all[m->item * n + i];
    free(all);
    if (n_different)
        printf("%s %s %d: %d of %d codes differ\n", f->model->name, m->name, m->item, (int)n_different,
               (int)n);
    const double error = sound_error(f, clip, &result->sound);
    if (error > f->worst) f->worst = error;
    f->n_different += n_different;
    f->n_done++;
    return MG_OK;
}

/* clips[first … first + n) through a fresh load with `n_slots`. */
static void run(fixture *f, int first, int n, int64_t n_slots)
{
    const mg_clip *clips = &f->clip[first];
    const mg_replica_limits limits = engine_plan(f->replica, &f->on.world, clips, n, n_slots);

    GOLDEN_OK(mg_replica_load(f->replica, &limits));
    f->n_different = 0, f->worst = 0, f->n_done = 0;
    engine_run(f->replica, clips, n, judge, f, NULL);
    assert_int_equal(f->n_done, n);
}

/* MG_TEST_ONLY names models: a sanitizer that is slow looks at some. */
static bool is_wanted(const mode_model *m)
{
    const char *only = getenv("MG_TEST_ONLY");

    return !only || strstr(only, m->name);
}

static void test_mixed(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (!is_wanted(&models[i])) continue;
        open_model(f, &models[i], true);
        run(f, 0, f->n, N_SLOTS);
        printf("%s: %d clips mixed: %d codes differ, sound: %.1f %% of tolerance used\n", models[i].name,
               f->n, (int)f->n_different, 100 * f->worst / TOLERANCE);
        assert_int_equal(f->n_different, 0);
        assert_true(f->worst <= TOLERANCE);
        close_model(f);
    }
}

static void test_alone(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (!is_wanted(&models[i])) continue;
        for (int k = 0, n = 1; k < n; k++) {
            open_model(f, &models[i], false);
            n = test_is_raced() ? 1 : f->n; /* the threads of one clip are those of all */
            run(f, k, 1, 1);
            assert_int_equal(f->n_different, 0);
            assert_true(f->worst <= TOLERANCE);
            close_model(f);
        }
    }
}

/* What each condition is worth: without it, other codes. */
static void test_perturbed(void **state)
{
    fixture *f = *state;

    if (test_is_watched()) skip(); /* that a test can fail */
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (!is_wanted(&models[i])) continue;
        open_model(f, &models[i], false);
        for (int k = 0; k < f->n; k++) {
            mg_clip *c = &f->clip[k];
            const mg_clip was = *c;
            if (c->melody)
                c->melody = NULL, c->terms.with_melody = false;
            else if (c->audio_prompt)
                c->audio_prompt_dur_s = 0.1;
            else if (c->terms.S_negative)
                c->terms.S_negative = 0;
            else if (c->terms.T > c->terms.T_window)
                c->terms.T_stride -= 20;
            else if (c->terms.S)
                c->terms.guidance += 1.5;
            else
                continue;
            run(f, k, 1, 1);
            if (f->n_different == 0)
                fail_msg("%s %s: the same codes without it", models[i].name, models[i].cases[k].name);
            *c = was;
            close_model(f);
            open_model(f, &models[i], false);
        }
        close_model(f);
    }
}

enum { N_BAD = 6 };

/* What a run of good and bad clips said, by index. */
typedef struct account {
    mg_status st[N_BAD + 1];
    char said[N_BAD + 1][512];
    fixture *f;
} account;

static mg_status note(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    account *a = arg;

    a->st[clip->index] = result->fault.st;
    snprintf(a->said[clip->index], sizeof a->said[0], "%s", result->fault.text);
    if (result->fault.st != MG_OK) return MG_OK;
    mg_clip same = *clip;
    same.index = 0;
    return judge(a->f, &same, result);
}

/* Clips whose files cannot be used end alone, each with its own sentence; the good one is made. */
static void test_bad_files(void **state)
{
    static const struct {
        const char *file, *said;
    } bad[N_BAD] = {{"missing.wav", "missing.wav"},
                    {"text.wav", "text.wav"},
                    {"four.npy", "codes of 4 codebooks, the model has 8"},
                    {"range.npy", "code 64 of codebook 7, frame 1: must be in 0 … 63"},
                    {"long.npy", "its 40 frames (0.80 s) count toward the length"},
                    {"folder", "folder"}};
    static int32_t codes[8 * 40];
    fixture *f = *state;
    account a = {.f = f};
    mg_clip clips[N_BAD + 1];
    char path[N_BAD][128];

    open_model(f, &models[2], true); /* tiny-stereo */
    for (int i = 0; i <= N_BAD; i++) {
        clips[i] = f->clip[0]; /* text_cfg3, 40 frames */
        clips[i].index = i;
        if (i == N_BAD) break;
        snprintf(path[i], sizeof path[i], "%s/%s", f->folder, bad[i].file);
        clips[i].audio_prompt = path[i];
    }
    GOLDEN_OK(mg_npy_write_i32(path[2], codes, 4, 3));
    GOLDEN_OK(mg_npy_write_i32(path[4], codes, 8, 40));
    codes[7 * 3 + 1] = 64;
    GOLDEN_OK(mg_npy_write_i32(path[3], codes, 8, 3));
    GOLDEN_OK(mg_out_file_put(path[1], "no sound", 8));
    GOLDEN_OK(mg_out_dir_open(path[5]));

    const mg_replica_limits limits = engine_plan(f->replica, &f->on.world, clips, N_BAD + 1, 2);
    GOLDEN_OK(mg_replica_load(f->replica, &limits));
    f->n_different = 0;
    engine_run(f->replica, clips, N_BAD + 1, note, &a, NULL);
    for (int i = 0; i < N_BAD; i++) {
        assert_int_not_equal(a.st[i], MG_OK);
        if (!strstr(a.said[i], bad[i].said)) fail_msg("%s: said: %s", bad[i].file, a.said[i]);
        unlink(path[i]);
    }
    rmdir(path[5]);
    assert_int_equal(a.st[N_BAD], MG_OK);
    assert_int_equal(f->n_different, 0);
    close_model(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_perturbed),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
