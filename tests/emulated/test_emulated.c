/* Each emulated intrinsic has the bits of the instruction, for random vectors and for those that are hard:
 * NaN, infinities, denormals, the largest and smallest, halves that round either way, with denormals kept and
 * flushed. Skipped, one by one, where this processor lacks the instruction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xmmintrin.h>

#include <cmocka.h>

#include "intrinsics.h"

enum { BYTES = 64, TRIES = 20000, FLUSH = 0x8040 };

static const uint32_t hard[] = {
    0,          0x80000000, 1,          0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF,
    0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFC12345, 0x3F800000, 0x3F801000, 0x3F803000,
    0x33000000, 0x38800000, 0x387FC000, 0x477FE000, 0x477FF000, 0x4B000001, 0x3F000000, 0x3FC00000,
    0x4F000000, 0xCF000000, 0x7FFF7FFF, 0x80008000, 0xFFFFFFFF, 0x7F7F8080, 0x80807F7F, 0x00FF00FF,
};

static uint32_t draw(uint64_t *state)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* Any bits, hard ones, or floats near one another, whose sums cancel. */
static void fill(uint32_t *v, uint64_t *state)
{
    const uint32_t kind = draw(state) % 3;

    for (int i = 0; i < BYTES / 4; i++) {
        const uint32_t r = draw(state);
        v[i] = kind == 0   ? r
               : kind == 1 ? hard[r % (sizeof hard / sizeof *hard)]
                           : (r & 0x80FFFFFFu) + 0x3E800000u;
    }
}

static int has(const char *feature)
{
    __builtin_cpu_init();
#define IF(name) \
    if (strcmp(feature, name) == 0) return __builtin_cpu_supports(name) != 0;
    IF("avx512f") IF("avx512bw") IF("avx512dq") IF("avx512vnni") IF("avx512bf16") return 0;
}

static int same(const mg_intrinsic *i, const uint32_t *a, const uint32_t *b)
{
    for (int l = 0; l < BYTES / 4; l++) {
        const int nan = (a[l] & 0x7FFFFFFFu) > 0x7F800000u && (b[l] & 0x7FFFFFFFu) > 0x7F800000u;
        if (a[l] != b[l] && !(i->is_float && nan)) return 0;
    }
    return 1;
}

static void compare(const mg_intrinsic *real, const mg_intrinsic *emulated, unsigned control)
{
    uint64_t state = 20261201;
    const unsigned before = _mm_getcsr();

    for (int n = 0; n < TRIES; n++) {
        uint32_t v[3][BYTES / 4], to[2][BYTES / 4];
        for (int k = 0; k < 3; k++) fill(v[k], &state);
        memset(to, 0x5A, sizeof to);
        _mm_setcsr(before | control);
        real->call(v[0], v[1], v[2], to[0]);
        emulated->call(v[0], v[1], v[2], to[1]);
        _mm_setcsr(before);
        if (!same(real, to[0], to[1])) fail_msg("%s: try %d, control %x: other bits", real->name, n, control);
    }
}

static void test_each_is_as_the_instruction(void **state)
{
    int n_skipped = 0;

    (void)state;
    for (int i = 0; i < MG_N_INTRINSICS; i++) {
        assert_string_equal(mg_intrinsics_real[i].name, mg_intrinsics_emulated[i].name);
        if (!has(mg_intrinsics_real[i].needs)) {
            n_skipped++;
            continue;
        }
        compare(&mg_intrinsics_real[i], &mg_intrinsics_emulated[i], 0);
        compare(&mg_intrinsics_real[i], &mg_intrinsics_emulated[i], FLUSH);
    }
    if (n_skipped)
        printf("SKIPPED: this processor lacks %d of %d instructions\n", n_skipped, MG_N_INTRINSICS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_is_as_the_instruction)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
