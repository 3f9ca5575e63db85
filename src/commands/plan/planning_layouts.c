/* Every layout's prediction, and the choice: the run that ends first; of those that end within 2 % of it, the
 * least ranks in a group and the least clips at once. */
#include <math.h>

#include "layout.h"
#include "planning.h"

static const double ALIKE = 1.02;

static mg_predict_step step_of(const mg_planning *p, const mg_planning_layout *l)
{
    const mg_lm_config *c = &p->config.lm;
    const double middle = (double)mg_predict_clip_steps(c, p->n_frames) / 2;

    return (mg_predict_step){
        .config = *c,
        .weights = p->formats.weights,
        .kv = p->formats.kv,
        .tp = l->tp,
        .n_clips = l->n_clips,
        .n_rows = 2 * l->n_clips,
        .n_keys = middle + (c->n_chroma ? (double)(c->chroma_length + p->n_tokens) : 0),
        .n_tokens = p->n_tokens,
        .outside_bytes = l->outside_bytes,
    };
}

double mg_planning_run_s(const mg_planning *p, const mg_planning_layout *l, int64_t n_nodes)
{
    const mg_planning_settings *s = p->settings;
    const mg_predict_step step = step_of(p, l);

    return mg_predict_run_s(&step, n_nodes * s->n_per_node / l->tp, s->n_clips, p->n_frames, s->dur_s,
                            l->weight_bytes, &p->machine);
}

static void predict(mg_planning *p, mg_planning_layout *l)
{
    const mg_planning_settings *s = p->settings;
    const mg_predict_step step = step_of(p, l);

    l->n_replicas = s->n_nodes * s->n_per_node / l->tp;
    mg_predict_step_time(&l->times, &step, &p->machine);
    const double clip_s = mg_predict_clip_s(&step, p->n_frames, s->dur_s, &p->machine);
    l->clips_h = 3600 * (double)(l->n_clips * l->n_replicas) / clip_s;
    l->run_s = mg_planning_run_s(p, l, s->n_nodes);
    l->node_h = l->run_s / 3600 * (double)s->n_nodes;
}

/* The least T of which a clip's weights are all in memory, or the largest. */
static int least_tp(const mg_planning *p)
{
    for (int i = 0; i < p->n_layouts; i++)
        if (p->layout[i].n_clips == 1 && p->layout[i].fits && p->layout[i].n_outside == 0)
            return (int)p->layout[i].tp;
    return MG_TP_SLICES;
}

/* What `run` does by itself (plan.c): the most clips at once that fit whole, of those that suit; where none
 * do, those that make a layer's way in cheapest. Between powers of two it may find one more. */
static int find_unasked(const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;
    const int64_t n_ranks = s->n_nodes * s->n_per_node;
    const int64_t most_tp = p->layout[p->n_layouts - 1].tp;
    const int64_t tp =
        s->machine.tp > 0 ? s->machine.tp : mg_layout_tp(n_ranks, MG_MANY_CLIPS, least_tp(p), (int)most_tp);
    const int64_t n_slots =
        mg_layout_slots(mg_hints_of(p->machine.overlaps ? MG_DEVICE : MG_HOST).n_slots, -1, n_ranks / tp);
    int found = -1;

    for (int i = p->n_layouts - 1; i >= 0; i--) {
        const mg_planning_layout *l = &p->layout[i], *f = &p->layout[found < 0 ? i : found];
        if (l->tp != tp || l->n_clips > n_slots || !l->fits) continue;
        if (found < 0 || mg_layout_is_cheaper(f->n_clips, f->n_outside, l->n_clips, l->n_outside)) found = i;
        if (p->layout[found].n_outside == 0) break;
    }
    return found;
}

void mg_planning_choose(mg_planning *p)
{
    double least_s = INFINITY, most_s;

    p->chosen = -1;
    for (int i = 0; i < p->n_layouts; i++) {
        predict(p, &p->layout[i]);
        if (p->layout[i].fits && p->layout[i].run_s < least_s) least_s = p->layout[i].run_s;
    }
    most_s = ALIKE * least_s;
    if (least_s <= p->deadline_s) most_s = fmin(most_s, p->deadline_s);
    for (int i = 0; i < p->n_layouts && p->chosen < 0; i++)
        if (p->layout[i].fits && p->layout[i].run_s <= most_s) p->chosen = i;
    p->unasked = find_unasked(p);
}

double mg_planning_sound_bytes(const mg_planning *p)
{
    const double n_channels = p->config.lm.n_channels > 1 ? (double)p->config.lm.n_channels : 1;

    return 2 * n_channels * (double)p->config.codec.sampling_rate * p->settings->dur_s *
           (double)p->settings->n_clips;
}

/* In this layout of a node. More nodes never take longer. */
static int64_t least_nodes(const mg_planning *p, const mg_planning_layout *l, double limit_s, int64_t most)
{
    int64_t below = 0, enough = most;

    if (!(mg_planning_run_s(p, l, most) <= limit_s)) return 0;
    while (enough - below > 1) {
        const int64_t middle = (below + enough) / 2;
        if (mg_planning_run_s(p, l, middle) > limit_s)
            below = middle;
        else
            enough = middle;
    }
    return enough;
}

int64_t mg_planning_nodes_for(const mg_planning *p, double limit_s, int64_t most)
{
    int64_t least = 0;

    if (most > p->settings->n_clips) most = p->settings->n_clips;
    for (int i = 0; i < p->n_layouts; i++) {
        const int64_t n = p->layout[i].fits ? least_nodes(p, &p->layout[i], limit_s, most) : 0;
        if (n > 0 && (least == 0 || n < least)) least = n;
    }
    return least;
}
