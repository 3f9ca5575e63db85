/* Every tensor that a whole checkpoint of an architecture holds, in our names (key_map.h). It is what a
 * converter has to write, and more than what generation reads: the codec's encoder and its codebooks'
 * training buffers are there too. */
#ifndef MG_TENSOR_LIST_H
#define MG_TENSOR_LIST_H

#include "config.h"
#include "tensor.h"

enum { MG_TENSOR_NAME_SIZE = 160 };

typedef enum mg_tensor_role {
    MG_ROLE_PLAIN,
    MG_ROLE_POSITIONS,    /* the position table: computed where a checkpoint has none */
    MG_ROLE_NORM_G,       /* the length of each row of a weight: follows from a fused weight */
    MG_ROLE_NORM_V,       /* its direction: the fused weight itself will do */
    MG_ROLE_INITED,       /* 1 */
    MG_ROLE_CLUSTER_SIZE, /* 1: with it and embed_avg = embed, embed follows */
    MG_ROLE_EMBED_AVG,
} mg_tensor_role;

typedef struct mg_listed_tensor {
    char name[MG_TENSOR_NAME_SIZE];
    mg_tensor_role role;
    bool transposed; /* of a transposed convolution, which AudioCraft spells otherwise */
    int n_dims;
    int64_t dim[MG_MAX_DIMS]; /* unused ones are 1 */
} mg_listed_tensor;

typedef struct mg_tensor_list {
    mg_listed_tensor *tensor; /* [n] */
    int64_t n;
    size_t capacity;
} mg_tensor_list;

/* Append the tensors of a part. The list is the caller's to close,
 * also after a failure. */
mg_status mg_tensor_list_lm(mg_tensor_list *list, const mg_lm_config *config);
mg_status mg_tensor_list_t5(mg_tensor_list *list, const mg_t5_config *config);
mg_status mg_tensor_list_codec(mg_tensor_list *list, const mg_codec_config *config);
void mg_tensor_list_close(mg_tensor_list *list);

#endif
