#include "text_states.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "npy.h"
#include "safetensors.h"
#include "tensor_read.h"

static mg_status check_shape(const char *path, int64_t S, int64_t d)
{
    if (S >= 1 && d >= 1) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: text states of shape [%lld,%lld] hold nothing", path, (long long)S,
                   (long long)d);
}

/* The one tensor of a safetensors file, and its S and d. */
static mg_status find_tensor(mg_safetensors_entry *out, int64_t *S, int64_t *d, const char *path,
                             const mg_mapped_file *f)
{
    mg_status st = MG_OK;
    mg_safetensors header = {0};

    if (mg_safetensors_parse(&header, path, f->data, f->bytes) != MG_OK) {
        char why[1024];
        snprintf(why, sizeof why, "%s", mg_last_error());
        MG_TRY(mg_fail(MG_EFAIL, "%s", why));
    }
    if (header.n != 1)
        MG_TRY(mg_fail(MG_EFAIL, "%s: holds %lld tensors; text states are a file of one", path,
                       (long long)header.n));
    *out = header.entries[0];
    const int first = out->n_dims == 3 && out->dim[0] == 1;
    if (out->n_dims != 2 + first)
        MG_TRY(mg_fail(MG_EFAIL, "%s: %.64s: not of shape [S,d] or [1,S,d], the states of one text", path,
                       out->name));
    if (out->dtype != MG_F64 && out->dtype != MG_F32 && out->dtype != MG_F16 && out->dtype != MG_BF16)
        MG_TRY(mg_fail(MG_EFAIL, "%s: %.64s: holds %s; text states are fp64, fp32, fp16 or bf16", path,
                       out->name, mg_dtype_name(out->dtype)));
    *S = out->dim[first], *d = out->dim[first + 1];
    st = check_shape(path, *S, *d);
done:
    mg_safetensors_close(&header);
    out->name = NULL;
    return st;
}

mg_status mg_text_states_probe(int64_t *S, int64_t *d, const char *path)
{
    mg_status st = MG_OK;
    mg_mapped_file f = {0};
    mg_safetensors_entry entry = {0};
    mg_npy_info info;

    *S = *d = 0;
    if (mg_npy_is_named(path)) {
        MG_TRY(mg_npy_probe(&info, path));
        if (!mg_npy_has_floats(&info))
            MG_TRY(
                mg_fail(MG_EFAIL,
                        "%s: holds %s; text states are float16, bfloat16 (or its bits as uint16), float32 or "
                        "float64: save what the text encoder gave, not codes or token ids",
                        path, info.type));
        MG_TRY(check_shape(path, info.n_rows, info.n_cols));
        *S = info.n_rows, *d = info.n_cols;
        goto done;
    }
    MG_TRY(mg_in_file_map(&f, path));
    st = find_tensor(&entry, S, d, path, &f);
    if (mg_in_file_check(&f) != MG_OK) st = MG_EFAIL; /* the better reason of the two */
done:
    mg_in_file_unmap(&f);
    if (st != MG_OK) *S = *d = 0;
    return st;
}

static mg_status read_safetensors(float **states, int64_t *S, int64_t *d, const char *path)
{
    mg_status st = MG_OK;
    mg_mapped_file f = {0};
    mg_safetensors_entry entry = {0};

    MG_TRY(mg_in_file_map(&f, path));
    MG_TRY(find_tensor(&entry, S, d, path, &f));
    *states = malloc((size_t)(*S * *d) * sizeof **states);
    if (!*states) MG_TRY(mg_fail(MG_ENOMEM, "%s: %lld states", path, (long long)(*S * *d)));
    const mg_tensor t = {(void *)(uintptr_t)(f.data + entry.begin), entry.dtype, 2, {*S, *d}};
    MG_TRY(mg_tensor_read(*states, MG_F32, &t, 0, *S * *d, NULL));
    MG_TRY(mg_in_file_check(&f));
done:
    mg_in_file_unmap(&f);
    return st;
}

static mg_status check_finite(const float *states, int64_t S, int64_t d, const char *path)
{
    for (int64_t i = 0; i < S * d; i++)
        if (!isfinite(states[i]))
            return mg_fail(MG_EFAIL, "%s: value [%lld,%lld] is not finite", path, (long long)(i / d),
                           (long long)(i % d));
    return MG_OK;
}

mg_status mg_text_states_read(float **states, int64_t *S, int64_t *d, const char *path)
{
    mg_status st = MG_OK;

    *states = NULL;
    MG_TRY(mg_text_states_probe(S, d, path));
    MG_TRY(mg_npy_is_named(path) ? mg_npy_read_f32(path, states, S, d)
                                 : read_safetensors(states, S, d, path));
    MG_TRY(check_finite(*states, *S, *d, path));
done:
    if (st != MG_OK) {
        free(*states);
        *states = NULL, *S = *d = 0;
    }
    return st;
}
