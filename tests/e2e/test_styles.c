/* Clips that follow the style of a sound: room is taken for what is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_run.h"

typedef struct fixture {
    engine_machine on;
    mg_replica *replica;
} fixture;

static mg_clip clip_of(double start_s, double dur_s, int64_t n_codebooks)
{
    return (mg_clip){.text.text = "",
                     .negative.text = "",
                     .terms = {.T = 10,
                               .T_window = 10,
                               .T_stride = 5,
                               .guidance = 3,
                               .guidance_beta = NAN,
                               .with_melody = true},
                     .melody = "a sound",
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
}

static void close_model(fixture *f)
{
    mg_replica_close(f->replica);
    engine_machine_close(&f->on);
}

static size_t room_for(fixture *f, double dur_s)
{
    const mg_clip clip = clip_of(NAN, dur_s, 1);
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
        cmocka_unit_test(test_room_for_what_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
