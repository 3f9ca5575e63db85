/* The formulas against sums made by hand, and the table of devices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "predict.h"

static const mg_lm_config small = {
    .D = 1024, .L = 24, .H = 16, .F = 4096, .V = 2048, .K = 4, .n_channels = 1, .max_positions = 2048};

static void near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-9 * fabs(expected))) fail_msg("%.17g, expected %.17g", got, expected);
}

static mg_predict_step step_of(int64_t tp, int64_t n_clips)
{
    return (mg_predict_step){.config = small,
                             .weights = MG_FORMAT_BF16,
                             .kv = MG_FORMAT_BF16,
                             .tp = tp,
                             .n_clips = n_clips,
                             .n_rows = 2 * n_clips,
                             .n_keys = 250,
                             .n_tokens = 16};
}

/* 24 layers of 4 + 2 + 8 squares of 1024, heads of 4 x 2048 x 1024. */
static void test_bytes(void **state)
{
    mg_lm_config melody = small;

    (void)state;
    assert_int_equal(mg_predict_weight_bytes(&small, MG_FORMAT_Q8), 360710144);
    assert_int_equal(mg_predict_weight_bytes(&small, MG_FORMAT_BF16), 721420288);
    assert_int_equal(mg_predict_weight_bytes(&small, MG_FORMAT_F32), 1442840576);
    /* 23 layers of 10 squares at 4.5 bits; the rest 8 */
    assert_int_equal(mg_predict_weight_bytes(&small, MG_FORMAT_Q4), 360710144 - 23 * 10 * 1048576 * 7 / 16);
    melody.n_chroma = 12;
    assert_int_equal(mg_predict_weight_bytes(&melody, MG_FORMAT_Q8), 360710144 - 24 * 2 * 1048576);
    /* keys and values: 2 x 24 x 1024 x 2 bytes for each of 2 x 250 + 16 columns */
    near(mg_predict_kv_bytes(&small, MG_FORMAT_BF16, 2, 250, 1, 16), 98304.0 * 516);
}

/* Each constant moves its own part alone. */
static void test_parts(void **state)
{
    const mg_predict_step s = step_of(2, 4);
    mg_predict_times t;

    (void)state;
    const mg_predict_machine read = {.read_bytes_s = 1e9};
    mg_predict_step_time(&t, &s, &read);
    near(t.part_s[MG_PREDICT_PRODUCTS], 0.721420288 / 2);
    near(t.step_s, t.part_s[MG_PREDICT_PRODUCTS]);
    near(t.reading_s, t.step_s);

    const mg_predict_machine multiply = {.product_flop_s = 1e12};
    mg_predict_step_time(&t, &s, &multiply);
    near(t.step_s, 2 * 0.360710144e9 / 2 * 8 / 1e12);

    const mg_predict_machine attend = {.attend_bytes_s = 1e9};
    mg_predict_step_time(&t, &s, &attend);
    near(t.part_s[MG_PREDICT_ATTENTION], 98304.0 * (8 * 250 + 4 * 16) / 2 / 1e9);
    near(t.step_s, t.part_s[MG_PREDICT_ATTENTION]);

    /* three sums a layer, which take in the other rank's rows, and a gathering of its half of the logits */
    const mg_predict_machine sums = {.reduce_s = 1e-6, .reduce_bytes_s = 1e9};
    mg_predict_step_time(&t, &s, &sums);
    near(t.part_s[MG_PREDICT_REDUCE], 73e-6 + (72.0 * 4 * 8 * 1024 + 4.0 * 8 * 8192 / 2) / 1e9);

    /* and those of seven others */
    const mg_predict_step of_eight = step_of(8, 4);
    mg_predict_step_time(&t, &of_eight, &sums);
    near(t.part_s[MG_PREDICT_REDUCE], 73e-6 + 7 * (72.0 * 4 * 8 * 1024 + 4.0 * 8 * 8192 / 8) / 1e9);
    near(t.step_s, t.part_s[MG_PREDICT_REDUCE]);

    const mg_predict_machine rest = {.launch_s = 1e-6, .draw_s = 1e-3};
    mg_predict_step_time(&t, &s, &rest);
    near(t.part_s[MG_PREDICT_LAUNCHES], (24 * 8 + 4) * 1e-6);
    near(t.part_s[MG_PREDICT_SAMPLING], 16e-3);
}

/* What tests/cuda_on_cpu/program.sh counts in a step of the same model, on a device with as many processors.
 */
static void test_launches(void **state)
{
    static const int64_t clips[][2] = {{1, 18}, {3, 18}, {8, 20}, {9, 29}, {16, 29}, {17, 33}, {33, 37}};
    const mg_predict_machine m = {.is_device = true, .n_sms = 132}, few = {.is_device = true, .n_sms = 4};
    mg_predict_step s = step_of(1, 1);

    (void)state;
    s.config = (mg_lm_config){.D = 512, .L = 2, .H = 8, .F = 256, .V = 2048, .K = 4};
    for (size_t i = 0; i < sizeof clips / sizeof *clips; i++) {
        s.n_clips = clips[i][0], s.n_rows = 2 * clips[i][0];
        assert_int_equal(mg_predict_launches(&s, &m), clips[i][1]);
    }
    s.n_clips = 1, s.n_rows = 2;
    assert_int_equal(mg_predict_launches(&s, &few), 20);
    s.n_tokens = 32;
    assert_int_equal(mg_predict_launches(&s, &m), 18);
    s.n_tokens = 33;
    assert_int_equal(mg_predict_launches(&s, &m), 20);
    s.n_tokens = 16, s.tp = 2; /* without the sums over ranks */
    assert_int_equal(mg_predict_launches(&s, &m), 18);

    /* The models: on one rank small alone has both in one kernel, on two ranks with two clips too. */
    s = step_of(1, 1);
    assert_int_equal(mg_predict_launches(&s, &m), 24 * 7 + 4);
    s = step_of(1, 2);
    assert_int_equal(mg_predict_launches(&s, &m), 24 * 8 + 4);
    s = step_of(2, 2);
    assert_int_equal(mg_predict_launches(&s, &m), 24 * 7 + 4);
    s = step_of(1, 1), s.config.D = 1536, s.config.H = 24, s.config.F = 6144, s.config.L = 48;
    assert_int_equal(mg_predict_launches(&s, &m), 48 * 8 + 4);
    s.tp = 2;
    assert_int_equal(mg_predict_launches(&s, &m), 48 * 7 + 4);
    s.config.n_chroma = 12;
    assert_int_equal(mg_predict_launches(&s, &m), 48 * 5 + 4);
}

/* Layers from outside come beside the step: what they take longer counts. */
static void test_outside(void **state)
{
    mg_predict_machine m = {.draw_s = 1, .outside_bytes_s = 10};
    mg_predict_step s = step_of(1, 1); /* draws for 4 s */
    mg_predict_times t;

    (void)state;
    s.outside_bytes = 30;
    mg_predict_step_time(&t, &s, &m);
    near(t.step_s, 4);
    assert_true(t.part_s[MG_PREDICT_OUTSIDE] == 0);
    s.outside_bytes = 90;
    mg_predict_step_time(&t, &s, &m);
    near(t.step_s, 9);
    near(t.part_s[MG_PREDICT_OUTSIDE], 5);
}

static void test_alone_sums_nothing(void **state)
{
    const mg_predict_machine m = {.reduce_s = 1, .reduce_bytes_s = 1};
    const mg_predict_step s = step_of(1, 1);
    mg_predict_times t;

    (void)state;
    mg_predict_step_time(&t, &s, &m);
    assert_true(t.step_s == 0);
}

static void test_overlap(void **state)
{
    mg_predict_machine m = {.read_bytes_s = 721420288, .product_flop_s = 721420288.0 * 4};
    const mg_predict_step s = step_of(1, 1); /* reads for 1 s, multiplies for 0.5 s */
    mg_predict_times t;

    (void)state;
    mg_predict_step_time(&t, &s, &m);
    near(t.step_s, 1.5);
    m.overlaps = true;
    mg_predict_step_time(&t, &s, &m);
    near(t.step_s, 1);
}

/* Measured rates: the time is a line between two of them, and behind the last goes on as it rose. */
static void test_rates(void **state)
{
    const double bytes = 721420288;
    const mg_predict_machine m = {.n_rates = 3, .rate = {{2, bytes}, {8, bytes / 2}, {16, bytes / 4}}};
    const double expected[][2] = {{1, 1}, {4, 2}, {6, 3}, {8, 4}, {16, 8}}; /* clips, seconds */
    mg_predict_times t;

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const mg_predict_step s = step_of(1, (int64_t)expected[i][0]);
        mg_predict_step_time(&t, &s, &m);
        near(t.step_s, expected[i][1]);
        near(t.reading_s, 1);
    }
}

static void test_clip(void **state)
{
    const mg_predict_machine m = {
        .attend_bytes_s = 98304, .decode_sound_s = 1, .text_s = 2, .load_bytes_s = 10};
    mg_predict_step s = step_of(1, 3);
    mg_lm_config stereo = small;

    (void)state;
    stereo.K = 8, stereo.n_channels = 2;
    assert_int_equal(mg_predict_clip_steps(&small, 500), 503);
    assert_int_equal(mg_predict_clip_steps(&stereo, 500), 503);
    s.n_tokens = 0;
    /* columns 1 … 503 of 6 rows, then 10 s of sound and a text for each of 3 clips */
    near(mg_predict_clip_s(&s, 500, 10, &m), 6.0 * 503 * 504 / 2 + 3 * (10 + 2));
    /* two sounds at once, and 5 s a lot for a second of them: 3 clips are 2 lots, 3 of two channels 3 */
    mg_predict_machine lots = {.decode_sound_s = 1, .decode_lot_s = 5, .n_decoded = 2};
    near(mg_predict_clip_s(&s, 500, 10, &lots), 10 * (2 * 5 + 3));
    s.config = stereo;
    near(mg_predict_clip_s(&s, 500, 10, &lots), 10 * (3 * 5 + 6));
    lots.n_decoded = 0;
    near(mg_predict_clip_s(&s, 500, 10, &lots), 10 * (6 * 5 + 6));
    s.config = small;
    /* 20 clips for 2 replicas: 10 for one, 3 rounds of 3 and a last one of 1; 50 bytes to load */
    mg_predict_step last = s;
    last.n_clips = 1, last.n_rows = s.n_rows / s.n_clips;
    near(mg_predict_run_s(&s, 2, 20, 500, 10, 50, &m),
         5 + 3 * mg_predict_clip_s(&s, 500, 10, &m) + mg_predict_clip_s(&last, 500, 10, &m));
    near(mg_predict_run_s(&s, 2, 2, 500, 10, 0, &m), mg_predict_clip_s(&last, 500, 10, &m));
}

static void test_groups(void **state)
{
    char reason[160];

    (void)state;
    mg_predict_check_group(reason, &small, 8);
    assert_string_equal(reason, "");
    mg_predict_check_group(reason, &small, 3);
    assert_string_equal(reason, "a group has 1, 2, 4 or 8 ranks");
    mg_lm_config odd = small;
    odd.H = 6;
    mg_predict_check_group(reason, &odd, 4);
    assert_string_equal(reason, "T = 4 does not divide 6 heads");
}

/* A clip takes as long on no device as to make it worthless, and a faster memory makes it faster. */
static void test_devices(void **state)
{
    mg_predict_machine m, a100, h100;
    mg_predict_times t, a, h;
    const mg_predict_step s = step_of(1, 1);
    int n = 0;

    (void)state;
    for (; mg_predict_device_name(n); n++) {
        assert_true(mg_predict_device(&m, mg_predict_device_name(n), MG_FORMAT_BF16));
        assert_string_equal(m.name, mg_predict_device_name(n));
        mg_predict_step_time(&t, &s, &m);
        assert_true(t.step_s > 0.0002 && t.step_s < 0.02);
        assert_true(m.decode_sound_s > 0 && m.decode_lot_s > 0 && m.n_decoded > 0 && m.text_s > 0 &&
                    m.text_s < 0.1);
        assert_true(m.decode_sound_s + m.decode_lot_s < 0.1);
    }
    assert_true(n > 5);
    assert_false(mg_predict_device(&m, "h1000", MG_FORMAT_BF16));
    assert_true(mg_predict_device(&a100, "a100", MG_FORMAT_BF16));
    assert_true(mg_predict_device(&h100, "h100", MG_FORMAT_BF16));
    mg_predict_step_time(&a, &s, &a100);
    mg_predict_step_time(&h, &s, &h100);
    assert_true(a100.is_device && a100.n_sms == 0 && h100.n_sms == 132);
    near(a.reading_s, 721420288 / (0.7 * 2039e9));
    assert_true(h.step_s < a.step_s);

    /* One launch draws the codes of all clips: they are no part of a step of 64 that is worth telling. */
    const mg_predict_step many = step_of(1, 64);
    mg_predict_step_time(&h, &many, &h100);
    assert_true(h.part_s[MG_PREDICT_SAMPLING] > 0 && h.part_s[MG_PREDICT_SAMPLING] < 0.02 * h.step_s);
}

/* A rank of a CPU has as many cores as it has threads: arithmetic by them, memory up to the socket's. */
static void test_cores(void **state)
{
    mg_predict_machine all, some, few, gpu, same;

    (void)state;
    assert_true(mg_predict_device(&all, "cpu", MG_FORMAT_F32));
    assert_true(mg_predict_device_cores(&some, "CPU", MG_FORMAT_F32, 28));
    near(some.product_flop_s, all.product_flop_s / 2);
    near(some.decode_sound_s, all.decode_sound_s * 2);
    near(some.read_bytes_s, all.read_bytes_s);
    assert_true(mg_predict_device_cores(&few, "cpu", MG_FORMAT_F32, 2));
    near(few.product_flop_s, all.product_flop_s / 28);
    near(few.read_bytes_s, 2 * 13.5e9);
    near(few.attend_bytes_s, 2 * 13.5e9);
    assert_true(few.text_s > 4 * all.text_s);
    assert_true(mg_predict_device(&gpu, "h100", MG_FORMAT_BF16));
    assert_true(mg_predict_device_cores(&same, "h100", MG_FORMAT_BF16, 2));
    near(same.product_flop_s, gpu.product_flop_s);
    near(same.read_bytes_s, gpu.read_bytes_s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_launches),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_alone_sums_nothing),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
