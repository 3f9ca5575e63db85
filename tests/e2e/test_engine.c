/* The scheduler on the tiny model: clips of different lengths, guidance and seeds share slots, each comes out
 * as if it were alone, and a run allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine_run.h"
#include "golden.h"
#include "test_backend.h"
#include "tokenizer.h"

enum { N_CLIPS = 7, K = 4, T_MOST = 60 };

static const char *const texts[N_CLIPS] = {"80s pop track with bassy drums and synth",
                                           "slow sad piano",
                                           "techno",
                                           "",
                                           "slow sad piano",
                                           "80s pop track with bassy drums and synth",
                                           ""};
static const int64_t lengths[N_CLIPS] = {40, 40, 17, 25, 1, 60, 9};
static const double guidance[N_CLIPS] = {3, 1, 3, 3, 2, 1.5, 1};
static const bool greedy[N_CLIPS] = {true, true, false, false, false, false, false};

/* Calls of the allocator by a thread that is `counting`: the linker sends them here (--wrap). */
static _Thread_local volatile bool counting; /* volatile: a compiler knows malloc reads no variable of ours */
static volatile int n_allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    if (counting) n_allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    if (counting) n_allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    if (counting) n_allocations++;
    return __real_realloc(p, size);
}

typedef struct fixture {
    engine_machine on;
    bool with_beside;
    mg_clip clip[N_CLIPS];
    int32_t codes[N_CLIPS][K * T_MOST]; /* of the last run */
    int n_done, order[N_CLIPS];
} fixture;

static int begin(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mg_tokenizer *tokenizer;

    if (!f) return -1;
    engine_machine_open(&f->on);
    GOLDEN_OK(mg_tokenizer_open(&tokenizer, MG_GOLDEN_DIR "/tokenizer"));
    for (int i = 0; i < N_CLIPS; i++) {
        mg_clip *c = &f->clip[i];
        *c = (mg_clip){.index = i,
                       .text.text = texts[i],
                       .terms = {.seed = 100 + (uint64_t)i,
                                 .T = lengths[i],
                                 .T_window = lengths[i],
                                 .guidance = guidance[i],
                                 .guidance_beta = NAN,
                                 .sampling = {.greedy = greedy[i], .top_k = 20, .temperature = 1}}};
        if (*texts[i]) GOLDEN_OK(mg_tokenizer_encode(tokenizer, texts[i], &c->text.ids, &c->terms.S));
    }
    mg_tokenizer_close(tokenizer);
    *state = f;
    return 0;
}

static int end(void **state)
{
    fixture *f = *state;

    for (int i = 0; i < N_CLIPS; i++) free(f->clip[i].text.ids);
    engine_machine_close(&f->on);
    free(f);
    return 0;
}

static mg_status keep(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    fixture *f = arg;

    if (result->fault.st != MG_OK) return result->fault.st;
    memcpy(f->codes[clip->index], result->codes, (size_t)(K * clip->terms.T) * sizeof(int32_t));
    f->order[f->n_done++] = (int)clip->index;
    return MG_OK;
}

static void count(bool begins)
{
    counting = begins;
}

/* clips[first … first+n) through `n_slots` slots; the number of steps. */
static int64_t run(fixture *f, int first, int n, int64_t n_slots)
{
    const mg_replica_source source = {
        .model.model = MG_GOLDEN_DIR "/checkpoints/tiny-mono", .with_text = true, .with_decoder = true};
    mg_replica *r;

    f->n_done = 0;
    GOLDEN_OK(mg_replica_open(&r, &source, &f->on.backend, f->with_beside ? &f->on.beside : &f->on.backend,
                              f->on.comm));
    const mg_replica_limits limits = engine_plan(r, &f->on.world, &f->clip[first], n, n_slots);
    assert_int_equal(limits.n_slots, n_slots);
    GOLDEN_OK(mg_replica_load(r, &limits));
    const int64_t n_steps = engine_run(r, &f->clip[first], n, keep, f, f->with_beside ? count : NULL);
    mg_replica_close(r);
    return n_steps;
}

static void test_company_changes_nothing(void **state)
{
    fixture *f = *state;
    int32_t alone[N_CLIPS][K * T_MOST] = {{0}};

    for (int i = 0; i < N_CLIPS; i++) {
        run(f, i, 1, 1);
        memcpy(alone[i], f->codes[i], sizeof alone[i]);
    }
    for (int n_slots = 1; n_slots <= N_CLIPS; n_slots += 2) {
        memset(f->codes, 0xff, sizeof f->codes);
        run(f, 0, N_CLIPS, n_slots);
        assert_int_equal(f->n_done, N_CLIPS);
        for (int i = 0; i < N_CLIPS; i++)
            assert_memory_equal(f->codes[i], alone[i], (size_t)(K * lengths[i]) * sizeof(int32_t));
    }
}

static void test_a_finished_clip_makes_room(void **state)
{
    fixture *f = *state;
    int64_t n_columns = 0;

    for (int i = 0; i < N_CLIPS; i++) n_columns += lengths[i] + K - 1;
    const int64_t n_steps = run(f, 0, N_CLIPS, 2);
    /* columns of one slot: clips 0, 2, 4, 5 are 43 + 20 + 4 + 63; of the other: 1, 3, 6 are 43 + 28 + 12 */
    assert_int_equal(n_steps, 43 + 20 + 4 + 63);
    assert_true(n_steps < n_columns && 2 * n_steps >= n_columns);
    const int order[N_CLIPS] = {0, 1, 2, 4, 3, 6, 5};
    for (int i = 0; i < N_CLIPS; i++) assert_int_equal(f->order[i], order[i]);
}

static void test_mixed_with_the_reference(void **state)
{
    fixture *f = *state;
    mg_checkpoint *golden = golden_open("hf/tiny-mono.safetensors");
    int32_t *guided = golden_i32(golden, "text_cfg3_codes", NULL);
    int32_t *plain = golden_i32(golden, "text_nocfg_codes", NULL);
    const size_t item = K * 40, bytes = item * sizeof(int32_t);

    run(f, 0, N_CLIPS, 3);
    assert_memory_equal(f->codes[0], guided, bytes);
    assert_memory_equal(f->codes[1], plain + item, bytes);
    assert_memory_not_equal(f->codes[1], guided + item, bytes); /* guidance would be seen */
    free(guided);
    free(plain);
    mg_checkpoint_close(golden);
}

static void test_seed_matters(void **state)
{
    fixture *f = *state;
    int32_t before[K * T_MOST];

    run(f, 5, 1, 1);
    memcpy(before, f->codes[5], sizeof before);
    f->clip[5].terms.seed++;
    run(f, 5, 1, 1);
    f->clip[5].terms.seed--;
    assert_memory_not_equal(f->codes[5], before, sizeof before);
}

/* Not by the thread of the steps: clips are prepared and finished beside it. */
static void test_steps_allocate_nothing(void **state)
{
    fixture *f = *state;

    n_allocations = 0;
    f->with_beside = true;
    run(f, 0, N_CLIPS, 3);
    f->with_beside = false;
    assert_int_equal(n_allocations, 0);
    counting = true;
    void *volatile p = malloc(1); /* the count can fail */
    counting = false;
    free(p);
    assert_int_equal(n_allocations, 1);
}

static void test_too_long(void **state)
{
    fixture *f = *state;
    const mg_replica_source source = {.model.model = MG_GOLDEN_DIR "/checkpoints/tiny-mono"};
    mg_clip clip = {.terms = {.T = 597, .T_window = 597, .guidance = 1}};
    mg_clip_need need = {0};
    mg_replica *r;

    GOLDEN_OK(mg_replica_open(&r, &source, &f->on.backend, &f->on.backend, f->on.comm));
    assert_int_equal(mg_plan_max_frames(r, 0), 597);
    assert_int_equal(engine_plan(r, &f->on.world, &clip, 1, 0).P_max, 600);
    clip.terms.T = clip.terms.T_window = 598;
    assert_int_equal(mg_clip_need_add(&need, r, &clip), MG_EUSAGE);
    mg_replica_close(r);
}

/* What an adapter is merged into is read from its file, with a layer outside and without. */
static void test_adapter(void **state)
{
    static const char name[] = "decoder.model.decoder.layers.1.fc2.weight";
    fixture *f = *state;
    const mg_replica_source source = {.model.model = MG_GOLDEN_DIR "/checkpoints/tiny-mono",
                                      .model.lora = MG_GOLDEN_DIR "/lora/rank8-rslora"};

    for (int n_outside = 0; n_outside < 2; n_outside++) {
        mg_replica *r;
        GOLDEN_OK(mg_replica_open(&r, &source, &f->on.backend, &f->on.backend, f->on.comm));
        mg_replica_limits limits = engine_plan(r, &f->on.world, &f->clip[0], 1, 1);
        limits.n_outside = n_outside;
        const mg_checkpoint_entry *e = mg_checkpoint_find(r->files->lm.checkpoint, name);
        assert_true(e->change && e->fd >= 0 && !e->in_memory);
        GOLDEN_OK(mg_replica_load(r, &limits));
        mg_replica_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_company_changes_nothing),
        cmocka_unit_test(test_a_finished_clip_makes_room),
        cmocka_unit_test(test_mixed_with_the_reference),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_steps_allocate_nothing),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_adapter),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
