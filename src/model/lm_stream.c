/* Layers whose weights come when a step reaches them. Two buffers take turns: while the layer in one
 * computes, the next one comes into the other. It comes from the checkpoint's files, by a thread that packs
 * it with a second instance of the backend, the first ones of the next pass too; or, where that has none,
 * from packed copies in host memory, in the backend's own time. A GPU copies one thing after the other: so
 * the first ones of a pass are asked for behind its inputs, which are small, and would wait for them.
 *
 * What only texts need of a layer does not come with it: a text fetches it by itself, once a clip. */
#include <pthread.h>
#include <stdlib.h>

#include "beside.h"
#include "lm_impl.h"

struct mg_lm_stream {
    mg_lm *lm;
    mg_lm_load_fn *load;
    mg_lm_layer layer[MG_LM_BUFFERS]; /* in the buffers: all layers are alike */
    void *buffer[MG_LM_BUFFERS];
    mg_lm_layer text; /* cross_kv alone, in its buffer */
    void *text_buffer;
    size_t step_bytes, text_bytes; /* of a layer: in `buffer`, in `text_buffer` */
    int64_t n, n_left; /* layers outside; how many the steps have left behind them, over all passes */

    void **copy;       /* [n] in host memory, what steps need and behind it the rest; NULL: from the files */
    bool *is_pinned;   /* [n] */
    int64_t n_fetched; /* asked for, out of their copies */

    mg_ops *reader;
    mg_weights source, text_source; /* of the reader; of whoever sets a text */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_thread, is_over; /* is_over, and all below: under the lock, as is n_left then */
    int64_t n_come;
    mg_fault fault;
};

/* The i-th layer that comes, into its buffer. */
static mg_status load(mg_lm_stream *s, mg_weights *w, int64_t i)
{
    mg_arena arena = mg_arena_over("layer", s->buffer[i % MG_LM_BUFFERS], s->step_bytes);

    w->arena = &arena;
    return s->load(s->lm, w, s->lm->config.L - s->n + i % s->n, MG_LM_OF_STEPS, &s->layer[i % MG_LM_BUFFERS]);
}

/* What texts need of the i-th layer outside. */
static mg_status load_text(mg_lm_stream *s, mg_weights *w, int64_t i)
{
    mg_arena arena = mg_arena_over("layer", s->text_buffer, s->text_bytes);

    w->arena = &arena;
    return s->load(s->lm, w, s->lm->config.L - s->n + i, MG_LM_OF_TEXTS, &s->text);
}

/* The files are looked at each time: they may have changed meanwhile. */
static mg_status check_files(const mg_weights *w)
{
    return w->checkpoint ? mg_checkpoint_check_files(w->checkpoint) : MG_OK;
}

static mg_status read_next(mg_lm_stream *s)
{
    MG_RETURN(load(s, &s->source, s->n_come));
    MG_RETURN(check_files(&s->source));
    if (s->n_come == s->n - 1) mg_weights_say_zeros(&s->source); /* once: each has been looked at now */
    return MG_OK;
}

static void *read_ahead(void *arg)
{
    mg_lm_stream *s = arg;

    pthread_mutex_lock(&s->lock);
    while (!s->is_over && s->fault.st == MG_OK) {
        if (s->n_come == s->n_left + MG_LM_BUFFERS) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        const mg_fault fault = mg_fault_take(read_next(s)); /* n_come is counted by this thread alone */
        pthread_mutex_lock(&s->lock);
        s->fault = fault;
        s->n_come += fault.st == MG_OK;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Layers out of their copies, up to the end-th that comes, as far as there are buffers. */
static mg_status fetch_until(mg_lm_stream *s, int64_t end)
{
    const mg_ops *ops = s->lm->ops;

    for (; s->n_fetched < end && s->n_fetched < s->n_left + MG_LM_BUFFERS; s->n_fetched++) {
        const int64_t i = s->n_fetched % s->n;
        const int lane = (int)(s->n_fetched % MG_LM_BUFFERS);
        MG_RETURN(s->is_pinned[i] ? mg_fetch(ops, lane, s->buffer[lane], s->copy[i], s->step_bytes)
                                  : mg_upload(ops, s->buffer[lane], s->copy[i], s->step_bytes));
    }
    return MG_OK;
}

/* Pinned as far as the host lets us. The rest waits for its turn among the steps. */
static mg_status take_copy(mg_lm_stream *s, int64_t i)
{
    const size_t bytes = s->step_bytes + s->text_bytes;

    s->is_pinned[i] = s->lm->n_unpinned == 0 && mg_ops_pin(s->lm->ops, &s->copy[i], bytes) == MG_OK;
    if (s->is_pinned[i]) return MG_OK;
    mg_clear_error();
    s->lm->n_unpinned++;
    s->copy[i] = malloc(bytes);
    return s->copy[i] ? MG_OK
                      : mg_fail(MG_EFIT, "memory: %.0f MB of the host for layer %lld: not available",
                                (double)bytes / 1e6, (long long)(s->lm->config.L - s->n + i));
}

/* Packed by the backend, and back to the host. */
static mg_status make_copies(mg_lm_stream *s, mg_weights *w)
{
    const mg_ops *ops = s->lm->ops;
    mg_weights source = *w;

    s->copy = calloc((size_t)s->n, sizeof *s->copy);
    s->is_pinned = calloc((size_t)s->n, sizeof *s->is_pinned);
    if (!s->copy || !s->is_pinned)
        return mg_fail(MG_ENOMEM, "lm: no memory for %lld layers", (long long)s->n);
    for (int64_t i = 0; i < s->n; i++) {
        MG_RETURN(take_copy(s, i));
        MG_RETURN(load(s, &source, i));
        MG_RETURN(mg_download(ops, s->copy[i], s->buffer[i % MG_LM_BUFFERS], s->step_bytes));
        if (s->text_bytes == 0) continue;
        MG_RETURN(load_text(s, &source, i));
        MG_RETURN(mg_download(ops, (char *)s->copy[i] + s->step_bytes, s->text_buffer, s->text_bytes));
    }
    w->n_hollow = source.n_hollow, w->hollow = source.hollow, w->hollow_bytes = source.hollow_bytes;
    source.progress = NULL;
    return s->n == 1 ? load(s, &source, 1) : MG_OK; /* where its parts are in the other buffer */
}

mg_status mg_lm_stream_open(mg_lm *lm, mg_weights *w, mg_lm_load_fn *load_layer)
{
    mg_lm_stream *s = lm->stream = calloc(1, sizeof *s);

    if (!s) return mg_fail(MG_ENOMEM, "lm: %zu bytes", sizeof *s);
    s->lm = lm;
    s->load = load_layer;
    s->n = lm->n_outside;
    s->text_bytes = (size_t)lm->layer.text_bytes;
    s->step_bytes = (size_t)lm->layer.all_bytes - s->text_bytes;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    for (int i = 0; i < MG_LM_BUFFERS; i++) MG_RETURN(mg_arena_take(w->arena, &s->buffer[i], s->step_bytes));
    MG_RETURN(mg_arena_take(w->arena, &s->text_buffer, s->text_bytes));
    MG_RETURN(mg_ops_open_reader(lm->ops, &s->reader));
    if (!s->reader) return make_copies(s, w);
    s->source = s->text_source = *w;
    s->source.ops = s->reader;
    s->source.progress = s->text_source.progress = NULL;
    s->source.n_hollow = 0, s->source.hollow_bytes = 0; /* what is not outside the load says itself */
    MG_RETURN(mg_beside_start(&s->thread, "lm", read_ahead, s));
    s->has_thread = true;
    return MG_OK;
}

void mg_lm_stream_close(mg_lm_stream *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->is_over = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->has_thread) pthread_join(s->thread, NULL);
    mg_ops_close(s->reader);
    for (int64_t i = 0; s->copy && s->is_pinned && i < s->n; i++)
        if (s->is_pinned[i])
            mg_ops_unpin(s->lm->ops, s->copy[i]);
        else
            free(s->copy[i]);
    free(s->copy);
    free(s->is_pinned);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

mg_status mg_lm_stream_begin(mg_lm_stream *s)
{
    return s->copy ? fetch_until(s, s->n_left + MG_LM_BUFFERS) : MG_OK;
}

mg_status mg_lm_stream_enter(mg_lm_stream *s, const mg_lm_layer **out)
{
    *out = &s->layer[s->n_left % MG_LM_BUFFERS];
    if (s->copy) return mg_fetched(s->lm->ops, (int)(s->n_left % MG_LM_BUFFERS));
    pthread_mutex_lock(&s->lock);
    while (s->n_come == s->n_left && s->fault.st == MG_OK) pthread_cond_wait(&s->changed, &s->lock);
    const mg_fault fault = s->n_come == s->n_left ? s->fault : (mg_fault){0};
    pthread_mutex_unlock(&s->lock);
    return mg_fault_raise(&fault);
}

mg_status mg_lm_stream_leave(mg_lm_stream *s)
{
    if (s->copy) {
        s->n_left++;
        return fetch_until(s, (s->n_left + s->n - 1) / s->n * s->n); /* the next pass asks for its own */
    }
    pthread_mutex_lock(&s->lock);
    s->n_left++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return MG_OK;
}

mg_status mg_lm_stream_get_text(mg_lm_stream *s, int64_t l, const mg_lm_layer **out)
{
    const int64_t i = l - (s->lm->config.L - s->n);

    *out = &s->text;
    if (s->copy)
        return mg_upload(s->lm->ops, s->text_buffer, (char *)s->copy[i] + s->step_bytes, s->text_bytes);
    MG_RETURN(load_text(s, &s->text_source, i));
    return check_files(&s->text_source);
}
