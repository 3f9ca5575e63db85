/* Chooses how a group on devices sums: by NCCL or over mailboxes. Both are tried on sums of the size that is
 * to come; a way that is late, or whose bits are not the other's, is out; of two that are right rank 0 takes
 * the one that was faster for it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "comm_nccl_impl.h"
#include "log.h"

enum { N_ROUNDS = 4, N_SUMS = 20 };

static const double PATIENCE_S = 5; /* for what takes microseconds */

/* What a rank found. */
typedef struct verdict {
    double nccl_s, oneshot_s; /* of one sum */
    int64_t is_right;         /* the mailboxes brought the bits of NCCL, in time */
} verdict;

enum { VERDICT_INTS = sizeof(verdict) / sizeof(int64_t) };

/* Recorded, as a step is: to queue a sum takes NCCL longer than many a sum. The first time only records. */
static mg_status time_sums(mg_comm *c, mg_cuda_reduce how, float *x, int64_t n, double *best_s)
{
    const mg_nccl_group *g = c->ctx;
    const double begin_s = mg_clock_s();
    bool replay = false;

    MG_RETURN(mg_step_begin(g->ops, (uint64_t)how, &replay));
    for (int i = 0; i < N_SUMS && !replay; i++) MG_RETURN(mg_nccl_sum(c, how, NULL, x, n));
    MG_RETURN(mg_step_end(g->ops));
    MG_RETURN(mg_nccl_run_out(c, INFINITY, NULL));
    const double sum_s = (mg_clock_s() - begin_s) / N_SUMS;
    if (replay && sum_s < *best_s) *best_s = sum_s;
    return MG_OK;
}

/* One sum each way, of numbers that no two ranks share; host [2, n]. */
static mg_status compare(mg_comm *c, float *x, float *host, int64_t n, bool *same, bool *late)
{
    mg_nccl_group *g = c->ctx;
    const size_t bytes = (size_t)n * sizeof *x;

    for (int64_t i = 0; i < n; i++) host[n + i] = sinf((float)i + 0.37F * (float)c->rank);
    MG_RETURN(mg_upload(g->ops, x, host + n, bytes));
    MG_RETURN(mg_nccl_sum(c, MG_REDUCE_NCCL, NULL, x, n));
    MG_RETURN(mg_download(g->ops, host, x, bytes));
    MG_RETURN(mg_upload(g->ops, x, host + n, bytes));
    MG_RETURN(mg_nccl_sum(c, MG_REDUCE_ONESHOT, NULL, x, n));
    MG_RETURN(mg_nccl_run_out(c, PATIENCE_S, late));
    if (*late) mg_mailboxes_give_up(&g->mail); /* it ends now */
    MG_RETURN(mg_download(g->ops, host + n, x, bytes));
    *same = !*late && memcmp(host, host + n, bytes) == 0;
    return MG_OK;
}

static mg_status measure(mg_comm *c, float *x, float *host, int64_t n, verdict *mine)
{
    bool same = false, late = false;
    const mg_nccl_group *g = c->ctx;

    MG_RETURN(compare(c, x, host, n, &same, &late));
    mine->is_right = same;
    int64_t all[MG_ONESHOT_MOST_RANKS];
    MG_RETURN(mg_comm_all_gather(g->host, all, &mine->is_right, 1, MG_I64));
    for (int r = 0; r < c->size; r++) mine->is_right = mine->is_right && all[r];
    for (int i = 0; i < N_ROUNDS && mine->is_right; i++) {
        MG_RETURN(time_sums(c, MG_REDUCE_NCCL, x, n, &mine->nccl_s));
        MG_RETURN(time_sums(c, MG_REDUCE_ONESHOT, x, n, &mine->oneshot_s));
    }
    return MG_OK;
}

mg_status mg_nccl_tune(mg_comm *c, int64_t n)
{
    mg_nccl_group *g = c->ctx;
    const size_t bytes = (size_t)n * sizeof(float);
    verdict v = {INFINITY, INFINITY, 0};
    mg_status st = MG_OK;
    void *x = NULL;
    float *host = NULL;

    if (g->reduce != MG_REDUCE_AUTO) return MG_OK;
    host = malloc(2 * bytes);
    if (!host) st = mg_fail(MG_ENOMEM, "group: %zu bytes", 2 * bytes);
    if (st == MG_OK) st = mg_ops_alloc(g->ops, &x, bytes);
    MG_TRY(mg_comm_agree(g->host, st));
    MG_TRY(measure(c, x, host, n, &v));
    MG_TRY(mg_comm_bcast(g->host, &v, VERDICT_INTS, MG_I64, 0));
    g->reduce = v.is_right && v.oneshot_s < v.nccl_s ? MG_REDUCE_ONESHOT : MG_REDUCE_NCCL;
    c->name = g->reduce == MG_REDUCE_ONESHOT ? "oneshot" : "nccl";
    if (v.is_right)
        mg_log_detail("sums over ranks: %s (%lld floats: nccl %.1f us, oneshot %.1f us)", c->name,
                      (long long)n, v.nccl_s * 1e6, v.oneshot_s * 1e6);
    else
        mg_log_warn("sums over ranks: oneshot does not bring the sum here, or not in time: by NCCL then");
done:
    mg_step_forget(g->ops);
    mg_ops_release(g->ops, x, bytes);
    free(host);
    return st;
}
