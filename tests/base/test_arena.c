#include "io_fixture.h"

#include "arena.h"

/* A layout, run over both kinds of arena. */
static mg_status lay_out(mg_arena *a, char *pieces[3])
{
    static const size_t bytes[3] = {1, 64, 100};

    for (int i = 0; i < 3; i++) MG_RETURN(mg_arena_take(a, (void **)&pieces[i], bytes[i]));
    return MG_OK;
}

static void takes_what_it_measured(void **state)
{
    _Alignas(MG_ARENA_ALIGN) static char block[4096];
    char *pieces[3];
    mg_arena plan = mg_arena_measure("weights");

    (void)state;
    assert_true(mg_arena_is_measuring(&plan));
    expect_ok(lay_out(&plan, pieces));
    assert_non_null(pieces[0]);
    assert_int_equal(plan.used_bytes, 64 + 64 + 128);

    mg_arena real = mg_arena_over("weights", block, plan.used_bytes);
    assert_false(mg_arena_is_measuring(&real));
    expect_ok(lay_out(&real, pieces));
    assert_ptr_equal(pieces[0], block);
    assert_ptr_equal(pieces[1], block + 64);
    assert_ptr_equal(pieces[2], block + 128);
    assert_int_equal(real.used_bytes, real.size_bytes);

    void *more = block;
    expect_failure(mg_arena_take(&real, &more, 1), MG_EFIT, "arena weights: 1 bytes asked, 0 of 256 left");
    assert_null(more);
}

static void refuses_sizes_that_wrap(void **state)
{
    mg_arena plan = mg_arena_measure("run");
    void *p;

    (void)state;
    expect_failure(mg_arena_take(&plan, &p, SIZE_MAX), MG_EFIT, "arena run");
    expect_ok(mg_arena_take(&plan, &p, SIZE_MAX / 2));
    expect_failure(mg_arena_take(&plan, &p, SIZE_MAX / 2 + 1), MG_EFIT, "arena run");
}

static void zero_bytes_are_a_piece(void **state)
{
    mg_arena plan = mg_arena_measure("run");
    void *p;

    (void)state;
    expect_ok(mg_arena_take(&plan, &p, 0));
    assert_non_null(p);
    assert_int_equal(plan.used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_it_measured),
        cmocka_unit_test(refuses_sizes_that_wrap),
        cmocka_unit_test(zero_bytes_are_a_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
