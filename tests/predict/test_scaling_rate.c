/* What a sweep's ranks make together, and the processors that they have. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "scaling_results.h"

static void near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-9 * fabs(expected))) fail_msg("%.17g, expected %.17g", got, expected);
}

/* Of two replicas one takes three times as long: together they make 4/3, and not twice what either makes. */
static void test_a_slow_replica(void **state)
{
    double two[] = {1, 1.5, 1, 0.5, 3, 3, 9, 3}, one[] = {1, 1.5, 1, 0.5, 1, 1, 9, 1}, odd[] = {4, 2, 8};

    (void)state;
    near(mg_scaling_rate(two, 4, 2, 1), 1 + 1.0 / 3);
    near(mg_scaling_rate(one, 4, 2, 2), 1); /* one group: its ranks take the same steps */
    near(mg_scaling_rate(odd, 3, 1, 1), 1.0 / 4);
}

static void test_width(void **state)
{
    mg_scaling_result r = {.point = {.np = 4, .tp = 2, .batch = 8}, .n_threads = 16};

    (void)state;
    strcpy(r.backend, "cpu/avx512");
    near(mg_scaling_width(&r), 64);
    r.n_threads = NAN;
    near(mg_scaling_width(&r), 4);
    r.n_threads = 16;
    strcpy(r.backend, "cuda/sm_90");
    near(mg_scaling_width(&r), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slow_replica),
        cmocka_unit_test(test_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
