/* The bare step loop: clips that were prepared before the clock starts go through the slots, and their codes
 * are dropped. What mg-dist run is held against (bench/run_ratio.sh). step_loop MODEL TOKENIZER-FOLDER CLIPS
 * SECONDS SLOTS THREADS prints: clips, seconds of wall clock, clips a second, steps, milliseconds a step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "plan.h"
#include "scheduler.h"
#include "tokenizer.h"

enum { FRAME_RATE = 50 };

typedef struct loop {
    mg_backend backend, beside;
    mg_comm *comm;
    mg_world world;
    mg_replica *replica;
    mg_scheduler *scheduler;
    mg_preparer *preparer;
    mg_tokenizer *tokenizer;
    mg_clip *clip;         /* [n] */
    mg_ready_clip **ready; /* [n], those before `next` are the scheduler's */
    int64_t n, next, n_slots;
} loop;

static mg_status open_machine(loop *l, int n_threads)
{
    MG_RETURN(mg_threads_open(&l->backend.threads, n_threads, 1));
    MG_RETURN(mg_cpu_open(&l->backend.ops, MG_CPU_AUTO, l->backend.threads));
    MG_RETURN(mg_threads_open(&l->beside.threads, n_threads, 0));
    MG_RETURN(mg_cpu_open(&l->beside.ops, MG_CPU_AUTO, l->beside.threads));
    MG_RETURN(mg_comm_self_open(&l->comm));
    l->backend.group = l->comm;
    l->world = (mg_world){.size = 1,
                          .local_size = 1,
                          .host = "here",
                          .n_cores = n_threads,
                          .all = l->comm,
                          .tp = 1,
                          .n_replicas = 1,
                          .group = l->comm};
    return MG_OK;
}

static mg_status make_clips(loop *l, double dur_s)
{
    const int64_t T = (int64_t)(dur_s * FRAME_RATE);
    char text[64];

    for (int64_t i = 0; i < l->n; i++) {
        mg_clip *c = &l->clip[i];
        snprintf(text, sizeof text, "song number %lld", (long long)i + 1);
        *c = (mg_clip){.index = i,
                       .text.text = strdup(text),
                       .terms = {.seed = 100 + (uint64_t)i,
                                 .T = T,
                                 .T_window = T,
                                 .guidance = 3,
                                 .guidance_beta = NAN,
                                 .sampling = {.top_k = 250, .temperature = 1}}};
        if (!c->text.text) return mg_fail(MG_ENOMEM, "clips: no memory");
        MG_RETURN(mg_tokenizer_encode(l->tokenizer, text, &c->text.ids, &c->terms.S));
    }
    return MG_OK;
}

static mg_status load(loop *l, const char *model)
{
    const mg_replica_source source = {.model.model = model, .with_text = true};
    mg_clip_need need = {0};
    mg_replica_limits limits;

    MG_RETURN(mg_replica_open(&l->replica, &source, &l->backend, &l->beside, l->comm));
    for (int64_t i = 0; i < l->n; i++) MG_RETURN(mg_clip_need_add(&need, l->replica, &l->clip[i]));
    MG_RETURN(mg_plan_make(&limits, l->replica, &l->world, &need, l->n, l->n_slots));
    MG_RETURN(mg_replica_load(l->replica, &limits));
    MG_RETURN(mg_preparer_open(&l->preparer, l->replica, l->n));
    for (int64_t i = 0; i < l->n; i++) MG_RETURN(mg_preparer_put(l->preparer, &l->clip[i]));
    for (int64_t i = 0; i < l->n; i++) MG_RETURN(mg_preparer_get(l->preparer, &l->ready[i], 600));
    return mg_scheduler_open(&l->scheduler, l->replica);
}

static mg_status next(void *arg, mg_ready_clip **clip, bool *over, double wait_s)
{
    loop *l = arg;
    (void)wait_s;

    *over = l->next == l->n;
    *clip = *over ? NULL : l->ready[l->next++];
    return MG_OK;
}

static mg_status drop(void *arg, mg_ready_clip *clip)
{
    const mg_status st = mg_fault_raise(&clip->fault);
    (void)arg;

    mg_ready_clip_close(clip);
    return st;
}

static mg_status run(loop *l)
{
    const mg_clip_source from = {.next = next, .arg = l};
    const double begin_s = mg_clock_s();

    MG_RETURN(mg_scheduler_run(l->scheduler, &from, drop, l));
    const double took_s = mg_clock_s() - begin_s;
    printf("%lld %.3f %.4f %lld %.3f\n", (long long)l->n, took_s, (double)l->n / took_s,
           (long long)mg_scheduler_n_steps(l->scheduler),
           1000 * took_s / (double)mg_scheduler_n_steps(l->scheduler));
    return MG_OK;
}

static void end(loop *l)
{
    mg_scheduler_close(l->scheduler);
    mg_preparer_close(l->preparer);
    for (int64_t i = l->next; l->ready && i < l->n; i++) mg_ready_clip_close(l->ready[i]);
    mg_replica_close(l->replica);
    mg_tokenizer_close(l->tokenizer);
    for (int64_t i = 0; l->clip && i < l->n; i++) {
        free((char *)l->clip[i].text.text);
        free(l->clip[i].text.ids);
    }
    free(l->clip);
    free(l->ready);
    mg_comm_close(l->comm);
    mg_ops_close(l->backend.ops);
    mg_ops_close(l->beside.ops);
    mg_threads_close(l->backend.threads);
    mg_threads_close(l->beside.threads);
}

int main(int argc, char **argv)
{
    mg_status st = MG_OK;
    loop l = {0};

    if (argc != 7) {
        fprintf(stderr, "usage: step_loop MODEL TOKENIZER-FOLDER CLIPS SECONDS SLOTS THREADS\n");
        return 2;
    }
    l.n = strtoll(argv[3], NULL, 10);
    l.n_slots = strtoll(argv[5], NULL, 10);
    l.clip = calloc((size_t)l.n, sizeof *l.clip);
    l.ready = calloc((size_t)l.n, sizeof *l.ready);
    if (!l.clip || !l.ready) MG_TRY(mg_fail(MG_ENOMEM, "clips: no memory"));
    MG_TRY(mg_tokenizer_open(&l.tokenizer, argv[2]));
    MG_TRY(make_clips(&l, strtod(argv[4], NULL)));
    MG_TRY(open_machine(&l, (int)strtol(argv[6], NULL, 10)));
    MG_TRY(load(&l, argv[1]));
    st = run(&l);
done:
    if (st != MG_OK) fprintf(stderr, "step_loop: %s\n", mg_last_error());
    end(&l);
    return mg_exit_code(st);
}
