/* EnCodec's decoder: codes to code vectors at its one end, samples at the other. */
#include "encodec_impl.h"

typedef struct decode_job { /* [n] of both */
    const mg_encodec_pcm *pcm;
    const mg_encodec_codes *codes;
    int64_t n;
    const mg_encodec_listener *listener;     /* NULL: none, and all codes are there */
    int64_t n_made[MG_ENCODEC_MOST_AT_ONCE]; /* [n] with a listener: samples so far */
} decode_job;

mg_status mg_encodec_check(const mg_encodec *c, const mg_encodec_codes *codes)
{
    const int64_t K = c->config.n_codebooks, V = c->config.codebook_size;

    for (int64_t k = 0; k < K; k++)
        for (int64_t t = 0; t < codes->T; t++) {
            const int32_t code = codes->codes[k * codes->row_stride + t];
            if (code < 0 || code >= V)
                return mg_fail(MG_EFAIL, "codes: %d: codebook %lld, frame %lld: must be in 0 … %lld", code,
                               (long long)k, (long long)t, (long long)(V - 1));
        }
    return MG_OK;
}

static int64_t frames_of(const void *arg, int64_t i)
{
    const decode_job *job = arg;

    return job->codes[i].T;
}

/* Codes of these frames, which are still being made. */
static mg_status await_codes(const mg_encodec *c, const decode_job *job, const mg_encodec_codes *codes,
                             mg_span rows)
{
    const mg_encodec_codes come = {codes->codes + rows.first, codes->row_stride, rows.end - rows.first};

    MG_RETURN(job->listener->await(job->listener->arg, rows.end));
    return mg_encodec_check(c, &come);
}

/* The sums of the code vectors of these frames. */
static mg_status read_vectors(mg_encodec *c, void *arg, int64_t i, mg_tensor *x, mg_span rows)
{
    const decode_job *job = arg;
    const mg_encodec_codes *codes = &job->codes[i];
    const int64_t K = c->config.n_codebooks, T = rows.end - rows.first;
    int32_t *host = c->stretch_host;
    mg_tensor ids;

    MG_RETURN(mg_encodec_view(&ids, &c->ids, T, K));
    MG_REQUIRE(mg_tensor_bytes(&ids) <= c->stretch_bytes);
    if (job->listener) MG_RETURN(await_codes(c, job, codes, rows));
    for (int64_t t = 0; t < T; t++)
        for (int64_t k = 0; k < K; k++)
            host[t * K + k] = codes->codes[k * codes->row_stride + rows.first + t];
    MG_RETURN(mg_upload(c->ops, ids.data, host, mg_tensor_bytes(&ids)));
    return mg_embed(c->ops, x, &c->tables, &ids, NULL, NULL);
}

static mg_status copy_samples(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_tensor *y, mg_span rows)
{
    const float *host = c->stretch_host;

    if (pcm->stride == 1) return mg_download(c->ops, pcm->pcm + rows.first, y->data, mg_tensor_bytes(y));
    MG_REQUIRE(mg_tensor_bytes(y) <= c->stretch_bytes);
    MG_RETURN(mg_download(c->ops, c->stretch_host, y->data, mg_tensor_bytes(y)));
    for (int64_t n = rows.first; n < rows.end; n++) pcm->pcm[n * pcm->stride] = host[n - rows.first];
    return MG_OK;
}

/* The listener hears what all channels have. */
static mg_status write_samples(mg_encodec *c, void *arg, int64_t i, const mg_tensor *y, mg_span rows)
{
    decode_job *job = arg;
    int64_t n_heard = rows.end;

    MG_RETURN(copy_samples(c, &job->pcm[i], y, rows));
    if (!job->listener) return MG_OK;
    job->n_made[i] = rows.end;
    for (int64_t k = 0; k < job->n; k++) n_heard = job->n_made[k] < n_heard ? job->n_made[k] : n_heard;
    return n_heard > rows.first ? job->listener->heard(job->listener->arg, n_heard) : MG_OK;
}

static bool is_whole(const mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes)
{
    return codes->T > 0 && codes->row_stride >= codes->T && pcm->stride > 0 &&
           pcm->N == codes->T * c->config.hop;
}

mg_status mg_encodec_decode(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes,
                            int64_t n)
{
    decode_job job = {.pcm = pcm, .codes = codes, .n = n};
    const mg_encodec_flow flow = {.half = &c->decoder,
                                  .step = c->stretch * c->config.hop,
                                  .block = c->block,
                                  .length = frames_of,
                                  .read = read_vectors,
                                  .write = write_samples,
                                  .arg = &job};

    for (int64_t i = 0; i < n; i++) {
        MG_REQUIRE(is_whole(c, &pcm[i], &codes[i]));
        MG_RETURN(mg_encodec_check(c, &codes[i]));
    }
    return mg_encodec_run(c, &flow, n);
}

mg_status mg_encodec_decode_pieces(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes,
                                   int64_t n, const mg_encodec_listener *l)
{
    const int64_t n_piece = l->n_piece < c->stretch ? l->n_piece : c->stretch;
    decode_job job = {.pcm = pcm, .codes = codes, .n = n, .listener = l};
    const mg_encodec_flow flow = {.half = &c->decoder,
                                  .step = n_piece * c->config.hop,
                                  .block = 1,
                                  .length = frames_of,
                                  .read = read_vectors,
                                  .write = write_samples,
                                  .arg = &job};

    MG_REQUIRE(n <= MG_ENCODEC_MOST_AT_ONCE && n_piece > 0);
    for (int64_t i = 0; i < n; i++) MG_REQUIRE(is_whole(c, &pcm[i], &codes[i]));
    return mg_encodec_run(c, &flow, n);
}
