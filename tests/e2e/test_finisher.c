/* Between the steps and the files: steps go on while a clip's files do not, a full queue holds the steps up,
 * faults come back, clips may come one by one from a source that has none yet, and one may be heard while it
 * is made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock.h"
#include "engine_run.h"

enum { N_CLIPS = 6, K = 4, T = 40, N_SLOTS = 2, PATIENCE_S = 300 };
enum { FIRST_ENDS = T + K - 1 }; /* the step with which the first clips end */

typedef struct fixture {
    engine_machine on;
    mg_replica *replica;
    mg_clip clip[N_CLIPS];
    int32_t reference[N_CLIPS][K * T];
    float *sound[N_CLIPS]; /* of these codes, decoded alone */
    /* of the test at hand, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_steps, n_made, n_begun, n_done, n_pieces;
    int n_wrong;               /* clips whose codes or sound are not the reference's */
    int wants_steps;           /* `done` of the first clip waits for so many more steps */
    int stuck_at, n_made_then; /* `done` of this clip waits until the queue is full */
    int fails_at;              /* `done` of this clip fails */
    double sleep_s;            /* `done` of the first clip takes so long from when the finisher is closed */
    int n_closes;              /* 1: it is being closed */
    bool wants_piece;          /* the last step of the first clip waits until a piece of it is heard */
    bool gave_up;              /* somebody waited in vain */
} fixture;

static void wait_a_little(fixture *f, double s)
{
    const double end_s = mg_clock_s() + s;

    while (mg_clock_s() < end_s) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&f->changed, &f->lock, &until);
    }
}

/* Until *value >= wanted. Under the lock. */
static void wait_until(fixture *f, const int *value, int wanted)
{
    const double end_s = mg_clock_s() + PATIENCE_S;

    while (*value < wanted && !f->gave_up) {
        wait_a_little(f, 0.001);
        f->gave_up = mg_clock_s() > end_s;
    }
}

static mg_status done(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    fixture *f = arg;
    const int i = (int)clip->index;

    if (i == f->fails_at) return mg_fail(MG_ENOMEM, "clip %d: no memory", i);
    pthread_mutex_lock(&f->lock);
    f->n_begun++;
    pthread_cond_broadcast(&f->changed);
    if (i == 0 && f->wants_steps > 0) wait_until(f, &f->n_steps, f->n_steps + f->wants_steps);
    if (i == f->stuck_at) {
        wait_until(f, &f->n_made, i + 3); /* this one, one in the queue, and one that finds it full */
        wait_a_little(f, 0.2);
        f->n_made_then = f->n_made;
    }
    if (i == 0 && f->sleep_s > 0) {
        wait_until(f, &f->n_closes, 1);
        wait_a_little(f, f->sleep_s);
    }
    f->n_wrong += result->fault.st != MG_OK ||
                  memcmp(result->codes, f->reference[i], sizeof f->reference[i]) != 0 ||
                  memcmp(result->sound.pcm, f->sound[i], (size_t)result->sound.n_frames * sizeof(float)) != 0;
    f->n_done++;
    pthread_mutex_unlock(&f->lock);
    return MG_OK;
}

static mg_status hear(void *arg, const mg_clip *clip, const mg_clip_result *so_far, int64_t first,
                      int64_t end)
{
    fixture *f = arg;
    const float *want = f->sound[clip->index] + first, *got = so_far->sound.pcm + first;

    pthread_mutex_lock(&f->lock);
    f->n_pieces++;
    f->n_wrong += end <= first || memcmp(got, want, (size_t)(end - first) * sizeof(float)) != 0;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return f->fails_at == -2 ? mg_fail(MG_EFAIL, "nobody listens") : MG_OK;
}

static mg_status keep(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    fixture *f = arg;

    memcpy(f->reference[clip->index], result->codes, sizeof f->reference[0]);
    return mg_fault_raise(&result->fault);
}

/* Clips from their source to `done`. */
typedef struct line {
    fixture *f;
    mg_preparer *preparer;
    mg_scheduler *scheduler;
    mg_finisher *finisher;
    mg_list_source list;
    const mg_clip *clips[N_CLIPS];
    int n_asked, n_put, n_taken; /* of the slow source */
} line;

static mg_status count_step(void *arg)
{
    fixture *f = ((line *)arg)->f;

    pthread_mutex_lock(&f->lock);
    f->n_steps++;
    pthread_cond_broadcast(&f->changed);
    if (f->wants_steps > 0 && f->n_steps == FIRST_ENDS + 1) wait_until(f, &f->n_begun, 1);
    if (f->wants_piece && f->n_steps == FIRST_ENDS) wait_until(f, &f->n_pieces, 1);
    pthread_mutex_unlock(&f->lock);
    return MG_OK;
}

static mg_status next_of_list(void *arg, mg_ready_clip **clip, bool *over, double wait_s)
{
    line *l = arg;
    const mg_clip_source inner = mg_list_source_of(&l->list);

    return inner.next(inner.arg, clip, over, wait_s);
}

/* It has a clip only every third time it is asked, and takes it in just then. */
static mg_status next_slowly(void *arg, mg_ready_clip **clip, bool *over, double wait_s)
{
    line *l = arg;

    *clip = NULL;
    *over = l->n_taken == N_CLIPS;
    if (*over || l->n_asked++ % 3) return MG_OK;
    if (l->n_put == l->n_taken) MG_RETURN(mg_preparer_put(l->preparer, l->clips[l->n_put++]));
    MG_RETURN(mg_preparer_get(l->preparer, clip, wait_s));
    l->n_taken += *clip != NULL;
    return MG_OK;
}

/* What the scheduler hands on, counted before the queue takes it. */
static mg_status make(void *arg, mg_ready_clip *clip)
{
    line *l = arg;

    pthread_mutex_lock(&l->f->lock);
    l->f->n_made++;
    pthread_cond_broadcast(&l->f->changed);
    pthread_mutex_unlock(&l->f->lock);
    return mg_finisher_put(l->finisher, clip);
}

static void open_line(line *l, fixture *f, int64_t n_queue)
{
    f->n_steps = f->n_made = f->n_begun = f->n_done = f->n_wrong = f->wants_steps = f->n_made_then = 0;
    f->n_pieces = f->n_closes = 0;
    f->wants_piece = false;
    f->stuck_at = f->fails_at = -1;
    f->sleep_s = 0;
    f->gave_up = false;
    *l = (line){.f = f};
    for (int i = 0; i < N_CLIPS; i++) l->clips[i] = &f->clip[i];
    GOLDEN_OK(mg_preparer_open(&l->preparer, f->replica, N_SLOTS));
    GOLDEN_OK(mg_scheduler_open(&l->scheduler, f->replica));
    GOLDEN_OK(mg_finisher_open(&l->finisher, f->replica, n_queue, done, f));
    l->list = (mg_list_source){.preparer = l->preparer, .clip = l->clips, .n = N_CLIPS};
}

static mg_status run_line(line *l, bool slowly)
{
    const mg_clip_source from = {.next = slowly ? next_slowly : next_of_list, .tick = count_step, .arg = l};

    return mg_scheduler_run(l->scheduler, &from, make, l);
}

static void close_line_within(line *l, double grace_s)
{
    mg_preparer_close(l->preparer);
    pthread_mutex_lock(&l->f->lock);
    l->f->n_closes = 1;
    pthread_mutex_unlock(&l->f->lock);
    mg_finisher_close_within(l->finisher, grace_s);
    mg_scheduler_close(l->scheduler);
}

static void close_line(line *l)
{
    close_line_within(l, PATIENCE_S);
}

static void decode_alone(fixture *f, int i)
{
    const int64_t N = T * f->replica->config.codec.hop;

    f->sound[i] = calloc((size_t)N, sizeof *f->sound[i]);
    if (!f->sound[i]) fail_msg("no memory");
    const mg_encodec_sound s = {
        .sound = {f->sound[i], N, 1, 0}, .codes = f->reference[i], .row_stride = T, .T = T};
    GOLDEN_OK(mg_encodec_decode_sounds(f->replica->codec, &s, 1));
}

static int begin(void **state)
{
    const mg_replica_source source = {.model.model = MG_GOLDEN_DIR "/checkpoints/tiny-mono",
                                      .with_decoder = true};
    fixture *f = calloc(1, sizeof *f);

    if (!f) return -1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    engine_machine_open(&f->on);
    for (int i = 0; i < N_CLIPS; i++)
        f->clip[i] = (mg_clip){.index = i,
                               .text.text = "",
                               .terms = {.seed = 7 + (uint64_t)i,
                                         .T = T,
                                         .T_window = T,
                                         .guidance = 1,
                                         .guidance_beta = NAN,
                                         .sampling = {.top_k = 20, .temperature = 1}}};
    GOLDEN_OK(mg_replica_open(&f->replica, &source, &f->on.backend, &f->on.beside, f->on.comm));
    const mg_replica_limits limits = engine_plan(f->replica, &f->on.world, f->clip, N_CLIPS, N_SLOTS);
    GOLDEN_OK(mg_replica_load(f->replica, &limits));
    assert_int_equal(f->replica->n_sounds, N_SLOTS);
    engine_run(f->replica, f->clip, N_CLIPS, keep, f, NULL);
    for (int i = 0; i < N_CLIPS; i++) decode_alone(f, i);
    *state = f;
    return 0;
}

static int end(void **state)
{
    fixture *f = *state;

    mg_replica_close(f->replica);
    engine_machine_close(&f->on);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    for (int i = 0; i < N_CLIPS; i++) free(f->sound[i]);
    free(f);
    return 0;
}

/* The first clip's `done`, a slow disk, ends only when five more steps are made. The steps wait once, for it
 * to begin. */
static void test_steps_go_on_while_a_file_is_written(void **state)
{
    fixture *f = *state;
    line l;

    open_line(&l, f, N_CLIPS);
    f->wants_steps = 5;
    GOLDEN_OK(run_line(&l, false));
    GOLDEN_OK(mg_finisher_drain(l.finisher));
    assert_false(f->gave_up);
    assert_int_equal(f->n_done, N_CLIPS);
    assert_int_equal(f->n_wrong, 0);
    close_line(&l);
}

static void test_a_full_queue_holds_the_steps_up(void **state)
{
    fixture *f = *state;
    line l;

    open_line(&l, f, 1);
    f->stuck_at = 0;
    GOLDEN_OK(run_line(&l, false));
    GOLDEN_OK(mg_finisher_drain(l.finisher));
    assert_false(f->gave_up);
    assert_int_equal(f->n_made_then, 3);
    assert_int_equal(f->n_done, N_CLIPS);
    close_line(&l);
}

static void test_a_failure_ends_the_run(void **state)
{
    fixture *f = *state;
    line l;

    open_line(&l, f, N_CLIPS);
    f->fails_at = 2;
    mg_status st = run_line(&l, false);
    if (st == MG_OK) st = mg_finisher_drain(l.finisher);
    assert_int_equal(st, MG_ENOMEM);
    assert_string_equal(mg_last_error(), "clip 2: no memory");
    close_line(&l);
    assert_int_equal(f->n_done, 2); /* those before it */
}

static void test_clips_may_come_one_by_one(void **state)
{
    fixture *f = *state;
    line l;

    open_line(&l, f, N_CLIPS);
    GOLDEN_OK(run_line(&l, true));
    GOLDEN_OK(mg_finisher_drain(l.finisher));
    assert_int_equal(f->n_done, N_CLIPS);
    assert_int_equal(f->n_wrong, 0);
    assert_true(mg_scheduler_n_steps(l.scheduler) > FIRST_ENDS * N_CLIPS / N_SLOTS); /* some slot waited */
    close_line(&l);
}

static void test_closing_finishes_what_it_can(void **state)
{
    fixture *f = *state;
    line l;

    open_line(&l, f, N_CLIPS);
    GOLDEN_OK(run_line(&l, false));
    close_line(&l);
    assert_int_equal(f->n_done, N_CLIPS);

    open_line(&l, f, N_CLIPS);
    f->sleep_s = 3; /* much longer than the grace */
    GOLDEN_OK(run_line(&l, false));
    close_line_within(&l, 0);
    assert_false(f->gave_up);
    assert_int_equal(f->n_done, 1);
}

static void open_live(line *l, fixture *f)
{
    open_line(l, f, N_CLIPS);
    l->list.n = 1;
    assert_true(mg_finisher_listen(l->finisher, hear));
    mg_scheduler_listen(l->scheduler, mg_finisher_grow, l->finisher, MG_GROWN_FRAMES);
}

/* Its last step waits for the first piece; the pieces and the whole are the sound of its codes. */
static void test_a_clip_is_heard_while_it_is_made(void **state)
{
    fixture *f = *state;
    line l;

    open_live(&l, f);
    f->wants_piece = true;
    GOLDEN_OK(run_line(&l, false));
    GOLDEN_OK(mg_finisher_drain(l.finisher));
    assert_false(f->gave_up);
    assert_true(f->n_pieces > 1);
    assert_int_equal(f->n_done, 1);
    assert_int_equal(f->n_wrong, 0);
    close_line(&l);
}

/* Whoever listens may go: the run ends, for it has no other clip. A run that ends early leaves
 * nobody waiting for codes. */
static void test_hearing_may_end(void **state)
{
    fixture *f = *state;
    line l;

    open_live(&l, f);
    f->fails_at = -2;
    const mg_status st = run_line(&l, false);
    if (st == MG_OK) { /* the steps had ended before */
        GOLDEN_OK(mg_finisher_drain(l.finisher));
        assert_int_equal(f->n_wrong, 1); /* its result has the fault */
    } else {
        assert_int_equal(st, MG_EFAIL);
        assert_string_equal(mg_last_error(), "nobody listens");
    }
    assert_int_equal(f->n_pieces, 1);
    close_line(&l);

    open_live(&l, f);
    mg_ready_clip half = {.clip = &f->clip[0], .terms = f->clip[0].terms, .codes = f->reference[0]};
    GOLDEN_OK(mg_finisher_grow(l.finisher, &half, T - 1));
    close_line(&l);
    assert_int_equal(f->n_done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_go_on_while_a_file_is_written),
        cmocka_unit_test(test_a_full_queue_holds_the_steps_up),
        cmocka_unit_test(test_a_failure_ends_the_run),
        cmocka_unit_test(test_clips_may_come_one_by_one),
        cmocka_unit_test(test_closing_finishes_what_it_can),
        cmocka_unit_test(test_a_clip_is_heard_while_it_is_made),
        cmocka_unit_test(test_hearing_may_end),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
