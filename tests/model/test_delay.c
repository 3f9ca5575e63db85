/* The delay pattern against transformers' own masks, and that columns and frames are inverse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "delay.h"
#include "golden.h"

/* MusicgenForCausalLM.build_delay_pattern_mask (transformers 4.46), [K, M] for prompt columns ids [K, L0],
 * the start column included: PAD and prompt codes where they are fixed, -1 where a code is to be sampled. For
 * M below 2C-1, C the number of delays, it applies no delay at all: then the whole mask is -1. */
static void make_mask(const mg_delay *d, int32_t pad, int32_t *mask, const int32_t *ids, int64_t L0,
                      int64_t M)
{
    const int64_t C = d->K / d->n_channels;

    for (int64_t k = 0; k < d->K; k++)
        for (int64_t j = 0; j < M; j++) {
            const int64_t t = mg_delay_frame(d, M - C, k, j);
            const int32_t code = t + 1 < L0 ? ids[k * L0 + t + 1] : -1;
            mask[k * M + j] = M < 2 * C - 1 ? -1 : t < 0 ? pad : code;
        }
}

/* Cases hold two items: rows [2K]. Returns how many cells differ. */
static int64_t count_different(const char *model, int32_t pad, const mg_delay *d, const char *name)
{
    char file[128], key[64];
    int64_t n_ids, n_mask, n_different = 0;

    snprintf(file, sizeof file, "hf/%s.delay.safetensors", model);
    mg_checkpoint *c = golden_open(file);
    snprintf(key, sizeof key, "%s_ids", name);
    int32_t *ids = golden_i32(c, key, &n_ids);
    snprintf(key, sizeof key, "%s_mask", name);
    int32_t *want = golden_i32(c, key, &n_mask);
    const int64_t n_items = 2, L0 = n_ids / (n_items * d->K), M = n_mask / (n_items * d->K);
    int32_t *got = calloc((size_t)n_mask, sizeof *got);

    assert_non_null(got);
    assert_int_equal(ids[0], pad);
    for (int64_t b = 0; b < n_items; b++) make_mask(d, pad, got + b * d->K * M, ids + b * d->K * L0, L0, M);
    for (int64_t i = 0; i < n_mask; i++) n_different += got[i] != want[i];
    free(ids);
    free(want);
    free(got);
    mg_checkpoint_close(c);
    return n_different;
}

static const char *const names[] = {"delay_1_8", "delay_1_24", "delay_6_24", "delay_1_6", "delay_15_31"};

static void test_masks(void **state)
{
    const mg_delay mono = {4, 1};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(count_different("tiny-mono", 64, &mono, names[i]), 0);
        assert_int_equal(count_different("tiny-variant", 128, &mono, names[i]), 0);
    }
}

/* A pattern of two channels is another one: the comparison above can fail. */
static void test_masks_perturbed(void **state)
{
    const mg_delay stereo = {4, 2};

    (void)state;
    assert_int_not_equal(count_different("tiny-mono", 64, &stereo, "delay_1_24"), 0);
}

static void test_columns_hold_every_frame_once(void **state)
{
    static const mg_delay shapes[] = {{4, 1}, {8, 2}, {1, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const mg_delay *d = &shapes[i];
        for (int64_t T = 1; T <= 20; T++) {
            int seen[8 * 20] = {0};
            const int64_t M = mg_delay_columns(d, T);
            assert_int_equal(M, T + d->K / d->n_channels);
            for (int64_t j = 0; j < M; j++)
                for (int64_t k = 0; k < d->K; k++) {
                    const int64_t t = mg_delay_frame(d, T, k, j);
                    assert_true(j > 0 || t < 0);
                    if (t >= 0) seen[k * T + t]++;
                }
            for (int64_t cell = 0; cell < d->K * T; cell++) assert_int_equal(seen[cell], 1);
        }
    }
}

/* The table of docs/MODEL.md: K = 8 in two channels, M = 13. */
static void test_stereo_grid(void **state)
{
    static const char *const rows[8] = {"P.........PPP", "P.........PPP", "PP.........PP", "PP.........PP",
                                        "PPP.........P", "PPP.........P", "PPPP.........", "PPPP........."};
    const mg_delay d = {8, 2};
    const int32_t start[8] = {2048, 2048, 2048, 2048, 2048, 2048, 2048, 2048};
    int32_t mask[8 * 13];

    (void)state;
    make_mask(&d, 2048, mask, start, 1, 13);
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < 13; j++) {
            assert_int_equal(mask[k * 13 + j], rows[k][j] == 'P' ? 2048 : -1);
            assert_int_equal(mg_delay_frame(&d, 9, k, j) < 0, rows[k][j] == 'P');
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_masks_perturbed),
        cmocka_unit_test(test_columns_hold_every_frame_once),
        cmocka_unit_test(test_stereo_grid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
