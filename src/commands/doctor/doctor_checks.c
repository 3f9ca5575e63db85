#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "doctor.h"
#include "log.h"
#include "numbers.h"
#include "plan.h"
#include "rng.h"
#include "show.h"

void mg_doctor_say(mg_doctor *d, mg_doctor_verdict verdict, const char *format, ...)
{
    static const char *const words[] = {"ok  ", "note", "BAD "};
    char text[1024];
    va_list args;

    d->n_bad += verdict == MG_DOCTOR_BAD;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (d->world->rank > 0) {
        if (verdict == MG_DOCTOR_BAD) mg_log_error("%s", text);
        return;
    }
    mg_print(stdout, "%s  %s\n", words[verdict], text);
    fflush(stdout);
}

/* y = x W^T of one size, in fp32. */
static mg_status multiply(float *y, const mg_ops *ops, const float *x, const float *w, int64_t N, int64_t I,
                          int64_t O)
{
    mg_status st = MG_OK;
    void *dx = NULL, *dy = NULL;
    int64_t n_bad = 0;
    mg_matrix m = {.format = MG_FORMAT_F32, .n_out = O, .n_in = I, .n_slices = 1};
    const size_t m_bytes = mg_matrix_bytes(ops, &m), x_bytes = (size_t)(N * I) * 4,
                 y_bytes = (size_t)(N * O) * 4;
    const mg_host_matrix source = {.data = w, .dtype = MG_F32, .n_rows = O, .n_cols = I, .row_stride = I};

    MG_TRY(mg_ops_alloc(ops, &m.data, m_bytes));
    MG_TRY(mg_ops_alloc(ops, &dx, x_bytes));
    MG_TRY(mg_ops_alloc(ops, &dy, y_bytes));
    MG_TRY(mg_matrix_load(ops, &m, 0, &source, &n_bad));
    MG_TRY(mg_upload(ops, dx, x, x_bytes));
    mg_tensor tx = mg_tensor_2d(dx, MG_F32, N, I), ty = mg_tensor_2d(dy, MG_F32, N, O);
    MG_TRY(mg_linear(ops, &ty, &tx, &m, NULL, MG_ACT_NONE, false));
    MG_TRY(mg_download(ops, y, dy, y_bytes));
done:
    mg_ops_release(ops, m.data, m_bytes);
    mg_ops_release(ops, dx, x_bytes);
    mg_ops_release(ops, dy, y_bytes);
    return st;
}

static mg_status compare_with_cpu(mg_doctor *d)
{
    enum { MOST = 64, I = 256, O = 128 };
    static float x[MOST * I], w[O * I], device[MOST * O], host[MOST * O];
    const int N = d->settings->machine.gemm == MG_MACHINE_GEMM_FAST ? MOST : 2; /* many rows: by cuBLASLt */
    mg_status st = MG_OK;
    mg_ops *cpu = NULL;
    double most = 0, largest = 0;
    bool right = true;

    for (int i = 0; i < N * I; i++) x[i] = (float)mg_rng_uniform(1, i, 0) - 0.5f;
    for (int i = 0; i < O * I; i++) w[i] = (float)mg_rng_uniform(1, i, 1) - 0.5f;
    MG_TRY(mg_cpu_open(&cpu, MG_CPU_AUTO, d->backend.threads));
    MG_TRY(multiply(host, cpu, x, w, N, I, O));
    MG_TRY(multiply(device, d->backend.ops, x, w, N, I, O));
    for (int i = 0; i < N * O; i++) largest = fmax(largest, fabs((double)host[i]));
    for (int i = 0; i < N * O; i++) {
        const double off = fabs((double)device[i] - (double)host[i]);
        if (off <= most || isnan(most)) continue;
        right = right && off <= 1e-5 * largest; /* NaN is not */
        most = off;
    }
    mg_doctor_say(d, right ? MG_DOCTOR_FINE : MG_DOCTOR_BAD,
                  "a product on %s against the CPU: differs by %.1e of %.1f%s", d->backend.ops->name, most,
                  largest,
                  right ? "" : ": the GPU computes WRONG: dmesg (NVRM, Xid) and nvidia-smi -q may tell");
done:
    mg_ops_close(cpu);
    return st;
}

/* The group on the devices: `runs` sums of n_floats that are known, and their time with the wait for them. */
static mg_status time_sum(mg_doctor *d, int n_floats, int runs)
{
    enum { MOST_RUNS = 50, VALUES = 4096 }; /* whole numbers, and small ones: their sums are exact */
    const mg_ops *ops = d->backend.ops;
    mg_comm *c = d->backend.group;
    const size_t bytes = (size_t)n_floats * sizeof(float);
    float *x = malloc(bytes);
    double run_s[MOST_RUNS];
    bool right = true;
    void *dx = NULL;
    mg_status st = x ? mg_ops_alloc(ops, &dx, bytes) : mg_fail(MG_ENOMEM, "doctor: %d floats", n_floats);

    MG_TRY(mg_comm_agree(d->world->group, st));
    for (int i = 0; i < runs; i++) {
        for (int k = 0; k < n_floats; k++) x[k] = (float)(c->rank + 1) * (float)((k + i) % VALUES);
        MG_TRY(mg_upload(ops, dx, x, bytes));
        const double begin_s = mg_clock_s();
        MG_TRY(mg_comm_all_reduce(c, dx, n_floats));
        MG_TRY(mg_download(ops, x, dx, bytes));
        run_s[i] = mg_clock_s() - begin_s;
        for (int k = 0; k < n_floats; k++)
            right = right && x[k] == (float)(c->size * (c->size + 1) / 2) * (float)((k + i) % VALUES);
    }
    mg_doctor_say(
        d, right ? MG_DOCTOR_FINE : MG_DOCTOR_BAD,
        "sum of %zu KiB over %d GPU ranks by %s, fetched: %s, median %.1f us%s", bytes >> 10, c->size,
        c->name, right ? "right" : "WRONG", mg_numbers_median(run_s, runs) * 1e6,
        right ? "" : ": what a GPU sends does not arrive (IOMMU, ACS): NCCL_P2P_DISABLE=1 and --reduce nccl");
done:
    mg_ops_release(ops, dx, bytes);
    free(x);
    return st;
}

/* Small sums are those of a clip, in the way that a run would take. Large ones are of many clips, and take
 * another way through NCCL: they come first, before the tuning may choose peer memory for all. */
static mg_status time_group(mg_doctor *d)
{
    MG_RETURN(time_sum(d, 262144, 3));
    MG_RETURN(mg_comm_tune(d->backend.group, 2048));
    return time_sum(d, 2048, 50);
}

mg_status mg_doctor_check_machine(mg_doctor *d)
{
    mg_world *w = d->world;

    MG_RETURN(mg_comm_agree(w->all, mg_machine_open(&d->backend, &d->settings->machine, w)));
    MG_RETURN(mg_comm_agree(w->all, mg_machine_open_beside(&d->beside, &d->settings->machine, w, true)));
    mg_doctor_say(d, MG_DOCTOR_FINE, "a run would compute on %s, in %s, %d replica%s of %d rank%s",
                  d->backend.ops->name,
                  d->backend.as_stored ? "the checkpoint's number format"
                                       : mg_format_name(d->backend.formats.weights),
                  w->n_replicas, w->n_replicas == 1 ? "" : "s", w->tp, w->tp == 1 ? "" : "s");
    if (d->backend.ops->space == MG_HOST) return MG_OK;
    MG_RETURN(mg_comm_agree(w->all, compare_with_cpu(d)));
    return w->tp > 1 ? mg_comm_agree(w->all, time_group(d)) : MG_OK;
}

mg_status mg_doctor_check_model(mg_doctor *d)
{
    enum { CLIP_S = 30, TEXT_TOKENS = 32 };
    mg_world *w = d->world;
    const mg_replica_source source = {
        .model.model = d->settings->model, .with_text = true, .with_decoder = true};
    mg_replica *r = NULL;
    mg_replica_limits limits;
    mg_clip_need need = {0};
    mg_status st = MG_OK;
    int64_t T = 0;

    MG_TRY(mg_comm_agree(w->all, mg_replica_open(&r, &source, &d->backend, &d->beside, w->group)));
    T = (int64_t)(CLIP_S * mg_replica_frame_rate(r));
    const int64_t T_most = mg_plan_max_frames(r, TEXT_TOKENS), T_window = T < T_most ? T : T_most;
    const mg_clip clip = {.terms = {.S = TEXT_TOKENS,
                                    .T = T,
                                    .T_window = T_window,
                                    .T_stride = T_window / 2,
                                    .guidance = 3,
                                    .guidance_beta = NAN}};
    MG_TRY(mg_comm_agree(w->all, mg_clip_need_add(&need, r, &clip)));
    MG_TRY(mg_plan_make(&limits, r, w, &need, 1, 1));
    if (limits.n_outside)
        mg_doctor_say(d, MG_DOCTOR_NOTE,
                      "%s: its last %lld of %lld layers do not fit: they come from the %s at each step",
                      d->settings->model, (long long)limits.n_outside, (long long)r->config.lm.L,
                      d->backend.ops->space == MG_DEVICE ? "host's memory" : "file");
    mg_doctor_say(d, MG_DOCTOR_FINE, "%s: a clip of %d s fits in %s: %.0f MB a rank (weights %.0f MB)",
                  d->settings->model, CLIP_S, mg_format_name(r->backend.formats.weights),
                  (double)mg_replica_bytes_all(&r->bytes) / 1e6,
                  (double)mg_replica_bytes_weights(&r->bytes) / 1e6);
done:
    mg_replica_close(r);
    return st;
}

void mg_doctor_close(mg_doctor *d)
{
    mg_machine_close(&d->beside);
    mg_machine_close(&d->backend);
}
