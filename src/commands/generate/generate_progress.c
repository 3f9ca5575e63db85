#include "generate_progress.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "stop.h"

static const double TELL_EVERY_S = 0.5;
static const struct timespec NAP = {.tv_nsec = 20000000};

/* What a leader tells. */
typedef struct report {
    int64_t n_frames, is_done;
} report;

mg_status mg_generate_progress_open(mg_generate_progress *p, const mg_world *world, int64_t n_frames)
{
    *p = (mg_generate_progress){.world = world, .n_at_work = world->n_replicas - 1};
    mg_progress_begin(&p->bar, "generate", "frames", n_frames);
    p->n_frames = calloc((size_t)world->size, sizeof *p->n_frames);
    if (!p->n_frames) return mg_fail(MG_ENOMEM, "progress: %d ranks", world->size);
    return world->n_replicas > 1 ? mg_channel_open(&p->channel, world) : MG_OK;
}

void mg_generate_progress_close(mg_generate_progress *p)
{
    mg_channel_close(p->channel);
    free(p->n_frames);
    *p = (mg_generate_progress){0};
}

/* Rank 0: what the others have said since. */
static mg_status listen(mg_generate_progress *p)
{
    char *data;
    size_t bytes;
    int rank;

    while (p->channel) {
        MG_RETURN(mg_channel_receive(p->channel, &rank, &data, &bytes));
        if (!data) break;
        report r = {0};
        if (bytes == sizeof r) memcpy(&r, data, sizeof r);
        free(data);
        p->n_frames[rank] = r.n_frames;
        p->n_at_work -= r.is_done != 0;
    }
    return MG_OK;
}

static void show(mg_generate_progress *p)
{
    int64_t n = 0;

    for (int r = 0; r < p->world->size; r++) n += p->n_frames[r];
    mg_progress_update(&p->bar, n);
}

static mg_status say(const mg_generate_progress *p, int64_t n_frames, bool is_done)
{
    const report r = {n_frames, is_done};

    return mg_channel_send(p->channel, 0, &r, sizeof r);
}

mg_status mg_generate_progress_tell(mg_generate_progress *p, int64_t n_frames)
{
    const double now_s = mg_clock_s();

    if (p->world->rank == 0) {
        MG_RETURN(listen(p));
        p->n_frames[0] = n_frames;
        show(p);
        return MG_OK;
    }
    if (now_s - p->told_s < TELL_EVERY_S) return MG_OK;
    p->told_s = now_s;
    return say(p, n_frames, false);
}

mg_status mg_generate_progress_end(mg_generate_progress *p, int64_t n_frames)
{
    if (p->world->rank > 0) return say(p, n_frames, true);
    p->n_frames[0] = n_frames;
    for (;;) {
        MG_RETURN(listen(p));
        show(p);
        if (p->n_at_work <= 0) break;
        MG_RETURN(mg_stop_check());
        MG_RETURN(mg_world_look(p->world));
        nanosleep(&NAP, NULL);
    }
    mg_progress_end(&p->bar);
    return MG_OK;
}
