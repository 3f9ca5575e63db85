/* What the fixture's files know of each other. */
#ifndef MG_SIM_H
#define MG_SIM_H

#include <mutex>

#include "cuda_runtime.h"

namespace sim
{

/* CUDA_ON_CPU="desc,eager,mute=norm.cu:42": how to run. */
struct options {
    enum { ascending, descending, shuffled } threads = ascending;
    unsigned seed = 0;
    bool blocks_descending = false;
    bool eager = false;  /* run at enqueue; else when somebody waits */
    bool guarded = true; /* device memory cannot be touched outside a kernel or a copy */
    bool hasty = false;  /* a stream without kernels runs at enqueue, as far as it need not wait */
    bool early = false;  /* kernels that may overlap begin long before their predecessors end */
    double patience_s = 5;
    char mute_file[64] = ""; /* a __syncthreads() at this line does nothing */
    int mute_line = 0;
    int n_devices = 1;
    int part = 0;    /* of a device (MIG): another UUID at the same PCI address */
    int n_kinds = 1; /* of devices, which take turns: their names differ */
    int memory_mb = 4096;
    int pinned_mb = 4096; /* that the host pins */
    int n_sms = 4;
    int shared_kb = 227; /* shared memory that a block may ask for; an SM has 1 KB more */
    int driver = 13000;  /* its version; 0: there is none */
    int runtime = 13000;
    int error = 0;        /* what is wrong with the machine: a cudaError_t, told by the call that meets it */
    int old = -1;         /* the device of this number is of compute capability 7.5 */
    bool hangs = false;   /* the driver answers no call */
    bool idle = false;    /* kernels do nothing */
    bool lossy = false;   /* copies from one device to another do not arrive */
    int most_graphs = -1; /* that the device has memory for at once; -1: any number */
    int host = 0;         /* devices of another host: other UUIDs at the same PCI addresses */
    bool integrated = false; /* the device's memory is the host's, as a Jetson's */
    bool counts = false;     /* say at the end how many kernels were launched, by graphs and one by one */
    int clock = -1;          /* seed of what each kernel takes (sim::set_cost); -1: events tell no time */
    long falls_at = 0;       /* the device fails at its N-th item of work, and for ever after; 0: never */
};
const options &chosen();
inline size_t shared_bytes_of_block()
{
    return static_cast<size_t>(chosen().shared_kb) * 1024;
}

/* A launch that is under way. */
struct started;
/* Runs all blocks of a launch to their end; on the main stack only. One that waits for other ranks is left
 * when nobody of it can go on: false, and the same call goes on where it stopped. */
bool run_call(const call &c, started *&state);
/* Some of its blocks, up to their wait for the predecessor. */
void start_early(const call &c, started *&state);

/* Memory. Between open and shut kernels and copies may touch device memory. */
void device_open();
void device_shut();
/* While it is open: a kernel that writes ends the process. */
void device_read_only(bool on);
bool is_device(const void *p);
bool is_pinned(const void *p);
/* Ends the process unless they stand inside one block of device memory. */
void check_device_range(const char *what, const void *p, size_t bytes);
void catch_faults();

/* The device that calls of this host thread are about. */
int device_of_thread();

/* Set by what a launch cannot report itself; cudaGetLastError takes it. */
void set_error(cudaError_t error);

/* The device has fallen off: every call says so from now on. */
bool has_fallen();

/* Host threads of a process take turns: one holds the device for an item, or for a change of its tables. */
std::recursive_mutex &device_lock();
typedef std::lock_guard<std::recursive_mutex> turn_of_one;

double now_s();

/* What events tell (sim_device.h, set_cost), and the end of a launch. */
bool tells_time();
double time_us();
void pass_time(const call &c);

/* Dynamic shared memory that a kernel may have; attributes of kernels that were set. */
size_t allowed_smem(const void *function);
long n_attributes();

/* An item of a stream's queue: true when it is done, false if it must be asked again. */
typedef std::function<bool()> item;
void enqueue_item(cudaStream_t s, item &&work, bool is_collective = false);
/* The stream captures: what is enqueued goes into a graph. */
bool is_capturing(cudaStream_t s);
/* It captures nothing, or in relaxed mode: so not only the thread that began may enqueue. */
bool takes_from_all_threads(cudaStream_t s);
/* A GPU works on while its host waits for something else: goes on with all streams, for a while. */
/* Runs what is queued. One that waits for other ranks is asked until it is done, or `once`. */
bool drain(cudaStream_t s, bool once);

} // namespace sim

#endif
