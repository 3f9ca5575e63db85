/* Calls of intrinsics, compiled twice: for the processor's instructions, and emulated. */
#ifndef MG_INTRINSICS_H
#define MG_INTRINSICS_H

#include <stdint.h>

/* Three vectors of any bits, and where the result goes: as many of its bytes as it has, the others are left.
 */
typedef void mg_intrinsic_call(const void *a, const void *b, const void *c, void *to);

typedef struct mg_intrinsic {
    const char *name;
    const char *needs; /* the compiler's name of what the processor must have */
    mg_intrinsic_call *call;
    int is_float; /* any NaN is as good as another */
} mg_intrinsic;

enum { MG_N_INTRINSICS = 49 };

extern const mg_intrinsic mg_intrinsics_real[MG_N_INTRINSICS], mg_intrinsics_emulated[MG_N_INTRINSICS];

#endif
