/* What the parts of `mg-dist inspect` share: what was found out, as far as that went. inspect_gather.c finds
 * it out, inspect_print.c says it as a table, inspect_json.c as one JSON object. No tensor's data is touched.
 */
#ifndef MG_INSPECT_H
#define MG_INSPECT_H

#include "comm.h"
#include "machine.h"
#include "mapping_report.h"
#include "model_files.h"
#include "torch_file.h"

typedef struct mg_inspect_settings {
    const char *source;
    mg_model_request parts; /* in place of those of `source` */
    bool keys, json;
} mg_inspect_settings;

enum { MG_INSPECT_DTYPES = MG_DTYPES, MG_INSPECT_TEXT = 4096 };

/* One part of the model. */
typedef struct mg_inspect_part {
    const char *name;           /* "language model", "text encoder", "codec" */
    const mg_model_part *files; /* NULL: it is not there */
    int64_t n_tensors, n_parameters, bytes;
    bool dtypes[MG_INSPECT_DTYPES];  /* by mg_dtype */
    bool has_positions, has_encoder; /* the position table; the codec's encoder */
    mg_weights_requests requests;    /* what generation asks of it */
    mg_mapping_report mapping;       /* how the files answer */
    bool is_mapped;                  /* the two above are there */
    char mapping_error[512];         /* why not; or a setting that is not supported */
} mg_inspect_part;

enum mg_inspect_part_index { MG_INSPECT_LM, MG_INSPECT_T5, MG_INSPECT_CODEC, MG_INSPECT_PARTS };

typedef struct mg_inspection {
    const mg_inspect_settings *settings;
    mg_backend backend; /* borrowed: the surveys need it */
    char path[MG_PATH_SIZE];
    const char *what;       /* "Hugging Face model", … */
    mg_model_files *files;  /* the parts, where there are any */
    mg_checkpoint *lone;    /* else the weights by themselves */
    mg_torch_file *foreign; /* else a torch file that holds none */
    mg_inspect_part part[MG_INSPECT_PARTS];
    mg_text notes;                /* what the files say that is not done here */
    bool loads, is_sound;         /* generate would load it; nothing that is there is wrong */
    char reason[MG_INSPECT_TEXT]; /* why not, else "" */
} mg_inspection;

/* MG_EFAIL only if `source` names nothing; all other faults are findings. Close it either way. */
mg_status mg_inspection_open(mg_inspection *i);
void mg_inspection_close(mg_inspection *i);

/* The checkpoint that --keys lists and that the files belong to; NULL if none could be opened. */
mg_checkpoint *mg_inspection_checkpoint(const mg_inspection *i);

/* Where source `i_source` of a checkpoint goes: "a.weight", "a, b, c", "ignored" or "unexpected". */
void mg_inspection_target(char out[MG_INSPECT_TEXT], const mg_inspection *i, const mg_checkpoint *c,
                          size_t i_source);

/* "fp16, fp32": room for all that there are. */
enum { MG_INSPECT_DTYPES_SIZE = 128 };
void mg_inspection_dtypes(char out[MG_INSPECT_DTYPES_SIZE], const mg_inspect_part *p);

/* What stands under a key of a torch file: "dict of 36", "fp16 [128,64]", "text of 7000 bytes". */
void mg_inspection_value(char out[128], const mg_torch_file *f, const mg_pickle_value *v);

void mg_inspection_print(const mg_inspection *i);
mg_status mg_inspection_print_json(const mg_inspection *i);

#endif
