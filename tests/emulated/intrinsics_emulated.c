/* avx512.h is included before this. */
#define MG_TABLE mg_intrinsics_emulated
#include "intrinsics.inc"
