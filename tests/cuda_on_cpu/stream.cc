/* Streams, events and graphs: a stream is a queue of closures. `late`: they run when somebody waits, so what
 * is not waited for is seen to be stale. `eager`: they run when they are enqueued. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "sim.h"

namespace
{

/* A launch in a queue: how far it is. */
struct pending {
    sim::call what;
    sim::started *state = nullptr;
    explicit pending(const sim::call &c) : what(c) {}
};

/* What stands in a queue: a launch, or anything else. */
struct entry {
    sim::item work;
    std::shared_ptr<pending> launch;
    bool is_collective;

    bool run()
    {
        if (!launch) return work();
        if (!sim::run_call(launch->what, launch->state)) return false;
        sim::pass_time(launch->what);
        return true;
    }
    /* For another run, from its beginning. */
    entry again() const
    {
        return launch ? entry{{}, std::make_shared<pending>(launch->what), is_collective} : *this;
    }
};

} // namespace

struct CUgraph_st {
    std::vector<entry> items;
    bool has_collective = false;
};
typedef CUgraph_st CUgraphExec_base;
struct CUgraphExec_st : CUgraphExec_base {
};
struct CUstream_st {
    int device = sim::device_of_thread();
    std::deque<entry> queue;
    size_t n_collectives = 0; /* in the queue */
    cudaGraph_t capture = nullptr;
    bool has_launches = false;
    bool captures_first = false; /* began the capture; others joined by an event */
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal; /* of that */
};

namespace
{

/* What an event stood for when it was recorded; outlives the event in queues. */
struct moment {
    uint64_t asked = 0, done = 0;
    double at_us = 0;
};

} // namespace

struct CUevent_st {
    std::shared_ptr<moment> state = std::make_shared<moment>();
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
};

namespace sim
{

static std::vector<cudaStream_t> &streams()
{
    static std::vector<cudaStream_t> *list = new std::vector<cudaStream_t>;
    return *list;
}

double now_s()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

bool is_capturing(cudaStream_t s)
{
    return s && s->capture;
}

bool takes_from_all_threads(cudaStream_t s)
{
    return !is_capturing(s) || s->mode == cudaStreamCaptureModeRelaxed;
}

static thread_local cudaStream_t inside; /* whose item runs */
static long n_items;
static bool fallen;

bool has_fallen()
{
    return fallen;
}

/* The first launch, as if its predecessor had not ended, and those behind it, as far as each may overlap the
 * one before. */
static void start_successors(cudaStream_t s)
{
    enum { MOST = 8 };

    for (size_t i = 0; i < s->queue.size() && i <= MOST; i++) {
        const auto &now = s->queue[i].launch;
        if (!now) break;
        if (now->what.overlaps)
            start_early(now->what, now->state);
        else if (i > 0)
            break;
    }
}

/* Runs the first item; false if it must wait for another process. */
static bool step(cudaStream_t s)
{
    const turn_of_one turn(device_lock());
    if (s->queue.empty()) return true; /* another thread was there */
    if (inside == s) fail("a stream waits for itself");
    const cudaStream_t outer = inside;
    if (has_fallen() || (chosen().falls_at && ++n_items == chosen().falls_at)) {
        fallen = true;
        s->queue.clear(); /* what was asked for is never done */
        s->n_collectives = 0;
        return true;
    }
    inside = s;
    device_open();
    if (chosen().early) start_successors(s);
    const bool done = s->queue.front().run();
    device_shut();
    inside = outer;
    if (!done) return false;
    s->n_collectives -= s->queue.front().is_collective;
    s->queue.pop_front();
    return true;
}

static bool is_idle(cudaStream_t s)
{
    const turn_of_one turn(device_lock());
    return s->queue.empty();
}

/* Runs items up to one that must wait. Device memory stays open meanwhile: to open it costs as much as many a
 * kernel. */
static void run_on(cudaStream_t s)
{
    const turn_of_one turn(device_lock());

    device_open();
    while (!s->queue.empty() && step(s)) continue;
    device_shut();
}

bool drain(cudaStream_t s, bool once)
{
    if (once) {
        if (!is_idle(s)) step(s);
        return is_idle(s);
    }
    while (run_on(s), !is_idle(s)) sched_yield();
    return true;
}

/* Runs what can run: an item that waits for other ranks ends it. */
static void run_ready(cudaStream_t s)
{
    for (size_t before = s->queue.size(); before > 0; before = s->queue.size()) {
        drain(s, true);
        if (s->queue.size() == before) break;
    }
}

/* Other ranks wait for what this one has queued, while it may wait for them elsewhere, on the host: a GPU
 * works on. So does this thread, wherever a sum over ranks is queued. */
static void work_beside()
{
    for (;;) {
        usleep(200);
        const turn_of_one turn(device_lock());
        const std::vector<cudaStream_t> now = streams();
        for (cudaStream_t s : now)
            for (int i = 0; i < 32 && s->n_collectives > 0 && step(s); i++) continue;
    }
}

/* What is queued now waits for other ranks. */
static void work_on(cudaStream_t s)
{
    static const bool begun = (std::thread(work_beside).detach(), true);

    (void)begun;
    for (int i = 0; i < 64 && !drain(s, true); i++) sched_yield();
}

static void put(cudaStream_t s, entry &&what)
{
    const bool is_collective = what.is_collective;
    const turn_of_one turn(device_lock());

    if (!s) fail("the default stream: name a stream, so that the order is known");
    if (s->capture) {
        s->capture->items.push_back(std::move(what));
        s->capture->has_collective = s->capture->has_collective || is_collective;
        return;
    }
    s->n_collectives += is_collective;
    s->has_launches = s->has_launches || what.launch;
    s->queue.push_back(std::move(what));
    if (is_collective)
        work_on(s);
    else if (chosen().eager || (chosen().hasty && !s->has_launches))
        run_ready(s);
}

void enqueue_item(cudaStream_t s, item &&work, bool is_collective)
{
    put(s, {std::move(work), nullptr, is_collective});
}

/* What a GPU refuses. */
static bool launchable(const call &c)
{
    const uint64_t n_threads = uint64_t{c.block.x} * c.block.y * c.block.z;
    const turn_of_one turn(device_lock());
    const size_t limit = allowed_smem(c.function);

    if (n_threads > 0 && n_threads <= 1024 && c.block.z <= 64 && c.grid.x > 0 && c.grid.y > 0 &&
        c.grid.z > 0 && c.grid.y <= 65535 && c.grid.z <= 65535 && c.grid.x <= 0x7fffffffu &&
        c.smem_bytes <= limit)
        return true;
    fprintf(stderr, "cuda_on_cpu: %s: grid (%u,%u,%u), block (%u,%u,%u), %zu bytes: a GPU refuses this\n",
            c.name, c.grid.x, c.grid.y, c.grid.z, c.block.x, c.block.y, c.block.z, c.smem_bytes);
    set_error(cudaErrorInvalidConfiguration);
    return false;
}

/* CUDA_ON_CPU=count: said when the process ends. */
struct launches {
    long alone = 0, graphs = 0, in_graphs = 0, longest = 0;
    ~launches()
    {
        if (chosen().counts)
            fprintf(
                stderr,
                "cuda_on_cpu: %ld kernels by %ld graphs, at most %ld each; %ld one by one; %ld attributes\n",
                in_graphs, graphs, longest, alone, n_attributes());
    }
};
static launches counted;

static void count_graph(const CUgraph_st &graph)
{
    long n = 0;
    for (const entry &i : graph.items) n += i.launch != nullptr;
    counted.graphs++;
    counted.in_graphs += n;
    counted.longest = std::max(counted.longest, n);
}

void enqueue(cudaStream_t s, call &&what)
{
    if (!launchable(what) || chosen().idle) return;
    if (s && s->device != device_of_thread())
        fail("%s: a launch into a stream of device %d by a thread whose device is %d (cudaSetDevice)",
             what.name, s->device, device_of_thread());
    if (!is_capturing(s)) counted.alone++;
    put(s, {{}, std::make_shared<pending>(what), what.waits_for_ranks});
}

} // namespace sim

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    const sim::turn_of_one turn(sim::device_lock());
    *s = new CUstream_st;
    sim::streams().push_back(*s);
    return cudaSuccess;
}

/* One stream after the other: nothing here knows of priorities, but a wrong one is refused. */
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int priority)
{
    if (priority > 0 || priority < -5) return cudaErrorInvalidValue;
    return cudaStreamCreateWithFlags(s, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    *least = 0, *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    const sim::turn_of_one turn(sim::device_lock());
    auto &list = sim::streams();
    for (size_t i = 0; i < list.size(); i++)
        if (list[i] == s) {
            sim::drain(s, false);
            list.erase(list.begin() + static_cast<long>(i));
            delete s;
            return cudaSuccess;
        }
    return cudaErrorInvalidResourceHandle;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capture) return cudaErrorStreamCaptureUnsupported;
    sim::drain(s, false);
    return sim::has_fallen() ? cudaErrorLaunchFailure : cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capture) return cudaErrorStreamCaptureUnsupported;
    if (sim::is_idle(s)) return cudaSuccess;
    sim::drain(s, true);
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    for (cudaStream_t s : sim::streams()) {
        if (s->capture) return cudaErrorStreamCaptureUnsupported;
        sim::drain(s, false);
    }
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    e->graph = s->capture;
    if (s->capture) return cudaSuccess; /* an edge of the graph: order of capture is a legal order */
    const auto state = e->state;
    const uint64_t number = ++state->asked;
    e->stream = s;
    sim::enqueue_item(s, [state, number] {
        state->done = number;
        state->at_us = sim::time_us();
        return true;
    });
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    if (e->graph) { /* joins the capture */
        if (s->capture && s->capture != e->graph) return cudaErrorStreamCaptureInvalidated;
        s->capture = e->graph;
        return cudaSuccess;
    }
    const auto state = e->state;
    const uint64_t number = state->asked;
    const cudaStream_t other = e->stream;
    if (!other || other == s) return cudaSuccess;
    sim::enqueue_item(s, [state, number, other] {
        while (state->done < number && !other->queue.empty()) {
            const size_t n = other->queue.size();
            sim::drain(other, true);
            if (other->queue.size() == n) return false;
        }
        return true;
    });
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    if (sim::has_fallen()) return cudaErrorLaunchFailure;
    if (e->state->done == e->state->asked) return cudaSuccess;
    sim::drain(e->stream, true);
    return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    while (cudaEventQuery(e) == cudaErrorNotReady) sched_yield();
    return cudaEventQuery(e);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    if (from->state->done != from->state->asked || to->state->done != to->state->asked)
        return cudaErrorNotReady;
    if (!sim::tells_time()) return cudaErrorNotSupported;
    *ms = static_cast<float>((to->state->at_us - from->state->at_us) * 1e-3);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode)
{
    if (!s || s->capture) return cudaErrorInvalidValue;
    s->mode = mode;
    s->capture = new CUgraph_st;
    s->captures_first = true;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    if (!s || !s->capture || !s->captures_first) return cudaErrorInvalidValue;
    *graph = s->capture;
    for (cudaStream_t o : sim::streams())
        if (o->capture == *graph) o->capture = nullptr;
    s->captures_first = false;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus *status)
{
    *status = s && s->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

static int n_execs; /* of one thread: nothing beside the steps records */
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    if (n_execs == sim::chosen().most_graphs) return cudaErrorMemoryAllocation;
    n_execs++;
    *exec = new CUgraphExec_st{*graph};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
    const sim::turn_of_one turn(sim::device_lock());
    sim::count_graph(*exec);
    for (const entry &i : exec->items) {
        s->queue.push_back(i.again());
        s->n_collectives += i.is_collective;
    }
    if (exec->has_collective)
        sim::work_on(s);
    else if (sim::chosen().eager)
        sim::run_ready(s);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    n_execs--;
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

} /* extern "C" */
