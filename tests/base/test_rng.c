#include "io_fixture.h"

#include <math.h>

#include "rng.h"

/* The known answers that come with Random123. */
static void philox_gives_the_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        mg_philox(out, cases[i].counter, cases[i].key);
        assert_memory_equal(out, cases[i].want, sizeof out);

        uint32_t counter[4]; /* the sibling: one bit of the counter changes about half of the answer */
        memcpy(counter, cases[i].counter, sizeof counter);
        counter[2] ^= 1u << 7;
        mg_philox(out, counter, cases[i].key);
        for (int j = 0; j < 4; j++) assert_int_not_equal(out[j], cases[i].want[j]);
    }
}

static void uniform_is_a_pure_function(void **state)
{
    (void)state;
    const double a = mg_rng_uniform(7, 12, 3);
    mg_rng_uniform(8, 0, 0);
    assert_true(a == mg_rng_uniform(7, 12, 3));
    assert_true(a != mg_rng_uniform(8, 12, 3));
    assert_true(a != mg_rng_uniform(7, 13, 3));
    assert_true(a != mg_rng_uniform(7, 12, 2));
    assert_true(a != mg_rng_uniform(7 + ((uint64_t)1 << 40), 12, 3)); /* the seed's upper half counts */
}

/* The first draw of seed 0 is the first known answer: 53 bits of its first two words, and a half. */
static void uniform_takes_53_bits_of_the_block(void **state)
{
    const uint64_t bits = ((uint64_t)0x6627e8d5 << 21) ^ (0xe169c58d >> 11);

    (void)state;
    assert_true(mg_rng_uniform(0, 0, 0) == ((double)bits + 0.5) / 9007199254740992.0);
}

static void uniform_is_uniform(void **state)
{
    enum { N = 200000, BINS = 20 };
    int count[BINS] = {0};
    double sum = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        const double u = mg_rng_uniform(42, i / 4, i % 4);
        assert_true(u > 0 && u < 1);
        count[(int)(u * BINS)]++;
        sum += u;
    }
    assert_true(fabs(sum / N - 0.5) < 5 * 0.2887 / sqrt(N));
    for (int i = 0; i < BINS; i++) assert_in_range(count[i], N / BINS - 500, N / BINS + 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(uniform_is_a_pure_function),
        cmocka_unit_test(uniform_takes_53_bits_of_the_block),
        cmocka_unit_test(uniform_is_uniform),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
