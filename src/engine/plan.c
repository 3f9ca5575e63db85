#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delay.h"
#include "host_memory.h"
#include "layout.h"
#include "log.h"
#include "numbers.h"
#include "plan_fit.h"
#include "ready_clip.h"
#include "resample.h"
#include "style_excerpt.h"

enum { DEMAND_INTS = sizeof(mg_plan_demand) / sizeof(int64_t) };

static mg_delay delay_of(const mg_replica *r)
{
    return (mg_delay){r->config.lm.K, r->config.lm.n_channels};
}

/* With the longest style. */
static int64_t prefix_length(const mg_replica *r, int64_t S)
{
    return mg_lm_prefix_length(&r->config.lm, r->config.lm.chroma_length, mg_larger(S, 1));
}

int64_t mg_plan_max_frames(const mg_replica *r, int64_t S)
{
    const mg_delay d = delay_of(r);
    const int64_t fed_beyond = mg_delay_columns(&d, 1) - 1 - 1; /* the last column is not fed */

    return mg_lm_max_positions(r->lm) - prefix_length(r, S) - fed_beyond;
}

/* Frames of an audio prompt are fewer than those of the clip and of its window. */
static int64_t count_payload_bytes(const mg_replica *r, const mg_clip *c)
{
    mg_clip_terms t = c->terms;

    if (c->audio_prompt) t.T_prompt = t.T < t.T_window ? t.T : t.T_window;
    if (t.with_melody && r->config.lm.is_style) t.n_style = r->config.lm.chroma_length;
    if (t.with_melody && !r->config.lm.is_style) t.n_bins = r->config.lm.chroma_length;
    return (int64_t)mg_clip_payload_bytes(&t, &r->config.lm);
}

/* Frames of the sound at the rate of its file; 0: it is the codec's. */
static int64_t count_resampled(const mg_replica *r, const mg_clip *c)
{
    const mg_codec_config *codec = &r->config.codec;

    if (c->written_hz <= 0 || c->written_hz == codec->sampling_rate) return 0;
    return mg_resample_count(c->terms.T * codec->hop, codec->sampling_rate, c->written_hz);
}

mg_status mg_clip_need_add(mg_clip_need *need, const mg_replica *r, const mg_clip *c)
{
    const mg_clip_terms *t = &c->terms;
    const mg_delay d = delay_of(r);
    const double rate = mg_replica_frame_rate(r);
    const int64_t S = mg_clip_n_tokens(t), T = t->T < t->T_window ? t->T : t->T_window;
    const int64_t T_most = mg_plan_max_frames(r, S), n_columns = mg_delay_columns(&d, T) - 1;

    if (T > T_most)
        return mg_fail(MG_EUSAGE,
                       "window: %lld frames (%g s): this model's position table ends at %lld frames "
                       "(%.2f s); give a shorter --window",
                       (long long)T, (double)T / rate, (long long)T_most, (double)T_most / rate);
    need->T_max = mg_larger(need->T_max, t->T);
    need->S_max = mg_larger(need->S_max, S);
    need->P_max = mg_larger(need->P_max, prefix_length(r, S) + n_columns);
    need->n_rows = mg_larger(need->n_rows, mg_clip_n_rows(t));
    need->n_texts = mg_larger(need->n_texts, t->S_negative > 0 ? 2 : 1);
    need->with_melody |= t->with_melody;
    if (t->with_melody && r->config.lm.is_style)
        need->n_excerpt = mg_larger(need->n_excerpt, mg_style_excerpt_heard(&r->config, c->style_dur_s));
    need->n_payload_bytes = mg_larger(need->n_payload_bytes, count_payload_bytes(r, c));
    need->n_resampled = mg_larger(need->n_resampled, count_resampled(r, c));
    if (c->audio_prompt || t->T > t->T_window || r->config.lm.n_chroma)
        need->n_tokens = r->backend.ops->hints.n_prefill_tokens;
    return MG_OK;
}

/* The largest of all ranks, number by number. */
static mg_status share_need(mg_clip_need *need, int64_t *n_clips, const mg_world *w)
{
    enum { N = sizeof *need / sizeof(int64_t) + 1 };
    int64_t *all = calloc((size_t)w->size * N, sizeof *all), mine[N];
    mg_status st = MG_OK;

    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "plan: %d ranks", w->size)));
    memcpy(mine, need, sizeof *need);
    mine[N - 1] = *n_clips;
    MG_TRY(mg_comm_all_gather(w->all, all, mine, N, MG_I64));
    for (int r = 0; r < w->size; r++)
        for (int i = 0; i < N; i++) mine[i] = mg_larger(mine[i], all[r * N + i]);
    memcpy(need, mine, sizeof *need);
    *n_clips = mine[N - 1];
done:
    free(all);
    return st;
}

static int64_t at_most(int64_t a, int64_t limit)
{
    return limit > 0 && limit < a ? limit : a;
}

/* Where the backend's memory is, and what may be taken of it. A device that shares the host's memory is
 * held to the limits of both. */
static mg_status ask_backend(mg_plan_demand *d, int i, const mg_ops *ops, const mg_memory_limits *limits)
{
    mg_budget budget;

    if (d->bytes[i] == 0) return MG_OK;
    MG_RETURN(mg_ops_budget(ops, &budget));
    int64_t available = budget.available_bytes;
    if (ops->space == MG_DEVICE)
        available = at_most(mg_larger(available - limits->margin_bytes, 0), limits->device_bytes);
    if (budget.place == 0)
        available = at_most(available, limits->host_bytes);
    else
        d->place[i] = (int64_t)budget.place;
    d->available_bytes[i] = available;
    if (i == MG_DEMAND_LM) d->shares_host = ops->space == MG_DEVICE && budget.place == 0;
    return MG_OK;
}

/* What this rank needs under `limits`. */
static mg_status find_demand(mg_plan_demand *d, mg_replica *r, const mg_world *w,
                             const mg_replica_limits *limits)
{
    const mg_memory_limits *m = &r->backend.memory;

    MG_RETURN(mg_replica_measure(r, limits));
    mg_plan_demand_set(d, &r->bytes);
    for (int i = 0; i < MG_DEMANDS; i++) d->place[i] = w->first_of_host;
    d->available_bytes[MG_DEMAND_HOST] = at_most(mg_host_memory_available(), m->host_bytes);
    MG_RETURN(ask_backend(d, MG_DEMAND_LM, r->backend.ops, m));
    MG_RETURN(ask_backend(d, MG_DEMAND_TEXT, mg_backend_text_ops(&r->beside), m));
    return ask_backend(d, MG_DEMAND_CODEC, r->beside.ops, m);
}

/* Measure this rank, and hear what the others need. */
static mg_status gather_demand(mg_plan_demand *all, mg_replica *r, const mg_world *w,
                               const mg_replica_limits *limits)
{
    mg_plan_demand mine = {0};

    MG_RETURN(mg_comm_agree(w->all, find_demand(&mine, r, w, limits)));
    return mg_comm_all_gather(w->all, all, &mine, DEMAND_INTS, MG_I64);
}

mg_replica_limits mg_plan_limits(const mg_clip_need *need, int64_t n_slots)
{
    return (mg_replica_limits){
        .n_slots = n_slots,
        .n_rows = n_slots * mg_larger(need->n_rows, 1),
        .n_texts = n_slots * mg_larger(need->n_texts, 1),
        .n_tokens = mg_larger(need->n_tokens, n_slots * mg_larger(need->n_rows, 1)),
        .T_max = need->T_max,
        .P_max = need->P_max,
        .S_max = need->S_max,
        .with_melody = need->with_melody,
        .n_excerpt = need->n_excerpt,
        .n_resampled = need->n_resampled,
        .n_payload_bytes = (size_t)need->n_payload_bytes,
    };
}

/* The most clips at once that fit whole. Where not even one does, layers stay outside, and as many clips run
 * at once as make a layer's way in cheapest for each. */
static mg_status choose(mg_replica_limits *out, mg_plan_demand *all, mg_replica *r, const mg_world *w,
                        const mg_clip_need *need, int64_t n_slots, bool may_shrink)
{
    const int64_t asked = r->backend.memory.n_outside;
    const int64_t most = mg_plan_most_outside(&r->config.lm, &r->backend.formats);
    mg_status st = MG_OK;
    bool found = false;

    MG_RETURN(mg_plan_check_outside(&r->config.lm, &r->backend.formats, asked));
    for (; n_slots >= 1; n_slots--) {
        mg_replica_limits limits = mg_plan_limits(need, n_slots);
        MG_RETURN(gather_demand(all, r, w, &limits));
        limits.n_outside = mg_plan_choose_outside(all, w->size, most, asked);
        st = mg_plan_check_fit(all, w->size, n_slots, limits.n_outside);
        if (st == MG_OK &&
            (!found || mg_layout_is_cheaper(out->n_slots, out->n_outside, n_slots, limits.n_outside)))
            *out = limits, found = true;
        if (!may_shrink || (found && (asked != MG_OUTSIDE_AUTO || out->n_outside == 0))) break;
    }
    if (!found) return st; /* all found the same: rank 0 says it */
    mg_clear_error();
    if (w->rank == 0 && out->n_outside > 0 && all[0].shares_host)
        mg_log_warn(
            "offload: the GPU's memory is the host's: layers outside take as much of it as inside, and "
            "steps wait for them");
    return mg_replica_measure(r, out);
}

/* Why so many clips at once run when nobody says. */
static const char *why(int64_t n_slots, int64_t wanted, int64_t suits, const mg_replica *r)
{
    if (n_slots < wanted) return "as many as fit";
    if (n_slots < suits) return NULL; /* all there are */
    return r->backend.ops->space == MG_DEVICE ? "as many as suit a GPU" : "as many as suit a CPU";
}

mg_status mg_plan_make(mg_replica_limits *out, mg_replica *r, const mg_world *w, const mg_clip_need *need,
                       int64_t n_clips, int64_t n_slots)
{
    const bool may_shrink = n_slots <= 0;
    mg_plan_demand *all = calloc((size_t)w->size, sizeof *all);
    mg_clip_need most = *need;
    mg_status st = all ? MG_OK : mg_fail(MG_ENOMEM, "plan: %d ranks", w->size);

    MG_TRY(mg_comm_agree(w->all, st));
    MG_TRY(share_need(&most, &n_clips, w));
    const int64_t suits = may_shrink ? r->backend.ops->hints.n_slots : n_slots;
    n_slots = mg_layout_slots(suits, n_clips, w->n_replicas);
    const int64_t wanted = n_slots, n_grid = mg_larger(mg_lm_most_slots(&r->config.lm, most.T_max), 1);
    if (may_shrink && n_slots > n_grid) n_slots = n_grid;
    st = choose(out, all, r, w, &most, n_slots, may_shrink);
    if (st == MG_OK) out->why_slots = may_shrink ? why(out->n_slots, wanted, suits, r) : NULL;
    if (st != MG_ECOMM && st != MG_ESTOPPED) st = mg_comm_agree(w->all, st);
done:
    free(all);
    return st;
}

static void format_range(char out[64], int64_t first, int64_t last)
{
    if (first == last)
        snprintf(out, 64, "%lld", (long long)first);
    else
        snprintf(out, 64, "%lld-%lld", (long long)first, (long long)last);
}

/* Where the layers are: the last ones outside. */
static void print_map(const mg_replica_limits *limits, const mg_replica *r)
{
    const int64_t L = r->config.lm.L, n_here = L - limits->n_outside;
    const bool on_device = r->backend.ops->space == MG_DEVICE;
    char here[64], outside[64];

    if (limits->n_outside == 0) return;
    format_range(outside, n_here, L - 1);
    format_range(here, 0, n_here - 1);
    if (n_here > 0)
        mg_log_info("plan: layers %s %s, %s %s", here, on_device ? "device" : "memory", outside,
                    on_device ? "host" : "file");
    else
        mg_log_info("plan: layers %s %s", outside, on_device ? "host" : "file");
}

static void print_line(const char *name, size_t weights, size_t run)
{
    mg_log_info("plan: %-16s %10.1f %10.1f %10.1f", name, (double)weights / 1e6, (double)run / 1e6,
                (double)(weights + run) / 1e6);
}

/* The table, for people. `margin`: bytes of a device that the plan leaves free. */
static void print_table(const mg_replica_bytes *b, size_t margin, bool has_others, size_t other)
{
    const size_t all = mg_replica_bytes_all(b);

    mg_log_info("plan: %-16s %10s %10s %10s", "MB of a rank", "weights", "run", "sum");
    print_line("text encoder", b->t5_weights, b->t5_run);
    print_line("language model", b->lm_weights, b->lm_run);
    print_line("codec", b->codec_weights, b->codec_run);
    if (b->outside) print_line("layers on host", b->outside, 0);
    print_line("host buffers", 0, b->host);
    if (has_others)
        mg_log_info("plan: %-16s %10.1f MB, every other rank %.1f MB", "leader", (double)all / 1e6,
                    (double)other / 1e6);
    else
        mg_log_info("plan: %-16s %10.1f MB", "a rank", (double)all / 1e6);
    if (margin > 0)
        mg_log_info("plan: %-16s %10.1f MB of a device left free (--memory-margin)", "margin",
                    (double)margin / 1e6);
}

/* The same in one line, for a log. */
static void describe_bytes(char out[256], const mg_replica_bytes *b, bool has_others, size_t other)
{
    char others[64] = "";

    if (has_others) snprintf(others, sizeof others, ", every other rank %.1f MB", (double)other / 1e6);
    snprintf(out, 256,
             "; %.1f MB a rank%s (text encoder %.1f, language model %.1f, codec %.1f, host buffers %.1f)",
             (double)mg_replica_bytes_all(b) / 1e6, others, (double)(b->t5_weights + b->t5_run) / 1e6,
             (double)(b->lm_weights + b->lm_run) / 1e6, (double)(b->codec_weights + b->codec_run) / 1e6,
             (double)b->host / 1e6);
}

static const char FASTER[] = "--dtype bf16 is about twice as fast, with nearly the same numbers";

/* A table for people; for a log one line, and one more where layers are outside. */
void mg_plan_print(const mg_replica_limits *limits, const mg_replica *r, const mg_world *w)
{
    const mg_replica_bytes *b = &r->bytes;
    const bool in_lines = isatty(STDERR_FILENO) || mg_log_get_level() >= MG_LOG_VERBOSE;
    const bool is_slow = r->backend.as_stored && r->backend.formats.weights == MG_FORMAT_F32;
    const size_t margin = r->backend.ops->space == MG_DEVICE ? (size_t)r->backend.memory.margin_bytes : 0;
    char bytes[256] = "";
    const bool says_why = limits->why_slots != NULL;
    const size_t other = b->lm_weights + b->lm_run + b->outside + b->host - b->leader;

    if (!in_lines) describe_bytes(bytes, b, w->tp > 1, other);
    mg_log_info("plan: %d rank%s = %d replica%s of %d; %lld clip%s at a time%s%s, up to %lld frames; %s%s%s "
                "on %s%s%s%s",
                w->size, w->size == 1 ? "" : "s", w->n_replicas, w->n_replicas == 1 ? "" : "s", w->tp,
                (long long)limits->n_slots, limits->n_slots == 1 ? "" : "s", says_why ? ", " : "",
                says_why ? limits->why_slots : "", (long long)limits->T_max,
                mg_format_name(r->backend.formats.weights), r->backend.as_stored ? " as stored" : "",
                r->backend.formats.kv == MG_FORMAT_Q8 ? ", kv int8" : "", r->backend.ops->name, bytes,
                is_slow && !in_lines ? "; " : "", is_slow && !in_lines ? FASTER : "");
    if (in_lines && is_slow) mg_log_info("plan: %s", FASTER);
    print_map(limits, r);
    if (in_lines) print_table(b, margin, w->tp > 1, other);
}
