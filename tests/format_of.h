/* The format that keeps values of a number type as they are: tests loop over number types. */
#ifndef MG_FORMAT_OF_H
#define MG_FORMAT_OF_H

#include "ops.h"

static inline mg_format format_of(mg_dtype dtype)
{
    return dtype == MG_BF16 ? MG_FORMAT_BF16 : dtype == MG_F16 ? MG_FORMAT_F16 : MG_FORMAT_F32;
}

#endif
