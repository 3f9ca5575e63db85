/* What a number format costs: the loss of known sound. A list names sounds and their texts. The model is fed
 * the codes of each, column by column as when it generates (teacher forcing), and its logits are held against
 * the next codes: the mean negative logarithm of the probability that the model gives to the right code.
 * First in fp32, then in every other format, on the very same codes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agreement.h"
#include "bench.h"
#include "conditions.h"
#include "delay.h"
#include "log.h"
#include "plan.h"
#include "request_list.h"
#include "tokenizer.h"

typedef struct sounds {
    mg_request_list requests; /* on the leader, as all but n */
    mg_clip *clips;           /* [n] */
    int64_t n;
} sounds;

typedef struct loss {
    double *of_clip;     /* [n] sum over its codes */
    double sum, n_right; /* over all codes */
    int64_t n_codes;
} loss;

/* A clip in a row of the model. */
typedef struct row {
    mg_clip_terms terms;
    int32_t *codes;            /* [K, T_prompt] */
    int64_t prefix, n_columns; /* positions before column 0; columns to feed */
    double sum;
    int64_t n_codes;
} row;

static bool names(const char *path)
{
    return path && *path;
}

static mg_status read_list(sounds *s, const mg_bench_settings *settings)
{
    const mg_job_format how = {0};

    MG_RETURN(mg_request_list_load(&s->requests, settings->list, &how));
    s->n = s->requests.n;
    if (s->n < 1) return mg_fail(MG_EUSAGE, "bench quality: %s: names no sound", settings->list);
    for (int64_t i = 0; i < s->n; i++) {
        const mg_recipe *q = &s->requests.recipe[i];
        if (!names(q->audio_prompt))
            return mg_fail(MG_EUSAGE,
                           "%s: audio_prompt: missing; each line names a sound: {\"prompt\": \"slow piano\", "
                           "\"audio_prompt\": \"piano.wav\"}",
                           q->where);
        if (names(q->melody) || names(q->text_states))
            return mg_fail(MG_EUSAGE,
                           "%s: %s: a sound is fed with a text (prompt) and nothing else; leave it out",
                           q->where, names(q->melody) ? "melody" : "text_states");
    }
    s->clips = calloc((size_t)s->n, sizeof *s->clips);
    return s->clips ? MG_OK : mg_fail(MG_ENOMEM, "bench: %lld sounds", (long long)s->n);
}

/* The list's clips for an open replica: no guidance, and at most `dur_s` of each sound. */
static mg_status describe_clips(sounds *s, mg_clip_need *need, const mg_replica *r, double dur_s)
{
    const double rate = mg_replica_frame_rate(r);
    mg_tokenizer *tokenizer = NULL;
    mg_status st = mg_tokenizer_open(&tokenizer, r->files->tokenizer);

    for (int64_t i = 0; i < s->n && st == MG_OK; i++) {
        const mg_recipe *q = &s->requests.recipe[i];
        mg_clip *c = &s->clips[i];
        free(c->text.ids); /* of the format before */
        *c = (mg_clip){.index = i, .text.text = q->prompt ? q->prompt : "", .audio_prompt = q->audio_prompt};
        if (*c->text.text) st = mg_tokenizer_encode(tokenizer, c->text.text, &c->text.ids, &c->terms.S);
        const int64_t most = mg_plan_max_frames(r, c->terms.S), wanted = (int64_t)(dur_s * rate) + 1;
        c->terms.T = c->terms.T_window = wanted < most ? wanted : most;
        c->terms.guidance = 1;
        c->terms.guidance_beta = NAN;
        c->audio_prompt_dur_s = (double)(c->terms.T - 1) / rate;
        if (st == MG_OK) st = mg_clip_need_add(need, r, c);
    }
    mg_tokenizer_close(tokenizer);
    return st;
}

/* What stands before the columns of row i. */
static mg_status set_text(mg_replica *r, row *rows, int64_t i, const float *states)
{
    const mg_lm_config *lm = &r->config.lm;
    const int64_t S = rows[i].terms.S;
    const mg_lm_prefix p = {.n_style = 1, .text = S > 0 ? states : NULL, .n_states = S, .S = S > 0 ? S : 1};

    rows[i].prefix = mg_lm_prefix_length(lm, p.n_style, p.S);
    if (lm->n_chroma) return mg_lm_set_prefix(r->lm, i, &p);
    return S > 0 ? mg_lm_set_text(r->lm, i, states, S) : MG_OK;
}

/* The leader's clip (NULL elsewhere) into row i of the model, on every rank. */
static mg_status put_clip(mg_replica *r, mg_conditions *conditions, row *rows, int64_t i, const mg_clip *clip)
{
    const mg_lm_config *lm = &r->config.lm;
    const mg_delay delay = {lm->K, lm->n_channels};
    const size_t room_bytes = r->limits.n_payload_bytes;
    mg_ready_clip *ready = NULL;
    mg_clip_payload payload;
    mg_status st = MG_OK;
    void *room = calloc(1, room_bytes + 1);
    row *to = &rows[i];

    if (!room) st = mg_fail(MG_ENOMEM, "bench: no memory for a sound");
    if (st == MG_OK && r->is_leader) st = mg_conditions_prepare(conditions, &ready, clip);
    if (st == MG_OK && ready) st = mg_fault_raise(&ready->fault);
    MG_TRY(mg_comm_agree(r->group, st));
    MG_TRY(mg_conditions_share(r, &to->terms, &payload, room, room_bytes, ready));
    const int64_t T = to->terms.T_prompt;
    *to = (row){.terms = to->terms, .codes = malloc((size_t)(lm->K * T) * sizeof *to->codes)};
    if (!to->codes) st = mg_fail(MG_ENOMEM, "bench: %lld frames", (long long)T);
    MG_TRY(mg_comm_agree(r->group, st));
    memcpy(to->codes, payload.prompt, (size_t)(lm->K * T) * sizeof *to->codes);
    to->n_columns = mg_delay_columns(&delay, T) - 1;
    MG_TRY(mg_lm_put_codes(r->lm, i, to->codes, T, T));
    st = set_text(r, rows, i, payload.text);
done:
    mg_ready_clip_close(ready);
    free(room);
    return st;
}

/* The negative logarithm of code's probability; *is_first: no other code is more likely. */
static double loss_of(const float *logits, int64_t V, int32_t code, bool *is_first)
{
    double most = logits[0], sum = 0;

    for (int64_t v = 1; v < V; v++) most = fmax(most, logits[v]);
    for (int64_t v = 0; v < V; v++) sum += exp(logits[v] - most);
    *is_first = logits[code] >= most;
    return most + log(sum) - logits[code];
}

static void add_loss(loss *total, row *rw, const mg_delay *delay, const float *logits, int64_t V,
                     int64_t column)
{
    for (int64_t k = 0; k < delay->K; k++) {
        const int64_t T = rw->terms.T_prompt, frame = mg_delay_frame(delay, T, k, column);
        bool is_first;
        if (frame < 0) continue;
        rw->sum += loss_of(logits + k * V, V, rw->codes[k * T + frame], &is_first);
        rw->n_codes++;
        total->n_right += is_first;
    }
}

/* Column j of every row that has one. tokens: [n_rows (K + 3)]. */
static mg_status feed(loss *total, mg_replica *r, row *rows, int64_t n_rows, int64_t j, int32_t *tokens,
                      float *logits)
{
    const mg_lm_config *lm = &r->config.lm;
    const mg_delay delay = {lm->K, lm->n_channels};
    int32_t *cells = tokens, *of_row = cells + n_rows * lm->K, *position = of_row + n_rows,
            *text = position + n_rows;
    mg_lm_batch b = {.with_logits = true, .cells = cells, .row = of_row, .position = position, .text = text};

    for (int with_text = 1; with_text >= 0; with_text--) /* those with a text come first */
        for (int64_t i = 0; i < n_rows; i++) {
            const bool has_text = rows[i].terms.S > 0 && !lm->n_chroma;
            if (j >= rows[i].n_columns || has_text != (with_text == 1)) continue;
            for (int64_t k = 0; k < lm->K; k++) {
                const int64_t frame = mg_delay_frame(&delay, rows[i].terms.T_prompt, k, j);
                cells[b.n_tokens * lm->K + k] = frame < 0 ? -1 : mg_lm_cell(r->lm, i, k, frame);
            }
            of_row[b.n_tokens] = (int32_t)i;
            position[b.n_tokens] = (int32_t)(rows[i].prefix + j);
            if (has_text) text[b.n_with_text++] = (int32_t)i;
            b.n_tokens++;
        }
    MG_RETURN(mg_lm_step(r->lm, &b, NULL, 0));
    MG_RETURN(mg_lm_logits(r->lm, logits));
    for (int64_t t = 0; t < b.n_tokens; t++)
        add_loss(total, &rows[of_row[t]], &delay, logits + t * lm->K * lm->V, lm->V, j + 1);
    return MG_OK;
}

/* All sounds through a loaded replica, as many at once as it has slots. */
static mg_status measure(loss *total, mg_replica *r, const sounds *s, int64_t n)
{
    const mg_lm_config *lm = &r->config.lm;
    const int64_t n_slots = r->limits.n_slots;
    mg_status st = MG_OK;
    mg_conditions *conditions = NULL;
    row *rows = calloc((size_t)n_slots, sizeof *rows);
    int32_t *tokens = calloc((size_t)(n_slots * (lm->K + 3)), sizeof *tokens);
    float *logits = malloc((size_t)(n_slots * lm->K * lm->V) * sizeof *logits);

    if (!rows || !tokens || !logits) st = mg_fail(MG_ENOMEM, "bench: %lld rows", (long long)n_slots);
    if (st == MG_OK && r->is_leader) st = mg_conditions_open(&conditions, r);
    MG_TRY(mg_comm_agree(r->group, st));
    for (int64_t first = 0; first < n; first += n_slots) {
        const int64_t m = n - first < n_slots ? n - first : n_slots;
        int64_t n_columns = 0;
        for (int64_t i = 0; i < m; i++) {
            MG_TRY(put_clip(r, conditions, rows, i, r->is_leader ? &s->clips[first + i] : NULL));
            if (rows[i].n_columns > n_columns) n_columns = rows[i].n_columns;
        }
        for (int64_t j = 0; j < n_columns; j++) MG_TRY(feed(total, r, rows, m, j, tokens, logits));
        for (int64_t i = 0; i < m; i++) {
            total->of_clip[first + i] = rows[i].sum;
            total->sum += rows[i].sum;
            total->n_codes += rows[i].n_codes;
            free(rows[i].codes);
            rows[i].codes = NULL;
        }
    }
done:
    for (int64_t i = 0; rows && i < n_slots; i++) free(rows[i].codes);
    mg_conditions_close(conditions);
    free(rows);
    free(tokens);
    free(logits);
    return st;
}

/* One format: a backend, a replica and the loss. */
static mg_status measure_format(loss *total, mg_bench *b, sounds *s, int64_t n, int dtype, int kv)
{
    const mg_bench_settings *settings = b->settings;
    const mg_replica_source source = {.model.model = settings->model,
                                      .model.text_encoder = settings->text_encoder,
                                      .model.codec = settings->codec,
                                      .model.tokenizer = settings->tokenizer,
                                      .with_text = true,
                                      .with_tokenizer = true,
                                      .with_encoder = true};
    mg_machine machine = settings->machine;
    mg_backend backend = {0};
    mg_replica *r = NULL;
    mg_replica_limits limits;
    mg_clip_need need = {0};
    mg_status st = MG_OK;

    machine.dtype = dtype;
    machine.kv = kv;
    MG_TRY(mg_comm_agree(b->comm, mg_machine_open(&backend, &machine, b->world)));
    MG_TRY(mg_comm_agree(b->comm, mg_replica_open(&r, &source, &backend, &b->beside, b->comm)));
    MG_TRY(mg_agree_model(b->world, r->files, mg_format_name(backend.formats.weights), MG_NEED_LM));
    if (r->is_leader) st = describe_clips(s, &need, r, settings->dur_s);
    MG_TRY(mg_comm_agree(b->comm, st));
    MG_TRY(mg_plan_make(&limits, r, b->world, &need, n, 0));
    MG_TRY(mg_comm_agree(b->comm, mg_replica_load(r, &limits)));
    MG_TRY(mg_replica_keep_pack(r, b->world));
    st = measure(total, r, s, n);
done:
    mg_replica_close(r);
    mg_machine_close(&backend);
    return st;
}

/* How much more than fp32's, in percent of it, and the standard error of that over the sounds: that of a
 * ratio of two sums. A mean of each sound's own percentage would be another figure, in which a sound of
 * hardly any loss counts most. */
static void report_format(mg_figures *r, const char *name, const loss *l, const loss *fp32, int64_t n)
{
    const double mean = l->sum / (double)l->n_codes;
    const double ratio = l->sum / fp32->sum;
    double squares = 0;
    char key[32];

    snprintf(key, sizeof key, "loss_%s", name);
    mg_figures_number(r, key, mean, 5);
    snprintf(key, sizeof key, "right_%s", name);
    mg_figures_number(r, key, l->n_right / (double)l->n_codes, 4);
    if (l == fp32) return;
    for (int64_t i = 0; i < n; i++) {
        const double off = l->of_clip[i] - ratio * fp32->of_clip[i];
        squares += off * off;
    }
    snprintf(key, sizeof key, "change_%s_percent", name);
    mg_figures_number(r, key, (ratio - 1) * 100, 3);
    snprintf(key, sizeof key, "error_%s_percent", name);
    const double error = sqrt((double)n / (double)(n - 1) * squares) / fp32->sum;
    mg_figures_number(r, key, n > 1 ? error * 100 : NAN, 3);
}

mg_status mg_bench_quality(mg_bench *b)
{
    static const struct {
        int dtype;
        const char *name;
        int kv;
    } formats[] = {
        {MG_MACHINE_FP32, "fp32", MG_MACHINE_KV_AUTO},     {MG_MACHINE_BF16, "bf16", MG_MACHINE_KV_AUTO},
        {MG_MACHINE_FP16, "fp16", MG_MACHINE_KV_AUTO},     {MG_MACHINE_INT8, "int8", MG_MACHINE_KV_AUTO},
        {MG_MACHINE_INT4, "int4", MG_MACHINE_KV_AUTO},     {MG_MACHINE_FP32, "fp32_kv8", MG_MACHINE_KV_INT8},
        {MG_MACHINE_BF16, "bf16_kv8", MG_MACHINE_KV_INT8}, {MG_MACHINE_FP16, "fp16_kv8", MG_MACHINE_KV_INT8},
        {MG_MACHINE_INT8, "int8_kv8", MG_MACHINE_KV_INT8}, {MG_MACHINE_INT4, "int4_kv8", MG_MACHINE_KV_INT8}};
    enum { N_FORMATS = sizeof formats / sizeof *formats };
    const int wanted = b->settings->machine.dtype, kv = b->settings->machine.kv;
    mg_status st = MG_OK;
    sounds s = {0};
    loss l[N_FORMATS] = {0};

    if (b->comm->rank == 0) st = read_list(&s, b->settings);
    MG_TRY(mg_comm_agree(b->comm, st));
    MG_TRY(mg_comm_bcast(b->comm, &s.n, 1, MG_I64, 0));
    mg_figures_int(&b->report, "sounds", s.n);
    for (int i = 0; i < N_FORMATS; i++) {
        if (i > 0 && wanted != MG_MACHINE_DTYPE_AUTO && formats[i].dtype != wanted) continue;
        if (i > 0 && formats[i].kv != kv) continue;
        l[i].of_clip = calloc((size_t)s.n, sizeof *l[i].of_clip);
        MG_TRY(mg_comm_agree(
            b->comm, l[i].of_clip ? MG_OK : mg_fail(MG_ENOMEM, "bench: %lld sounds", (long long)s.n)));
        if (b->comm->rank == 0)
            mg_log_info("bench quality: %lld sounds in %s", (long long)s.n, formats[i].name);
        MG_TRY(measure_format(&l[i], b, &s, s.n, formats[i].dtype, formats[i].kv));
        if (i == 0) mg_figures_int(&b->report, "codes", l[0].n_codes);
        report_format(&b->report, formats[i].name, &l[i], &l[0], s.n);
    }
done:
    for (int i = 0; i < N_FORMATS; i++) free(l[i].of_clip);
    for (int64_t i = 0; s.clips && i < s.n; i++) free(s.clips[i].text.ids);
    free(s.clips);
    mg_request_list_close(&s.requests);
    return st;
}
