/* AudioCraft's form: state_dict.bin and compression_state_dict.bin, as its exporter writes them
 * (utils/export.py, version 1.4): a dict of best_state, xp.cfg, version and exported; or a codec pointer. */
#include <stdlib.h>
#include <string.h>

#include "config_text.h"
#include "convert.h"
#include "log.h"
#include "torch_writer.h"

#define AUDIOCRAFT_VERSION "1.4.0a2" /* whose forms these are */
#define PUBLIC_CODEC       "facebook/encodec_32khz"

/* AudioCraft takes the text encoder from elsewhere, by name. */
static const char *choose_t5(const mg_convert *c)
{
    const char *name = mg_config_public_t5(&c->config.t5);

    if (*c->files->t5_name) return c->files->t5_name;
    if (name) return name;
    mg_log_warn(
        "convert: no published T5 has the sizes of this model's text encoder, so xp.cfg names t5-base: put "
        "the name of its folder there, or load the pair with --text-encoder");
    return "t5-base";
}

typedef struct reader {
    const mg_convert *convert;
    const mg_convert_tensor *tensor;
} reader;

static mg_status read_tensor(void *context, void *dst, int64_t first, int64_t n)
{
    const reader *r = context;

    return mg_convert_read(r->convert, r->tensor, dst, first, n);
}

typedef struct meter {
    mg_convert *convert;
    int64_t begin_bytes; /* of the files before this one */
} meter;

static mg_status advance(void *context, int64_t done_bytes, int64_t all_bytes)
{
    meter *m = context;

    (void)all_bytes;
    return mg_convert_advance(m->convert, m->begin_bytes + done_bytes - m->convert->n_done_bytes);
}

static mg_status add_state(const mg_convert *c, mg_torch_writer *w, const mg_convert_list *list,
                           reader *readers)
{
    MG_RETURN(mg_torch_writer_begin_dict(w, "best_state"));
    for (int64_t i = 0; i < list->n; i++) {
        const mg_convert_tensor *t = &list->tensor[i];
        mg_torch_tensor shape = {.dtype = t->tensor.dtype, .n_dims = t->tensor.n_dims};
        for (int d = 0; d < shape.n_dims; d++) shape.dim[d] = t->tensor.dim[d];
        readers[i] = (reader){c, t};
        MG_RETURN(mg_torch_writer_stream(w, t->name, &shape, read_tensor, &readers[i]));
    }
    return mg_torch_writer_end_dict(w);
}

static mg_status write_package(mg_convert *c, const char *name, const mg_convert_list *list, const char *yaml)
{
    mg_status st = MG_OK;
    mg_torch_writer *w = NULL;
    char path[MG_PATH_SIZE];
    reader *readers = calloc((size_t)list->n + 1, sizeof *readers);
    meter m = {c, c->n_done_bytes};

    if (!readers) return mg_fail(MG_ENOMEM, "%s: no memory for %lld tensors", name, (long long)list->n);
    MG_TRY(mg_path_format(path, "%s/%s", c->folder.temp, name));
    MG_TRY(mg_torch_writer_open(&w, path));
    MG_TRY(add_state(c, w, list, readers));
    MG_TRY(mg_torch_writer_text(w, "xp.cfg", yaml));
    MG_TRY(mg_torch_writer_text(w, "version", AUDIOCRAFT_VERSION));
    MG_TRY(mg_torch_writer_bool(w, "exported", true));
    MG_TRY(mg_torch_writer_commit(w, advance, &m));
done:
    mg_torch_writer_close(w);
    free(readers);
    return st;
}

static mg_status write_pointer(mg_convert *c)
{
    mg_status st = MG_OK;
    mg_torch_writer *w = NULL;
    char path[MG_PATH_SIZE];

    MG_TRY(mg_path_format(path, "%s/compression_state_dict.bin", c->folder.temp));
    MG_TRY(mg_torch_writer_open(&w, path));
    MG_TRY(mg_torch_writer_text(w, "pretrained", PUBLIC_CODEC));
    MG_TRY(mg_torch_writer_bool(w, "exported", true));
    MG_TRY(mg_torch_writer_text(w, "version", AUDIOCRAFT_VERSION));
    MG_TRY(mg_torch_writer_commit(w, NULL, NULL));
done:
    mg_torch_writer_close(w);
    return st;
}

mg_status mg_convert_write_audiocraft(mg_convert *c)
{
    mg_status st = MG_OK;
    char *lm = NULL, *codec = NULL;

    MG_TRY(mg_config_text_xp_lm(&lm, &c->config, choose_t5(c), c->files->window_s));
    MG_TRY(write_package(c, "state_dict.bin", &c->lm, lm));
    if (c->writes_pointer) {
        MG_TRY(write_pointer(c));
    } else {
        MG_TRY(mg_config_text_xp_codec(&codec, &c->config));
        MG_TRY(write_package(c, "compression_state_dict.bin", &c->rest, codec));
    }
done:
    free(lm);
    free(codec);
    return st;
}
