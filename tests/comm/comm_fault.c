/* A run that goes wrong on purpose, for comm_faults.sh and comm_hosts.sh:
 *
 *     comm_fault CASE DIR [RANK]      RANK (default 1) misbehaves; DIR/RANK gets "status|message" of each
 * rank
 *
 * It ends as main.c does: settle, speak, end, exit code. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "clock.h"
#include "log.h"
#include "stop.h"
#include "world.h"

static void write_file(const char *folder, const char *kind, int rank, const char *text)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s%d", folder, kind, rank);
    FILE *f = fopen(path, "w");
    if (!f) return;
    fputs(text, f);
    fclose(f);
}

static mg_status misbehave(const char *fault)
{
    if (strcmp(fault, "kill") == 0 || strcmp(fault, "kill-busy") == 0) raise(SIGKILL);
    if (strcmp(fault, "freeze") == 0) raise(SIGSTOP);
    if (strcmp(fault, "exit") == 0) _exit(0);
    if (strcmp(fault, "error") == 0) return mg_fail(MG_EFAIL, "out/000001.wav: no space left on device");
    if (strcmp(fault, "silent-error") == 0) return MG_EFAIL;
    return MG_OK;
}

/* One that is stopped with a large letter half on its way. */
static mg_status wait_for_letter(const mg_world *w, int culprit)
{
    static const char large[1 << 26];
    mg_wait wait = mg_wait_begin(mg_world_watchdog(w), "letter");
    mg_channel *c;
    mg_status st;
    char *data = NULL;
    size_t bytes;
    int from;

    MG_RETURN(mg_channel_open(&c, w));
    MG_RETURN(mg_comm_barrier(w->all));
    if (w->rank == culprit) {
        MG_RETURN(mg_channel_send(c, 0, large, sizeof large));
        raise(SIGSTOP);
    }
    do {
        st = w->rank == 0 ? mg_channel_receive(c, &from, &data, &bytes) : MG_OK;
        if (st == MG_OK) st = mg_wait_idle(&wait, culprit);
    } while (st == MG_OK && !data);
    return st;
}

/* A group that an exchange failed in says so again, at once. */
static mg_status again(const mg_world *w, mg_status st, float *x)
{
    char message[600];
    const double begin_s = mg_clock_s();

    snprintf(message, sizeof message, "%s", mg_last_error());
    mg_clear_error();
    const mg_status next = mg_comm_all_reduce(w->group, x, 1024);
    if (next != st || strcmp(message, mg_last_error()) != 0 || mg_clock_s() - begin_s > 1.0)
        return mg_fail(MG_EBUG, "torn by %d, %s: %.3f s later %d, another error", (int)st, message,
                       mg_clock_s() - begin_s, (int)next);
    return st;
}

static mg_status work(const mg_world *w, const char *fault, const char *folder, int culprit)
{
    float x[1024];
    mg_status st = MG_OK;

    for (int64_t k = 0; st == MG_OK; k++) {
        for (int i = 0; i < 1024; i++) x[i] = (float)w->rank;
        if (k == 100) write_file(folder, "ready", w->rank, "");
        if (k == 200 && w->rank == culprit) MG_RETURN(misbehave(fault));
        if (k == 200 && strcmp(fault, "agree") == 0) {
            const mg_status mine =
                w->rank == culprit ? mg_fail(MG_ECHECKPOINT, "model: bad on one rank") : MG_OK;
            return mg_comm_agree(w->all, mine);
        }
        if (k == 200 && strcmp(fault, "none") == 0) return MG_OK;
        if (k >= 200 && strcmp(fault, "kill-busy") == 0) /* no exchange: only the launcher's signal tells */
            for (const double end_s = mg_clock_s() + 10.0; mg_clock_s() < end_s;) MG_RETURN(mg_stop_check());
        MG_RETURN(mg_stop_check());
        if (k == 200 && strcmp(fault, "letter") == 0) return wait_for_letter(w, culprit);
        st = mg_comm_all_reduce(w->group, x, 1024);
    }
    return again(w, st, x);
}

int main(int argc, char **argv)
{
    mg_world w;
    char text[600];

    if (argc < 3) return 2;
    mg_stop_begin();
    const char *timeout = getenv("MGDIST_COMM_TIMEOUT");
    mg_status st = mg_world_begin(&w, timeout ? atof(timeout) : (double)NAN, false);
    if (st == MG_OK) {
        mg_log_init(MG_LOG_NORMAL, w.rank, w.host);
        st = mg_world_split(&w, w.size);
    }
    mg_clear_error();
    if (st == MG_OK) st = work(&w, argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 1);
    st = mg_world_settle(&w, st);
    snprintf(text, sizeof text, "%d|%s\n", (int)st, st == MG_OK ? "" : mg_last_error());
    write_file(argv[2], "end", w.rank, text);
    if (st != MG_OK && mg_last_error()[0]) mg_log_error("%s", mg_last_error());
    mg_world_end(&w, st);
    return mg_exit_code(st);
}
