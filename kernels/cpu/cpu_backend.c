/* Opens the CPU backend: chooses the level, takes the scratch; and the slots for memory. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "arena.h"
#include "cpu_codec.h"
#include "cpu_gemm.h"
#include "cpu_layout.h"
#include "cpu_matrix.h"
#include "cpu_sample.h"
#include "cpu_transformer.h"
#include "host_memory.h"

enum { HUGE_PAGE = 2 << 20, SCRATCH_BYTES = 4 << 20, THREAD_BYTES = 128 << 10 };

typedef struct backend {
    mg_ops ops;
    mg_cpu cpu;
    mg_cpu_kernels kernels; /* the level's, with this processor's tiles */
    mg_threads *own;        /* of a reader */
} backend;

/* Room for rounded rows of x, and for a sampler of each thread. */
static size_t scratch_bytes(int n_threads)
{
    const size_t samplers = (size_t)n_threads * THREAD_BYTES;

    return samplers > SCRATCH_BYTES ? samplers : SCRATCH_BYTES;
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
}

/* Blocks above half a huge page start on one and ask for them: 5 to 15 % of the reading speed. All are zeros:
 * a pack of weights (src/weights/pack_file.h) holds nothing else between them. */
static mg_status take_block(const mg_ops *ops, void **out, size_t bytes)
{
    (void)ops;
    *out = NULL;
    if (bytes > SIZE_MAX / 2) return mg_fail(MG_EFIT, "memory: %zu bytes: more than there can be", bytes);
    const size_t size =
        bytes < HUGE_PAGE / 2 ? (bytes + MG_ARENA_ALIGN) & ~(size_t)(MG_ARENA_ALIGN - 1) : whole_pages(bytes);
    if (size < HUGE_PAGE) {
        *out = aligned_alloc(MG_ARENA_ALIGN, size);
        if (!*out) return mg_fail(MG_EFIT, "memory: %zu bytes: not available", bytes);
        memset(*out, 0, size);
        return MG_OK;
    }
    char *raw = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return mg_fail(MG_EFIT, "memory: %zu bytes: not available", bytes);
    char *start = (char *)whole_pages((uintptr_t)raw);
    const size_t before = (size_t)(start - raw);
    if (before) munmap(raw, before);
    if (before < HUGE_PAGE) munmap(start + size, HUGE_PAGE - before);
    madvise(start, size, MADV_HUGEPAGE);
    *out = start;
    return MG_OK;
}

static void release_block(const mg_ops *ops, void *block, size_t bytes)
{
    (void)ops;
    if (!block) return;
    if (bytes < HUGE_PAGE / 2)
        free(block);
    else
        munmap(block, whole_pages(bytes));
}

static mg_status budget(const mg_ops *ops, mg_budget *out)
{
    (void)ops;
    *out = (mg_budget){.place = 0, .available_bytes = mg_host_memory_available()};
    return MG_OK;
}

/* Uploads and downloads are copies: the backend's memory is the host's. */
static mg_status copy_bytes(const mg_ops *ops, void *dst, const void *src, size_t bytes)
{
    (void)ops;
    memmove(dst, src, bytes);
    return MG_OK;
}

static mg_status zero(const mg_ops *ops, mg_tensor *y)
{
    (void)ops;
    memset(y->data, 0, mg_tensor_bytes(y));
    return MG_OK;
}

static size_t matrix_bytes(const mg_ops *ops, const mg_matrix *w)
{
    (void)ops;
    return mg_cpu_matrix_bytes(w);
}

static mg_status matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out,
                             const mg_host_matrix *src, int64_t *n_bad)
{
    /* Rows of x that are rounded must fit the scratch, and sums of bytes, up to 255 by 127, an int32. */
    MG_REQUIRE(mg_cpu_gemm_scratch_bytes(ops->ctx, w) <= SCRATCH_BYTES);
    MG_REQUIRE(w->format != MG_FORMAT_Q8 || w->n_in / w->n_slices <= INT32_MAX / (127 * 255));
    mg_cpu_matrix_load(ops->ctx, w, first_out, src, n_bad);
    return MG_OK;
}

static mg_status tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad)
{
    mg_cpu_tensor_load(ops->ctx, dst, src, n_bad);
    return MG_OK;
}

static void close_backend(mg_ops *ops)
{
    if (!ops) return;
    backend *b = (backend *)ops;

    release_block(NULL, b->cpu.scratch, b->cpu.scratch_bytes);
    mg_threads_close(b->own);
    free(b);
}

const char *mg_cpu_level_name(mg_cpu_level level)
{
    switch (level) {
    case MG_CPU_AUTO: return "cpu";
    case MG_CPU_SCALAR: return "cpu/scalar";
    case MG_CPU_AVX2: return "cpu/avx2";
    case MG_CPU_AVX512: return "cpu/avx512";
    case MG_CPU_AMX: return "cpu/amx";
    case MG_CPU_NEON: return "cpu/neon";
    }
    return "cpu";
}

#if defined(__x86_64__)
/* The processor has AMX for bf16 and bytes, and the kernel lets this process use it: it wants to be asked,
 * once, for the threads of a process that save its eight kilobytes. */
static bool may_use_amx(void)
{
#if defined(__linux__)
    enum { ASK_FOR_STATE = 0x1023, TILE_DATA = 18, BF16 = 1 << 22, TILE = 1 << 24, INT8 = 1 << 25 };
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & BF16) && (d & TILE) && (d & INT8) &&
           syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
#else
    return false;
#endif
}

/* The processor has AVX2's 8-bit products. Not every compiler of those that we take has a name for them. */
bool mg_cpu_has_avxvnni(void)
{
    enum { AVX_VNNI = 1 << 4 };
    unsigned a, b, c, d;

    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & AVX_VNNI);
}
#endif

#if defined(__aarch64__)
bool mg_cpu_has_neondot(void)
{
#if defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return false;
#endif
}
#endif

mg_cpu_level mg_cpu_best_level(void)
{
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return may_use_amx() ? MG_CPU_AMX : MG_CPU_AVX512;
    if (avx2) return MG_CPU_AVX2; /* every AVX2 processor has F16C */
    return MG_CPU_SCALAR;
#elif defined(__aarch64__)
    return MG_CPU_NEON; /* every one has it, with fused steps and the conversion of fp16 */
#else
    return MG_CPU_SCALAR;
#endif
}

bool mg_cpu_has_level(mg_cpu_level level)
{
    const mg_cpu_level best = mg_cpu_best_level();

    if (level == MG_CPU_NEON) return best >= MG_CPU_AVX2;
    if (best == MG_CPU_NEON) return level <= MG_CPU_AVX2;
    return level <= best || (level == MG_CPU_AMX && best == MG_CPU_AVX512);
}

/* The one of avx2 and neon that this processor has: the bits are the same. */
static mg_cpu_level own_level(mg_cpu_level level)
{
    if (level != MG_CPU_AVX2 && level != MG_CPU_NEON) return level;
    return mg_cpu_best_level() == MG_CPU_NEON ? MG_CPU_NEON : MG_CPU_AVX2;
}

/* With and without 8-bit and bf16 products avx2, avx512 and neon are one level each, and amx with and without
 * AMX: the bits are the same. */
static mg_cpu_kernels kernels_of(mg_cpu_level level)
{
    mg_cpu_kernels k = mg_cpu_kernels_plain;

#if defined(__x86_64__)
    if (level == MG_CPU_AVX2) k = mg_cpu_kernels_avx2;
    if (level == MG_CPU_AVX2 && mg_cpu_has_avxvnni()) {
        k.tile[MG_FORMAT_Q8] = mg_cpu_tile_avxvnni, k.x_from_zero = false;
        k.tile[MG_FORMAT_Q4] = mg_cpu_groups_avxvnni;
    }
    if (level >= MG_CPU_AVX512) k = mg_cpu_kernels_avx512;
    /* Intel's processors take twice as long for vdpbf16ps as for an fp32 step (docs/PERFORMANCE.md). */
    if (level == MG_CPU_AVX512 && __builtin_cpu_supports("avx512bf16") && !__builtin_cpu_is("intel"))
        k.tile[MG_FORMAT_BF16] = mg_cpu_tile_avx512bf16, k.pair_x = true;
    if (level >= MG_CPU_AVX512 && __builtin_cpu_supports("avx512vnni"))
        k.tile[MG_FORMAT_Q8] = mg_cpu_tile_avx512vnni, k.tile[MG_FORMAT_Q4] = mg_cpu_groups_avx512vnni;
    if (level == MG_CPU_AMX) {
        k.tile[MG_FORMAT_BF16] = mg_cpu_tile_amx_plain, k.pair_x = true;
        k.tile_strips[MG_FORMAT_BF16] = mg_cpu_tile_amx_strips;
        k.tile_rows[MG_FORMAT_BF16] = mg_cpu_tile_amx_rows;
    }
    if (level == MG_CPU_AMX && may_use_amx()) {
        k.tile[MG_FORMAT_BF16] = k.tile[MG_FORMAT_Q8] = mg_cpu_tile_amx;
        k.tile_rows[MG_FORMAT_Q8] = mg_cpu_tile_amx_rows;
    }
#elif defined(__aarch64__)
    if (level == MG_CPU_NEON) k = mg_cpu_kernels_neon;
    if (level == MG_CPU_NEON && mg_cpu_has_neondot())
        k.tile[MG_FORMAT_Q8] = mg_cpu_tile_neondot, k.tile[MG_FORMAT_Q4] = mg_cpu_groups_neondot;
#else
    (void)level; /* there is but one */
#endif
    return k;
}

static mg_status open_reader(const mg_ops *ops, mg_ops **out)
{
    const mg_cpu *cpu = ops->ctx;
    mg_threads *threads;

    MG_RETURN(mg_threads_open(&threads, mg_threads_count(cpu->threads), false));
    const mg_status st = mg_cpu_open(out, cpu->level, threads);
    if (st != MG_OK)
        mg_threads_close(threads);
    else
        ((backend *)*out)->own = threads;
    return st;
}

static const mg_ops_iface iface = {
    .alloc = take_block,
    .release = release_block,
    .budget = budget,
    .upload = copy_bytes,
    .download = copy_bytes,
    .copy = mg_cpu_copy,
    .zero = zero,
    .matrix_bytes = matrix_bytes,
    .conv_bytes = mg_cpu_conv_bytes,
    .kv_bytes = mg_cpu_kv_bytes,
    .matrix_load = matrix_load,
    .tensor_load = tensor_load,
    .conv_load = mg_cpu_conv_load,
    .open_reader = open_reader,
    .embed = mg_cpu_embed,
    .layer_norm = mg_cpu_layer_norm,
    .rms_norm = mg_cpu_rms_norm,
    .linear = mg_cpu_linear,
    .add = mg_cpu_add,
    .mul = mg_cpu_mul,
    .kv_write = mg_cpu_kv_write,
    .attention = mg_cpu_attention,
    .pad = mg_cpu_pad,
    .conv1d = mg_cpu_conv1d,
    .conv_transpose1d = mg_cpu_conv_transpose1d,
    .lstm = mg_cpu_lstm,
    .nearest_code = mg_cpu_nearest_code,
    .gather_ids = mg_cpu_gather_ids,
    .sample = mg_cpu_sample,
    .linear_add = mg_cpu_linear_add,
    .close = close_backend,
};

mg_status mg_cpu_open(mg_ops **out, mg_cpu_level level, mg_threads *threads)
{
    mg_status st = MG_OK;
    backend *b = NULL;
    const mg_cpu_level best = mg_cpu_best_level();

    *out = NULL;
    MG_REQUIRE(threads && level >= MG_CPU_AUTO && level <= MG_CPU_NEON);
    if (!mg_cpu_has_level(level))
        return mg_fail(MG_EFIT, "cpu: %s: this machine has %s at best", mg_cpu_level_name(level),
                       mg_cpu_level_name(best));
    b = calloc(1, sizeof *b);
    if (!b) return mg_fail(MG_ENOMEM, "cpu: %zu bytes", sizeof *b);
    if (level == MG_CPU_AUTO) level = best;
    b->cpu.level = own_level(level);
    b->kernels = kernels_of(b->cpu.level);
    b->cpu.kernels = &b->kernels;
    b->cpu.threads = threads;
    b->cpu.scratch_bytes = scratch_bytes(mg_threads_count(threads));
    b->ops = (mg_ops){.iface = &iface,
                      .name = mg_cpu_level_name(level),
                      .space = MG_HOST,
                      .hints = mg_hints_of(MG_HOST),
                      .ctx = &b->cpu};
    MG_TRY(take_block(NULL, &b->cpu.scratch, b->cpu.scratch_bytes));
    *out = &b->ops;
done:
    if (st != MG_OK) close_backend(&b->ops);
    return st;
}
