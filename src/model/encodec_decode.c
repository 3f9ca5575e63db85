/* EnCodec's decoder: codes to code vectors at its one end, samples at the other. */
#include "encodec_impl.h"

typedef struct decode_job { /* [n] of both */
    const mg_encodec_pcm *pcm;
    const mg_encodec_codes *codes;
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
    for (int64_t t = 0; t < T; t++)
        for (int64_t k = 0; k < K; k++)
            host[t * K + k] = codes->codes[k * codes->row_stride + rows.first + t];
    MG_RETURN(mg_upload(c->ops, ids.data, host, mg_tensor_bytes(&ids)));
    return mg_embed(c->ops, x, &c->tables, &ids, NULL, NULL);
}

static mg_status write_samples(mg_encodec *c, void *arg, int64_t i, const mg_tensor *y, mg_span rows)
{
    const decode_job *job = arg;
    const mg_encodec_pcm *pcm = &job->pcm[i];
    const float *host = c->stretch_host;

    if (pcm->stride == 1) return mg_download(c->ops, pcm->pcm + rows.first, y->data, mg_tensor_bytes(y));
    MG_REQUIRE(mg_tensor_bytes(y) <= c->stretch_bytes);
    MG_RETURN(mg_download(c->ops, c->stretch_host, y->data, mg_tensor_bytes(y)));
    for (int64_t n = rows.first; n < rows.end; n++) pcm->pcm[n * pcm->stride] = host[n - rows.first];
    return MG_OK;
}

mg_status mg_encodec_decode(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes,
                            int64_t n)
{
    decode_job job = {pcm, codes};
    const mg_encodec_flow flow = {.half = &c->decoder,
                                  .step = c->stretch * c->config.hop,
                                  .length = frames_of,
                                  .read = read_vectors,
                                  .write = write_samples,
                                  .arg = &job};

    for (int64_t i = 0; i < n; i++) {
        MG_REQUIRE(codes[i].T > 0 && codes[i].row_stride >= codes[i].T && pcm[i].stride > 0);
        MG_REQUIRE(pcm[i].N == codes[i].T * c->config.hop);
        MG_RETURN(mg_encodec_check(c, &codes[i]));
    }
    return mg_encodec_run(c, &flow, n);
}
