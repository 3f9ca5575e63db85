/* The group on devices against the host's group, under mpirun: same bits. Other words make one rank go wrong;
 * the others must end with MG_ECOMM and a message.
 *   test_comm_nccl right|kill|freeze|fail nccl|oneshot|auto      test_comm_nccl fast fast */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm_nccl.h"
#include "log.h"
#include "world.h"

enum {
    MOST = (5 << 20) / 4, /* more than one piece of a sum */
    FAULT_S = 2,          /* what a rank that goes wrong is waited for; nccl.sh looks for this number */
    PATIENCE_S = 60       /* where none goes wrong: under ThreadSanitizer a rank sums for seconds */
};

typedef struct fixture {
    mg_world world;
    mg_ops *ops;
    mg_comm *group;
} fixture;

static mg_status look(void *arg, double waited_s)
{
    const fixture *f = arg;

    return f->group ? mg_comm_nccl_check(f->group, waited_s) : MG_OK;
}

static mg_status open_fixture(fixture *f, mg_cuda_reduce reduce, double timeout_s)
{
    const mg_cuda_settings settings = {.check = look, .check_arg = f};

    MG_RETURN(mg_world_begin(&f->world, timeout_s, false));
    mg_log_init(MG_LOG_NORMAL, f->world.rank, f->world.host);
    MG_RETURN(mg_world_split(&f->world, f->world.size));
    MG_RETURN(mg_comm_agree(f->world.all, mg_cuda_open(&f->ops, &settings)));
    const mg_cuda_group_settings group = {
        .reduce = reduce, .host = f->world.group, .watchdog = mg_world_watchdog(&f->world)};
    MG_RETURN(mg_comm_nccl_open(&f->group, f->ops, &group));
    MG_RETURN(mg_comm_tune(f->group, 5000));
    if (f->world.rank == 0) printf("reduce: %s\n", f->group->name);
    return MG_OK;
}

static float value(int rank, int64_t i)
{
    return sinf((float)i * 0.37f + (float)rank) * expf((float)((i * 7 + rank) % 11 - 5));
}

/* *n_differ: values of the device's sum that are not the host's; `add`: into other numbers. */
static mg_status compare_sums(fixture *f, int64_t n, bool add, int64_t *n_differ)
{
    const size_t bytes = (size_t)n * 4;
    mg_status st = MG_OK;
    float *mine = malloc(bytes), *host = malloc(bytes);
    void *device = NULL, *to = NULL;

    for (int64_t i = 0; i < n; i++) mine[i] = host[i] = value(f->world.rank, i);
    MG_TRY(mg_ops_alloc(f->ops, &device, bytes));
    MG_TRY(mg_ops_alloc(f->ops, &to, bytes));
    MG_TRY(mg_upload(f->ops, device, mine, bytes));
    for (int64_t i = 0; i < n; i++) mine[i] = value(17, i);
    MG_TRY(mg_upload(f->ops, to, mine, bytes));
    MG_TRY(mg_comm_all_reduce(f->world.group, host, n));
    for (int64_t i = 0; i < n && add; i++) host[i] = mine[i] + host[i];
    MG_TRY(add ? mg_comm_all_reduce_add(f->group, to, device, n) : mg_comm_all_reduce(f->group, device, n));
    MG_TRY(mg_download(f->ops, mine, add ? to : device, bytes));
    for (int64_t i = 0; i < n; i++) *n_differ += memcmp(&mine[i], &host[i], 4) != 0;
done:
    mg_ops_release(f->ops, device, bytes);
    mg_ops_release(f->ops, to, bytes);
    free(mine);
    free(host);
    return st;
}

static mg_status compare_moves(fixture *f)
{
    enum { N = 1001 };
    const int size = f->world.size;
    static int32_t mine[N], all[8 * N];
    void *one = NULL, *many = NULL;
    mg_status st = MG_OK;
    bool right = true;

    for (int i = 0; i < N; i++) mine[i] = f->world.rank * N + i;
    MG_TRY(mg_ops_alloc(f->ops, &one, sizeof mine));
    MG_TRY(mg_ops_alloc(f->ops, &many, sizeof mine * (size_t)size));
    MG_TRY(mg_upload(f->ops, one, mine, sizeof mine));
    MG_TRY(mg_comm_barrier(f->group));
    MG_TRY(mg_comm_all_gather(f->group, many, one, N, MG_I32));
    MG_TRY(mg_comm_bcast(f->group, one, N, MG_I32, size - 1));
    MG_TRY(mg_download(f->ops, all, many, sizeof mine * (size_t)size));
    MG_TRY(mg_download(f->ops, mine, one, sizeof mine));
    for (int i = 0; i < size * N; i++) right = right && all[i] == i;
    for (int i = 0; i < N; i++) right = right && mine[i] == (size - 1) * N + i;
    if (!right) st = mg_fail(MG_EFAIL, "gather or broadcast: wrong on rank %d", f->world.rank);
done:
    mg_ops_release(f->ops, one, sizeof mine);
    mg_ops_release(f->ops, many, sizeof mine * (size_t)size);
    return st;
}

static mg_status right(fixture *f)
{
    const int64_t sizes[] = {1, 7, 4096, 70001, 3, MOST};
    int64_t n_differ = 0;

    for (int i = 0; i < 6; i++) {
        MG_RETURN(compare_sums(f, sizes[i], false, &n_differ));
        MG_RETURN(compare_sums(f, sizes[i], true, &n_differ));
    }
    if (n_differ > 0) return mg_fail(MG_EFAIL, "%lld sums differ from the host's", (long long)n_differ);
    return compare_moves(f);
}

/* `fast` is summed in another order: if nothing differed, the comparison above could not fail. */
static mg_status fast(fixture *f)
{
    int64_t n_differ = 0;

    MG_RETURN(compare_sums(f, MOST, false, &n_differ));
    return n_differ > 0 || f->world.size == 2 ? MG_OK : mg_fail(MG_EFAIL, "fast: no sum differs");
}

/* As in a run: recorded once. NCCL does not end while there is the recording. */
static mg_status replay_sum(fixture *f, float *x, int64_t n)
{
    bool replay = false;

    MG_RETURN(mg_step_begin(f->ops, 1, &replay));
    if (!replay) MG_RETURN(mg_comm_all_reduce(f->group, x, n));
    return mg_step_end(f->ops);
}

/* Rank 1 goes wrong after some sums; the others go on summing. */
static mg_status wrong(fixture *f, const char *how)
{
    enum { N = 64 };
    static float sum[N];
    void *x = NULL;
    mg_status st = MG_OK;

    MG_TRY(mg_ops_alloc(f->ops, &x, sizeof sum));
    for (int i = 0; i < 20; i++) {
        if (i == 5 && f->world.rank == 1 && strcmp(how, "kill") == 0) raise(SIGKILL);
        if (i == 5 && f->world.rank == 1 && strcmp(how, "freeze") == 0) sleep(30);
        MG_TRY(mg_upload(f->ops, x, sum, sizeof sum));
        MG_TRY(replay_sum(f, x, N));
        MG_TRY(mg_download(f->ops, sum, x, sizeof sum));
    }
done:
    mg_ops_release(f->ops, x, sizeof sum);
    return st;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"auto", "nccl", "oneshot", "fast"};
    const char *how = argc > 1 ? argv[1] : "right", *by = argc > 2 ? argv[2] : "nccl";
    fixture f = {0};
    int reduce = 0;

    while (reduce < MG_REDUCE_FAST && strcmp(by, words[reduce]) != 0) reduce++;
    const bool is_right = strcmp(how, "right") == 0, is_fast = strcmp(how, "fast") == 0;
    mg_status st = open_fixture(&f, (mg_cuda_reduce)reduce, is_right || is_fast ? PATIENCE_S : FAULT_S);

    if (st == MG_OK) st = is_right ? right(&f) : is_fast ? fast(&f) : wrong(&f, how);
    st = mg_world_settle(&f.world, st);
    if (st != MG_OK && *mg_last_error())
        fprintf(stderr, "rank %d: status %d: %s\n", f.world.rank, st, mg_last_error());
    if (f.ops) mg_step_forget(f.ops);
    mg_comm_close(f.group);
    f.group = NULL;
    mg_ops_close(f.ops);
    mg_world_end(&f.world, st);
    return mg_exit_code(st);
}
