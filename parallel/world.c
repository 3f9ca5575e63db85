/* Begins and ends MPI, places the ranks, and opens the groups. world_same.c compares them. */
#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm_mpi.h"
#include "comm_shm.h"
#include "log.h"
#include "numa.h"
#include "session.h"

struct mg_world_links {
    mg_comm *local;           /* MPI: the ranks of this host */
    mg_comm *last;            /* MPI: all ranks, used at the very end only, so nothing can be pending on it */
    mg_placement *placements; /* [size] */
    mg_board *board;
    mg_watchdog watchdog;
    mg_watchdog last_dog; /* short, and looks at nobody */
    bool has_told;        /* who is gone: what fails behind that is no news */
};

static const double LAST_DEADLINE_S = 1.0; /* a launcher kills about 2 s after its SIGTERM */
static const double GOES_ON_S = 5.0; /* work that can be gone on with is handed over first: some seconds */
static const double HEAR_S = 2.0;
static const double JOIN_S = 300.0; /* at least: a cluster that starts cold, or gets its container first */

int mg_world_launched_rank(void)
{
    static const char *const names[] = {"PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i])) return atoi(getenv(names[i]));
    return getenv("SLURM_STEP_NUM_TASKS") && getenv("SLURM_PROCID") ? atoi(getenv("SLURM_PROCID")) : 0;
}

/* A launcher that we could not join: its processes would each believe to be alone, and do the same work. */
static mg_status refuse_one_of_many(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS",
                                        "FLUX_JOB_SIZE", "SLURM_STEP_NUM_TASKS"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *n = getenv(names[i]);
        if (!n || atoi(n) <= 1) continue;
        if (mg_world_launched_rank() > 0) {
            mg_clear_error();
            return MG_EUSAGE;
        }
        return mg_fail(
            MG_EUSAGE,
            "world: started %s times as one rank each (%s): use srun --mpi=pmix or mpirun, of the MPI that "
            "mg-dist --version tells; --alone to insist",
            n, names[i]);
    }
    return MG_OK;
}

mg_status mg_world_check_tasks(const mg_world *w)
{
    const char *n = getenv("SLURM_NTASKS");

    if (w->size > 1 || w->links || !n || atoi(n) <= 1) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "world: the job has %s tasks (SLURM_NTASKS), and this is one rank alone: use srun "
                   "--mpi=pmix or mpirun; --alone to insist",
                   n);
}

static mg_status begin_alone(mg_world *w)
{
    mg_placement placement;

    mg_placement_take(&placement, 0, 0);
    memcpy(w->host, placement.host, sizeof w->host);
    w->n_cores = mg_placement_cores(&placement, 1, 0, &w->oversubscribed);
    return mg_comm_self_open(&w->all);
}

/* MGDIST_JOIN_TIMEOUT: tests have no time. */
static double join_timeout(double timeout_s)
{
    const char *said = getenv("MGDIST_JOIN_TIMEOUT");

    return said ? atof(said) : timeout_s > JOIN_S ? timeout_s : JOIN_S;
}

static mg_status begin_with_mpi(mg_world *w, double timeout_s)
{
    mg_status st = MG_OK;
    mg_world_links *k = w->links;

    const int session = mg_session_watch();
    mg_session_join_begin(mg_world_launched_rank() == 0, join_timeout(timeout_s));
    st = mg_mpi_begin();
    mg_session_join_end();
    MG_RETURN(st);
    mg_session_tell(session);
    mg_session_heed();
    k->watchdog = (mg_watchdog){.deadline_s = timeout_s, .heeds_stop = true};
    k->last_dog = (mg_watchdog){.deadline_s = LAST_DEADLINE_S};
    MG_RETURN(mg_comm_mpi_open_world(&w->all, &k->watchdog));
    w->rank = w->all->rank, w->size = w->all->size;
    if (w->size == 1) MG_RETURN(refuse_one_of_many());
    MG_RETURN(mg_comm_mpi_split(&k->last, w->all, 0, &k->last_dog));
    MG_RETURN(mg_comm_mpi_split_host(&k->local, w->all, &k->watchdog));
    w->local_rank = k->local->rank, w->local_size = k->local->size;

    k->placements = calloc((size_t)w->size, sizeof *k->placements);
    if (!k->placements) st = mg_fail(MG_ENOMEM, "world: %d placements", w->size);
    MG_RETURN(mg_comm_agree(w->all, st));
    int32_t first_of_host = w->rank;
    MG_RETURN(mg_comm_bcast(k->local, &first_of_host, 1, MG_I32, 0));
    w->first_of_host = first_of_host;
    mg_placement placement;
    mg_placement_take(&placement, w->rank, first_of_host);
    memcpy(w->host, placement.host, sizeof w->host);
    MG_RETURN(mg_placements_gather(k->placements, w->all, &placement));
    w->n_cores = mg_placement_cores(k->placements, w->size, w->rank, &w->oversubscribed);
    cpu_set_t all;
    if (mg_session_processors(&all)) w->n_idle = mg_placement_idle(k->placements, w->size, w->rank, &all);

    st = mg_board_open(&k->board, k->local, k->placements, w->size, w->rank);
    MG_RETURN(mg_comm_agree(w->all, st));
    k->watchdog.board = k->board;
    k->watchdog.oversubscribed = w->oversubscribed;
    return MG_OK;
}

mg_status mg_world_begin(mg_world *w, double timeout_s, bool alone)
{
    *w = (mg_world){.size = 1, .local_size = 1, .n_cores = 1, .tp = 1, .n_replicas = 1};
    if (!alone && !mg_mpi_launched()) MG_RETURN(refuse_one_of_many());
    if (alone || !mg_mpi_launched()) return begin_alone(w);
    w->links = calloc(1, sizeof *w->links);
    if (!w->links) return mg_fail(MG_ENOMEM, "world: %zu bytes", sizeof *w->links);
    return begin_with_mpi(w, isnan(timeout_s) ? MG_WATCHDOG_DEADLINE_S : timeout_s);
}

void mg_world_set_timeout(const mg_world *w, double timeout_s)
{
    if (w->links) w->links->watchdog.deadline_s = isnan(timeout_s) ? MG_WATCHDOG_DEADLINE_S : timeout_s;
}

static mg_status agree_patiently(const mg_world *w, mg_status mine, bool waits)
{
    if (!w->links || !waits) return mg_comm_agree(w->all, mine);
    const double deadline_s = w->links->watchdog.deadline_s;
    w->links->watchdog.deadline_s = INFINITY;
    const mg_status st = mg_comm_agree(w->all, mine);
    w->links->watchdog.deadline_s = deadline_s;
    return st;
}

mg_status mg_world_await_first(const mg_world *w, mg_status mine)
{
    return agree_patiently(w, mine, w->rank > 0);
}

mg_status mg_world_await_all(const mg_world *w, mg_status mine)
{
    return agree_patiently(w, mine, true);
}

int mg_world_largest_group(const mg_world *w)
{
    for (int tp = 8; tp > 1; tp /= 2) {
        bool fits = w->size % tp == 0;
        for (int r = 0; fits && r < w->size; r++)
            fits = w->links->placements[r].first_of_host == w->links->placements[r - r % tp].first_of_host;
        if (fits) return tp;
    }
    return 1;
}

bool mg_world_is_first_replica(const mg_world *w)
{
    for (int r = w->tp_rank; r < w->rank; r += w->tp)
        if (w->links->placements[r].first_of_host == w->first_of_host) return false;
    return true;
}

/* True if the ranks of this group share memory. Collective over the group; one answer for all of it. */
static mg_status may_use_shm(const mg_world *w, mg_comm *group, bool *answer)
{
    const mg_world_links *k = w->links;
    int32_t mine = mg_board_sees(k->board), all[8] = {0};
    const int first = w->i_replica * w->tp;

    for (int r = first; r < first + w->tp; r++)
        if (k->placements[r].first_of_host != k->placements[first].first_of_host) mine = 0;
    MG_REQUIRE(group->size == w->tp && w->tp <= 8);
    MG_RETURN(mg_comm_all_gather(group, all, &mine, 1, MG_I32));
    *answer = true;
    for (int r = 0; r < w->tp; r++) *answer = *answer && all[r];
    return MG_OK;
}

static mg_status open_group(mg_world *w)
{
    mg_status st = MG_OK;
    mg_world_links *k = w->links;
    const char *wish = getenv("MGDIST_COMM");
    bool shm = false;
    mg_comm *mpi_group = NULL;

    if (wish && strcmp(wish, "mpi") != 0 && strcmp(wish, "shm") != 0)
        st = mg_fail(MG_EUSAGE, "MGDIST_COMM: %s: must be mpi or shm", wish);
    MG_RETURN(mg_comm_agree(w->all, st));
    st = mg_comm_mpi_split(&mpi_group, w->all, w->i_replica, &k->watchdog);
    MG_TRY(mg_comm_agree(w->all, st));
    st = may_use_shm(w, mpi_group, &shm);
    if (st == MG_OK && wish && strcmp(wish, "shm") == 0 && !shm)
        st =
            mg_fail(MG_EUSAGE, "MGDIST_COMM: shm: the ranks of replica %d cannot share memory", w->i_replica);
    MG_TRY(mg_comm_agree(w->all, st));
    if (wish && strcmp(wish, "mpi") == 0) shm = false;

    if (shm) st = mg_comm_shm_open(&w->group, mpi_group, w->i_replica * w->tp, &k->watchdog);
    MG_TRY(mg_comm_agree(w->all, st));
    if (!shm) {
        w->group = mpi_group;
        mpi_group = NULL;
    }
done:
    mg_comm_close(mpi_group);
    return st;
}

/* Every rank was asked the same, and one says it. */
static mg_status refuse(mg_world *w, mg_status st)
{
    w->all->agreed = st;
    if (w->rank > 0) mg_clear_error();
    return st;
}

mg_status mg_world_split(mg_world *w, int tp)
{
    MG_REQUIRE(w->all && !w->group);
    if (tp != 1 && tp != 2 && tp != 4 && tp != 8)
        return refuse(w, mg_fail(MG_EUSAGE, "--tp: %d: must be 1, 2, 4 or 8", tp));
    if (w->size % tp != 0)
        return refuse(w, mg_fail(MG_EUSAGE, "--tp: %d: does not divide the %d rank%s of this run", tp,
                                 w->size, w->size > 1 ? "s" : ""));
    w->tp = tp, w->n_replicas = w->size / tp;
    w->i_replica = w->rank / tp, w->tp_rank = w->rank % tp;
    return tp == 1 ? mg_comm_self_open(&w->group) : open_group(w);
}

void mg_world_stay(const mg_world *w, const char *root)
{
    cpu_set_t node;
    mg_numa numa;

    if (!w->links) return;
    mg_numa_read(&numa, root);
    if (mg_numa_choose(&node, &numa, w->links->placements, w->size, w->rank))
        (void)sched_setaffinity(0, sizeof node, &node); /* refused: it stays where it was */
}

const mg_watchdog *mg_world_watchdog(const mg_world *w)
{
    return w->links ? &w->links->watchdog : NULL;
}

void mg_world_look_too(const mg_world *w, mg_status (*look)(void *arg), void *arg)
{
    if (!w->links) return;
    w->links->watchdog.look = look;
    w->links->watchdog.look_arg = arg;
    w->links->watchdog.looker = pthread_self();
}

mg_status mg_world_settle(const mg_world *w, mg_status st)
{
    mg_board *board = w->links ? w->links->board : NULL;

    if (st != MG_ESTOPPED && st != MG_ECOMM) return st;
    if (w->links && w->links->has_told) {
        mg_clear_error();
        return MG_ECOMM;
    }
    if (!board) return st;
    char message[512];
    snprintf(message, sizeof message, "%s", mg_last_error());
    if (st == MG_ESTOPPED && mg_board_look(board, "run") == MG_ECOMM) return MG_ECOMM;
    if (message[0] == '\0') {
        mg_clear_error();
        return st;
    }
    return mg_board_fail(board, st, "%s", message);
}

mg_status mg_world_tell_loss(const mg_world *w, mg_status st)
{
    if (st == MG_ESTOPPED) {
        const mg_fault stop = mg_fault_take(st);
        if (mg_world_look(w) != MG_ECOMM) return mg_fault_raise(&stop);
        st = MG_ECOMM;
    }
    if (st != MG_ECOMM) return st;
    st = mg_world_settle(w, st);
    if (*mg_last_error()) mg_log_last_error();
    mg_clear_error();
    if (w->links) w->links->has_told = true;
    return st;
}

mg_status mg_world_look(const mg_world *w)
{
    mg_board *board = w->links ? w->links->board : NULL;

    return board ? mg_board_look(board, "run") : MG_OK;
}

static bool is_orderly(const mg_world *w, mg_status st)
{
    if (st == MG_OK || st == MG_EPARTIAL) return true;
    if (w->all->agreed == st) return true;
    return w->n_replicas == 1 && w->group && w->group->agreed == st;
}

static void leave(mg_world *w, mg_status st)
{
    mg_world_links *k = w->links;
    bool together = false; /* every rank has come to its end */

    if (w->all && is_orderly(w, st)) {
        const mg_status met = mg_comm_barrier(w->all);
        together = met == MG_OK;
        if (!together && st == MG_OK) st = met;
    }
    if (!together) mg_board_leave(k->board, st, mg_last_error()[0] != '\0');
    if (st == MG_EUNFINISHED) k->last_dog.deadline_s = GOES_ON_S;
    if (!together && mg_status_is_stop(st) && k->last) together = mg_comm_barrier(k->last) == MG_OK;
    if (!together || mg_comm_mpi_is_torn(w->all) || mg_comm_mpi_is_torn(w->group)) {
        /* The launcher returns the first code it hears: let the rank that is the cause be first. */
        if (st == MG_ECOMM) nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        mg_board_hear(k->board, HEAR_S); /* who says why may still be closing a device */
        mg_mpi_abort(mg_exit_code(st));
    }
    mg_board_leave(k->board, MG_OK, false);
}

void mg_world_end(mg_world *w, mg_status st)
{
    mg_world_links *k = w->links;

    if (w->size > 1) leave(w, st);
    mg_comm_close(w->group);
    mg_comm_close(w->all);
    w->group = w->all = NULL;
    if (!k) return;
    mg_comm_close(k->local);
    mg_comm_close(k->last);
    mg_board_close(k->board);
    free(k->placements);
    free(k);
    w->links = NULL;
    mg_mpi_end();
}
