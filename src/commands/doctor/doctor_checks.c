#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "cuda_open.h"
#include "doctor.h"
#include "log.h"
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

double mg_doctor_clock_s(void)
{
    return mg_clock_s();
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double mg_doctor_median(double *list, int n)
{
    qsort(list, (size_t)n, sizeof *list, by_value);
    return list[n / 2];
}

/* Among several ranks each leaves the others' devices alone; and a device may be another job's. */
static mg_status describe(mg_cuda_device *is, const mg_doctor *d, const mg_cuda_plugin *plugin, int device)
{
    if (d->world->size == 1 && plugin->describe(device, true, is) == MG_OK) return MG_OK;
    mg_clear_error();
    return plugin->describe(device, false, is);
}

static void say_devices(mg_doctor *d, const mg_cuda_plugin *plugin, int n)
{
    const mg_doctor_verdict too_old =
        d->settings->machine.device == MG_MACHINE_CUDA ? MG_DOCTOR_BAD : MG_DOCTOR_NOTE; /* the CPU then */

    for (int i = 0; i < n; i++) {
        mg_cuda_device is;
        char peers[128] = "", available[32] = "";
        if (describe(&is, d, plugin, i) != MG_OK) {
            mg_doctor_say(d, MG_DOCTOR_BAD, "%s", mg_last_error());
            continue;
        }
        if (is.free_bytes >= 0)
            (void)snprintf(available, sizeof available, "%.1f of ", (double)is.free_bytes / 1073741824.0);
        for (int k = 0; k < n; k++)
            if (k != i && plugin->can_peer(i, k))
                snprintf(peers + strlen(peers), sizeof peers - strlen(peers), " %d", k);
        mg_doctor_say(d, is.major >= 8 ? MG_DOCTOR_FINE : too_old,
                      "GPU %d: %s (sm_%d%d, %d SMs), %s, NUMA node %d, %s%.1f GiB%s%s%s", i, is.name,
                      is.major, is.minor, is.n_sms, is.pci, is.numa_node, available,
                      (double)is.total_bytes / 1073741824.0, *available ? " free" : "",
                      *peers ? ", reads the memory of GPU" : "", peers);
    }
    if (n > 1 && !plugin->can_peer(0, 1))
        mg_doctor_say(
            d, MG_DOCTOR_NOTE,
            "GPUs 0 and 1 do not reach each other's memory: --tp costs more than it gives, prefer replicas");
}

mg_status mg_doctor_check_gpu(mg_doctor *d)
{
    const mg_cuda_plugin *plugin = NULL;
    const char *why = NULL;
    mg_cuda_versions v;
    int n = 0, fast = 0;
    const bool asked = d->settings->machine.device == MG_MACHINE_CUDA;
    const bool may_be = mg_cuda_may_be_here(&why);

    if (d->settings->machine.device == MG_MACHINE_CPU) return MG_OK;
    if (!may_be && !asked) {
        mg_doctor_say(d, MG_DOCTOR_NOTE, "no GPU: %s; runs use the CPU", why);
        return MG_OK;
    }
    mg_status st = mg_cuda_find_plugin(&plugin);
    if (st == MG_OK) st = plugin->count(&n);
    if (st != MG_OK && asked) return st;
    if (st != MG_OK) {
        mg_doctor_say(d, MG_DOCTOR_NOTE, "%s", mg_last_error());
        mg_clear_error();
        return MG_OK;
    }
    plugin->versions(&v);
    mg_doctor_say(d, v.driver >= v.runtime ? MG_DOCTOR_FINE : MG_DOCTOR_NOTE,
                  "CUDA %d.%d, driver for up to %d.%d%s", v.runtime / 1000, v.runtime % 1000 / 10,
                  v.driver / 1000, v.driver % 1000 / 10,
                  v.driver >= v.runtime ? "" : ": older than this program; update it if kernels fail");
    if (v.nccl)
        mg_doctor_say(d, MG_DOCTOR_FINE, "NCCL %d.%d.%d", v.nccl / 10000, v.nccl / 100 % 100, v.nccl % 100);
    else
        mg_doctor_say(
            d, d->world->tp > 1 ? MG_DOCTOR_BAD : MG_DOCTOR_NOTE,
            "no NCCL (libnccl.so.2; MGDIST_NCCL names another): --tp above 1 will not work on GPUs");
    say_devices(d, plugin, n);
    if (d->settings->machine.gemm != MG_MACHINE_GEMM_FAST) return MG_OK;
    if (plugin->fast_version(&fast) == MG_OK)
        mg_doctor_say(d, MG_DOCTOR_FINE, "cuBLASLt %d.%d.%d", fast / 10000, fast / 100 % 100, fast % 100);
    mg_clear_error(); /* said when a run's machine is opened */
    return MG_OK;
}

/* y = x W^T of one size on both, in fp32; the largest difference over the largest value. */
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

    for (int i = 0; i < N * I; i++) x[i] = (float)mg_rng_uniform(1, i, 0) - 0.5f;
    for (int i = 0; i < O * I; i++) w[i] = (float)mg_rng_uniform(1, i, 1) - 0.5f;
    MG_TRY(mg_cpu_open(&cpu, MG_CPU_AUTO, d->backend.threads));
    MG_TRY(multiply(host, cpu, x, w, N, I, O));
    MG_TRY(multiply(device, d->backend.ops, x, w, N, I, O));
    for (int i = 0; i < N * O; i++) {
        most = fmax(most, fabs((double)device[i] - (double)host[i]));
        largest = fmax(largest, fabs((double)host[i]));
    }
    const bool right = most <= 1e-5 * largest;
    mg_doctor_say(d, right ? MG_DOCTOR_FINE : MG_DOCTOR_BAD,
                  "a product on %s against the CPU: differs by %.1e of %.1f", d->backend.ops->name, most,
                  largest);
done:
    mg_ops_close(cpu);
    return st;
}

/* The group on the devices: a sum that is known, and its time with the wait for it. */
static mg_status time_group(mg_doctor *d)
{
    enum { FLOATS = 2048, RUNS = 50 };
    static float x[FLOATS];
    const mg_ops *ops = d->backend.ops;
    mg_comm *c = d->backend.group;
    double run_s[RUNS];
    bool right = true;
    void *dx = NULL;
    mg_status st = mg_ops_alloc(ops, &dx, sizeof x);

    MG_TRY(mg_comm_agree(d->world->group, st));
    for (int i = 0; i < RUNS; i++) {
        for (int k = 0; k < FLOATS; k++) x[k] = (float)(c->rank + 1) * (float)(k + i);
        MG_TRY(mg_upload(ops, dx, x, sizeof x));
        const double begin_s = mg_clock_s();
        MG_TRY(mg_comm_all_reduce(c, dx, FLOATS));
        MG_TRY(mg_download(ops, x, dx, sizeof x));
        run_s[i] = mg_clock_s() - begin_s;
        for (int k = 0; k < FLOATS; k++)
            right = right && x[k] == (float)(c->size * (c->size + 1) / 2) * (float)(k + i);
    }
    mg_doctor_say(d, right ? MG_DOCTOR_FINE : MG_DOCTOR_BAD,
                  "sum of 8 KiB over %d GPU ranks by %s, fetched: %s, median %.1f us", c->size, c->name,
                  right ? "right" : "WRONG", mg_doctor_median(run_s, RUNS) * 1e6);
done:
    mg_ops_release(ops, dx, sizeof x);
    return st;
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
