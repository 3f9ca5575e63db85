/* What tensor_list.c and tensor_list_codec.c share. */
#ifndef MG_TENSOR_LIST_IMPL_H
#define MG_TENSOR_LIST_IMPL_H

#include "tensor_list.h"

/* One more, cleared, at the end. */
mg_status mg_tensor_list_add(mg_tensor_list *list);

#endif
