/* The layout that runs when nobody asks for one, and what fits into which memory, by numbers made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "layout.h"
#include "plan_fit.h"

static void test_tp(void **state)
{
    (void)state;
    assert_int_equal(mg_layout_tp(1, 1, 1, 1), 1);
    assert_int_equal(mg_layout_tp(8, MG_MANY_CLIPS, 1, 8), 1); /* replicas share nothing */
    assert_int_equal(mg_layout_tp(8, 8, 1, 8), 1);
    assert_int_equal(mg_layout_tp(8, 7, 1, 8), 2); /* no rank is left without work */
    assert_int_equal(mg_layout_tp(8, 1, 1, 8), 8);
    assert_int_equal(mg_layout_tp(8, 1, 1, 4), 4);             /* the heads, or a host's ranks */
    assert_int_equal(mg_layout_tp(8, MG_MANY_CLIPS, 4, 8), 4); /* the model fits no fewer */
    assert_int_equal(mg_layout_tp(8, MG_MANY_CLIPS, 8, 2), 2); /* it fits nowhere: the plan says so */
}

static void test_slots(void **state)
{
    (void)state;
    assert_int_equal(mg_layout_slots(8, -1, 1), 8); /* how many come is not known */
    assert_int_equal(mg_layout_slots(8, 100, 2), 8);
    assert_int_equal(mg_layout_slots(8, 9, 2), 5);
    assert_int_equal(mg_layout_slots(8, 1, 4), 1);
    assert_int_equal(mg_layout_slots(8, 0, 4), 1);
}

/* Four layers in for 2 clips are two for each; six for 4 are less, eight for 4 as many. */
static void test_cheaper(void **state)
{
    (void)state;
    assert_true(mg_layout_is_cheaper(2, 4, 4, 6));
    assert_false(mg_layout_is_cheaper(2, 4, 4, 8));
    assert_false(mg_layout_is_cheaper(2, 0, 4, 1));
    assert_true(mg_layout_is_cheaper(4, 1, 2, 0));
}

/* A leader and another rank of one host: 10 layers of 10 bytes each, and 20 bytes beside them. */
static void set_host(mg_plan_demand d[2], int64_t available_bytes)
{
    const mg_replica_bytes leader = {
        .lm_weights = 100, .lm_run = 10, .t5_weights = 5, .codec_run = 3, .host = 2, .lm_layer = {10, 0}};
    const mg_replica_bytes other = {.lm_weights = 100, .lm_run = 20, .lm_layer = {10, 0}};

    d[0] = d[1] = (mg_plan_demand){0};
    mg_plan_demand_set(&d[0], &leader);
    mg_plan_demand_set(&d[1], &other);
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < MG_DEMANDS; i++) d[r].available_bytes[i] = available_bytes;
}

static void test_fit_host(void **state)
{
    mg_plan_demand d[2];

    (void)state;
    set_host(d, 240); /* 120 of each rank */
    assert_int_equal(mg_plan_find_misfit(d, 2, 0), -1);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, MG_OUTSIDE_AUTO), 0);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, 3), 3);
    set_host(d, 239);
    assert_int_equal(mg_plan_find_misfit(d, 2, 0), 0);
    assert_int_equal(mg_plan_check_fit(d, 2, 1, 0), MG_EFIT);
    /* each rank saves a layer less than its buffers hold */
    const int64_t saves = mg_lm_outside_saves(d[0].layer, 5);
    set_host(d, 240 - 2 * saves);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, MG_OUTSIDE_AUTO), 5);
    set_host(d, 240 - 2 * saves - 1);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, MG_OUTSIDE_AUTO), 6);
    set_host(d, 20);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, MG_OUTSIDE_AUTO), 10);
    assert_int_equal(mg_plan_find_misfit(d, 2, 10), 0);
}

/* On devices of their own, what leaves the device goes to the host. */
static void test_fit_device(void **state)
{
    mg_plan_demand d[2];

    (void)state;
    set_host(d, 120);
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < MG_DEMAND_HOST; i++) d[r].place[i] = 1 + r;
    assert_int_equal(mg_plan_find_misfit(d, 2, 0), -1);
    d[1].available_bytes[MG_DEMAND_LM] = 119;
    assert_int_equal(mg_plan_find_misfit(d, 2, 0), MG_DEMANDS + MG_DEMAND_LM);
    const int64_t n = mg_plan_choose_outside(d, 2, 10, MG_OUTSIDE_AUTO);
    assert_true(n > 0 && n < 10);
    /* copies for both ranks, and the leader's buffers */
    for (int r = 0; r < 2; r++) d[r].available_bytes[MG_DEMAND_HOST] = 2 + 2 * 10 * n - 1;
    assert_int_equal(mg_plan_find_misfit(d, 2, n), MG_DEMAND_HOST);
}

/* On a device in the host's memory both count there, and a layer outside takes what it took inside. */
static void test_fit_shared(void **state)
{
    mg_plan_demand d[2];

    (void)state;
    set_host(d, 240);
    d[0].shares_host = d[1].shares_host = 1;
    assert_int_equal(mg_plan_find_misfit(d, 2, 0), -1);
    d[0].available_bytes[MG_DEMAND_HOST] = 239; /* the host's alone would need 2 */
    assert_int_equal(mg_plan_find_misfit(d, 2, 0), 0);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, MG_OUTSIDE_AUTO), 0);
    assert_int_equal(mg_plan_choose_outside(d, 2, 10, 3), 3);
    set_host(d, 240 + 2 * 2 * 10); /* with buffers for two layers more */
    d[0].shares_host = d[1].shares_host = 1;
    assert_int_equal(mg_plan_find_misfit(d, 2, 3), -1);
    d[1].available_bytes[MG_DEMAND_LM]--;
    assert_int_equal(mg_plan_find_misfit(d, 2, 3), 0);
}

static void test_asked(void **state)
{
    const mg_lm_config config = {.L = 4};
    const mg_lm_formats bf16 = {MG_FORMAT_BF16, MG_FORMAT_BF16}, int4 = {MG_FORMAT_Q4, MG_FORMAT_BF16};

    (void)state;
    assert_int_equal(mg_plan_check_outside(&config, &bf16, 4), MG_OK);
    assert_int_equal(mg_plan_check_outside(&config, &bf16, 5), MG_EUSAGE);
    assert_int_equal(mg_plan_check_outside(&config, &int4, 4), MG_EUSAGE);
    assert_int_equal(mg_plan_check_outside(&config, &int4, MG_OUTSIDE_AUTO), MG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tp),       cmocka_unit_test(test_slots),      cmocka_unit_test(test_cheaper),
        cmocka_unit_test(test_fit_host), cmocka_unit_test(test_fit_device), cmocka_unit_test(test_fit_shared),
        cmocka_unit_test(test_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
