/* One thing under two names. transformers reads both and lets the one that it happens to read last win. */
#include <stdio.h>
#include <string.h>

#include "checkpoint_read.h"
#include "stop.h"
#include "text.h"

enum { PIECE = 4096 };

static mg_status read_piece(float *dst, const mg_checkpoint_entry *e, int64_t first, int64_t n)
{
    char raw[PIECE * sizeof(double)];
    mg_tensor t = e->tensor;
    const mg_tensor_part part = {first, 1, n, n};

    MG_RETURN(mg_checkpoint_check_read(e, mg_checkpoint_read(e, raw, &part, NULL)));
    t.data = raw;
    return mg_tensor_read(dst, MG_F32, &t, 0, n, NULL);
}

/* NaN is NaN: bits are compared. */
static mg_status compare(bool *same, const mg_checkpoint_entry *a, const mg_checkpoint_entry *b)
{
    const int64_t n = mg_tensor_count(&a->tensor);
    float x[PIECE], y[PIECE];

    *same = a->tensor.data == b->tensor.data && a->tensor.dtype == b->tensor.dtype && a->change == b->change;
    if (*same) return MG_OK;
    *same = mg_tensor_is(&a->tensor, a->tensor.dtype, b->tensor.n_dims, b->tensor.dim) &&
            mg_tensor_can_read(a->tensor.dtype, MG_F32) && mg_tensor_can_read(b->tensor.dtype, MG_F32);
    for (int64_t first = 0; *same && first < n; first += PIECE) {
        const int64_t n_now = n - first < PIECE ? n - first : PIECE;
        MG_RETURN(mg_stop_check());
        MG_RETURN(read_piece(x, a, first, n_now));
        MG_RETURN(read_piece(y, b, first, n_now));
        *same = memcmp(x, y, (size_t)n_now * sizeof *x) == 0;
    }
    return MG_OK;
}

static mg_status check_pair(const mg_checkpoint *c, const char *one, const char *other)
{
    const mg_checkpoint_entry *a = mg_checkpoint_find(c, one), *b = mg_checkpoint_find(c, other);
    bool same = true;

    if (a && b) MG_RETURN(compare(&same, a, b));
    if (same) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: %s and %s are one tensor, and differ here: which is right?", a->file,
                   a->source, b->source);
}

/* A convolution that is fused and in two parts as well. */
static mg_status check_conv(const mg_checkpoint *c, const mg_checkpoint_entry *e)
{
    static const char *const parts[] = {".weight_g", ".weight_v", ".parametrizations.weight.original0",
                                        ".parametrizations.weight.original1"};
    char name[MG_KEY_MAX];

    if (!mg_text_ends_with(e->name, ".conv.weight")) return MG_OK;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%.*s%s", (int)(strlen(e->name) - strlen(".weight")), e->name, parts[i]);
        const mg_checkpoint_entry *part = mg_checkpoint_find(c, name);
        if (part)
            return mg_fail(MG_ECHECKPOINT, "%s: %s and %s are one weight in two forms: which is right?",
                           e->file, e->source, part->source);
    }
    return MG_OK;
}

mg_status mg_checkpoint_check_twins(const mg_checkpoint *c)
{
    MG_RETURN(check_pair(c, "shared.weight", "encoder.embed_tokens.weight"));
    MG_RETURN(check_pair(c, "text_encoder.shared.weight", "text_encoder.encoder.embed_tokens.weight"));
    for (size_t i = 0; i < mg_checkpoint_count(c); i++) MG_RETURN(check_conv(c, mg_checkpoint_at(c, i)));
    return MG_OK;
}
