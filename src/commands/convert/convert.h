/* What the parts of `mg-dist convert` share: the list of tensors to write, each with the tensors that it is
 * made of. cmd_convert.c holds the option table and the stages; convert_plan.c and convert_make.c make
 * the list, convert_hf.c and convert_audiocraft.c write it. */
#ifndef MG_CONVERT_H
#define MG_CONVERT_H

#include "model_files.h"
#include "out_folder.h"
#include "progress.h"
#include "tensor_list.h"
#include "threads.h"

typedef enum mg_convert_form { MG_CONVERT_HF, MG_CONVERT_AUDIOCRAFT } mg_convert_form;
enum mg_convert_dtype { MG_CONVERT_AUTO, MG_CONVERT_KEEP, MG_CONVERT_FP32, MG_CONVERT_FP16, MG_CONVERT_BF16 };

typedef struct mg_convert_settings {
    const char *source, *out;
    int to;                 /* mg_convert_form */
    int dtype;              /* mg_convert_dtype */
    int64_t shard_size;     /* bytes; 0: no limit */
    mg_model_request parts; /* in place of those of the source */
} mg_convert_settings;

enum { MG_CONVERT_NAME_SIZE = MG_TENSOR_NAME_SIZE + 32, MG_CONVERT_MAX_SOURCES = 3 };

typedef struct mg_convert_tensor {
    char name[MG_CONVERT_NAME_SIZE]; /* in the output */
    mg_tensor tensor;                /* dtype and shape of the output; no data */
    int n_sources;
    mg_checkpoint_entry source[MG_CONVERT_MAX_SOURCES]; /* one above the other, by rows */
    void *made;                                         /* a source that no file holds; owned */
} mg_convert_tensor;

typedef struct mg_convert_list {
    mg_convert_tensor *tensor; /* [n] */
    int64_t n;
    size_t capacity;
} mg_convert_list;

typedef struct mg_convert {
    const mg_convert_settings *settings;
    mg_model_files *files;
    mg_config config; /* of the output */
    int dtype;        /* mg_convert_dtype, no longer AUTO */
    size_t shard_bytes;
    bool writes_pointer;      /* AudioCraft's codec as a pointer */
    bool adds_projection;     /* AudioCraft's projection of texts, for a model that has none */
    bool drops_projection;    /* it changes nothing, and transformers has no room for it */
    mg_convert_list lm, rest; /* of Hugging Face's form all is in lm; AudioCraft's codec is in rest */
    mg_threads *threads;
    mg_out_folder folder;
    mg_progress progress;
    int64_t n_done_bytes;
} mg_convert;

/* Find every tensor that the output needs. MG_ECHECKPOINT lists all that are missing, misshapen or left over.
 */
mg_status mg_convert_plan(mg_convert *c);
void mg_convert_list_close(mg_convert_list *list);

/* One more, zeroed; *out is valid until the next. */
mg_status mg_convert_add(mg_convert_list *list, mg_convert_tensor **out);

/* What --dtype makes of a stored type. */
mg_dtype mg_convert_dtype_of(const mg_convert *c, mg_dtype stored);

/* A tensor without a source of its own, by its role; of a convolution's row lengths, `base` is the fused
 * weight. */
mg_status mg_convert_make(const mg_convert *c, mg_convert_tensor *out, const mg_listed_tensor *t,
                          const mg_checkpoint_entry *base);

/* AudioCraft's melody conditioner saves the window of its spectrum, Hann's, with the weights, and loads none
 * without it: into c->lm. */
mg_status mg_convert_add_window(mg_convert *c);

/* Bytes of all tensors of a list. */
int64_t mg_convert_list_bytes(const mg_convert_list *list);

/* Elements [first, first+n) of the output's tensor into `dst`. MG_EFAIL if a value does not fit its new
 * dtype.
 */
mg_status mg_convert_read(const mg_convert *c, const mg_convert_tensor *t, void *dst, int64_t first,
                          int64_t n);

/* Say that `bytes` more are written: progress; MG_ESTOPPED if a signal asks. */
mg_status mg_convert_advance(mg_convert *c, int64_t bytes);

/* Fill c->folder. */
mg_status mg_convert_write_hf(mg_convert *c);
mg_status mg_convert_write_audiocraft(mg_convert *c);

#endif
