/* Clips that follow one sound: its style is heard once, and room is taken for what is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "audio_file.h"
#include "conditions.h"
#include "engine_run.h"

typedef struct fixture {
    engine_machine on;
    mg_replica *replica;
    mg_conditions *conditions;
    char path[64];
} fixture;

/* Two seconds of one tone, in place of what is there. */
static void write_tone(const fixture *f, int period)
{
    enum { N = 2 * 32000 };
    static float pcm[N];
    const mg_sound sound = {.pcm = pcm, .n_frames = N, .n_channels = 1, .rate_hz = 32000};

    for (int i = 0; i < N; i++) pcm[i] = (float)(i % period) / (float)period * (float)i / N;
    GOLDEN_OK(mg_audio_file_write(f->path, MG_AUDIO_WAV_F32, &sound, NULL));
}

static mg_clip clip_of(const fixture *f, double start_s, double dur_s, int64_t n_codebooks)
{
    return (mg_clip){.text.text = "",
                     .negative.text = "",
                     .terms = {.T = 10,
                               .T_window = 10,
                               .T_stride = 5,
                               .guidance = 3,
                               .guidance_beta = NAN,
                               .with_melody = true},
                     .melody = f->path,
                     .style_start_s = start_s,
                     .style_dur_s = dur_s,
                     .style_n_codebooks = n_codebooks};
}

static void open_model(fixture *f)
{
    const mg_replica_source source = {.model = {.model = MG_GOLDEN_DIR "/checkpoints/ac-style",
                                                .codec = MG_GOLDEN_DIR "/checkpoints/ac-melody",
                                                .style_encoder = MG_GOLDEN_DIR "/checkpoints/mert-tiny"},
                                      .with_decoder = true,
                                      .with_melody = true};

    engine_machine_open(&f->on);
    GOLDEN_OK(mg_replica_open(&f->replica, &source, &f->on.backend, &f->on.beside, f->on.comm));
    snprintf(f->path, sizeof f->path, "/tmp/test_styles.%d.wav", (int)getpid());
}

static void close_model(fixture *f)
{
    mg_conditions_close(f->conditions);
    mg_replica_close(f->replica);
    engine_machine_close(&f->on);
    unlink(f->path);
}

static mg_ready_clip *prepare(fixture *f, const mg_clip *clip)
{
    mg_ready_clip *ready;

    GOLDEN_OK(mg_conditions_prepare(f->conditions, &ready, clip));
    if (ready->fault.st != MG_OK) fail_msg("%s", ready->fault.text);
    return ready;
}

static bool is_same(const fixture *f, const mg_ready_clip *a, const mg_ready_clip *b)
{
    const size_t bytes = mg_clip_payload_bytes(&a->terms, &f->replica->config.lm);

    return a->terms.n_style > 0 && a->terms.n_style == b->terms.n_style && bytes > 0 &&
           memcmp(a->payload, b->payload, bytes) == 0;
}

static void test_heard_once(void **state)
{
    enum { N = 4 };
    fixture f = {0};
    mg_ready_clip *heard[N], *known;

    (void)state;
    open_model(&f);
    write_tone(&f, 100);
    const mg_clip clips[N] = {clip_of(&f, NAN, 1, 6), clip_of(&f, NAN, 1, 1), clip_of(&f, 0, 1, 6),
                              clip_of(&f, NAN, 1.5, 6)};
    const mg_replica_limits limits = engine_plan(f.replica, &f.on.world, clips, N, 1);
    GOLDEN_OK(mg_replica_load(f.replica, &limits));
    GOLDEN_OK(mg_conditions_open(&f.conditions, f.replica));

    for (int i = 0; i < N; i++) heard[i] = prepare(&f, &clips[i]);
    for (int i = 1; i < N; i++) assert_false(is_same(&f, heard[0], heard[i]));
    mg_style *style = f.replica->style;
    f.replica->style = NULL; /* nobody is there who could hear it again */
    for (int i = N - 1; i >= 0; i--) {
        mg_clip other = clips[i];
        other.terms.seed = 17, other.terms.T = 9;
        known = prepare(&f, &other);
        assert_true(is_same(&f, heard[i], known));
        mg_ready_clip_close(known);
    }
    f.replica->style = style;
    write_tone(&f, 170);
    known = prepare(&f, &clips[0]);
    assert_false(is_same(&f, heard[0], known));
    mg_ready_clip_close(known);
    for (int i = 0; i < N; i++) mg_ready_clip_close(heard[i]);
    close_model(&f);
}

static size_t room_for(fixture *f, double dur_s)
{
    const mg_clip clip = clip_of(f, NAN, dur_s, 1);
    mg_clip_need need = {0};

    GOLDEN_OK(mg_clip_need_add(&need, f->replica, &clip));
    const mg_replica_limits limits = mg_plan_limits(&need, 1);
    GOLDEN_OK(mg_replica_measure(f->replica, &limits));
    return f->replica->bytes.t5_run;
}

static void test_room_for_what_is_asked(void **state)
{
    const mg_replica_limits none = {
        .n_slots = 1, .n_rows = 2, .n_texts = 1, .n_tokens = 2, .T_max = 10, .P_max = 20};
    fixture f = {0};

    (void)state;
    open_model(&f);
    const size_t small = room_for(&f, 1), large = room_for(&f, 10);
    assert_true(large > 5 * small);
    GOLDEN_OK(mg_replica_measure(f.replica, &none));
    assert_int_equal(f.replica->bytes.t5_run, 0);
    close_model(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heard_once),
        cmocka_unit_test(test_room_for_what_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
