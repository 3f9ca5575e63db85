/* A sound that is heard while its codes are still being made: the same bits as when they are all there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden_codec.h"

/* Codes that are not there before they are awaited. */
typedef struct live {
    const int32_t *all;
    int32_t *come;
    int64_t n_rows, T, n_there, n_heard, n_pieces,
        T_first;             /* T_first: there when the first piece was heard */
    const float *want, *got; /* [T hop, n_channels] */
    int64_t n_channels;
} live;

static mg_status await(void *arg, int64_t end)
{
    live *l = arg;

    assert_true(end <= l->T);
    for (; l->n_there < end; l->n_there++)
        for (int64_t k = 0; k < l->n_rows; k++)
            l->come[k * l->T + l->n_there] = l->all[k * l->T + l->n_there];
    return MG_OK;
}

static mg_status heard(void *arg, int64_t n_frames)
{
    live *l = arg;
    const int64_t first = l->n_heard * l->n_channels;

    if (l->n_pieces++ == 0) l->T_first = l->n_there;
    assert_true(n_frames > l->n_heard);
    codec_assert_same_bits(l->got + first, l->want + first, n_frames * l->n_channels - first, "piece");
    l->n_heard = n_frames;
    return MG_OK;
}

/* A sound of the golden clip's codes, thrice in a row or once, heard while they come. */
static void check_live(const char *model, int64_t n_channels, int64_t n_at_once, int64_t n_piece)
{
    golden_codec g;
    codec_fixture f;

    golden_codec_open(&g, model);
    g.want.n_at_once = n_at_once;
    codec_open(&f, &g.want);
    const int64_t T = (test_cuts() ? 1 : 3) * g.T, n_rows = n_channels * g.K, n = T * g.config.hop;
    int32_t *all = malloc((size_t)(n_rows * T) * sizeof *all),
            *come = malloc((size_t)(n_rows * T) * sizeof *come);
    float *want = calloc((size_t)(n * n_channels), sizeof *want),
          *got = calloc((size_t)(n * n_channels), sizeof *got);
    if (!all || !come || !want || !got) fail_msg("no memory");
    for (int64_t i = 0; i < n_rows * T; i++) {
        all[i] = g.codes[i / T / n_channels * g.T + (i + i / T) % g.T];
        come[i] = -1;
    }
    GOLDEN_OK(mg_encodec_decode_sounds(
        f.codec,
        &(mg_encodec_sound){.sound = {want, n, n_channels, 0}, .codes = all, .row_stride = T, .T = T}, 1));
    live l = {all, come, n_rows, T, .want = want, .got = got, .n_channels = n_channels};
    GOLDEN_OK(mg_encodec_decode_live(
        f.codec,
        &(mg_encodec_sound){.sound = {got, n, n_channels, 0}, .codes = come, .row_stride = T, .T = T},
        &(mg_encodec_listener){n_piece, await, heard, &l}));
    assert_int_equal(l.n_heard, n);
    assert_true(l.n_pieces >= T / n_piece);
    if (n_at_once >= n_channels) assert_true(l.T_first <= n_piece + 8);
    free(all);
    free(come);
    free(want);
    free(got);
    codec_close(&f);
    golden_codec_close(&g);
}

static void test_live(void **state)
{
    (void)state;
    check_live("tiny-mono", 1, 1, 5);
    check_live("tiny-stereo", 2, 2, 4);
    if (test_cuts()) return;
    check_live("tiny-mono", 1, 1, 1);
    check_live("tiny-stereo", 2, 1, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_live)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
