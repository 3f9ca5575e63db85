/* The fixture's own test: `sim_test right` runs kernels whose results are known; any other word provokes the
 * fault of that name, which must be reported (CMakeLists.txt has the words). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda_context.cuh"

static int n_wrong;

static void expect(bool ok, const char *what)
{
    if (!ok) n_wrong++, fprintf(stderr, "wrong: %s\n", what);
}

static cudaStream_t stream;

template <typename T> static T *device(size_t n)
{
    void *p = nullptr;
    expect(cudaMalloc(&p, n * sizeof(T)) == cudaSuccess, "cudaMalloc");
    return static_cast<T *>(p);
}

template <typename T> static T *pinned(size_t n)
{
    void *p = nullptr;
    expect(cudaMallocHost(&p, n * sizeof(T)) == cudaSuccess, "cudaMallocHost");
    return static_cast<T *>(p);
}

template <typename T> static void fetch(T *host, const T *from, size_t n)
{
    cudaMemcpyAsync(host, from, n * sizeof(T), cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
}

/* ---- Right ---- */

template <int N> static __global__ void reverse(int *x)
{
    MG_SHARED(hold, int[N]);

    hold[threadIdx.x] = x[blockIdx.x * N + threadIdx.x];
    __syncthreads();
    x[blockIdx.x * N + threadIdx.x] = hold[N - 1 - threadIdx.x];
}

static __global__ void sums(float *y, const float *x)
{
    MG_SHARED(scratch, float[32]);
    const float s = block_sum(x[threadIdx.x], scratch);
    const float quad = warp_sum<4>(x[threadIdx.x]);

    y[threadIdx.x] = s + 1000 * quad;
}

static __global__ void half_warps(int *y)
{
    const unsigned lane = threadIdx.x, mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    int v = static_cast<int>(lane);

    if (lane < 16)
        v = __shfl_xor_sync(mask, v, 1);
    else
        v = __shfl_sync(mask, v, 31);
    y[lane] = v;
    if (lane == 31) return; /* early exits are legal */
    __syncthreads();
    if (lane == 0) y[32] = y[30];
}

static __global__ void many_meet(uint32_t *counter, int *y)
{
    if (threadIdx.x == 0) y[blockIdx.x] = 1;
    grid_barrier(counter);
    int n = 0;
    for (unsigned b = 0; b < gridDim.x; b++) n += __ldcg(y + b);
    if (threadIdx.x == 0) y[gridDim.x + blockIdx.x] = n;
    grid_barrier(counter);
}

static __global__ void product(float *c, const __nv_bfloat16 *a, const __nv_bfloat16 *b)
{
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    const auto two = [](const __nv_bfloat16 *p, int step) {
        return static_cast<uint32_t>(__bfloat16_as_ushort(p[0])) |
               static_cast<uint32_t>(__bfloat16_as_ushort(p[step])) << 16;
    };
    float d[4] = {};
    const uint32_t left[4] = {two(a + g * 16 + 2 * t, 1), two(a + (g + 8) * 16 + 2 * t, 1),
                              two(a + g * 16 + 2 * t + 8, 1), two(a + (g + 8) * 16 + 2 * t + 8, 1)};
    const uint32_t right[2] = {two(b + 2 * t * 8 + g, 8), two(b + (2 * t + 8) * 8 + g, 8)};

    mma_bf16(d, left, right);
    c[g * 8 + 2 * t] = d[0], c[g * 8 + 2 * t + 1] = d[1];
    c[(g + 8) * 8 + 2 * t] = d[2], c[(g + 8) * 8 + 2 * t + 1] = d[3];
}

static __global__ void copies(uint4 *y, const uint4 *x)
{
    MG_DYNAMIC_SHARED(uint4, hold);

    cp_async16(hold + threadIdx.x, x + threadIdx.x);
    cp_async_commit();
    cp_async16(hold + 32 + threadIdx.x, x + 32 + threadIdx.x);
    cp_async_commit();
    cp_async_wait<1>();
    const unsigned pending = hold[32 + threadIdx.x].x;
    __syncthreads();
    y[threadIdx.x] = hold[31 - threadIdx.x];
    cp_async_wait<0>();
    __syncthreads();
    y[32 + threadIdx.x] = hold[63 - threadIdx.x];
    if (threadIdx.x == 0) y[64] = make_uint4(pending, 0, 0, 0);
}

static __global__ void fill(int *y, int v)
{
    y[threadIdx.x] = v;
}

static void test_kernels()
{
    int ints[256];
    float floats[256], expected = 0;

    int *x = device<int>(256);
    for (int i = 0; i < 256; i++) ints[i] = i;
    cudaMemcpyAsync(x, ints, sizeof ints, cudaMemcpyHostToDevice, stream);
    MG_LAUNCH((reverse<128>), 2, 128, 0, stream, x);
    fetch(ints, x, 256);
    expect(ints[0] == 127 && ints[127] == 0 && ints[128] == 255, "reverse");

    float *f = device<float>(256), *g = device<float>(256);
    for (int i = 0; i < 256; i++) floats[i] = static_cast<float>(i % 8), expected += floats[i];
    cudaMemcpyAsync(f, floats, sizeof floats, cudaMemcpyHostToDevice, stream);
    MG_LAUNCH(sums, 1, 256, 0, stream, g, f);
    fetch(floats, g, 256);
    expect(floats[0] == expected + 1000 * 6 && floats[5] == expected + 1000 * 22, "sums");

    MG_LAUNCH(half_warps, 1, 32, 0, stream, x);
    fetch(ints, x, 33);
    expect(ints[0] == 1 && ints[15] == 14 && ints[16] == 31 && ints[32] == 31, "half warps");

    uint32_t *counter = device<uint32_t>(1);
    cudaMemsetAsync(counter, 0, sizeof *counter, stream);
    for (int i = 0; i < 2; i++) MG_LAUNCH(many_meet, 16, 64, 0, stream, counter, x);
    fetch(ints, x, 32);
    expect(ints[16] == 16 && ints[31] == 16, "grid barrier");

    uint4 *c = device<uint4>(64), *d = device<uint4>(65);
    cudaMemsetAsync(c, 1, 64 * sizeof *c, stream);
    MG_LAUNCH(copies, 1, 32, 64 * sizeof *c, stream, d, c);
    uint4 quads[65];
    fetch(quads, d, 65);
    expect(quads[0].x == 0x01010101 && quads[63].w == 0x01010101, "copies land");
    expect(quads[64].x == 0xffffffff, "copies are not there before the wait");
}

static unsigned bits(float f)
{
    return __half_as_ushort(__float2half(f));
}

static void test_product()
{
    __nv_bfloat16 a[16 * 16], b[16 * 8];
    float c[16 * 8];
    bool right = true;

    for (int i = 0; i < 256; i++) a[i] = __float2bfloat16(static_cast<float>(i % 7 - 3));
    for (int i = 0; i < 128; i++) b[i] = __float2bfloat16(static_cast<float>(i % 5 - 2));
    __nv_bfloat16 *da = device<__nv_bfloat16>(256), *db = device<__nv_bfloat16>(128);
    float *dc = device<float>(128);
    cudaMemcpyAsync(da, a, sizeof a, cudaMemcpyHostToDevice, stream);
    cudaMemcpyAsync(db, b, sizeof b, cudaMemcpyHostToDevice, stream);
    MG_LAUNCH(product, 1, 32, 0, stream, dc, da, db);
    fetch(c, dc, 128);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            float sum = 0;
            for (int k = 0; k < 16; k++)
                sum += __bfloat162float(a[i * 16 + k]) * __bfloat162float(b[k * 8 + j]);
            right = right && sum == c[i * 8 + j];
        }
    expect(right, "matrix product");
    for (unsigned h = 0; h < 0x7c00; h += 7)
        right = right && bits(__half2float(__ushort_as_half(static_cast<unsigned short>(h)))) == h;
    expect(right && bits(65520.0f) == 0x7c00 && bits(65519.0f) == 0x7bff, "half");
}

static void test_streams()
{
    const bool late = !getenv("CUDA_ON_CPU") || !strstr(getenv("CUDA_ON_CPU"), "eager");
    int *x = device<int>(64), *stage = pinned<int>(64), *back = pinned<int>(64);
    cudaStream_t other;
    cudaEvent_t done;
    cudaGraph_t graph;
    cudaGraphExec_t again;

    stage[0] = 1;
    cudaMemcpyAsync(x, stage, 4, cudaMemcpyHostToDevice, stream);
    stage[0] = 2; /* too early: the copy has not run */
    cudaMemcpyAsync(back, x, 4, cudaMemcpyDeviceToHost, stream);
    back[0] = -1;
    expect(late ? back[0] == -1 : true, "a copy runs when somebody waits");
    cudaStreamSynchronize(stream);
    expect(!late || back[0] == 2, "a staging buffer that is used again too early shows");

    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&done, cudaEventDisableTiming);
    MG_LAUNCH(fill, 1, 64, 0, stream, x, 5);
    cudaEventRecord(done, stream);
    cudaStreamWaitEvent(other, done, 0);
    cudaMemcpyAsync(back, x, 256, cudaMemcpyDeviceToHost, other);
    cudaStreamSynchronize(other);
    expect(back[63] == 5, "a stream waits for another's event");
    expect(cudaEventQuery(done) == cudaSuccess, "the event is done");

    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    int value = 6;
    MG_LAUNCH(fill, 1, 64, 0, stream, x, value);
    value = 7;
    expect(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported, "no wait while capturing");
    cudaMemcpyAsync(back, x, 256, cudaMemcpyDeviceToHost, stream);
    cudaStreamEndCapture(stream, &graph);
    cudaGraphInstantiate(&again, graph, 0);
    cudaGraphDestroy(graph);
    expect(back[0] == 5, "capturing runs nothing");
    for (int i = 0; i < 2; i++) {
        back[0] = 0;
        cudaGraphLaunch(again, stream);
        cudaStreamSynchronize(stream);
        expect(back[0] == 6, "a graph runs again with the arguments it was captured with");
    }
    cudaGraphExecDestroy(again);
    MG_LAUNCH(fill, 1, 1025, 0, stream, x, 1);
    expect(cudaGetLastError() == cudaErrorInvalidConfiguration, "1025 threads are refused");
    MG_LAUNCH(fill, 1, 32, 64 * 1024, stream, x, 1);
    expect(cudaGetLastError() == cudaErrorInvalidConfiguration, "64 KiB are refused unless asked for");
    cudaEventDestroy(done);
    cudaStreamDestroy(other);
}

/* Another process opens our block, adds one and says so. */
static void test_peer()
{
    cudaIpcMemHandle_t handle;
    int *x = device<int>(32), value[32], status = 0;

    cudaMemset(x, 0, 128);
    expect(cudaIpcGetMemHandle(&handle, x) == cudaSuccess, "a handle");
    const pid_t child = fork();
    if (child == 0) {
        void *theirs = nullptr;
        if (cudaIpcOpenMemHandle(&theirs, handle, 0) != cudaSuccess) _exit(1);
        MG_LAUNCH(fill, 1, 32, 0, stream, static_cast<int *>(theirs), 9);
        _exit(cudaStreamSynchronize(stream) == cudaSuccess ? 0 : 2);
    }
    waitpid(child, &status, 0);
    fetch(value, x, 32);
    expect(status == 0 && value[31] == 9, "memory of another process");
}

/* ---- Faults ---- */

static __global__ void diverge(int *x)
{
    if (threadIdx.x < 16)
        __syncthreads();
    else
        __syncthreads();
    x[threadIdx.x] = 0;
}

static __global__ void stuck(int *x)
{
    if (threadIdx.x > 0) __syncthreads();
    x[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
}

static __global__ void wrong_mask(int *x)
{
    x[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 0);
}

static __global__ void gone(int *x)
{
    if (threadIdx.x == 7) return;
    x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

static __global__ void outside(int *x)
{
    MG_SHARED(hold, int[32]);
    hold[threadIdx.x + (threadIdx.x == 31 ? 1 : 0)] = 1;
    __syncthreads();
    x[threadIdx.x] = hold[threadIdx.x];
}

static __global__ void outside_dynamic(int *x)
{
    MG_DYNAMIC_SHARED(int, hold);
    hold[threadIdx.x + 1] = x[threadIdx.x];
    __syncthreads();
}

static __global__ void beyond(int *x)
{
    x[threadIdx.x + 32] = 1;
}

static __global__ void alone(uint32_t *flag)
{
    while (ld_acquire(flag) != 1) __nanosleep(100);
}

static __global__ void no_wait(uint4 *x)
{
    MG_DYNAMIC_SHARED(uint4, hold);
    cp_async16(hold + threadIdx.x, x + threadIdx.x);
    cp_async_commit();
}

static __global__ void hurried(int *x)
{
    let_successor_start();
    x[threadIdx.x] = 1;
    wait_for_predecessor();
}

static __global__ void nobody_waits(int *)
{
    let_successor_start();
}

static void provoke(const char *name)
{
    int *x = device<int>(32), host[32] = {};

    if (strcmp(name, "diverge") == 0) MG_LAUNCH(diverge, 1, 32, 0, stream, x);
    if (strcmp(name, "stuck") == 0) MG_LAUNCH(stuck, 1, 64, 0, stream, x);
    if (strcmp(name, "mask") == 0) MG_LAUNCH(wrong_mask, 1, 32, 0, stream, x);
    if (strcmp(name, "gone") == 0) MG_LAUNCH(gone, 1, 32, 0, stream, x);
    if (strcmp(name, "shared") == 0) MG_LAUNCH(outside, 1, 32, 0, stream, x);
    if (strcmp(name, "dynamic") == 0) MG_LAUNCH(outside_dynamic, 1, 32, 128, stream, x);
    if (strcmp(name, "global") == 0) MG_LAUNCH(beyond, 1, 32, 0, stream, x);
    if (strcmp(name, "argument") == 0) MG_LAUNCH(fill, 1, 32, 0, stream, host, 1);
    if (strcmp(name, "nap") == 0) {
        cudaMemset(x, 0, 4);
        MG_LAUNCH(alone, 1, 1, 0, stream, reinterpret_cast<uint32_t *>(x));
    }
    if (strcmp(name, "async") == 0) MG_LAUNCH(no_wait, 1, 8, 128, stream, reinterpret_cast<uint4 *>(x));
    if (strcmp(name, "hurry") == 0)
        for (int i = 0; i < 2; i++) MG_LAUNCH_OVERLAPPING(true, hurried, 1, 32, 0, stream, x);
    if (strcmp(name, "nobody") == 0) MG_LAUNCH_OVERLAPPING(true, nobody_waits, 2, 32, 0, stream, x);
    if (strcmp(name, "host") == 0) x[0] = 1;
    if (strcmp(name, "copy") == 0) cudaMemcpy(host, x, 256, cudaMemcpyDeviceToHost);
    if (strcmp(name, "direction") == 0) cudaMemcpy(host, x, 4, cudaMemcpyHostToDevice);
    if (strcmp(name, "default") == 0) MG_LAUNCH(fill, 1, 32, 0, nullptr, x, 1);
    cudaStreamSynchronize(stream);
}

/* ---- Overlap: what is read before the wait for the predecessor is what was there before it ---- */

static __global__ void put_all(int *x, int value)
{
    let_successor_start();
    wait_for_predecessor();
    __atomic_store_n(x + threadIdx.x, value, __ATOMIC_RELAXED);
}

static __global__ void read_twice(int *y, const int *x)
{
    let_successor_start();
    const int before = __atomic_load_n(x + threadIdx.x, __ATOMIC_RELAXED); /* a race, on purpose */
    wait_for_predecessor();
    y[threadIdx.x] = 100 * before + x[threadIdx.x];
}

static void test_early()
{
    int *x = device<int>(32), *y = device<int>(32), *z = device<int>(32), host[32];
    cudaGraph_t graph;
    cudaGraphExec_t step;

    cudaMemsetAsync(x, 0, 32 * sizeof *x, stream);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
    MG_LAUNCH_OVERLAPPING(true, put_all, 1, 32, 0, stream, x, 1);
    MG_LAUNCH_OVERLAPPING(true, put_all, 1, 32, 0, stream, x, 2);
    MG_LAUNCH_OVERLAPPING(true, read_twice, 1, 32, 0, stream, y, x);
    MG_LAUNCH_OVERLAPPING(true, put_all, 1, 32, 0, stream, x, 3);
    MG_LAUNCH_OVERLAPPING(false, read_twice, 1, 32, 0, stream, z, x);
    cudaStreamEndCapture(stream, &graph);
    cudaGraphInstantiate(&step, graph, 0);
    for (int i = 0; i < 2; i++) {
        cudaGraphLaunch(step, stream);
        fetch(host, y, 32);
        expect(host[7] == (i ? 302 : 2), "read before the wait");
        fetch(host, z, 32);
        expect(host[7] == 303, "one that must not begin early");
    }
    cudaGraphExecDestroy(step);
    cudaGraphDestroy(graph);
}

/* ---- The backend over it ---- */

static void test_backend(bool overlaps)
{
    mg_ops *ops = nullptr;
    mg_cuda_settings settings = {};

    expect(mg_cuda_open(&ops, &settings) == MG_OK, "a backend");
    if (!ops) return;
    mg_cuda *cuda = mg_cuda_of(ops);
    expect(cuda->overlap == overlaps, "a driver that records early starts, or does not");
    const cudaFuncAttribute limit = cudaFuncAttributeMaxDynamicSharedMemorySize;
    for (int i = 0; i < 2; i++)
        expect(mg_tell(cuda, put_all, limit, 1 << 20) == MG_EDEVICE, "what CUDA refused is told anew");
    expect(mg_tell(cuda, put_all, limit, 1 << 10) == MG_OK, "what CUDA takes");
    expect(mg_tell(cuda, put_all, limit, 1 << 20) == MG_OK, "is told once");
    mg_ops_close(ops);
}

/* ---- Races: right only with their barriers. The mutation run mutes them one by one. ---- */

static __global__ void tree(float *y, const float *x)
{
    MG_SHARED(part, float[64]);

    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (unsigned o = 32; o > 0; o /= 2) {
        const float other = threadIdx.x < o ? part[threadIdx.x + o] : 0;
        __syncthreads();
        part[threadIdx.x] += other;
        __syncthreads();
    }
    y[threadIdx.x] = part[63 - threadIdx.x] + part[0];
}

static void test_tree()
{
    float host[64];
    float *x = device<float>(64), *y = device<float>(64);

    for (int i = 0; i < 64; i++) host[i] = static_cast<float>(1 << i % 16);
    cudaMemcpyAsync(x, host, sizeof host, cudaMemcpyHostToDevice, stream);
    MG_LAUNCH(tree, 1, 64, 0, stream, y, x);
    fetch(host, y, 64);
    expect(host[63] == 2 * 4 * 65535.0f, "tree");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "right";

    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (strcmp(what, "right") == 0) {
        test_kernels();
        test_product();
        test_streams();
        test_peer();
    } else if (strcmp(what, "early") == 0) {
        test_early();
    } else if (strcmp(what, "backend") == 0) {
        test_backend(true);
    } else if (strcmp(what, "old") == 0) {
        test_backend(false);
    } else if (strcmp(what, "tree") == 0) {
        test_tree();
    } else {
        provoke(what);
        printf("nothing was reported\n");
    }
    cudaStreamDestroy(stream);
    return n_wrong > 0;
}
