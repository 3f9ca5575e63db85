/* How much memory is left, read from folders as Linux has them under Slurm. */
#include "system_files.h"

#include <string.h>

#include "host_memory.h"

static char root[] = "/tmp/mg-memory-XXXXXX";

enum { MB = 1000000 };

static void put(const char *path, const char *text)
{
    put_below(root, path, text);
}

static int make(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/mg-memory-XXXXXX");
    if (!mkdtemp(root)) return -1;
    put("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 1000000 kB\n");
    return 0;
}

static int clear(void **state)
{
    (void)state;
    remove_folder(root);
    return 0;
}

static void nothing_limits(void **state)
{
    (void)state;
    assert_true(mg_host_memory_below("/nowhere") == INT64_MAX);
    assert_true(mg_host_memory_below(root) == 1000000LL * 1024);
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* version 1's "max" */
    assert_true(mg_host_memory_below(root) == 1000000LL * 1024);
}

#define TASK1 "sys/fs/cgroup/memory/slurm/uid_7/job_5/step_0/task_0/"
#define STEP1 "sys/fs/cgroup/memory/slurm/uid_7/job_5/step_0/"

static void version_1_at_our_own_place(void **state)
{
    (void)state;
    put("proc/self/cgroup",
        "11:cpuset:/slurm/uid_7/job_5/step_0\n9:hugetlb,memory:/slurm/uid_7/job_5/step_0/task_0\n"
        "1:name=systemd:/system.slice\n0::/system.slice/slurmd.service\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(TASK1 "memory.limit_in_bytes", "9223372036854771712\n");
    put(STEP1 "memory.limit_in_bytes", "400000000\n");
    put(STEP1 "memory.usage_in_bytes", "100000000\n");
    put(STEP1 "memory.stat", "inactive_file 1\ntotal_inactive_file 30000000\ntotal_active_file 5000000\n");
    assert_int_equal(mg_host_memory_below(root), 335 * MB);
    put("sys/fs/cgroup/memory/slurm/uid_7/job_5/memory.limit_in_bytes",
        "200000000\n"); /* the job's is tighter */
    assert_int_equal(mg_host_memory_below(root), 200 * MB);
}

/* In a container our own group is the root, and the kernel may tell the path outside. */
static void version_1_at_the_root(void **state)
{
    (void)state;
    put("proc/self/cgroup", "9:memory:/docker/abc\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "300000000\n");
    assert_int_equal(mg_host_memory_below(root), 300 * MB);
}

static void version_2_above_us(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_5/step_0/user/task_0\n");
    put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_5/step_0/user/task_0/memory.max", "max\n");
    put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_5/step_0/memory.max", "500000000\n");
    put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_5/step_0/memory.current", "100000000\n");
    put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_5/step_0/memory.stat",
        "anon 5\ninactive_anon 7\nactive_anon 7\ninactive_file 20000000\nactive_file 60000000\n");
    assert_int_equal(mg_host_memory_below(root), 480 * MB);
    put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_5/memory.max", "50000000\n");
    put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_5/memory.current", "70000000\n");
    assert_int_equal(mg_host_memory_below(root), 0);
}

/* Beyond `high` a process is not killed, and hardly moves: as Slurm sets it beside `max`, and systemd for all
 * of a user's sessions. */
static void version_2_holds_up(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/user.slice/user-7.slice/session-1.scope\n");
    put("sys/fs/cgroup/user.slice/user-7.slice/session-1.scope/memory.max", "600000000\n");
    put("sys/fs/cgroup/user.slice/user-7.slice/memory.high", "max\n");
    assert_int_equal(mg_host_memory_below(root), 600 * MB);
    put("sys/fs/cgroup/user.slice/user-7.slice/session-1.scope/memory.high", "500000000\n");
    assert_int_equal(mg_host_memory_below(root), 500 * MB);
    put("sys/fs/cgroup/user.slice/memory.high", "700000000\n"); /* no max beside it */
    put("sys/fs/cgroup/user.slice/memory.current", "300000000\n");
    put("sys/fs/cgroup/user.slice/memory.stat", "inactive_file 10000000\n");
    assert_int_equal(mg_host_memory_below(root), 410 * MB);
    put("sys/fs/cgroup/memory.high", "400000000\n"); /* a container's own */
    assert_int_equal(mg_host_memory_below(root), 400 * MB);
}

/* As of a container in a container. */
static void version_2_far_below(void **state)
{
    char line[700] = "0::", path[700] = "sys/fs/cgroup";

    (void)state;
    while (strlen(path) < 600)
        strcat(path, "/kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice");
    strcat(line, path + strlen("sys/fs/cgroup"));
    put("proc/self/cgroup", line);
    strcat(path, "/memory.max");
    put(path, "200000000\n");
    assert_int_equal(mg_host_memory_below(root), 200 * MB);
}

static void what_limits_another_controller_is_passed_over(void **state)
{
    (void)state;
    put("proc/self/cgroup", "9:memoryless:/a\nbroken\n3:cpu\n");
    put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n");
    assert_true(mg_host_memory_below(root) == 1000000LL * 1024);
}

/* As on a GH200, whose GPU is node 1; node 0 is the host's, and the second GPU keeps its memory to itself. */
static void memory_of_gpus_is_not_the_hosts(void **state)
{
    (void)state;
    put("proc/driver/nvidia/gpus/0009:01:00.0/numa_status", "Node:      1\nStatus:    online\n");
    put("proc/driver/nvidia/gpus/0019:01:00.0/numa_status", "Node:      -1\nStatus:    disabled\n");
    put("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 900000 kB\nNode 0 MemFree: 500000 kB\n");
    assert_true(mg_host_memory_below(root) == 1000000LL * 1024);
    put("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 700000 kB\nNode 1 MemFree:  600000 kB\n");
    put("sys/devices/system/node/node1/cpulist", "\n");
    assert_true(mg_host_memory_below(root) == 400000LL * 1024);
    put("proc/driver/nvidia/gpus/0029:01:00.0/numa_status", "Node:      2\nStatus:    online\n");
    put("sys/devices/system/node/node2/meminfo", "Node 2 MemTotal: 700000 kB\nNode 2 MemFree:  600000 kB\n");
    assert_true(mg_host_memory_below(root) == 0); /* never below */
}

/* Where a GPU has no memory but the host's, the node that its driver names has processors. */
static void memory_that_both_share_is_the_hosts(void **state)
{
    (void)state;
    put("proc/driver/nvidia/gpus/000f:01:00.0/numa_status", "Node:      0\nStatus:    online\n");
    put("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 900000 kB\nNode 0 MemFree: 500000 kB\n");
    put("sys/devices/system/node/node0/cpulist", "0-19\n");
    assert_true(mg_host_memory_below(root) == 1000000LL * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_limits, make, clear),
        cmocka_unit_test_setup_teardown(version_1_at_our_own_place, make, clear),
        cmocka_unit_test_setup_teardown(version_1_at_the_root, make, clear),
        cmocka_unit_test_setup_teardown(version_2_above_us, make, clear),
        cmocka_unit_test_setup_teardown(version_2_holds_up, make, clear),
        cmocka_unit_test_setup_teardown(version_2_far_below, make, clear),
        cmocka_unit_test_setup_teardown(what_limits_another_controller_is_passed_over, make, clear),
        cmocka_unit_test_setup_teardown(memory_of_gpus_is_not_the_hosts, make, clear),
        cmocka_unit_test_setup_teardown(memory_that_both_share_is_the_hosts, make, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
