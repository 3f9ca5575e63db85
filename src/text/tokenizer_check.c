/* What the SentencePiece library does not check itself: a pass over the wire format of the ModelProto, and
 * one over the double-array trie of its normalisation table, which the library walks without bounds.
 *
 * By hand: sentencepiece 0.1.97 does not check its own files. It can go when a fixed one is packaged. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer_impl.h"
#include "utf8.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };                                  /* wire types */
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 }; /* fields */
enum { MAX_PIECES = 1 << 20, MAX_PIECE_BYTES = 1 << 12, USER_DEFINED = 4 };
enum { MAX_USER_BYTES = 64 }; /* the library keeps 64 such pieces that begin a text, one a byte at most */

/* One field of a message; `data` and `n` for BYTES, `value` else. */
typedef struct field {
    uint64_t number, value;
    int wire;
    const unsigned char *data;
    int64_t n;
} field;

typedef struct reader {
    const unsigned char *at, *end;
    bool broken;
} reader;

static uint64_t read_varint(reader *r)
{
    uint64_t v = 0;

    for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        const unsigned char c = *r->at++;
        v |= (uint64_t)(c & 127) << shift;
        if (c < 128) return v;
    }
    r->broken = true;
    return 0;
}

static uint64_t read_fixed(reader *r, int bytes)
{
    uint64_t v = 0;

    if (r->end - r->at < bytes) {
        r->broken = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++) v |= (uint64_t)r->at[i] << (8 * i);
    r->at += bytes;
    return v;
}

/* False at the end, and when the message is broken. */
static bool next_field(reader *r, field *f)
{
    if (r->broken || r->at == r->end) return false;
    const uint64_t tag = read_varint(r);
    *f = (field){.number = tag >> 3, .wire = (int)(tag & 7)};
    switch (f->wire) {
    case VARINT: f->value = read_varint(r); break;
    case FIXED64: f->value = read_fixed(r, 8); break;
    case FIXED32: f->value = read_fixed(r, 4); break;
    case BYTES:
        f->n = (int64_t)read_varint(r);
        if (r->broken || f->n < 0 || f->n > r->end - r->at) {
            r->broken = true;
            break;
        }
        f->data = r->at;
        r->at += f->n;
        break;
    default: r->broken = true;
    }
    return !r->broken;
}

static reader inside(const field *f)
{
    return (reader){f->data, f->data + f->n, false};
}

static mg_status check_piece(const char *name, const field *message, int64_t id)
{
    reader r = inside(message);
    field f;
    int64_t n_text = 0;
    bool user_defined = false;

    while (next_field(&r, &f)) {
        if (f.number == 1 && f.wire == BYTES) {
            if (f.n == 0 || f.n > MAX_PIECE_BYTES || memchr(f.data, '\0', (size_t)f.n) ||
                mg_utf8_bad_offset((const char *)f.data, f.n) >= 0)
                return mg_fail(MG_ECHECKPOINT, "%s: piece %lld is no text", name, (long long)id);
            n_text = f.n;
        } else if (f.number == 3 && f.wire == VARINT) {
            user_defined |= f.value == USER_DEFINED;
        } else if (f.number == 2 && f.wire == FIXED32) {
            const uint32_t bits = (uint32_t)f.value;
            float score;
            memcpy(&score, &bits, sizeof score);
            if (!(fabsf(score) < 1e9f))
                return mg_fail(MG_ECHECKPOINT, "%s: piece %lld has an impossible score", name, (long long)id);
        }
    }
    if (r.broken || n_text == 0 || (user_defined && n_text > MAX_USER_BYTES))
        return mg_fail(MG_ECHECKPOINT, "%s: piece %lld is broken", name, (long long)id);
    return MG_OK;
}

static mg_status check_trainer(const char *name, const field *message)
{
    reader r = inside(message);
    field f;

    while (next_field(&r, &f)) {
        if (f.number == 3 && f.wire == VARINT && f.value != 1)
            return mg_fail(MG_ECHECKPOINT, "%s: not a unigram model, which T5's is", name);
        if (f.number == 35 && f.wire == VARINT && f.value != 0)
            return mg_fail(MG_ECHECKPOINT, "%s: byte_fallback is not supported: T5's model has none", name);
    }
    if (r.broken) return mg_fail(MG_ECHECKPOINT, "%s: its trainer_spec is broken", name);
    return MG_OK;
}

static mg_status check_normalizer(const char *name, const field *message)
{
    reader r = inside(message);
    field f;

    while (next_field(&r, &f)) {
        if (f.number == 2 && f.wire == BYTES) MG_RETURN(mg_charsmap_check(name, f.data, f.n));
    }
    if (r.broken) return mg_fail(MG_ECHECKPOINT, "%s: its normalizer_spec is broken", name);
    return MG_OK;
}

mg_status mg_spm_check(const char *name, const void *model, int64_t bytes)
{
    const unsigned char *p = model;
    reader r = {p, p + bytes, false};
    field f;
    int64_t n_pieces = 0;
    bool has_trainer = false, has_normalizer = false; /* they end the file: without them it was cut */

    while (next_field(&r, &f)) {
        if (f.wire != BYTES) continue;
        has_trainer |= f.number == MODEL_TRAINER;
        has_normalizer |= f.number == MODEL_NORMALIZER;
        if (f.number == MODEL_PIECE) {
            if (n_pieces == MAX_PIECES)
                return mg_fail(MG_ECHECKPOINT, "%s: more than %d pieces", name, MAX_PIECES);
            MG_RETURN(check_piece(name, &f, n_pieces++));
        }
        if (f.number == MODEL_TRAINER) MG_RETURN(check_trainer(name, &f));
        if (f.number == MODEL_NORMALIZER || f.number == MODEL_DENORMALIZER)
            MG_RETURN(check_normalizer(name, &f));
    }
    if (r.broken || n_pieces == 0 || !has_trainer || !has_normalizer)
        return mg_fail(MG_ECHECKPOINT, "%s: not a SentencePiece model, or not whole", name);
    return MG_OK;
}
