/* The machine's read bandwidth: sums over a block as large as what a step reads, in two orders (one stream
 * with prefetch; four streams a quarter apart); the mean over the faster order's passes counts. Vector loads
 * where the machine has them. A smaller block would flatter the memory: a last level of 300 MB, as some
 * servers have, keeps half of 512 MiB from one pass to the next. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "clock.h"
#include "host_memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { HUGE_PAGE = 2 << 20, N_STREAMS = 4, N_PASSES = 4, AHEAD_BYTES = 4096 };

static const double LEAST_BYTES = 0x1p29, MOST_BYTES = 0x1p31; /* of all ranks; of a device the least */
static const double LONG_PASS_S = 0.5;

typedef struct read_job {
    const char *block;
    size_t bytes; /* a multiple of n_units * N_STREAMS * 512 */
    int64_t n_units;
    bool four_streams;
} read_job;

/* Read n bytes from each of n_streams places; the sum is handed to the optimiser's blind spot. */
typedef void read_fn(const char *p, size_t n, size_t stream_bytes, int n_streams);

static void read_plain(const char *p, size_t n, size_t stream_bytes, int n_streams)
{
    uint64_t sum[8] = {0};

    for (size_t i = 0; i < n; i += 64) {
        for (int s = 0; s < n_streams; s++) {
            uint64_t v[8];
            memcpy(v, p + (size_t)s * stream_bytes + i, sizeof v);
            for (int j = 0; j < 8; j++) sum[j] += v[j];
        }
    }
    __asm__ volatile("" : : "r"(&sum[0]) : "memory");
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void read_avx512(const char *p, size_t n, size_t stream_bytes,
                                                           int n_streams)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;

    for (size_t i = 0; i < n; i += 256) {
        for (int s = 0; s < n_streams; s++) {
            const char *q = p + (size_t)s * stream_bytes + i;
            for (int line = 0; line < 4; line++) _mm_prefetch(q + AHEAD_BYTES + 64 * line, _MM_HINT_T0);
            a = _mm512_add_epi32(a, _mm512_load_si512(q));
            b = _mm512_add_epi32(b, _mm512_load_si512(q + 64));
            c = _mm512_add_epi32(c, _mm512_load_si512(q + 128));
            d = _mm512_add_epi32(d, _mm512_load_si512(q + 192));
        }
    }
    __asm__ volatile("" : : "v"(a), "v"(b), "v"(c), "v"(d));
}

__attribute__((target("avx2"))) static void read_avx2(const char *p, size_t n, size_t stream_bytes,
                                                      int n_streams)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;

    for (size_t i = 0; i < n; i += 128) {
        for (int s = 0; s < n_streams; s++) {
            const char *q = p + (size_t)s * stream_bytes + i;
            for (int line = 0; line < 2; line++) _mm_prefetch(q + AHEAD_BYTES + 64 * line, _MM_HINT_T0);
            a = _mm256_add_epi32(a, _mm256_load_si256((const __m256i *)q));
            b = _mm256_add_epi32(b, _mm256_load_si256((const __m256i *)(q + 32)));
            c = _mm256_add_epi32(c, _mm256_load_si256((const __m256i *)(q + 64)));
            d = _mm256_add_epi32(d, _mm256_load_si256((const __m256i *)(q + 96)));
        }
    }
    __asm__ volatile("" : : "x"(a), "x"(b), "x"(c), "x"(d));
}
#endif

static read_fn *best_read(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return read_avx512;
    if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
    return read_plain;
}

static void read_units(void *arg, int64_t first, int64_t end, int i_thread)
{
    const read_job *job = arg;
    const size_t unit_bytes = job->bytes / (size_t)job->n_units;
    const int n_streams = job->four_streams ? N_STREAMS : 1;
    const size_t stream_bytes = unit_bytes / (size_t)n_streams;
    read_fn *read = best_read();

    (void)i_thread;
    for (int64_t u = first; u < end; u++)
        read(job->block + (size_t)u * unit_bytes, stream_bytes, stream_bytes, n_streams);
}

static mg_status open_host_block(mg_bench_reader *r, size_t all_bytes)
{
    const int n_threads = mg_threads_count(r->backend->threads);
    const size_t grain = (size_t)HUGE_PAGE * (size_t)n_threads;
    const size_t bytes = all_bytes / (size_t)r->comm->size / grain * grain;
    void *block = NULL;

    if (bytes == 0) return mg_fail(MG_EUSAGE, "bench: %d threads are too many", n_threads);
    if (posix_memalign(&block, HUGE_PAGE, bytes)) return mg_fail(MG_ENOMEM, "bench: %zu bytes", bytes);
    (void)madvise(block, bytes, MADV_HUGEPAGE); /* a wish: without it the ceiling is a little lower */
    memset(block, 1, bytes);
    r->block = block;
    r->bytes = bytes;
    return MG_OK;
}

mg_status mg_bench_reader_open(mg_bench_reader *r, const mg_backend *backend, mg_comm *comm,
                               double step_bytes)
{
    void *block = NULL;

    *r = (mg_bench_reader){.backend = backend, .comm = comm};
    if (backend->ops->space == MG_HOST) {
        double bytes = fmin(step_bytes, (double)mg_host_memory_available() / 2);
        bytes = fmax(fmin(bytes, MOST_BYTES), LEAST_BYTES);
        MG_RETURN(mg_comm_bcast(comm, &bytes, 1, MG_F64, 0));
        return open_host_block(r, (size_t)bytes);
    }
    MG_RETURN(mg_ops_alloc(backend->ops, &block, (size_t)LEAST_BYTES)); /* whatever is in it */
    r->block = block;
    r->bytes = (size_t)LEAST_BYTES;
    return MG_OK;
}

/* This rank's part of a pass, in seconds. */
static mg_status read_once(mg_bench_reader *r, int pass, double *mine_s)
{
    read_job job = {r->block, r->bytes, mg_threads_count(r->backend->threads), pass % 2 == 1};
    double gbps = 0;

    if (r->backend->ops->space == MG_DEVICE) {
        MG_RETURN(mg_machine_read(r->backend, r->block, r->bytes, &gbps));
        *mine_s = (double)r->bytes / gbps / 1e9;
        return MG_OK;
    }
    const double begin_s = mg_clock_s();
    mg_threads_run(r->backend->threads, read_units, &job, job.n_units);
    *mine_s = mg_clock_s() - begin_s;
    return MG_OK;
}

mg_status mg_bench_reader_probe(mg_bench_reader *r)
{
    double *all_s = calloc((size_t)r->comm->size, sizeof *all_s), order_s[2] = {0, 0};
    int n_passes[2] = {0, 0};
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(r->comm, all_s ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", r->comm->size)));
    for (int pass = 0; pass < N_PASSES; pass++) {
        double mine_s = 0, slowest_s = 0;
        MG_TRY(mg_comm_barrier(r->comm));
        MG_TRY(mg_comm_agree(r->comm, read_once(r, pass, &mine_s)));
        MG_TRY(mg_comm_all_gather(r->comm, all_s, &mine_s, 1, MG_F64));
        for (int i = 0; i < r->comm->size; i++)
            if (all_s[i] > slowest_s) slowest_s = all_s[i];
        order_s[pass % 2] += slowest_s;
        n_passes[pass % 2]++;
        if (slowest_s > LONG_PASS_S && (pass % 2 == 1 || r->backend->ops->space == MG_DEVICE))
            break; /* slow enough to be exact, as over tests/cuda_on_cpu */
    }
    r->gbps = 0;
    for (int order = 0; order < 2; order++)
        if (n_passes[order] > 0)
            r->gbps =
                fmax(r->gbps, (double)r->bytes * r->comm->size * n_passes[order] / order_s[order] / 1e9);
done:
    free(all_s);
    return st;
}

void mg_bench_reader_close(mg_bench_reader *r)
{
    if (!r || !r->block) return;
    if (r->backend->ops->space == MG_HOST)
        free(r->block);
    else
        mg_ops_release(r->backend->ops, r->block, r->bytes);
    r->block = NULL;
}
