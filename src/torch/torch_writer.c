/* The object: it grows as a pickle, opcode by opcode, with a list of the storages it names. Opcodes are those
 * that torch's weights_only unpickler knows. The container is zip_writer.c's. */
#include "torch_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "torch_impl.h"
#include "zip_writer.h"

enum { MAX_DEPTH = 16, PIECE_BYTES = 4 << 20 };

typedef struct storage {
    mg_torch_tensor source;
    mg_torch_writer_read read; /* or NULL */
    void *context;
    int64_t n_elements;
} storage;

struct mg_torch_writer {
    char *path;
    mg_text pickle;    /* its bytes, NULs among them */
    storage *storages; /* [n_storages] */
    size_t n_storages, storage_capacity;
    int64_t tensor_bytes;
    int depth; /* of open dicts below the root */
};

static mg_status put(mg_torch_writer *w, const void *data, size_t n)
{
    mg_text_add_bytes(&w->pickle, data, n);
    return mg_text_check(&w->pickle, w->path);
}

static mg_status put_opcodes(mg_torch_writer *w, const char *opcodes)
{
    return put(w, opcodes, strlen(opcodes));
}

/* BINUNICODE */
static mg_status put_text(mg_torch_writer *w, const char *text)
{
    const size_t n = strlen(text);
    const uint8_t head[5] = {'X', (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};

    if (n > INT32_MAX) return mg_fail(MG_EFAIL, "%s: a text of %zu bytes", w->path, n);
    MG_RETURN(put(w, head, sizeof head));
    return put(w, text, n);
}

/* BININT where it fits, else LONG1: both little-endian. */
static mg_status put_int(mg_torch_writer *w, int64_t value)
{
    const bool is_short = value == (int32_t)value;
    uint8_t code[10] = {'J'};
    uint8_t *p = code + 1;

    if (!is_short) code[0] = 0x8a, *p++ = 8;
    for (int i = 0; i < (is_short ? 4 : 8); i++) *p++ = (uint8_t)((uint64_t)value >> 8 * i);
    return put(w, code, (size_t)(p - code));
}

mg_status mg_torch_writer_open(mg_torch_writer **out, const char *path)
{
    mg_status st = MG_OK;
    mg_torch_writer *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w) w->path = strdup(path);
    if (!w || !w->path) MG_TRY(mg_fail(MG_ENOMEM, "%s: out of memory", path));
    MG_TRY(put_opcodes(w, "\x80\x02}("));
    *out = w;
done:
    if (st != MG_OK) mg_torch_writer_close(w);
    return st;
}

void mg_torch_writer_close(mg_torch_writer *w)
{
    if (!w) return;
    mg_text_reset(&w->pickle);
    free(w->storages);
    free(w->path);
    free(w);
}

mg_status mg_torch_writer_text(mg_torch_writer *w, const char *key, const char *text)
{
    MG_RETURN(put_text(w, key));
    return put_text(w, text);
}

mg_status mg_torch_writer_bool(mg_torch_writer *w, const char *key, bool value)
{
    MG_RETURN(put_text(w, key));
    return put_opcodes(w, value ? "\x88" : "\x89");
}

mg_status mg_torch_writer_begin_dict(mg_torch_writer *w, const char *key)
{
    MG_REQUIRE(w->depth < MAX_DEPTH);
    w->depth++;
    MG_RETURN(put_text(w, key));
    return put_opcodes(w, "}(");
}

mg_status mg_torch_writer_end_dict(mg_torch_writer *w)
{
    MG_REQUIRE(w->depth > 0);
    w->depth--;
    return put_opcodes(w, "u");
}

static mg_status put_tuple(mg_torch_writer *w, const int64_t *value, int n)
{
    MG_RETURN(put_opcodes(w, "("));
    for (int i = 0; i < n; i++) MG_RETURN(put_int(w, value[i]));
    return put_opcodes(w, "t");
}

/* torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static mg_status put_tensor(mg_torch_writer *w, const mg_torch_tensor *t, int64_t n_elements)
{
    int64_t stride[MG_TORCH_MAX_DIMS], step = 1;
    char number[24], class[40];

    for (int i = t->n_dims - 1; i >= 0; i--) {
        stride[i] = step;
        step *= t->dim[i] > 0 ? t->dim[i] : 1;
    }
    snprintf(number, sizeof number, "%zu", w->n_storages);
    snprintf(class, sizeof class, "ctorch\n%s\n", mg_torch_storage_name(t->dtype));
    MG_RETURN(put_opcodes(w, "ctorch._utils\n_rebuild_tensor_v2\n(("));
    MG_RETURN(put_text(w, "storage"));
    MG_RETURN(put_opcodes(w, class));
    MG_RETURN(put_text(w, number));
    MG_RETURN(put_text(w, "cpu"));
    MG_RETURN(put_int(w, n_elements));
    MG_RETURN(put_opcodes(w, "tQ"));
    MG_RETURN(put_int(w, 0));
    MG_RETURN(put_tuple(w, t->dim, t->n_dims));
    MG_RETURN(put_tuple(w, stride, t->n_dims));
    return put_opcodes(w, "\x89"
                          "ccollections\nOrderedDict\n)RtR");
}

mg_status mg_torch_writer_stream(mg_torch_writer *w, const char *key, const mg_torch_tensor *shape,
                                 mg_torch_writer_read read, void *context)
{
    int64_t n_elements = 1;

    MG_REQUIRE(shape->n_dims >= 0 && shape->n_dims <= MG_TORCH_MAX_DIMS);
    if (!mg_torch_storage_name(shape->dtype))
        return mg_fail(MG_ECHECKPOINT,
                       "%s: %s: is %s, which is not written here: save it as fp32 or another common type",
                       w->path, key, mg_dtype_name(shape->dtype));
    for (int i = 0; i < shape->n_dims; i++)
        if (shape->dim[i] < 0 || __builtin_mul_overflow(n_elements, shape->dim[i], &n_elements) ||
            n_elements > INT64_MAX / 16)
            return mg_fail(MG_EBUG, "%s: %s: impossible dimensions", w->path, key);
    MG_RETURN(mg_grow(&w->storages, &w->storage_capacity, w->n_storages + 1, sizeof *w->storages, w->path));
    MG_RETURN(put_text(w, key));
    MG_RETURN(put_tensor(w, shape, n_elements));
    w->storages[w->n_storages++] = (storage){*shape, read, context, n_elements};
    w->tensor_bytes += n_elements * (int64_t)mg_dtype_bytes(shape->dtype);
    return MG_OK;
}

mg_status mg_torch_writer_tensor(mg_torch_writer *w, const char *key, const mg_torch_tensor *source)
{
    return mg_torch_writer_stream(w, key, source, NULL, NULL);
}

static mg_status write_storage(mg_torch_zip *z, const storage *s, char *piece, int64_t *done_bytes,
                               int64_t all_bytes, mg_torch_writer_progress progress, void *context)
{
    const int64_t element_bytes = (int64_t)mg_dtype_bytes(s->source.dtype);
    const int64_t n_piece = PIECE_BYTES / element_bytes;
    const bool as_it_lies = !s->read && mg_torch_tensor_is_contiguous(&s->source);

    for (int64_t i = 0; i < s->n_elements; i += n_piece) {
        const int64_t n = s->n_elements - i < n_piece ? s->n_elements - i : n_piece;
        const char *data = piece;
        if (as_it_lies)
            data = (const char *)s->source.data + i * element_bytes;
        else if (s->read)
            MG_RETURN(s->read(s->context, piece, i, n));
        else
            mg_torch_tensor_copy_part(piece, &s->source, i, n);
        MG_RETURN(mg_torch_zip_write(z, data, (size_t)(n * element_bytes)));
        *done_bytes += n * element_bytes;
        if (progress) MG_RETURN(progress(context, *done_bytes, all_bytes));
    }
    return MG_OK;
}

mg_status mg_torch_writer_commit(mg_torch_writer *w, mg_torch_writer_progress progress, void *context)
{
    mg_status st = MG_OK;
    mg_torch_zip z = {.file.fd = -1};
    char *piece = NULL;
    char name[64];
    int64_t done_bytes = 0;

    MG_TRY(w->depth == 0 ? MG_OK : mg_fail(MG_EBUG, "%s: a dict is still open", w->path));
    MG_TRY(put_opcodes(w, "u."));
    piece = malloc(PIECE_BYTES);
    if (!piece) MG_TRY(mg_fail(MG_ENOMEM, "%s: %d bytes", w->path, PIECE_BYTES));
    MG_TRY(mg_torch_zip_begin(&z, w->path));
    MG_TRY(mg_torch_zip_put(&z, "archive/data.pkl", w->pickle.data, w->pickle.n));
    MG_TRY(mg_torch_zip_put(&z, "archive/byteorder", "little", 6));
    for (size_t i = 0; i < w->n_storages; i++) {
        const storage *s = &w->storages[i];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        MG_TRY(mg_torch_zip_entry(&z, name, (uint64_t)s->n_elements * mg_dtype_bytes(s->source.dtype)));
        MG_TRY(write_storage(&z, s, piece, &done_bytes, w->tensor_bytes, progress, context));
    }
    MG_TRY(mg_torch_zip_put(&z, "archive/version", "3\n", 2));
    MG_TRY(mg_torch_zip_commit(&z));
done:
    mg_torch_zip_abandon(&z);
    free(piece);
    return st;
}
