/* Who sits where: the layout under mpirun for a given --tp, the share of processors, and what is refused. */
#include "comm_test.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "comm_mpi.h"
#include "numa.h"
#include "reduce_tree.h"
#include "system_files.h"
#include "watchdog.h"

static mg_world world;

static void test_layout(void **state)
{
    (void)state;
    assert_int_equal(world.rank, world.i_replica * world.tp + world.tp_rank);
    assert_int_equal(world.n_replicas * world.tp, world.size);
    assert_int_equal(world.all->size, world.size);
    assert_int_equal(world.all->rank, world.rank);
    assert_int_equal(world.group->size, world.tp);
    assert_int_equal(world.group->rank, world.tp_rank);
    assert_true(world.host[0] != '\0' && world.n_cores >= 1);
    assert_in_range(world.local_rank, 0, world.local_size - 1);

    int32_t members[8] = {0};
    const int32_t mine = world.rank;
    assert_int_equal(mg_comm_all_gather(world.group, members, &mine, 1, MG_I32), MG_OK);
    for (int r = 0; r < world.tp; r++) assert_int_equal(members[r], world.i_replica * world.tp + r);
}

/* MG_TEST_LOCAL: how many ranks a host has in this run; set by the test over several hosts. */
static void test_hosts(void **state)
{
    const char *n_local = getenv("MG_TEST_LOCAL");

    (void)state;
    assert_int_equal(world.local_size, n_local ? atoi(n_local) : world.size);
    if (world.tp > 1 && !getenv("MGDIST_COMM"))
        assert_string_equal(world.group->name, world.tp <= world.local_size ? "shm" : "mpi");
}

static void test_largest_group(void **state)
{
    const char *n_local = getenv("MG_TEST_LOCAL");
    const int most = n_local ? atoi(n_local) : world.size, tp = mg_world_largest_group(&world);

    (void)state;
    assert_true(world.size % tp == 0 && most % tp == 0);
    assert_true(tp == 8 || most % (2 * tp) != 0); /* no larger one would do */
}

static void test_first_replica(void **state)
{
    typedef struct seat {
        int32_t host, tp_rank, is_first;
    } seat;
    const seat mine = {world.first_of_host, world.tp_rank, mg_world_is_first_replica(&world)};
    seat *all = calloc((size_t)world.size, sizeof *all);
    int n_first = 0;

    (void)state;
    assert_non_null(all);
    assert_int_equal(mg_comm_all_gather(world.all, all, &mine, 3, MG_I32), MG_OK);
    for (int r = 0; r < world.size; r++)
        n_first += all[r].host == mine.host && all[r].tp_rank == mine.tp_rank && all[r].is_first;
    assert_int_equal(n_first, 1);
    free(all);
}

/* One rank says it. */
static void check_word(const char *word)
{
    if (world.rank == 0)
        assert_non_null(strstr(mg_last_error(), word));
    else
        assert_string_equal(mg_last_error(), "");
}

static void test_refusals(void **state)
{
    mg_world again = world; /* split looks at size and all alone before it refuses */

    (void)state;
    again.group = NULL;
    assert_int_equal(mg_world_split(&again, 3), MG_EUSAGE);
    check_word("3");
    assert_int_equal(mg_world_split(&again, 0), MG_EUSAGE);
    if (world.size % 8 != 0) {
        char n_ranks[16];
        snprintf(n_ranks, sizeof n_ranks, "%d rank", world.size);
        assert_int_equal(mg_world_split(&again, 8), MG_EUSAGE);
        check_word("8");
        check_word(n_ranks);
    }
    assert_int_equal(mg_comm_agree(world.all, MG_OK), MG_OK);
}

static mg_placement placed_on(int host, size_t first_cpu, size_t n_cpus)
{
    mg_placement placement = {.first_of_host = host};

    for (size_t i = 0; i < n_cpus; i++) CPU_SET(first_cpu + i, &placement.mask);
    return placement;
}

static void check_cores(const mg_placement *placements, int n, int rank, int n_cores, int oversubscribed)
{
    int got_oversubscribed;

    assert_int_equal(mg_placement_cores(placements, n, rank, &got_oversubscribed), n_cores);
    assert_int_equal(got_oversubscribed, oversubscribed);
}

static void test_cores(void **state)
{
    const mg_placement alone[] = {placed_on(0, 0, 64)};
    const mg_placement bound[] = {placed_on(0, 0, 8), placed_on(0, 8, 8)};
    const mg_placement floating[] = {placed_on(0, 0, 8), placed_on(0, 0, 8), placed_on(0, 0, 8)};
    const mg_placement crowded[] = {placed_on(0, 0, 2), placed_on(0, 0, 2), placed_on(0, 0, 2)};
    const mg_placement apart[] = {placed_on(0, 0, 4), placed_on(1, 0, 4)};
    mg_placement limited[] = {placed_on(0, 0, 16), placed_on(0, 16, 16)};

    (void)state;
    check_cores(alone, 1, 0, 64, 0);
    check_cores(bound, 2, 1, 8, 0);
    check_cores(floating, 3, 0, 2, 0);
    check_cores(crowded, 3, 2, 1, 1);
    check_cores(apart, 2, 1, 4, 0);
    limited[0].quota_cores = limited[1].quota_cores = 4.0;
    check_cores(limited, 2, 0, 2, 0);
    limited[0].quota_cores = limited[1].quota_cores = 1.5;
    check_cores(limited, 2, 1, 1, 0);
    limited[0].quota_cores = limited[1].quota_cores = 0.5;
    check_cores(limited, 2, 1, 1, 1);
}

static void test_idle(void **state)
{
    const mg_placement bound[] = {placed_on(0, 0, 1), placed_on(0, 1, 1), placed_on(2, 0, 32)};
    const mg_placement floating[] = {placed_on(0, 0, 32), placed_on(0, 0, 32)};
    mg_placement limited[] = {placed_on(0, 0, 1), placed_on(0, 1, 1)};
    const cpu_set_t all = placed_on(0, 0, 32).mask;

    (void)state;
    assert_int_equal(mg_placement_idle(bound, 3, 1, &all), 30);
    assert_int_equal(mg_placement_idle(bound, 3, 2, &all), 0);
    assert_int_equal(mg_placement_idle(floating, 2, 0, &all), 0);
    limited[0].quota_cores = limited[1].quota_cores = 2.5;
    assert_int_equal(mg_placement_idle(limited, 2, 0, &all), 1);
    limited[0].quota_cores = limited[1].quota_cores = 1.0;
    assert_int_equal(mg_placement_idle(limited, 2, 0, &all), 0);
}

static void put_node(const char *root, int number, const char *list)
{
    char path[256];

    snprintf(path, sizeof path, "%s/node%d", root, number);
    assert_int_equal(mkdir(path, 0777), 0);
    strcat(path, "/cpulist");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(list, f);
    fclose(f);
}

static void test_quota(void **state)
{
    char root[] = "/tmp/mg-quota-XXXXXX";

    (void)state;
    assert_true(mg_placement_quota("/nowhere") == 0.0);
    assert_non_null(mkdtemp(root));
    put_below(root, "proc/self/cgroup", "0::/user.slice/session.scope\n");
    put_below(root, "sys/fs/cgroup/user.slice/session.scope/cpu.max", "max 100000\n");
    assert_true(mg_placement_quota(root) == 0.0);
    put_below(root, "sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n"); /* the group above: as a user's */
    assert_true(mg_placement_quota(root) == 2.5);
    remove_folder(root);

    put_below(root, "proc/self/cgroup", "5:cpuset:/a\n4:cpu,cpuacct:/job/step\n0::/\n");
    put_below(root, "sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us", "-1\n");
    put_below(root, "sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us", "100000\n");
    assert_true(mg_placement_quota(root) == 0.0);
    put_below(root, "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "400000\n");
    put_below(root, "sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    assert_true(mg_placement_quota(root) == 4.0);
    put_below(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"); /* a container's own */
    put_below(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_true(mg_placement_quota(root) == 0.5);
    remove_folder(root);
}

/* The processors that `rank` is kept to; "" if it keeps all it has. */
static void check_node(const mg_numa *numa, const mg_placement *placements, int n, int rank,
                       const char *expected)
{
    char got[MG_CORES_SIZE] = "";
    cpu_set_t cores;

    if (mg_numa_choose(&cores, numa, placements, n, rank)) mg_cores_format(got, sizeof got, &cores);
    assert_string_equal(got, expected);
}

/* Two sockets whose processors alternate in pairs, a third node of another size, one of memory alone. */
static void test_numa(void **state)
{
    char root[] = "/tmp/mg-numa-XXXXXX", text[MG_NODES_SIZE];
    const mg_placement two[] = {placed_on(0, 0, 16), placed_on(0, 0, 16)};
    const mg_placement four[] = {placed_on(0, 0, 16), placed_on(4, 0, 16), placed_on(0, 0, 16),
                                 placed_on(0, 0, 16), placed_on(0, 0, 16), placed_on(4, 0, 16)};
    const mg_placement three[] = {placed_on(0, 0, 16), placed_on(0, 0, 16), placed_on(0, 0, 16)};
    const mg_placement part[] = {placed_on(0, 2, 4), placed_on(0, 2, 4)};
    const mg_placement uneven[] = {placed_on(0, 0, 6), placed_on(0, 0, 6)};
    const mg_placement bound[] = {placed_on(0, 0, 4), placed_on(0, 8, 4)};
    const mg_placement mixed[] = {placed_on(0, 0, 16), placed_on(0, 0, 16), placed_on(0, 0, 4)};
    const mg_placement beyond[] = {placed_on(0, 0, 32), placed_on(0, 0, 32)};
    mg_numa numa;

    (void)state;
    mg_numa_read(&numa, "/nowhere");
    assert_int_equal(numa.n, 0);
    check_node(&numa, two, 2, 0, "");
    assert_non_null(mkdtemp(root));
    put_node(root, 10, "16-19\n");
    put_node(root, 1, "4-7,12-15\n");
    put_node(root, 0, "0-3,8-11\n");
    put_node(root, 2, "\n");
    mg_numa_read(&numa, root);
    remove_folder(root);
    assert_int_equal(numa.n, 3);

    check_node(&numa, two, 2, 0, "0-3,8-11");
    check_node(&numa, two, 2, 1, "4-7,12-15");
    check_node(&numa, two, 1, 0, ""); /* alone it uses both */
    check_node(&numa, four, 6, 0, "0-3,8-11");
    check_node(&numa, four, 6, 2, "0-3,8-11");
    check_node(&numa, four, 6, 3, "4-7,12-15");
    check_node(&numa, four, 6, 4, "4-7,12-15");
    check_node(&numa, four, 6, 1, "0-3,8-11"); /* of another host */
    check_node(&numa, four, 6, 5, "4-7,12-15");
    for (int r = 0; r < 3; r++) check_node(&numa, three, 3, r, "");
    check_node(&numa, part, 2, 0, "2-3");
    check_node(&numa, part, 2, 1, "4-5");
    check_node(&numa, uneven, 2, 0, "");
    check_node(&numa, bound, 2, 1, ""); /* the launcher has chosen */
    check_node(&numa, mixed, 3, 0, "");
    check_node(&numa, beyond, 2, 0, ""); /* processors of no node, and a third of another size */

    mg_numa_format(text, sizeof text, &numa, &two[0].mask);
    assert_string_equal(text, "0-1");
    mg_numa_format(text, sizeof text, &numa, &beyond[0].mask);
    assert_string_equal(text, "0-1,10");
}

/* As many processors as ranks, each beside a node of its own: each rank is kept to its own, threads too. */
static void test_stay(void **state)
{
    char root[] = "/tmp/mg-numa-XXXXXX", number[16], got[MG_CORES_SIZE], list[MG_CORES_SIZE];
    cpu_set_t before, now;
    int n = 0, mine = -1;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    if (world.local_size < 2 || CPU_COUNT(&before) != world.local_size) return;
    assert_non_null(mkdtemp(root));
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET((size_t)i, &before)) continue;
        snprintf(number, sizeof number, "%d\n", i);
        if (n == world.local_rank) mine = i;
        put_node(root, n++, number);
    }
    mg_world_stay(&world, root);
    remove_folder(root);
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    mg_cores_format(got, sizeof got, &now);
    snprintf(list, sizeof list, "%d", mine);
    assert_string_equal(got, list);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    mg_world_stay(&world, "/nowhere");
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    assert_true(CPU_EQUAL(&before, &now));
}

/* Compare lists that agree, that lack something, and where the last rank's differs. */
static void test_same(void **state)
{
    const bool last = world.rank == world.size - 1 && world.rank > 0;
    mg_same list[] = {{"colour", "red"}, {"shape", "round"}};

    (void)state;
    assert_int_equal(mg_world_same(&world, MG_EUSAGE, list, 2, "mend it"), MG_OK);
    if (last) list[0].value = NULL;
    assert_int_equal(mg_world_same(&world, MG_EUSAGE, list, 2, "mend it"), MG_OK);
    if (last) list[1].value = "square";
    assert_int_equal(mg_world_same(&world, MG_ECHECKPOINT, list, 2, "mend it"),
                     world.size > 1 ? MG_ECHECKPOINT : MG_OK);
    if (last) {
        assert_non_null(strstr(mg_last_error(), "shape is square"));
        assert_non_null(strstr(mg_last_error(), "(rank 0) it is round: mend it"));
        assert_non_null(strstr(mg_last_error(), world.host));
    } else if (world.size > 1) {
        assert_string_equal(mg_last_error(), "");
    }
    mg_clear_error();
}

/* Rank 0 takes longer than the others would wait elsewhere. */
static void test_await_first(void **state)
{
    (void)state;
    mg_world_set_timeout(&world, 0.2);
    if (world.rank == 0) nanosleep(&(struct timespec){.tv_nsec = 600 * 1000 * 1000}, NULL);
    assert_int_equal(mg_world_await_first(&world, MG_OK), MG_OK);
    mg_world_set_timeout(&world, 60);
}

enum { GIVEN_UP_BYTES = 512 };

static mg_status call_bcast(mg_comm *c, char data[GIVEN_UP_BYTES])
{
    return mg_comm_bcast(c, data, GIVEN_UP_BYTES, MG_U8, 0);
}

static mg_status call_all_gather(mg_comm *c, char data[GIVEN_UP_BYTES])
{
    static const char mine[64];

    return mg_comm_all_gather(c, data, mine, sizeof mine, MG_U8);
}

/* Rank 0 makes a call that all others have given up. What comes for it then reaches no memory of theirs: who
 * called has other uses for it. */
static void check_given_up(mg_status (*call)(mg_comm *c, char *data))
{
    const mg_watchdog hasty = {.deadline_s = 0.05};
    char ours[GIVEN_UP_BYTES], other[GIVEN_UP_BYTES] = {0};
    mg_comm *c;

    assert_int_equal(mg_comm_mpi_split(&c, world.all, 0, &hasty), MG_OK);
    if (world.rank > 0) assert_int_equal(call(c, ours), MG_ECOMM);
    memset(ours, 7, sizeof ours);
    assert_int_equal(mg_comm_barrier(world.all), MG_OK);
    if (world.rank == 0) (void)call(c, other);
    for (int i = 0; i < 20; i++) assert_int_equal(mg_comm_barrier(world.all), MG_OK);
    for (int i = 0; i < GIVEN_UP_BYTES; i++) assert_int_equal(ours[i], 7);
    assert_true(world.rank == 0 || mg_comm_mpi_is_torn(c));
    mg_comm_close(c);
    mg_clear_error();
}

static void test_given_up(void **state)
{
    (void)state;
    if (world.size == 1) return;
    check_given_up(call_bcast);
    if (world.size <= 8) check_given_up(call_all_gather);
}

/* Sixteen parts: a group may be larger than the tree's unrolled heart. */
static void test_tree(void **state)
{
    enum { PARTS = 16, N = 1037 };
    static float data[PARTS][N], y[N];
    const float *parts[PARTS];

    (void)state;
    for (int r = 0; r < PARTS; r++) {
        parts[r] = data[r];
        for (int i = 0; i < N; i++) data[r][i] = float_at(r, i);
    }
    for (int n_parts = 1; n_parts <= PARTS; n_parts *= 2) {
        mg_tree_sum(y, parts, n_parts, N);
        for (int i = 0; i < N; i++) {
            float level[PARTS];
            for (int r = 0; r < n_parts; r++) level[r] = data[r][i];
            for (int width = n_parts; width > 1; width /= 2)
                for (int r = 0; r < width / 2; r++) level[r] = level[2 * r] + level[2 * r + 1];
            assert_memory_equal(&y[i], &level[0], sizeof y[i]);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_largest_group), cmocka_unit_test(test_first_replica),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_cores),
        cmocka_unit_test(test_numa),          cmocka_unit_test(test_stay),
        cmocka_unit_test(test_same),          cmocka_unit_test(test_await_first),
        cmocka_unit_test(test_given_up),      cmocka_unit_test(test_tree),
        cmocka_unit_test(test_idle),          cmocka_unit_test(test_quota),
    };

    begin_world(&world, argc, argv);
    return end_world(&world, cmocka_run_group_tests(tests, NULL, NULL));
}
