/* EnCodec's encoder: samples at its one end, latents at the other, and from those the codes: each codebook
 * takes the nearest code vector off what the ones before it have left. */
#include <string.h>

#include "encodec_impl.h"

typedef struct encode_job { /* [n] of each */
    const mg_encodec_pcm *pcm;
    const mg_encodec_codes *codes; /* or latents_host */
    float *latents_host;           /* [T,hidden_size] */
} encode_job;

static int64_t samples_of(const void *arg, int64_t i)
{
    const encode_job *job = arg;

    return job->pcm[i].N;
}

static mg_status read_samples(mg_encodec *c, void *arg, int64_t i, mg_tensor *x, mg_span rows)
{
    const encode_job *job = arg;
    const mg_encodec_pcm *pcm = &job->pcm[i];
    float *host = c->stretch_host;

    if (pcm->stride == 1) return mg_upload(c->ops, x->data, pcm->pcm + rows.first, mg_tensor_bytes(x));
    MG_REQUIRE(mg_tensor_bytes(x) <= c->stretch_bytes);
    for (int64_t n = rows.first; n < rows.end; n++) host[n - rows.first] = pcm->pcm[n * pcm->stride];
    return mg_upload(c->ops, x->data, host, mg_tensor_bytes(x));
}

static mg_status write_codes(mg_encodec *c, void *arg, int64_t i, const mg_tensor *y, mg_span rows)
{
    const encode_job *job = arg;
    const mg_encodec_codes *codes = &job->codes[i];
    const int64_t K = c->config.n_codebooks, V = c->config.codebook_size, D = c->config.hidden_size;
    const int64_t T = y->dim[0];
    mg_tensor left = *y, products, all_ids;

    MG_RETURN(mg_encodec_view(&products, &c->hidden, T, V));
    MG_RETURN(mg_encodec_view(&all_ids, &c->ids, K, T));
    for (int64_t k = 0; k < K; k++) {
        const mg_tensor at = mg_tensor_rows(&c->tables, k, 1), norm_at = mg_tensor_rows(&c->norms, k, 1);
        const mg_tensor table = mg_tensor_2d(at.data, MG_F32, V, D),
                        norms = mg_tensor_1d(norm_at.data, MG_F32, V);
        mg_tensor ids = mg_tensor_1d((int32_t *)all_ids.data + k * T, MG_I32, T);
        MG_RETURN(mg_linear(c->ops, &products, &left, &c->codebook[k], NULL, MG_ACT_NONE, false));
        MG_RETURN(mg_nearest_code(c->ops, &ids, &left, &products, &table, &norms));
    }
    MG_REQUIRE(mg_tensor_bytes(&all_ids) <= c->stretch_bytes);
    MG_RETURN(mg_download(c->ops, c->stretch_host, all_ids.data, mg_tensor_bytes(&all_ids)));
    for (int64_t k = 0; k < K; k++)
        memcpy(codes->codes + k * codes->row_stride + rows.first, (const int32_t *)c->stretch_host + k * T,
               (size_t)T * sizeof(int32_t));
    return MG_OK;
}

static mg_status write_latents(mg_encodec *c, void *arg, int64_t i, const mg_tensor *y, mg_span rows)
{
    const encode_job *job = arg;

    MG_REQUIRE(i == 0);
    return mg_download(c->ops, job->latents_host + rows.first * y->dim[1], y->data, mg_tensor_bytes(y));
}

static mg_status encode(mg_encodec *c, encode_job *job, int64_t n)
{
    const mg_encodec_flow flow = {.half = &c->encoder,
                                  .step = c->stretch,
                                  .block = c->block,
                                  .length = samples_of,
                                  .read = read_samples,
                                  .write = job->codes ? write_codes : write_latents,
                                  .arg = job};

    for (int64_t i = 0; i < n; i++) MG_REQUIRE(job->pcm[i].N > 0 && job->pcm[i].stride > 0);
    return mg_encodec_run(c, &flow, n);
}

mg_status mg_encodec_encode(mg_encodec *c, const mg_encodec_codes *codes, const mg_encodec_pcm *pcm,
                            int64_t n)
{
    encode_job job = {.pcm = pcm, .codes = codes};

    for (int64_t i = 0; i < n; i++)
        MG_REQUIRE(codes[i].T == mg_encodec_frames(&c->config, pcm[i].N) &&
                   codes[i].row_stride >= codes[i].T);
    return encode(c, &job, n);
}

mg_status mg_encodec_latents(mg_encodec *c, float *latents_host, const mg_encodec_pcm *pcm)
{
    encode_job job = {.pcm = pcm, .latents_host = latents_host};

    return encode(c, &job, 1);
}
