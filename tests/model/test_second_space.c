/* What a device asks of the language model: its memory is left alone, a step goes up in one copy and comes
 * down in none, and steps of a key are the same calls. And the fence that shows it does catch. The golden
 * tests run over the fence too, as NAME_fenced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MG_TEST_FENCED
#include "golden_lm.h"

enum { N_STEPS = 6 };

/* A column of slot 0, two rows, and a draw of every code of the next. */
static mg_status step(fixture *f, int64_t j)
{
    const int64_t K = f->config.lm.K;
    int32_t cells[2 * 16];
    const int32_t row[2] = {0, 1}, position[2] = {(int32_t)j, (int32_t)j}, text[1] = {0};
    mg_draw draws[16];

    for (int64_t k = 0; k < K; k++) {
        cells[k] = cells[K + k] = j > 0 ? mg_lm_cell(f->lm, 0, k, j - 1) : -1;
        draws[k] = (mg_draw){.token = {0, 1},
                             .n_roles = 2,
                             .k = (int32_t)k,
                             .cell = mg_lm_cell(f->lm, 0, k, j),
                             .coef = 3,
                             .how = {.greedy = true}};
    }
    const mg_lm_batch batch = {2, 1, true, cells, row, position, text};
    return mg_lm_step(f->lm, &batch, draws, K);
}

static void test_a_step_is_one_upload(void **state)
{
    const fixture_want want = {0};
    golden_lm g;
    fixture f;

    (void)state;
    golden_lm_open(&g, "tiny-mono");
    fixture_open(&f, "tiny-mono", &want);
    golden_set_texts(&f, &g);
    const fence *seen = f.ops->ctx;
    const int n_uploads = seen->n_uploads, n_downloads = seen->n_downloads;
    for (int64_t j = 0; j < N_STEPS; j++) GOLDEN_OK(step(&f, j));
    assert_int_equal(seen->n_uploads - n_uploads, N_STEPS);
    assert_int_equal(seen->n_downloads - n_downloads, 0);
    assert_int_equal(seen->n_steps, N_STEPS);
    assert_int_equal(seen->n_replayable, N_STEPS - 1); /* the same calls as the first */
    fixture_close(&f);
    golden_lm_close(&g);
}

static mg_ops *open_fenced(mg_threads **threads)
{
    mg_ops *ops;

    GOLDEN_OK(mg_threads_open(threads, 1, 0));
    GOLDEN_OK(test_backend_open(&ops, MG_CPU_AUTO, *threads));
    return ops;
}

/* Does reading `p` end this process? */
static bool is_out_of_reach(const volatile float *p)
{
    int how = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*p == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV;
}

static void test_the_fence_catches(void **state)
{
    mg_threads *threads;
    mg_ops *ops = open_fenced(&threads);
    float host[16] = {0}, *block;
    mg_tensor y, x = mg_tensor_1d(host, MG_F32, 8);
    bool replay;

    (void)state;
    GOLDEN_OK(mg_ops_alloc(ops, (void **)&block, sizeof host));
    y = mg_tensor_1d(block, MG_F32, 8);
    GOLDEN_OK(mg_zero(ops, &y));
    assert_true(is_out_of_reach(block));
    assert_false(is_out_of_reach(host));
    assert_int_equal(mg_add(ops, &y, &x), MG_EBUG);                  /* a host tensor in an op */
    assert_int_equal(mg_upload(ops, host, host + 8, 32), MG_EBUG);   /* to the host */
    assert_int_equal(mg_upload(ops, block, block + 8, 32), MG_EBUG); /* from the device */
    assert_int_equal(mg_download(ops, block, block + 8, 32), MG_EBUG);

    GOLDEN_OK(mg_step_begin(ops, 1, &replay));
    GOLDEN_OK(mg_zero(ops, &y));
    GOLDEN_OK(mg_step_end(ops));
    GOLDEN_OK(mg_step_begin(ops, 1, &replay));
    y = mg_tensor_1d(block, MG_F32, 4);
    GOLDEN_OK(mg_zero(ops, &y));
    assert_int_equal(mg_step_end(ops), MG_EBUG); /* another size with the same key */
    mg_step_forget(ops);
    GOLDEN_OK(mg_step_begin(ops, 1, &replay));
    assert_int_equal(mg_upload(ops, block, host, 32), MG_EBUG); /* within a recorded step */
    GOLDEN_OK(mg_step_end(ops));
    mg_ops_release(ops, block, sizeof host);
    mg_ops_close(ops);
    mg_threads_close(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_is_one_upload),
        cmocka_unit_test(test_the_fence_catches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
