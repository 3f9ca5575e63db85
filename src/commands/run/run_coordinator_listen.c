/* A leader reports every few seconds while its replica works. One that says nothing more is stopped, stuck,
 * or out of reach, and the run would wait for its clips for ever. */
#include "log.h"
#include "run_coordinator_impl.h"

/* Most that one look adds to a silence: a coordinator that was suspended, or whose own step took long, has
 * not listened meanwhile. Who works is heard at the next look. */
#define MOST_S 30.0

/* From here on a silence is worth a word. */
#define SILENT_S 60.0

/* A group that loses a rank of its own waits as long for it, and names the rank: it comes first. */
#define GRACE_S 10.0

/* A silence that is so many times longer than any before is no slow step. */
#define TIMES 10.0

void mg_run_coordinator_hear(mg_run_coordinator *c, int i_replica)
{
    mg_run_leader_view *l = &c->leader[i_replica];

    if (l->warned)
        mg_log_info("run: replica %d on %s is heard again, after %.0f s", i_replica, l->host ? l->host : "?",
                    l->silent_s);
    if (l->silent_s > l->longest_s) l->longest_s = l->silent_s;
    l->silent_s = 0;
    l->warned = false;
}

static mg_status look(const mg_run_coordinator *c, int i)
{
    mg_run_leader_view *l = &c->leader[i];
    const double timeout_s = c->link.timeout_s + GRACE_S, patience_s = TIMES * l->longest_s;
    const char *host = l->host ? l->host : "?", *ids = l->ids && *l->ids ? l->ids : "no clip";

    if (l->silent_s >= SILENT_S && !l->warned) {
        mg_log_warn("run: replica %d (rank %d, host %s) has said nothing for %.0f s; it had at hand: %s", i,
                    i * c->w->tp, host, l->silent_s, ids);
        l->warned = true;
    }
    if (c->link.timeout_s <= 0 || l->silent_s < timeout_s || l->silent_s < patience_s) return MG_OK;
    return mg_fail(
        MG_ECOMM,
        "run: replica %d (rank %d, host %s) has said nothing for %.0f s: it is stopped or stuck, its "
        "host is out of reach, or it is slower than --comm-timeout allows; it had at hand: %s",
        i, i * c->w->tp, host, l->silent_s, ids);
}

mg_status mg_run_coordinator_listen(mg_run_coordinator *c, double now_s)
{
    const double passed_s = now_s - c->listened_s;

    c->listened_s = now_s;
    for (int i = 0; i < c->w->n_replicas && !c->over; i++) {
        c->leader[i].silent_s += passed_s < MOST_S ? passed_s : MOST_S;
        MG_RETURN(look(c, i));
    }
    return MG_OK;
}
