/* Tensor parallelism: 1, 2, 4 and 8 ranks, as threads of this program, give the same bits, in every type; and
 * any number of threads within a rank does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format_of.h"
#include "golden_lm.h"
#include "thread_comm.h"

/* What one rank does: a prompt of several columns at once, then steps, with text and without. */
typedef struct rank_job {
    const char *model;
    mg_cpu_level level;
    mg_dtype dtype;
    mg_comm *comm;
    int n_threads;
    const golden_lm *golden;
    float *logits; /* [2,T,K,V]: with its text, then without */
} rank_job;

static void *run_rank(void *arg)
{
    rank_job *job = arg;
    const golden_lm *g = job->golden;
    const int64_t n_prompt = 5, KV = g->K * g->V;
    const fixture_want want = {
        .level = job->level, .format = format_of(job->dtype), .comm = job->comm, .n_threads = job->n_threads};
    fixture f;

    fixture_open(&f, job->model, &want);
    golden_set_texts(&f, g);
    for (int with_text = 1; with_text >= 0; with_text--) {
        float *logits = job->logits + (1 - with_text) * g->T * KV;
        GOLDEN_OK(golden_forward(f.lm, g, 1, 0, n_prompt, with_text, with_text, logits));
        for (int64_t t = n_prompt; t < g->T; t++)
            GOLDEN_OK(golden_forward(f.lm, g, 1, t, 1, with_text, with_text, logits + t * KV));
    }
    fixture_close(&f);
    return NULL;
}

/* Logits of every rank of a group of `size`: [size,2,T,K,V], malloc'ed. */
static float *run_group(const golden_lm *g, const char *model, mg_cpu_level level, mg_dtype dtype, int size,
                        int n_threads)
{
    const int64_t n = 2 * g->T * g->K * g->V;
    float *logits = malloc((size_t)(size * n) * sizeof *logits);
    rank_job jobs[THREAD_COMM_MAX];
    pthread_t threads[THREAD_COMM_MAX];
    thread_group group;

    assert_non_null(logits);
    thread_group_open(&group, size);
    for (int r = 0; r < size; r++)
        jobs[r] = (rank_job){model, level, dtype, &group.comm[r], n_threads, g, logits + r * n};
    for (int r = 1; r < size; r++) assert_int_equal(pthread_create(&threads[r], NULL, run_rank, &jobs[r]), 0);
    run_rank(&jobs[0]);
    for (int r = 1; r < size; r++) pthread_join(threads[r], NULL);
    thread_group_close(&group);
    return logits;
}

static const mg_dtype dtypes[3] = {MG_F32, MG_BF16, MG_F16};

static void check_sizes(const char *model, mg_cpu_level level, int largest)
{
    golden_lm g;

    golden_lm_open(&g, model);
    const size_t n = (size_t)(2 * g.T * g.K * g.V);
    for (int d = 0; d < 3; d++) {
        float *one = run_group(&g, model, level, dtypes[d], 1, 1);
        for (int size = 2; size <= largest; size *= 2) {
            float *many = run_group(&g, model, level, dtypes[d], size, 1);
            for (int r = 0; r < size; r++)
                if (memcmp(one, many + (size_t)r * n, n * sizeof *one) != 0)
                    fail_msg("%s %s: rank %d of %d differs by %g", model, mg_dtype_name(dtypes[d]), r, size,
                             golden_max_error(many + (size_t)r * n, one, (int64_t)n));
            free(many);
        }
        printf("%s %s %s: the same bits on 1 to %d ranks\n", mg_cpu_level_name(level), model,
               mg_dtype_name(dtypes[d]), largest);
        free(one);
    }
    golden_lm_close(&g);
}

static void test_eight_heads(void **state)
{
    (void)state;
    check_sizes("tiny-mono", MG_CPU_AUTO, 8);
}

static void test_four_heads(void **state)
{
    (void)state;
    check_sizes("tiny-variant", MG_CPU_AUTO, 4);
}

static void test_other_levels(void **state)
{
    (void)state;
    for (mg_cpu_level level = MG_CPU_SCALAR; level < mg_cpu_best_level(); level = test_next_level(level))
        check_sizes("tiny-mono", level, 8);
}

static void test_threads_of_a_rank(void **state)
{
    golden_lm g;

    (void)state;
    golden_lm_open(&g, "tiny-mono");
    const size_t bytes = (size_t)(2 * g.T * g.K * g.V) * sizeof(float);
    for (int d = 0; d < 3; d++) {
        float *one = run_group(&g, "tiny-mono", MG_CPU_AUTO, dtypes[d], 1, 1);
        for (int n_threads = 2; n_threads <= 4; n_threads++) {
            float *many = run_group(&g, "tiny-mono", MG_CPU_AUTO, dtypes[d], 1, n_threads);
            assert_memory_equal(one, many, bytes);
            free(many);
        }
        free(one);
    }
    golden_lm_close(&g);
}

/* The comparison can fail: types do not give the same bits. */
static void test_perturbed(void **state)
{
    golden_lm g;

    (void)state;
    golden_lm_open(&g, "tiny-mono");
    const size_t bytes = (size_t)(2 * g.T * g.K * g.V) * sizeof(float);
    float *a = run_group(&g, "tiny-mono", MG_CPU_AUTO, MG_F32, 1, 1),
          *b = run_group(&g, "tiny-mono", MG_CPU_AUTO, MG_F16, 1, 1);
    assert_int_not_equal(memcmp(a, b, bytes), 0);
    free(a);
    free(b);
    golden_lm_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_heads),  cmocka_unit_test(test_four_heads),
        cmocka_unit_test(test_other_levels), cmocka_unit_test(test_threads_of_a_rank),
        cmocka_unit_test(test_perturbed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
